package stripesim

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// ErrRefused is returned by [Send] when the receiver answers 400 time and
// again: Stripe would go on for three days, and never succeed.
var ErrRefused = errors.New("the receiver refuses everything with status 400: the signing secret is probably not the receiver's")

const (
	// window is how far disorder moves an event among all others at most,
	// neighbours how far among those of its subscription.
	window     = 50
	neighbours = 6
	// refusals in a row are too many.
	refusals   = 10
	firstPause = 100 * time.Millisecond
	// timeout is how long an answer may take. Stripe is about as patient.
	timeout = 20 * time.Second
	// answerBytes is as much of an answer as is read.
	answerBytes = 64 << 10
)

// SendConfig says where and how to send.
type SendConfig struct {
	URL    string
	Secret string
	// Rate is in events per second; 0 is as fast as possible.
	Rate float64
	// Duplicates is the share, 0 to 1, of events that are sent more than once.
	Duplicates float64
	// Disorder moves every event some places from where it belongs. Without it
	// the events of one subscription are sent one after the other.
	Disorder bool
	// Workers is how many requests are open at once; 8 if it is 0.
	Workers int
	// Client sends the requests. By default one that follows no redirects, as
	// Stripe follows none.
	Client *http.Client
	// Now is the time that signatures carry; time.Now by default.
	Now func() time.Time
	// Pause is how long to wait before an event is tried again, the first time;
	// 100 ms by default. It doubles each time, up to 50 times that.
	Pause time.Duration
	// Progress is told of every answer, by one goroutine at a time.
	Progress func(Progress)
}

// Progress is how far [Send] is.
type Progress struct {
	// Total is how many events there are to send, repetitions included.
	Total int
	// Done is how many of them were answered 2xx.
	Done int
	// Last is the last answer.
	Last Answer
}

// Answer is what the receiver said to one request.
type Answer struct {
	// Status is 0 if there was no answer; then Err says why.
	Status int
	Body   string
	Err    error
}

// OK reports whether Stripe would be satisfied.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status <= 299 }

// Report is what was sent, and what the answers were.
type Report struct {
	// Events is how many different events there were to send, Repeats how many
	// times one of them was to be sent again.
	Events, Repeats int
	// Requests is how many were made, retries included.
	Requests int
	// Done is how many of Events and Repeats were answered 2xx.
	Done int
	// Answers counts the requests by status; 0 is no answer.
	Answers map[int]int
	Elapsed time.Duration
}

// Schedule is the order in which [Send] sends the events: the true order, with
// repetitions behind and disorder if asked for. It depends on the history and
// on Duplicates and Disorder only.
func Schedule(h History, cfg SendConfig) []Delivery {
	type slot struct {
		Delivery
		key float64
	}
	rng := rand.New(rand.NewPCG(h.Seed, 1<<63))
	deliveries := h.Deliveries
	if cfg.Disorder {
		deliveries = shuffle(rng, deliveries)
	}
	var slots []slot
	for i, d := range deliveries {
		key := float64(i)
		if cfg.Disorder {
			key += rng.Float64() * window
		}
		slots = append(slots, slot{d, key})
		for again := rng.Float64() < cfg.Duplicates; again; again = rng.Float64() < 0.2 {
			slots = append(slots, slot{d, later(rng, key, float64(len(deliveries)))})
		}
	}
	slices.SortStableFunc(slots, func(a, b slot) int { return cmp.Compare(a.key, b.key) })
	schedule := make([]Delivery, len(slots))
	for i, s := range slots {
		schedule[i] = s.Delivery
	}
	return schedule
}

// later is where an event is sent again: soon, or any time until the end.
func later(rng *rand.Rand, key, end float64) float64 {
	if rng.IntN(2) == 0 {
		return key + rng.Float64()*window
	}
	return key + rng.Float64()*max(end-key, 1)
}

// shuffle moves each event among its neighbours of the same subscription: what
// lies weeks apart would never change places otherwise.
func shuffle(rng *rand.Rand, deliveries []Delivery) []Delivery {
	bySubscription := map[string][]int{}
	var order []string
	for i, d := range deliveries {
		if _, known := bySubscription[d.SubscriptionID]; !known {
			order = append(order, d.SubscriptionID)
		}
		bySubscription[d.SubscriptionID] = append(bySubscription[d.SubscriptionID], i)
	}
	shuffled := make([]Delivery, len(deliveries))
	for _, id := range order {
		places := bySubscription[id]
		for i, from := range jumble(rng, places) {
			shuffled[places[i]] = deliveries[from]
		}
	}
	return shuffled
}

// jumble moves each element a few places.
func jumble(rng *rand.Rand, elements []int) []int {
	key := make(map[int]float64, len(elements))
	for i, e := range elements {
		key[e] = float64(i) + rng.Float64()*neighbours
	}
	return slices.SortedStableFunc(slices.Values(elements), func(a, b int) int { return cmp.Compare(key[a], key[b]) })
}

