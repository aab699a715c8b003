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

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

// maxSteps is far above what any schedule needs, which is some thousands.
const maxSteps = 20_000

// Simulate plays one schedule and returns what went wrong. One to eight workers in one
// to three processes take batches of events of a few subscriptions from a stream, in any
// order, some more than once, some in several API versions, and some in several readings: not
// admitted, admitted, and read again with another result. One worker runs at a time, up
// to its next operation on the database. Operations fail, with and without effect. The
// server loses what is not durable. Workers die, and acknowledgements get lost. Others of them
// sweep what events of products and prices have changed. In half of the schedules, processes
// remember what they have written. The seed determines all of it.
func Simulate(seed uint64) error {
	s := newSimulation(rand.New(rand.NewPCG(seed, 0)))
	for range maxSteps {
		if s.wrong != nil {
			return fmt.Errorf("seed %d: %w", seed, s.wrong)
		}
		if len(s.stream) == 0 && len(s.running) == 0 && !s.server.IsUnswept() {
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
	// One in rarity operations fails, up to a number of failures.
	rarity, failures int

	keys    map[string]bool // of all events
	stream  []store.Entry   // what is not acknowledged, in no order
	running []*Worker
	wrong   error
}

func newSimulation(random *rand.Rand) *simulation {
	s := &simulation{
		random: random, server: NewMemory(), workers: 1 + random.IntN(8), maxBatch: 1 + random.IntN(6),
		rarity: []int{4, 12, 60}[random.IntN(3)], failures: random.IntN(40), keys: map[string]bool{},
	}
	for range 1 + random.IntN(3) {
		client := s.server.Connect(Hooks{Before: s.pause, Written: s.pause})
		if s.workers%2 == 0 {
			client.Remembered = map[string]store.Head{}
		}
		s.clients = append(s.clients, store.NewCommitter(checked{client, s}, noon))
	}
	for i := range 1 + random.IntN(3) {
		entries := Generate(random, fmt.Sprintf("sub_%d", i), random.IntN(12))
		Own(random, entries)
		s.publish(entries)
	}
	for _, e := range GenerateCatalog(random) {
		s.keys[e.Key()] = true
		s.stream = append(s.stream, slices.Repeat([]store.Entry{e}, 1+random.IntN(2))...)
	}
	s.publishClaims(Claims(random, random.IntN(8)))
	s.publishLists(GenerateEntitlements(random))
	return s
}

// publishClaims puts events about users into the stream, some of them twice, and some in
// several readings.
func (s *simulation) publishClaims(entries []store.Entry) {
	for _, e := range entries {
		s.keys[e.Key()] = true
		s.stream = append(s.stream, e)
		again := e
		again.Data.Normalizer, again.Data.RereadAt = 1+s.random.IntN(2), e.Time.Add(time.Duration(s.random.Uint32()))
		identity := *e.Data.Identity
		identity.UserID = "u_again"
		switch s.random.IntN(6) {
		case 0:
			s.stream = append(s.stream, e, e)
		case 1:
			again.Data.Identity = &identity
			s.stream = append(s.stream, again)
		case 2:
			s.stream = append(s.stream, again) // says the same
		case 3:
			again.Data.Identity = &identity
			s.stream = append(s.stream, again)
			if e.StripeType != "" {
				s.stream = append(s.stream, Withdrawn(s.random, e))
			}
		}
	}
}

// publishLists puts lists of entitlements into the stream, some of them twice, and some in
// several readings.
func (s *simulation) publishLists(entries []store.Entry) {
	for _, e := range entries {
		s.keys[e.Key()] = true
		s.stream = append(s.stream, e)
		switch s.random.IntN(5) {
		case 0:
			s.stream = append(s.stream, e)
		case 1:
			s.stream = append(s.stream, listAgain(s.random, e), listAgain(s.random, e))
		case 2:
			ignored := e
			ignored.Data.Ignored = events.IgnoredLivemode
			s.stream = append(s.stream, ignored)
		}
	}
}

func noon() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }

// publish puts entries into the stream, some of them twice.
func (s *simulation) publish(entries []store.Entry) {
	for _, e := range entries {
		s.keys[e.Key()] = true
		s.stream = append(s.stream, e)
		switch s.random.IntN(10) {
		case 0:
			s.stream = append(s.stream, e)
		case 1:
			s.stream = append(s.stream, Rendered(e))
		case 2:
			s.stream = append(s.stream, Ignored(e), Reread(s.random, e))
		case 3:
			s.stream = append(s.stream, Reread(s.random, e), Reread(s.random, e))
		case 4:
			s.stream[len(s.stream)-1] = Ignored(e)
			s.stream = append(s.stream, e)
		case 5:
			s.stream = append(s.stream, RenderedIn(s.random, e), RenderedIn(s.random, e))
		case 6:
			s.stream = append(s.stream, RenderedIn(s.random, e), Ignored(RenderedIn(s.random, e)), Reread(s.random, RenderedIn(s.random, e)))
		}
	}
}

// step starts a worker, resumes one, or makes something fail.
func (s *simulation) step() {
	if len(s.running) == 0 || len(s.running) < s.workers && s.random.IntN(3) == 0 {
		client := s.clients[s.random.IntN(len(s.clients))]
		if len(s.stream) == 0 || s.random.IntN(4) == 0 {
			s.running = append(s.running, Sweep(client, "holder"))
		} else {
			s.running = append(s.running, Start(client, s.take()))
		}
		return
	}
	i := s.random.IntN(len(s.running))
	w := s.running[i]
	switch {
	case s.fails() && s.random.IntN(3) == 0:
		s.server.Failover()
	case s.fails() && s.random.IntN(3) == 0:
		w.Kill()
		s.running = slices.Delete(s.running, i, i+1)
		s.stream = append(s.stream, w.Batch...)
	case !w.Resume():
		s.running = slices.Delete(s.running, i, i+1)
		s.settle(w)
	}
}

func (s *simulation) fails() bool {
	if s.failures == 0 || s.random.IntN(s.rarity) > 0 {
		return false
	}
	s.failures--
	return true
}

// take removes a batch from the stream.
func (s *simulation) take() []store.Entry {
	s.random.Shuffle(len(s.stream), func(i, j int) { s.stream[i], s.stream[j] = s.stream[j], s.stream[i] })
	n := len(s.stream) - min(1+s.random.IntN(s.maxBatch), len(s.stream))
	batch := slices.Clone(s.stream[n:])
	s.stream = s.stream[:n]
	return batch
}

// pause lets other workers run first, and fails now and then.
func (s *simulation) pause(ctx context.Context, op Operation) error {
	if err := Rest(ctx, op); err != nil {
		return err
	}
	if s.fails() {
		return errInjected
	}
	return nil
}

var errInjected = fault.New(fault.Transient, "injected", errors.New("failed on purpose"))

// settle acknowledges what was committed. It delivers the rest again, and everything
// whose acknowledgement is lost.
func (s *simulation) settle(w *Worker) {
	for i, result := range w.Results {
		switch {
		case result.Err == nil:
			s.check(s.stored(w.Batch[i]))
			if s.fails() {
				s.stream = append(s.stream, w.Batch[i])
			}
		case fault.KindOf(result.Err) != fault.Transient:
			s.check(fmt.Errorf("%s failed permanently: %w", w.Batch[i].ID, result.Err))
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

// stored returns an error if an event must not be acknowledged yet: the audit trail has
// to hold it, and the record has to know it, unless it is too old to matter. If the audit
// trail holds a reading that is preferred, that is for the delivery which brought it.
func (s *simulation) stored(e store.Entry) error {
	m, ok := s.server.Message(e.Key())
	if !ok {
		return fmt.Errorf("%s was acknowledged and is not audited", e.ID)
	}
	if err := errors.Join(s.identified(m, e), s.entitled(m, e)); err != nil {
		return err
	}
	fact, ok := ordering.FactOf(m)
	if !ok || store.Preferred(m, e.Message) {
		return nil
	}
	record, _ := s.server.Record(m.SubscriptionKey())
	needed := store.Decide(append(slices.Clone(record.Known), fact)).Relevant
	if same := func(a, b ordering.Fact) bool { return a.EventID == b.EventID }; !slices.EqualFunc(record.Known, needed, same) {
		return fmt.Errorf("%s was acknowledged and the record does not know it (-known +needed):\n%s", e.ID, cmp.Diff(record.Known, needed))
	}
	return nil
}

// identified returns an error if what an event says about users is not stored.
func (s *simulation) identified(m events.Message, e store.Entry) error {
	want, ok := store.IdentityOf(m)
	if got, found := s.server.Identity(e.Key()); ok && !store.Preferred(m, e.Message) && (!found || !got.Equal(want)) {
		return fmt.Errorf("%s was acknowledged and is not identified: %t, %+v", e.ID, found, got)
	}
	return nil
}

// entitled returns an error if the document of a customer does not know a list.
func (s *simulation) entitled(m events.Message, e store.Entry) error {
	fact, ok := ordering.EntitlementsFactOf(m)
	if !ok || store.Preferred(m, e.Message) {
		return nil
	}
	key, _ := store.EntitledKey(m)
	got, _ := s.server.Entitled(key)
	if needed := ordering.Entitlements(append(slices.Clone(got.Known), fact)).Known; !store.SameLists(needed, got.Known) {
		return fmt.Errorf("%s was acknowledged and the document of the customer does not know it: %+v", e.ID, got.Known)
	}
	return nil
}

// checked is a client that checks that no record is ahead of the audit trail.
type checked struct {
	*Client
	s *simulation
}

func (c checked) Replace(ctx context.Context, records []store.Record) []error {
	for _, record := range records {
		for _, fact := range record.Known {
			if _, ok := c.s.server.Message(kit.Key(fact.EventID)); !ok {
				c.s.check(fmt.Errorf("the record of %s depends on %s, which is not audited", record.Key, fact.EventID))
			}
		}
	}
	return c.Client.Replace(ctx, records)
}

// finish compares what is durable with what should be.
func (s *simulation) finish(seed uint64) error {
	s.server.Failover()
	audited := s.server.Audited()
	want, got := slices.Sorted(maps.Keys(s.keys)), slices.Sorted(maps.Keys(audited))
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("seed %d: audited (-want +got):\n%s", seed, diff)
	}
	for key, want := range Oracle(slices.Collect(maps.Values(audited))) {
		record, _ := s.server.Record(key)
		if diff := cmp.Diff(want, ContentOf(record)); diff != "" {
			return fmt.Errorf("seed %d: %s (-want +got):\n%s", seed, key, diff)
		}
	}
	if err := s.server.wrongEntitlements(slices.Collect(maps.Values(audited))); err != nil {
		return fmt.Errorf("seed %d: %w", seed, err)
	}
	return nil
}
