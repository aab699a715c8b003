package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit/deploy"
)

const (
	// duplicateWindow is so short that events sent again have passed it.
	duplicateWindow = 10 * time.Second
	resent          = 50 // events a time
)

// resend sends accepted events again, as Stripe does at an operator's request.
func (r *run) resend(f Fault) error {
	old := r.deliveries(r.traffic.before(time.Now().Add(-duplicateWindow), r.traffic.accepted))
	rng := rand.New(rand.NewPCG(uint64(r.cfg.Seed), uint64(f.At)))
	rng.Shuffle(len(old), func(i, j int) { old[i], old[j] = old[j], old[i] })
	return r.sendAgain(old[:min(len(old), resent)])
}

func (r *run) deliveries(ids map[string]bool) []stripesim.Delivery {
	return slices.DeleteFunc(slices.Clone(r.history.Deliveries), func(d stripesim.Delivery) bool { return !ids[d.ID] })
}

// stall is how long none of the events that are sent again may be accepted.
const stall = 2 * time.Minute

// sendAgain sends events until all are accepted, or until none has been for long.
func (r *run) sendAgain(old []stripesim.Delivery) error {
	ctx, stop := context.WithCancelCause(r.Context())
	defer stop(nil)
	stalled := time.AfterFunc(stall, func() { stop(fmt.Errorf("none was accepted for %s", stall)) })
	defer stalled.Stop()
	cfg := r.traffic.config(0)
	cfg.Accepted = func(string) { stalled.Reset(stall) }
	_, err := stripesim.Send(ctx, stripesim.History{Deliveries: old}, cfg)
	return err
}

// secrets are the signing secrets of the bridges, which read them from a file.
type secrets struct {
	path string
	mu   sync.Mutex
	now  string // with which Stripe signs
	made int
}

func newSecrets(dir string) (*secrets, error) {
	s := &secrets{path: filepath.Join(dir, "secrets")}
	s.now = s.next()
	return s, s.write(s.now)
}

func (s *secrets) next() string {
	s.made++
	return fmt.Sprintf("whsec_chaos%032d", s.made)
}

func (s *secrets) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *secrets) use(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = secret
}

// write replaces the file as a whole: a bridge may read it at any time.
func (s *secrets) write(valid ...string) error {
	draft := s.path + ".new"
	if err := os.WriteFile(draft, []byte(strings.Join(valid, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(draft, s.path)
}

// rotate replaces the signing secret. Both are valid until Stripe has long signed with the
// new one.
func (r *run) rotate(f Fault) error {
	s := r.secrets
	old, next := s.current(), s.next()
	if err := s.write(old, next); err != nil {
		return err
	}
	r.Wait(f.Length / 2)
	s.use(next)
	r.Wait(f.Length / 2)
	return s.write(next)
}

// replay reads the last ten seconds of the stream again. The embedded database allows one
// writer, so subscribers have to stop.
func (r *run) replay(Fault) error {
	for _, s := range r.Subscribers {
		if r.shape.database == embedded {
			r.stop(s.Process)
			defer r.start(s.Process)
		}
	}
	return r.command(r.Subscribers[0], nil, "replay", "--restart", "--from-time", time.Now().Add(-10*time.Second).UTC().Format(time.RFC3339))
}

// importObjects publishes what Stripe has.
func (r *run) importObjects(Fault) error {
	return r.command(r.Bridges[0], []string{"STRIPE_API_BASE=" + r.api, "STRIPE_API_KEY=" + apiKey}, "import")
}

const (
	tries = 5
	// longest is how long a command, or reading what is judged, may take.
	longest = 5 * time.Minute
)

// command runs a command of a program, and again if something is in its way.
func (r *run) command(p *deploy.Program, env []string, args ...string) error {
	var err error
	for range tries {
		ctx, stop := context.WithTimeout(r.Context(), longest)
		err = r.Execute(ctx, p, env, args...)
		if stop(); err == nil {
			return nil
		}
		r.log.Info("command failed", "command", args[0], "error", err.Error())
		r.Wait(time.Second)
	}
	return err
}

// again runs the duties that have failed once more, now that nothing is in their way.
func (r *run) again() error {
	r.mu.Lock()
	failed := slices.Collect(maps.Values(r.failedDuties))
	r.mu.Unlock()
	var errs []error
	for _, f := range failed {
		r.alone(f, func() { errs = append(errs, r.kind(f).do(r, f)) })
	}
	return errors.Join(errs...)
}
