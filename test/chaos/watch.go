package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/billbus/billbus/test/chaos/report"
	"github.com/billbus/billbus/test/chaos/verdict"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/deploy"
)

// glance is how long a look at a process may take: it may be frozen.
const glance = 500 * time.Millisecond

// watch is what was seen of the programs, second by second.
type watch struct {
	mu      sync.Mutex
	samples []verdict.Sample
	points  []report.Point
	settled []interval // in which the subscribers were found to have stored everything
	lag     atomic.Int64
}

type interval struct{ begin, end time.Time }

// settledBefore returns a time, as late as is known, before which everything that was accepted
// was stored before a limit.
func (w *watch) settledBefore(limit time.Time) (known time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.settled {
		if s.end.Before(limit) && s.begin.After(known) {
			known = s.begin
		}
	}
	return known
}

// startWatch looks at everything once a second, until the function that it returns is called.
func (r *run) startWatch() (stop func()) {
	ctx, cancel := context.WithCancel(r.Context())
	var work sync.WaitGroup
	for _, p := range r.Programs() {
		work.Go(func() { every(ctx, func() { r.sample(ctx, p); r.supervise(p.Process) }) })
	}
	work.Go(func() { every(ctx, r.measure) })
	work.Go(func() { every(ctx, r.point()) })
	return func() { cancel(); work.Wait() } // may be called twice
}

func every(ctx context.Context, do func()) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// sample looks at a program, which may be down or frozen.
func (r *run) sample(ctx context.Context, p *deploy.Program) {
	text, err := read(ctx, p.Admin+"/metrics")
	kB, gone := p.Memory()
	if err != nil || gone != nil {
		return
	}
	goroutines, ok := kit.Metric(text, "go_goroutines")
	if !ok {
		return
	}
	r.watch.mu.Lock()
	defer r.watch.mu.Unlock()
	r.watch.samples = append(r.watch.samples, verdict.Sample{
		At: time.Now(), Process: p.Name, RSS: int64(kB) << 10, Goroutines: int(goroutines),
	})
}

func read(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// measure asks the stream, which may not answer. The database is left alone: the embedded one
// reads all documents to count them.
func (r *run) measure() {
	begin := time.Now()
	n, err := r.Unsettled()
	if err != nil {
		return
	}
	r.watch.lag.Store(int64(n))
	if n == 0 {
		r.watch.mu.Lock()
		defer r.watch.mu.Unlock()
		r.watch.settled = append(r.watch.settled, interval{begin, time.Now()})
	}
}

// point returns a function that notes what happened since it was called last.
func (r *run) point() func() {
	var sent, accepted int
	return func() {
		now := report.Point{At: time.Now(), Sent: int(r.traffic.sent.Load()), Accepted: r.traffic.acceptances(), Lag: int(r.watch.lag.Load())}
		since := now
		since.Sent, since.Accepted = now.Sent-sent, now.Accepted-accepted
		sent, accepted = now.Sent, now.Accepted
		r.watch.mu.Lock()
		r.watch.points = append(r.watch.points, since)
		r.watch.mu.Unlock()
		r.show.Set(int64(min(time.Since(r.began), r.cfg.Duration).Seconds()))
	}
}

// handling is a line of a subscriber's log about a message.
type handling struct {
	Time     time.Time
	Msg      string
	Outcome  string
	Sequence uint64
	process  string
}

// isDone reports whether the message was stored, now or before.
func (h handling) isDone() bool {
	return h.Msg == "message" && h.Outcome != "transient" && h.Outcome != "held"
}

const unconfirmed = "acknowledging failed; the message will be delivered again"

// countStored adds to each point how many messages the subscribers have handled since the one
// before.
func countStored(points []report.Point, all []handling) {
	for _, h := range all {
		i, _ := slices.BinarySearchFunc(points, h.Time, func(p report.Point, t time.Time) int { return p.At.Compare(t) })
		if i < len(points) && h.isDone() {
			points[i].Stored++
		}
	}
}

// handlings returns what the subscribers did with messages, the oldest first.
func (r *run) handlings() []handling {
	var all []handling
	for _, p := range r.Subscribers {
		file, err := os.Open(p.Log)
		r.Must(err)
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			h := handling{process: p.Name}
			// A process that is killed can leave half a line.
			if json.Unmarshal(lines.Bytes(), &h) == nil && h.Sequence > 0 && (h.Msg == "message" || h.Msg == unconfirmed) {
				all = append(all, h)
			}
		}
		r.Must(errors.Join(lines.Err(), file.Close()))
	}
	slices.SortStableFunc(all, func(a, b handling) int { return a.Time.Compare(b.Time) })
	return all
}
