package main

import (
	"path/filepath"
	"slices"
	"time"

	"github.com/billbus/billbus/bench/figures"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/test/kit"
)

// replay measures "subscriber replay" of a stream into an empty database, against the
// floor, with a stream and with one that is ten times as long: the memory should not depend
// on that.
func (b *bench) replay() error {
	for _, database := range b.databases {
		for _, events := range []int{b.events / 2, b.events * 5} {
			err := b.within(func(t *kit.Trial) {
				s := b.prepare(t, database, events, b.subscriptions)
				list := slices.DeleteFunc(b.drainers(s, 0), func(c contestant) bool { return c.name != floorBulk })
				list = append(list, contestant{billbusName, func(t *kit.Trial) []figures.Figure { return b.replayed(t, s) }})
				b.alternate("replay", s.String(), list)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// replayed runs the command to its end, and counts the time of all of it.
func (b *bench) replayed(t *kit.Trial, s *setup) []figures.Figure {
	d, node := s.dataset(t, 0), b.copied(t, s.backlog)
	p := &kit.Process{
		Name: "replay", Command: []string{filepath.Join(b.binaries, "subscriber"), "replay"}, Log: filepath.Join(t.Dir, "replay.log"),
		Env: []string{"NATS_URL=" + node.url, "MONGODB_URI=" + d.uri, "MONGODB_DATABASE=" + d.Name(), "STATE_VIEW=off"},
	}
	start, peak := time.Now(), 0
	p.Start(t)
	for ; !p.Ended(); time.Sleep(pollInterval) {
		if kB, err := p.PeakMemory(); err == nil {
			peak = max(peak, kB)
		}
		if t.Context().Err() != nil {
			t.Fatal("interrupted")
		}
	}
	took := time.Since(start)
	if err := p.Err(t); err != nil {
		t.Fatalf("the replay failed: %v: %s", err, tail(p.Log))
	}
	audited, records := d.count(t, mongostore.WebhookEvents), d.count(t, mongostore.Subscriptions)
	if audited != s.backlog.events || records != s.records {
		t.Fatalf("there are %d audit documents and %d records, want %d and %d", audited, records, s.backlog.events, s.records)
	}
	return []figures.Figure{{Name: rate, Value: float64(audited) / took.Seconds()}, {Name: serverPart + " peak MiB", Value: float64(peak) / 1024}}
}
