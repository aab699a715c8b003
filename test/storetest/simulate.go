package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

// maxSteps is far above what any schedule needs.
const maxSteps = 1_000_000

// Simulate plays one schedule and returns what went wrong: one to eight workers of
// one to three processes take batches of a few subscriptions' events from a
// stream, in any order, some more than once and some in two renderings. Only one of
// them runs at a time, up to its next operation on the database. Operations fail,
// with and without effect; the server forgets what is not durable; workers die;
// acknowledgements get lost. The seed determines all of it.
func Simulate(seed uint64) error {
	s := newSimulation(rand.New(rand.NewPCG(seed, 0)))
	for range maxSteps {
		if s.wrong != nil {
			return fmt.Errorf("seed %d: %w", seed, s.wrong)
		}
		if len(s.stream) == 0 && len(s.running) == 0 {
			return s.finish(seed)
		}
		s.step()
	}
	return fmt.Errorf("seed %d: no end after %d steps", seed, maxSteps)
}

type simulation struct {
	random   *rand.Rand
	server   *Memory
	clients  []*store.Committer
	workers  int
	maxBatch int
	// One of so many operations goes wrong, while there is trouble left.
	rarity, trouble int

	ids     map[string]bool // of all events
	stream  []store.Entry   // what is not acknowledged, in no order
	running []*Worker
	wrong   error
}

func newSimulation(random *rand.Rand) *simulation {
	s := &simulation{
		random: random, server: NewMemory(), workers: 1 + random.IntN(8), maxBatch: 1 + random.IntN(6),
		rarity: []int{4, 12, 60}[random.IntN(3)], trouble: random.IntN(40), ids: map[string]bool{},
	}
	for range 1 + random.IntN(3) {
		client := s.server.Connect(Hooks{Before: s.pause, Written: s.pause})
		s.clients = append(s.clients, store.NewCommitter(watched{client, s}, noon))
	}
	for i := range 1 + random.IntN(3) {
		s.publish(Generate(random, fmt.Sprintf("sub_%d", i), random.IntN(12)))
	}
	return s
}

func noon() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }

// publish puts entries into the stream, some of them twice.
func (s *simulation) publish(entries []store.Entry) {
	for _, e := range entries {
		s.ids[e.Key()] = true
		s.stream = append(s.stream, e)
		switch s.random.IntN(6) {
		case 0:
			s.stream = append(s.stream, e)
		case 1:
			s.stream = append(s.stream, Rendered(e))
		}
	}
}

// step lets something happen.
func (s *simulation) step() {
	if len(s.running) == 0 || len(s.running) < s.workers && len(s.stream) > 0 && s.random.IntN(3) == 0 {
		s.running = append(s.running, Start(s.clients[s.random.IntN(len(s.clients))], s.take()))
		return
	}
	i := s.random.IntN(len(s.running))
	w := s.running[i]
	switch {
	case s.goesWrong() && s.random.IntN(3) == 0:
		s.server.Failover()
	case s.goesWrong() && s.random.IntN(3) == 0:
		w.Kill()
		s.running = slices.Delete(s.running, i, i+1)
		s.stream = append(s.stream, w.Batch...)
	case !w.Resume():
		s.running = slices.Delete(s.running, i, i+1)
		s.settle(w)
	}
}

func (s *simulation) goesWrong() bool {
	if s.trouble == 0 || s.random.IntN(s.rarity) > 0 {
		return false
	}
	s.trouble--
	return true
}

// take takes a batch out of the stream.
func (s *simulation) take() []store.Entry {
	s.random.Shuffle(len(s.stream), func(i, j int) { s.stream[i], s.stream[j] = s.stream[j], s.stream[i] })
	n := len(s.stream) - min(1+s.random.IntN(s.maxBatch), len(s.stream))
	batch := slices.Clone(s.stream[n:])
	s.stream = s.stream[:n]
	return batch
}

// pause lets others go first, and fails now and then.
func (s *simulation) pause(ctx context.Context, op Operation) error {
	if err := Rest(ctx, op); err != nil {
		return err
	}
	if s.goesWrong() {
		return errInjected
	}
	return nil
}

var errInjected = fault.New(fault.Transient, "injected", errors.New("failed on purpose"))

// settle acknowledges what was recorded, and delivers again what was not, or what
// the stream was not told of.
func (s *simulation) settle(w *Worker) {
	for i, result := range w.Results {
		switch {
		case result.Err == nil:
			s.check(s.covered(w.Batch[i]))
			if s.goesWrong() {
				s.stream = append(s.stream, w.Batch[i])
			}
		case fault.KindOf(result.Err) != fault.Transient:
			s.check(fmt.Errorf("%s failed for good: %w", w.Batch[i].ID, result.Err))
		default:
			s.stream = append(s.stream, w.Batch[i])
		}
	}
}

func (s *simulation) check(err error) {
	if s.wrong == nil {
		s.wrong = err
	}
}

// covered reports whether an event may be acknowledged: the audit has it, and the
// state knows it, or it is too old to matter.
func (s *simulation) covered(e store.Entry) error {
	m, ok := s.server.Message(e.Key())
	if !ok {
		return fmt.Errorf("%s was acknowledged and is not audited", e.ID)
	}
	fact, ok := ordering.FactOf(m)
	if !ok {
		return nil
	}
	state, _ := s.server.State(e.SubscriptionKey())
	needed := ordering.Fold(append(slices.Clone(state.Known), fact)).Relevant
	if same := func(a, b ordering.Fact) bool { return a.EventID == b.EventID }; !slices.EqualFunc(state.Known, needed, same) {
		return fmt.Errorf("%s was acknowledged and the state does not know it (-known +needed):\n%s", e.ID, cmp.Diff(state.Known, needed))
	}
	return nil
}

// watched sees to it that no state is ahead of the audit trail.
type watched struct {
	*Client
	s *simulation
}

func (w watched) Replace(ctx context.Context, states []store.State) []error {
	for _, state := range states {
		for _, fact := range state.Known {
			if _, ok := w.s.server.Message(kit.Key(fact.EventID)); !ok {
				w.s.check(fmt.Errorf("the state of %s rests on %s, which is not audited", state.Key, fact.EventID))
			}
		}
	}
	return w.Client.Replace(ctx, states)
}

// finish holds what is durable against what should be.
func (s *simulation) finish(seed uint64) error {
	s.server.Failover()
	audited := s.server.Audited()
	want, got := slices.Sorted(maps.Keys(s.ids)), slices.Sorted(maps.Keys(audited))
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("seed %d: audited (-want +got):\n%s", seed, diff)
	}
	for key, want := range Oracle(slices.Collect(maps.Values(audited))) {
		state, _ := s.server.State(key)
		if diff := cmp.Diff(want, RecordOf(state)); diff != "" {
			return fmt.Errorf("seed %d: %s (-want +got):\n%s", seed, key, diff)
		}
	}
	return nil
}
