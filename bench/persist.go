package main

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/bench/figures"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/test/kit"
)

const (
	floorBulk = "floor-bulk"

	pollInterval = 10 * time.Millisecond
	// patience is how long a contestant may make no progress.
	patience = time.Minute
	// embeddedEvents are enough for the embedded database, which is slow.
	embeddedEvents = 2000
	// unlimited is for what has to be complete.
	unlimited = 100 * time.Hour
	// warmUpDrain is the share of a backlog that is processed before the measurement.
	warmUpDrain = 0.05
)

func (b *bench) persist() error {
	for _, name := range b.databases {
		err := b.within(func(t *kit.Trial) {
			n := b.events
			if name == embedded {
				n = min(n, embeddedEvents)
			}
			s := b.prepare(t, name, n, b.subscriptions)
			for _, delay := range b.delays {
				b.alternate("persist", s.String()+fmt.Sprintf(", %d ms away", delay.Milliseconds()), b.drainers(s, delay))
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// setup is a backlog, the database for it, and what should be there in the end.
type setup struct {
	*server
	backlog       *backlog
	subscriptions int
	documents     string // folder of what the subscriber wrote
	records       int
}

func (s *setup) String() string {
	return fmt.Sprintf("%s, %d events of %d subscriptions", s.name, s.backlog.events, s.subscriptions)
}

// prepare starts a database, fills a stream, and lets the subscriber store it once, to learn
// what the floor has to write.
func (b *bench) prepare(t *kit.Trial, database string, n, subscriptions int) *setup {
	bodies, err := workload(b.seed, n, subscriptions)
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{server: b.database(t, database), subscriptions: subscriptions, documents: t.TempDir()}
	s.backlog = b.fill(t, bodies)
	failures := b.inner(t, func(t *kit.Trial) {
		d := s.dataset(t, 0)
		b.follow(t, b.subscribe(1, "STATE_VIEW=off")(t, s, d), n, unlimited)
		s.records = d.count(t, mongostore.Subscriptions)
		d.save(t, mongostore.WebhookEvents, filepath.Join(s.documents, "audit.bson"))
		d.save(t, mongostore.Subscriptions, filepath.Join(s.documents, "states.bson"))
	})
	for _, failure := range failures {
		t.Fatalf("storing the backlog for the first time: %s", failure)
	}
	return s
}

// inner runs a part of a trial whose processes end with it.
func (b *bench) inner(t *kit.Trial, run func(t *kit.Trial)) []string {
	inner := kit.NewTrial(b.ctx, t.TempDir())
	return inner.Run(func() { run(inner) })
}

// drain is a contestant that works on a backlog.
type drain struct {
	processes map[string]*kit.Process
	begin     func() // nil if it has begun
	done      func() (int, error)
	check     func() // nil if there is nothing more to check
}

type draining func(t *kit.Trial, s *setup, d *dataset) *drain

func (b *bench) drainers(s *setup, delay time.Duration) []contestant {
	with := func(name string, start draining) contestant {
		return contestant{name, func(t *kit.Trial) []figures.Figure { return b.drained(t, s, delay, start) }}
	}
	list := []contestant{
		with(floorBulk, b.writeFrom("bulk")), with("floor-8", b.writeFrom("single")),
		with(billbusName, b.subscribe(1, "STATE_VIEW=off")), with("billbus-full", b.subscribe(1)),
	}
	if s.name != embedded {
		list = append(list, with("billbus-2", b.subscribe(2, "STATE_VIEW=off")))
	}
	if b.peer != "" {
		list = append(list, with(peerName, b.consumeAsPeer))
	}
	return list
}

// drained measures how many events a second a contestant stores, and checks that it has
// stored all of them.
func (b *bench) drained(t *kit.Trial, s *setup, delay time.Duration, start draining) []figures.Figure {
	d := s.dataset(t, delay)
	x := start(t, s, d)
	maps.Copy(x.processes, s.processes)
	list, done := b.follow(t, x, s.backlog.events, b.limit)
	audited := d.count(t, mongostore.WebhookEvents)
	if audited < done || done == s.backlog.events && audited != done {
		t.Fatalf("there are %d audit documents, want %d", audited, done)
	}
	if records := d.count(t, mongostore.Subscriptions); done == s.backlog.events && records != s.records {
		t.Fatalf("there are %d records, want %d", records, s.records)
	}
	if x.check != nil {
		x.check()
	}
	return list
}

// follow measures from the moment when a share of n events is done until all are, or until
// the limit; a few events that are done at once, from the beginning. It also returns how many
// were done.
func (b *bench) follow(t *kit.Trial, x *drain, n int, limit time.Duration) ([]figures.Figure, int) {
	start, m := time.Now(), newMeter(t, x.processes)
	if x.begin != nil {
		x.begin()
	}
	before := x.await(t, max(int(float64(n)*warmUpDrain), 1), patience)
	if x.begin != nil && before == n {
		before = 0
	} else {
		start, m = time.Now(), newMeter(t, x.processes)
	}
	after := x.await(t, n, limit)
	took, done := time.Since(start), after-before
	if done <= 0 {
		t.Fatalf("%d of %d events were done before the measurement began, and none in it", before, n)
	}
	return append([]figures.Figure{{Name: rate, Value: float64(done) / took.Seconds()}}, m.figures(done)...), after
}

// await waits until n events are done, or until the limit. It returns how many are.
func (x *drain) await(t *kit.Trial, n int, limit time.Duration) int {
	best, start := 0, time.Now()
	last := start
	for {
		done, err := x.done()
		switch {
		case err == nil && (done >= n || done > 0 && time.Since(start) > limit):
			return done
		case err == nil && done > best:
			best, last = done, time.Now()
		case time.Since(last) > patience:
			t.Fatalf("no progress for %s after %d of %d events (%v)%s", patience, best, n, err, x.logs())
		case t.Context().Err() != nil:
			t.Fatal("interrupted")
		}
		for _, p := range x.processes {
			if p.Ended() {
				t.Fatalf("%s has ended; the end of its log: %s", p.Name, tail(p.Log))
			}
		}
		time.Sleep(pollInterval)
	}
}

func (x *drain) logs() (text string) {
	for part, p := range x.processes {
		text += fmt.Sprintf("; the end of the log of %s: %s", part, tail(p.Log))
	}
	return text
}

// writeFrom starts the floor, which writes from memory.
func (b *bench) writeFrom(how string) draining {
	return func(t *kit.Trial, s *setup, d *dataset) *drain {
		addr := kit.FreeAddr(t)
		r := started(t, &kit.Process{
			Name: "floor", Command: []string{filepath.Join(b.binaries, "floor"), how},
			Env: []string{"MONGODB_URI=" + d.uri, "MONGODB_DATABASE=" + d.Name(), "DOCUMENTS=" + s.documents, "LISTEN_ADDR=" + addr},
		}, addr, addr)
		return &drain{
			processes: map[string]*kit.Process{serverPart: r.Process},
			begin: func() {
				if answer, err := kit.Post("http://"+addr+"/start", nil, ""); err != nil || answer.Status != http.StatusOK {
					t.Fatalf("starting the floor: %v, %v", answer, err)
				}
			},
			done: func() (int, error) { return strconv.Atoi(kit.Get("http://" + addr + "/done").Body) },
		}
	}
}

// subscribe starts n subscribers on a copy of the backlog.
func (b *bench) subscribe(n int, settings ...string) draining {
	return func(t *kit.Trial, s *setup, d *dataset) *drain {
		node := b.copied(t, s.backlog)
		x := &drain{processes: map[string]*kit.Process{natsPart: node.Process}, done: settled(t, node, consumer, s.backlog.events)}
		for i, part := range []string{serverPart, secondPart}[:n] {
			name := fmt.Sprintf("subscriber%d", i+1)
			p := &kit.Process{
				Name: name, Command: []string{filepath.Join(b.binaries, "subscriber")}, Log: filepath.Join(t.Dir, name+".log"),
				Env: append([]string{"NATS_URL=" + node.url, "MONGODB_URI=" + d.uri, "MONGODB_DATABASE=" + d.Name(), "ADMIN_ADDR=" + kit.FreeAddr(t)}, settings...),
			}
			p.Start(t)
			x.processes[part] = p
		}
		if len(settings) == 0 {
			x.check = func() { node.checkView(t, d) }
		}
		return x
	}
}

// settled returns a function that counts acknowledged messages.
func settled(t *kit.Trial, node *natsServer, durable string, n int) func() (int, error) {
	return func() (int, error) {
		c, err := node.js.Consumer(t.Context(), stream, durable)
		if err != nil {
			return 0, err
		}
		info := c.CachedInfo()
		return n - int(info.NumPending) - info.NumAckPending, nil //nolint:gosec // a small number
	}
}

// checkView checks that the state view has all records.
func (s *natsServer) checkView(t *kit.Trial, d *dataset) {
	bucket, err := s.js.Stream(t.Context(), "KV_"+events.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := bucket.CachedInfo().State.Msgs, d.count(t, mongostore.Subscriptions); got < uint64(want) { //nolint:gosec // a small number
		t.Fatalf("the state view has %d keys, want at least %d", got, want)
	}
}

// consumeAsPeer starts the peer's consumer on a copy of the backlog.
func (b *bench) consumeAsPeer(t *kit.Trial, s *setup, d *dataset) *drain {
	node := b.copied(t, s.backlog)
	_, err := node.js.CreateConsumer(t.Context(), stream, jetstream.ConsumerConfig{
		Durable: peerName, AckPolicy: jetstream.AckExplicitPolicy, FilterSubjects: events.FactSubjects(),
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &kit.Process{
		Name: "node", Command: []string{"node", filepath.Join(b.peer, "consumer.js")}, Log: filepath.Join(t.Dir, "node.log"),
		Env: append(os.Environ(), "NATS_URL="+node.url, "MONGODB_URI="+d.uri, "MONGODB_DATABASE="+d.Name(), "STREAM="+stream, "CONSUMER="+peerName),
	}
	p.Start(t)
	return &drain{processes: map[string]*kit.Process{natsPart: node.Process, serverPart: p}, done: settled(t, node, peerName, s.backlog.events)}
}
