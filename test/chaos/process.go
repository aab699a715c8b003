package chaos

import (
	"errors"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/test/chaos/verdict"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/deploy"
)

// process returns a process by its name.
func (r *run) process(name string) *kit.Process {
	for _, p := range r.Processes() {
		if p.Name == name {
			return p
		}
	}
	return nil // the plan names none that does not exist
}

func (r *run) kill(f Fault) error {
	p := r.process(f.Target)
	r.checkRuns(p)
	p.Kill(r)
	r.Wait(f.Length)
	r.start(p)
	return nil
}

func (r *run) freeze(f Fault) error {
	p := r.process(f.Target)
	p.Signal(r, syscall.SIGSTOP)
	r.Wait(f.Length)
	p.Signal(r, syscall.SIGCONT)
	return nil
}

func (r *run) term(f Fault) error {
	p := r.process(f.Target)
	r.stop(p)
	r.Wait(f.Length)
	r.start(p)
	return nil
}

func (r *run) start(p *kit.Process) {
	p.Start(r)
	r.log.Info("start", "process", p.Name)
}

// panicked is the exit status of a Go program that panics.
const panicked = 2

// stop terminates a process, and remembers a subscriber that stopped cleanly.
func (r *run) stop(p *kit.Process) {
	r.checkRuns(p)
	err := p.Terminate(r)
	r.log.Info("stop", "process", p.Name, "error", message(err))
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == panicked {
		r.Errorf("%s panicked when it was stopped; see %s", p.Name, p.Log)
	}
	for _, s := range r.Subscribers {
		if s.Process == p && err == nil {
			r.mu.Lock()
			r.cleanStops = append(r.cleanStops, verdict.CleanStop{Process: p.Name, At: time.Now()})
			r.mu.Unlock()
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// restartAll restarts every process, and goes on as soon as a program is ready.
func (r *run) restartAll(Fault) error {
	for _, name := range r.shape.lasting() {
		p := r.process(name)
		r.stop(p)
		r.start(p)
		r.readyWithin(p, 10*time.Second)
	}
	return nil
}

func (r *run) readyWithin(p *kit.Process, patience time.Duration) {
	for _, program := range r.Programs() {
		deadline := time.Now().Add(patience)
		for program.Process == p && !program.Ready() && time.Now().Before(deadline) {
			r.Wait(100 * time.Millisecond)
		}
	}
}

// restartNodes goes on as soon as the server that was restarted has all of the stream.
func (r *run) restartNodes(Fault) error {
	for _, name := range r.shape.nodes() {
		r.stop(r.Nodes[name])
		r.start(r.Nodes[name])
		for deadline := time.Now().Add(20 * time.Second); !r.replicated() && time.Now().Before(deadline); {
			r.Wait(200 * time.Millisecond)
		}
	}
	return nil
}

func (r *run) replicated() bool {
	s, err := r.JS.Stream(r.Context(), deploy.Stream)
	if err != nil {
		return false
	}
	cluster := s.CachedInfo().Cluster
	return cluster.Leader != "" && len(cluster.Replicas) == r.cfg.Servers-1 &&
		!slices.ContainsFunc(cluster.Replicas, func(p *jetstream.PeerInfo) bool { return p.Offline || !p.Current })
}

// knownLeader waits for a leader: there may have been a fault just before.
func (r *run) knownLeader() (leader string, err error) {
	for range tries {
		if leader, err = r.Leader(); leader != "" {
			return leader, nil
		}
		r.Wait(time.Second)
	}
	return "", errors.Join(err, errors.New("the stream has no leader"))
}

// checkRuns says so if a process has ended by itself: none should.
func (r *run) checkRuns(p *kit.Process) {
	if p.Ended() {
		r.Errorf("%s ended by itself: %v; see %s", p.Name, p.Err(r), p.Log)
	}
}

// supervise starts a process again that has ended by itself, as those do that run it in
// production.
func (r *run) supervise(p *kit.Process) {
	lock := r.locks[p.Name]
	if !lock.TryLock() {
		return // a fault is at it
	}
	defer lock.Unlock()
	if p.Ended() {
		r.checkRuns(p)
		r.start(p)
	}
}