// Send sends a history. Like Stripe it tries again, with a new signature,
// whatever is not answered 2xx, and goes on until everything is or until ctx is
// done; but it gives up with [ErrRefused] after 10 answers of 400 in a row. The
// report is complete in any case.
func Send(ctx context.Context, h History, cfg SendConfig) (Report, error) {
	cfg, closeIdle := cfg.withDefaults()
	defer closeIdle()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	schedule := Schedule(h, cfg)
	s := &sender{
		cfg: cfg, stop: stop, total: len(schedule),
		report: Report{Events: len(h.Deliveries), Repeats: len(schedule) - len(h.Deliveries), Answers: map[int]int{}},
	}
	began := time.Now()
	s.run(ctx, schedule)
	s.report.Elapsed = time.Since(began)
	if s.report.Done < s.total {
		return s.report, fmt.Errorf("%d of %d events were not accepted: %w", s.total-s.report.Done, s.total, context.Cause(ctx))
	}
	return s.report, nil
}

// Post sends one body, once.
func Post(ctx context.Context, cfg SendConfig, body []byte) Answer {
	cfg, closeIdle := cfg.withDefaults()
	defer closeIdle()
	return cfg.post(ctx, body)
}

func (cfg SendConfig) withDefaults() (_ SendConfig, closeIdle func()) {
	closeIdle = func() {}
	if cfg.Workers <= 0 {
		cfg.Workers = 8
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Pause <= 0 {
		cfg.Pause = firstPause
	}
	if cfg.Progress == nil {
		cfg.Progress = func(Progress) {}
	}
	if cfg.Client == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = cfg.Workers
		closeIdle = transport.CloseIdleConnections
		cfg.Client = &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
	}
	return cfg, closeIdle
}

func (cfg SendConfig) post(ctx context.Context, body []byte) Answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, cfg.URL, bytes.NewReader(body))
	if err != nil {
		return Answer{Err: err}
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Stripe-Signature", Sign(body, cfg.Secret, cfg.Now()))
	resp, err := cfg.Client.Do(req)
	if err != nil {
		return Answer{Err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytes))
	if err != nil {
		return Answer{Err: fmt.Errorf("reading the answer: %w", err)}
	}
	return Answer{Status: resp.StatusCode, Body: string(text)}
}

// sender is one call of Send.
type sender struct {
	cfg   SendConfig
	stop  context.CancelCauseFunc
	total int

	mu      sync.Mutex
	report  Report
	refused int // answers of 400 in a row
}

// run feeds the workers in the order of the schedule. Without disorder a
// subscription has one worker, which keeps its events in order.
func (s *sender) run(ctx context.Context, schedule []Delivery) {
	var workers sync.WaitGroup
	defer workers.Wait()
	queues := s.queues()
	for _, queue := range queues {
		defer close(queue)
	}
	for i := range s.cfg.Workers {
		workers.Go(func() {
			for d := range queues[i%len(queues)] {
				s.deliver(ctx, d)
			}
		})
	}
	began := time.Now()
	for i, d := range schedule {
		if !s.pace(ctx, began, i) {
			return
		}
		select {
		case queues[partition(d.SubscriptionID, len(queues))] <- d:
		case <-ctx.Done():
			return
		}
	}
}

func (s *sender) queues() []chan Delivery {
	n := s.cfg.Workers
	if s.cfg.Disorder {
		n = 1
	}
	queues := make([]chan Delivery, n)
	for i := range queues {
		queues[i] = make(chan Delivery, window)
	}
	return queues
}

func partition(id string, n int) int {
	hash := fnv.New32a()
	_, _ = io.WriteString(hash, id)
	return int(hash.Sum32() % uint32(n))
}

// pace waits until the i-th event is due.
func (s *sender) pace(ctx context.Context, began time.Time, i int) bool {
	if s.cfg.Rate <= 0 {
		return ctx.Err() == nil
	}
	due := began.Add(time.Duration(float64(i) / s.cfg.Rate * float64(time.Second)))
	return sleep(ctx, time.Until(due))
}

// deliver tries until the event is accepted or ctx is done.
func (s *sender) deliver(ctx context.Context, d Delivery) {
	for pause := s.cfg.Pause; ctx.Err() == nil; pause = min(2*pause, 50*s.cfg.Pause) {
		answer := s.cfg.post(ctx, d.Body)
		if answer.Err != nil && ctx.Err() != nil {
			return // interrupted, which says nothing about the receiver
		}
		if s.count(answer); answer.OK() {
			return
		}
		sleep(ctx, pause)
	}
}

func (s *sender) count(a Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Requests++
	s.report.Answers[a.Status]++
	switch {
	case a.OK():
		s.report.Done++
		s.refused = 0
	case a.Status == http.StatusBadRequest:
		s.refused++
	default:
		s.refused = 0
	}
	s.cfg.Progress(Progress{Total: s.total, Done: s.report.Done, Last: a})
	if s.refused >= refusals {
		s.stop(ErrRefused)
	}
}

// sleep reports false if ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
