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

// ErrRefused is returned by [Send] if the receiver keeps answering 400.
var ErrRefused = errors.New("the receiver answers everything with status 400: it probably has another signing secret")

const (
	window      = 50 // how many places disorder moves an event at most, among all events
	neighbours  = 6  // the same among the events of its subscription
	maxRefusals = 10 // answers of 400 in a row before Send gives up, by default
	firstPause  = 100 * time.Millisecond
	timeout     = 20 * time.Second // for an answer, as Stripe waits about as long
	answerBytes = 64 << 10         // how much of an answer is read
)

// SendConfig says where and how to send.
type SendConfig struct {
	URL    string
	Secret string
	// Rate is in events per second; 0 is as fast as possible.
	Rate float64
	// Duplicates is the share, 0 to 1, of events that are sent more than once.
	Duplicates float64
	// Drop is the share, 0 to 1, of events that are never sent.
	Drop float64
	// Disorder moves every event some places away. Without it, the events of a
	// subscription are sent one after the other.
	Disorder bool
	// Workers is how many requests are sent at once; 8 by default.
	Workers int
	// Now returns the time for signatures; time.Now by default.
	Now func() time.Time
	// Pause is how long to wait before the first retry of an event; 100 ms by default.
	// It doubles with each retry, up to 50 times that.
	Pause time.Duration
	// Refusals is how many answers of 400 in a row make Send give up; 10 by default, and
	// it never does if this is negative.
	Refusals int
	// Request makes one request; by default it is that of [Post] to URL.
	Request func(context.Context, Delivery) Answer
	// Progress is called after every answer, by one goroutine at a time.
	// It gets the number of events and repetitions that were answered 2xx.
	Progress func(done int, last Answer)
	// Accepted is called with the id of each event that was answered 2xx, by several
	// goroutines at a time.
	Accepted func(eventID string)

	client *http.Client
}

// Answer is the answer to one request.
type Answer struct {
	// Status is 0 if there was no answer; then Err says why.
	Status int
	Body   string
	Err    error
}

// OK reports whether Stripe would not try again.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status <= 299 }

// Report is the result of [Send].
type Report struct {
	// Events is the number of different events that were to be sent, Repeats the number of
	// repetitions.
	Events, Repeats int
	// Requests is the number of requests, including retries.
	Requests int
	// Done is the number of Events and Repeats that were answered 2xx.
	Done int
	// Answers counts the requests by status; 0 means no answer.
	Answers map[int]int
	Elapsed time.Duration
}

// Schedule returns the events in the order in which [Send] sends them: in true order, or
// with the repetitions and the disorder that cfg asks for. It depends only on the history,
// Duplicates, Drop and Disorder.
func Schedule(h History, cfg SendConfig) []Delivery {
	type slot struct {
		Delivery
		key float64
	}
	rng := rand.New(rand.NewPCG(h.Seed, 1<<63))
	deliveries := h.sent(cfg.Drop)
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

// sent returns the events that are not dropped.
func (h History) sent(drop float64) []Delivery {
	return slices.DeleteFunc(slices.Clone(h.Deliveries), func(d Delivery) bool {
		id := fnv.New64a()
		_, _ = id.Write([]byte(d.ID))
		return rand.New(rand.NewPCG(h.Seed, id.Sum64())).Float64() < drop
	})
}

// later returns the place of a repetition: soon, or anywhere until the end.
func later(rng *rand.Rand, key, end float64) float64 {
	if rng.IntN(2) == 0 {
		return key + rng.Float64()*window
	}
	return key + rng.Float64()*max(end-key, 1)
}

// shuffle moves each event a few places among those of its subscription. Otherwise
// events that are weeks apart would never change places.
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

// Send sends a history. Like Stripe it retries, with a new signature, what was not
// answered 2xx. It returns when everything was accepted or ctx is done, or with
// [ErrRefused] after answers of 400 in a row. The report is always complete.
func Send(ctx context.Context, h History, cfg SendConfig) (Report, error) {
	cfg, closeIdle := cfg.withDefaults()
	defer closeIdle()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	schedule, events := Schedule(h, cfg), len(h.sent(cfg.Drop))
	s := &sender{
		cfg: cfg, stop: stop, total: len(schedule),
		report: Report{Events: events, Repeats: len(schedule) - events, Answers: map[int]int{}},
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

// withDefaults also makes the client, which follows no redirects, like Stripe.
func (cfg SendConfig) withDefaults() (_ SendConfig, closeIdle func()) {
	if cfg.Workers <= 0 {
		cfg.Workers = 8
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Pause <= 0 {
		cfg.Pause = firstPause
	}
	if cfg.Refusals == 0 {
		cfg.Refusals = maxRefusals
	}
	if cfg.Request == nil {
		cfg.Request = func(ctx context.Context, d Delivery) Answer { return cfg.post(ctx, d.Body) }
	}
	if cfg.Progress == nil {
		cfg.Progress = func(int, Answer) {}
	}
	if cfg.Accepted == nil {
		cfg.Accepted = func(string) {}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = cfg.Workers
	cfg.client = &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	return cfg, transport.CloseIdleConnections
}

func (cfg SendConfig) post(ctx context.Context, body []byte) Answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, cfg.URL, bytes.NewReader(body))
	if err != nil {
		return Answer{Err: err}
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Stripe-Signature", Sign(body, cfg.Secret, cfg.Now()))
	resp, err := cfg.client.Do(req)
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

// run gives the events to the workers. Without disorder all events of a subscription go
// to one worker, which keeps them in order.
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
		answer := s.cfg.Request(ctx, d)
		if answer.Err != nil && ctx.Err() != nil {
			return // interrupted: the receiver is not to blame
		}
		if s.count(answer); answer.OK() {
			s.cfg.Accepted(d.ID)
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
	if a.OK() {
		s.report.Done++
	}
	if s.refused++; a.Status != http.StatusBadRequest {
		s.refused = 0
	}
	s.cfg.Progress(s.report.Done, a)
	if s.refused == s.cfg.Refusals {
		s.stop(ErrRefused)
	}
}

// sleep reports false if ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
