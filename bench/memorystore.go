package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/billbus/billbus/bench/figures"
	"github.com/billbus/billbus/test/kit"
)

// memoryStore measures the subscriber's path on one core, with a database that costs
// nothing.
func (b *bench) memoryStore() error {
	return b.within(func(t *kit.Trial) {
		bodies, err := workload(b.seed, b.events, b.subscriptions)
		if err != nil {
			t.Fatal(err)
		}
		backlog := b.fill(t, bodies)
		b.alternate("memory-store", fmt.Sprintf("one core, %d events of %d subscriptions", b.events, b.subscriptions), []contestant{
			{billbusName, func(t *kit.Trial) []figures.Figure { return b.inMemory(t, backlog) }},
		})
	})
}

func (b *bench) inMemory(t *kit.Trial, from *backlog) []figures.Figure {
	node, addr := b.copied(t, from), kit.FreeAddr(t)
	p := &kit.Process{
		Name: "memory", Command: []string{filepath.Join(b.binaries, "memory")}, Log: filepath.Join(t.Dir, "memory.log"),
		Env: []string{"NATS_URL=" + node.url, "STREAM=" + stream, "CONSUMER=" + consumer, "LISTEN_ADDR=" + addr},
	}
	p.Start(t)
	x := &drain{processes: map[string]*kit.Process{serverPart: p, natsPart: node.Process}, done: settled(t, node, consumer, from.events)}
	list, done := b.follow(t, x, from.events, time.Minute)
	var audited, records int
	answer := kit.Get("http://" + addr).Body
	if _, err := fmt.Sscan(answer, &audited, &records); err != nil || audited != done || done != from.events || records == 0 {
		t.Fatalf("there are %q audit documents and records after %d of %d messages", answer, done, from.events)
	}
	return list
}
