package micro_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/stripehook"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

// BenchmarkVerify checks the signature of an update, made with the second of two secrets.
func BenchmarkVerify(b *testing.B) {
	old, next := "whsec_"+"b2xk", "whsec_"+"bmV4dA=="
	v, err := stripehook.New([]stripehook.Key{{Name: "old", Secret: old}, {Name: "next", Secret: next}}, time.Minute, clock)
	must(b, err)
	body := update(b).Body
	header := stripesim.Sign(body, next, noon)
	defer processorTime(b)()
	for b.Loop() {
		_, _, err := v.Verify(body, header)
		must(b, err)
	}
}

func BenchmarkNormalize(b *testing.B) {
	n, body := normalizer(b), update(b).Body
	defer processorTime(b)()
	for b.Loop() {
		_, err := n.Event(body, receipt())
		must(b, err)
	}
}

func BenchmarkEncode(b *testing.B) {
	m := message(b, normalizer(b), update(b))
	defer processorTime(b)()
	for b.Loop() {
		_, err := events.Encode(m)
		must(b, err)
	}
}

func BenchmarkDecode(b *testing.B) {
	payload, err := events.Encode(message(b, normalizer(b), update(b)))
	must(b, err)
	defer processorTime(b)()
	for b.Loop() {
		_, err := events.Decode(payload)
		must(b, err)
	}
}

// BenchmarkFact extracts from an update what the ordering rule needs.
func BenchmarkFact(b *testing.B) {
	m := message(b, normalizer(b), update(b))
	defer processorTime(b)()
	for b.Loop() {
		ordering.FactOf(m)
	}
}

// BenchmarkFold adds the events of many subscriptions one by one, each to what is known of
// its subscription. Some are of one second.
func BenchmarkFold(b *testing.B) {
	n, lives := normalizer(b), map[string][]ordering.Fact{}
	var steps [][]ordering.Fact
	for _, d := range deliveries(10, 0.3) {
		m := message(b, n, d)
		if fact, ok := ordering.FactOf(m); ok {
			step := append(lives[m.SubscriptionKey()], fact)
			steps = append(steps, step)
			lives[m.SubscriptionKey()] = ordering.Fold(step).Relevant
		}
	}
	defer processorTime(b)()
	for i := 0; b.Loop(); i++ {
		ordering.Fold(steps[i%len(steps)])
	}
}

// BenchmarkFoldBurst decides between 20 updates of two seconds, in mixed order.
func BenchmarkFoldBurst(b *testing.B) {
	facts := make([]ordering.Fact, 20)
	for i := range facts {
		m := kit.Update("sub_1", fmt.Sprintf("evt_%d", i*7%20), i/10, fmt.Sprint(i), fmt.Sprint(i+1))
		facts[i], _ = ordering.FactOf(m)
	}
	defer processorTime(b)()
	for b.Loop() {
		ordering.Fold(facts)
	}
}

// BenchmarkCommit commits whatever Stripe sends about many subscriptions, in ten batches of
// 100, again and again. An operation is one event. The database costs next to nothing.
func BenchmarkCommit(b *testing.B) {
	all := batches(b)
	var committer *store.Committer
	size, next := len(all[0]), 0
	defer processorTime(b)()
	for i := 0; b.Loop(); i++ {
		if i%size != 0 {
			continue
		}
		if next == 0 {
			committer = store.NewCommitter(&free{storetest.NewMemory().Connect(storetest.Hooks{}), map[string]store.Head{}}, clock)
		}
		for _, result := range committer.Commit(b.Context(), all[next]) {
			must(b, result.Err)
		}
		next = (next + 1) % len(all)
	}
}

// batches returns the entries of the first 1,000 events.
func batches(b *testing.B) [][]store.Entry {
	const size = 100
	n := normalizer(b)
	var all [][]store.Entry
	for i, d := range deliveries(100, 0) {
		m := message(b, n, d)
		if i%size == 0 {
			all = append(all, nil)
		}
		entry := store.Entry{Message: m, References: normalize.References(m.Data.Event), Position: store.Position{StreamSequence: uint64(i + 1), StoredAt: noon}}
		all[len(all)-1] = append(all[len(all)-1], entry)
	}
	return all[:10]
}

// free is a database that encodes no audit document and no record. It takes every event as
// a new one, and every writer as the only one.
type free struct {
	*storetest.Client

	heads map[string]store.Head
}

func (f *free) Insert(_ context.Context, entries []store.Entry) []error {
	return make([]error, len(entries))
}

func (f *free) Recent([]string) map[string]store.Head { return nil }

func (f *free) Heads(_ context.Context, keys []string) (map[string]store.Head, error) {
	found := make(map[string]store.Head, len(keys))
	for _, key := range keys {
		if head, ok := f.heads[key]; ok {
			found[key] = head
		}
	}
	return found, nil
}

func (f *free) Replace(_ context.Context, records []store.Record) []error {
	for _, r := range records {
		f.heads[r.Key] = r.Head
	}
	return make([]error, len(records))
}

func (f *free) SetUsers(_ context.Context, heads []store.Head) []error {
	for _, head := range heads {
		f.heads[head.Key] = head
	}
	return make([]error, len(heads))
}

// deliveries are the lives of some subscriptions in the newest API version. A share of the
// changes have one timestamp.
func deliveries(subscriptions int, ties float64) []stripesim.Delivery {
	versions := stripesim.Versions()
	cfg := stripesim.Config{Seed: 1, Subscriptions: subscriptions, Ties: ties, UserIDs: true, APIVersions: versions[len(versions)-1:]}
	return stripesim.Generate(cfg).Deliveries
}

// update returns an update of a subscription, which is about 5 kB.
func update(b *testing.B) stripesim.Delivery {
	for _, d := range deliveries(10, 0) {
		if d.Type == "customer.subscription.updated" && len(d.Body) > 5000 {
			return d
		}
	}
	b.Fatal("there is no update of 5 kB")
	return stripesim.Delivery{}
}

func normalizer(b *testing.B) *normalize.Normalizer {
	n, err := normalize.New(normalize.Options{
		Livemode: normalize.Any, Accounts: []string{normalize.Any}, ClientReference: normalize.ClientReferenceAPI,
		RedactKeys: []string{"hosted_invoice_url", "invoice_pdf", "receipt_url"}, UserIDKeys: []string{"user_id", "userId"},
	})
	must(b, err)
	return n
}

func receipt() normalize.Receipt {
	return normalize.Receipt{Endpoint: "main", Origin: events.OriginWebhook, ReceivedAt: noon}
}

func message(b *testing.B, n *normalize.Normalizer, d stripesim.Delivery) events.Message {
	m, err := n.Event(d.Body, receipt())
	must(b, err)
	return m
}

// processorTime reports how long the process ran until the function that it returns is
// called. It is less than the time that passes if others use the processor too.
func processorTime(b *testing.B) func() {
	began := used(b)
	return func() { b.ReportMetric(float64(used(b)-began)/float64(b.N), "cpu-ns/op") }
}

func used(b *testing.B) int64 {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u.Utime.Nano() + u.Stime.Nano()
}

func must(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}
