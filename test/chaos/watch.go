package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
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
	stored  atomic.Int64
	lag     atomic.Int64
}

// startWatch looks at everything once a second, until the function that it returns is called.
func (r *run) startWatch() (stop func()) {
	ctx, cancel := context.WithCancel(r.Context())
	var work sync.WaitGroup
	for _, p := range r.Programs() {
		work.Go(func() { every(ctx, func() { r.sample(ctx, p); r.supervise(p) }) })
	}
	work.Go(func() { every(ctx, func() { r.measure(ctx) }) })
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
	goroutines, _ := kit.Metric(text, "go_goroutines")
	redelivered, _ := kit.Metric(text, "billbus_consumer_redeliveries_total")
	r.watch.mu.Lock()
	defer r.watch.mu.Unlock()
	r.watch.samples = append(r.watch.samples, verdict.Sample{
		At: time.Now(), Process: p.Name, RSS: int64(kB) << 10, Goroutines: int(goroutines), Redelivered: int64(redelivered),
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

// measure asks database and stream, which may not answer.
func (r *run) measure(ctx context.Context) {
	counting, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	if n, err := r.DB.Collection("webhook_events").EstimatedDocumentCount(counting); err == nil {
		r.watch.stored.Store(n)
	}
	if n, err := r.Unsettled(); err == nil {
		r.watch.lag.Store(int64(n))
	}
}

// point returns a function that notes what happened since it was called last.
func (r *run) point() func() {
	var sent, accepted, stored int
	return func() {
		now := report.Point{At: time.Now(), Sent: int(r.traffic.sent.Load()), Accepted: r.traffic.acceptances(), Stored: int(r.watch.stored.Load()), Lag: int(r.watch.lag.Load())}
		since := now
		since.Sent, since.Accepted, since.Stored = now.Sent-sent, now.Accepted-accepted, max(now.Stored-stored, 0)
		sent, accepted, stored = now.Sent, now.Accepted, now.Stored
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

const unconfirmed = "acknowledging failed; the message will be delivered again"

// handlings returns what the subscribers did with messages, in order of each process.
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
	return all
}
