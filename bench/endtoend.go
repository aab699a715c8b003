package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/bench/figures"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

const (
	endToEndRate = 200
	// endToEndPatience is enough for a database that does not keep up with the rate.
	endToEndPatience = 5 * time.Minute
)

// endToEnd measures how long it takes from a webhook until the state view has the state, in
// one process with embedded servers.
func (b *bench) endToEnd() error {
	seconds := 20
	if b.quick {
		seconds = 5
	}
	// With a fifth of the subscriptions, a record has five times as many events that can
	// still matter.
	for _, subscriptions := range []int{b.subscriptions, b.subscriptions / 5} {
		all, err := workload(b.seed, 4*seconds*endToEndRate, subscriptions)
		if err != nil {
			return err
		}
		sent := changes(all)
		sent = sent[:min(len(sent), seconds*endToEndRate)]
		b.alternate("end-to-end", fmt.Sprintf("%d a second for %d s, %d subscriptions", endToEndRate, seconds, subscriptions), []contestant{
			{billbusName, func(t *kit.Trial) []figures.Figure { return b.standalone(t, sent) }},
		})
	}
	return nil
}

// change is an event after which a subscription has another state.
type change struct {
	id, subscription string
	body             []byte
}

func changes(bodies [][]byte) []change {
	var list []change
	for _, body := range bodies {
		var e struct {
			ID   string
			Type string
			Data struct{ Object struct{ ID string } }
		}
		if json.Unmarshal(body, &e) != nil {
			continue
		}
		switch e.Type {
		case events.StripeTypeCreated, events.StripeTypeUpdated, events.StripeTypeDeleted:
			list = append(list, change{e.ID, e.Data.Object.ID, body})
		}
	}
	return list
}

func (b *bench) standalone(t *kit.Trial, sent []change) []figures.Figure {
	nats, addr, admin := kit.FreeAddr(t), kit.FreeAddr(t), kit.FreeAddr(t)
	r := started(t, &kit.Process{
		Name: "standalone", Command: []string{filepath.Join(b.binaries, "standalone")},
		Env: []string{
			"LISTEN_ADDR=" + addr, "ADMIN_ADDR=" + admin, "STANDALONE_NATS_ADDR=" + nats, "STANDALONE_MONGODB_ADDR=" + kit.FreeAddr(t),
			"DATA_DIR=" + filepath.Join(t.Dir, "data"), "STRIPE_WEBHOOK_SECRETS=" + secret,
		},
	}, addr, admin)
	l, err := newLoad(addr, saturating)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	v := watchView(t, "nats://"+nats, sent)
	var bodies [][]byte
	for _, c := range sent {
		bodies = append(bodies, c.body)
	}
	m := newMeter(t, map[string]*kit.Process{serverPart: r.Process})
	res := l.send(requests(addr, bodies), endToEndRate)
	for _, failure := range res.failures {
		t.Fatalf("a request failed: %v; the end of the log: %s", failure, tail(r.Log))
	}
	v.wait(t)
	latencies := v.latencies(res.start)
	return append([]figures.Figure{
		{Name: p50, Value: figures.Percentile(latencies, 0.5)}, {Name: p99, Value: figures.Percentile(latencies, 0.99)},
	}, m.figures(len(sent))...)
}

// view notes when the state view showed each change. A change that a later one of its
// subscription has overtaken is shown with that.
type view struct {
	mu    sync.Mutex
	sent  []change
	of    map[string][]int // the changes of each subscription that are not shown yet
	shown []time.Time
	left  int
	done  chan struct{}
}

func watchView(t *kit.Trial, url string, sent []change) *view {
	v := &view{sent: sent, of: map[string][]int{}, shown: make([]time.Time, len(sent)), left: len(sent), done: make(chan struct{})}
	for i, c := range sent {
		v.of[c.subscription] = append(v.of[c.subscription], i)
	}
	bucket, err := natstest.JetStream(t, url).KeyValue(t.Context(), events.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := bucket.WatchAll(t.Context(), jetstream.UpdatesOnly())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = watcher.Stop() })
	go func() {
		for entry := range watcher.Updates() {
			v.show(entry, time.Now())
		}
	}()
	return v
}

func (v *view) show(entry jetstream.KeyValueEntry, at time.Time) {
	var record struct {
		SubscriptionID string `json:"subscription_id"`
		Version        struct {
			EventID string `json:"event_id"`
		}
	}
	if entry == nil || json.Unmarshal(entry.Value(), &record) != nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	waiting := v.of[record.SubscriptionID]
	for n, i := range waiting {
		if v.sent[i].id != record.Version.EventID {
			continue
		}
		for _, shown := range waiting[:n+1] {
			v.shown[shown] = at
		}
		v.of[record.SubscriptionID] = waiting[n+1:]
		if v.left -= n + 1; v.left == 0 {
			close(v.done)
		}
		return
	}
}

func (v *view) wait(t *kit.Trial) {
	select {
	case <-v.done:
	case <-time.After(endToEndPatience):
		v.mu.Lock()
		defer v.mu.Unlock()
		t.Fatalf("the state view does not show %d of %d changes %s after the last was sent", v.left, len(v.sent), endToEndPatience)
	}
}

// latencies are in ms, from the moment when a webhook was to be sent.
func (v *view) latencies(start time.Time) []float64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	list := make([]float64, len(v.shown))
	for i, at := range v.shown {
		list[i] = at.Sub(dueAt(start, int64(i), endToEndRate)).Seconds() * 1000
	}
	return list
}
