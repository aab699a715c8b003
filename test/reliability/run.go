package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/judge"
)

const (
	lead     = 5 * time.Second // of traffic before the fault
	patience = 5 * time.Minute // for the recovery
)

// run runs one scenario.
func run(ctx context.Context, s scenario, opts settings) result {
	dir, err := workDir(opts.dir, s.name)
	if err != nil {
		return result{Scenario: s.name, Title: s.title, Failures: []string{err.Error()}}
	}
	if opts.dir == "" {
		defer func() { _ = os.RemoveAll(dir) }()
	}
	r := result{Scenario: s.name, Title: s.title}
	b := kit.NewTrial(ctx, dir)
	r.Failures = b.Run(func() { start(b, s, opts).play(&r) })
	return r
}

func workDir(parent, name string) (string, error) {
	if parent == "" {
		return os.MkdirTemp("", "billbus-reliability-")
	}
	dir := filepath.Join(parent, name)
	return dir, os.MkdirAll(dir, 0o700)
}

// play sends traffic, lets the fault happen, waits for the recovery, and judges.
func (d *deployment) play(r *result) {
	d.watch.begin()
	over := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() { d.look(over) })
	defer looking.Wait()
	defer close(over)

	ctx, cancel := context.WithTimeout(d.Context(), lead+d.length()+patience)
	defer cancel()
	d.history = history(d.opts.seed, int(d.rate()*(lead+d.length()).Seconds()))
	d.traffic = []*sending{d.send(ctx, d.history, d.rate())}
	d.Wait(lead)
	d.watch.begin()
	began := time.Now()
	d.scenario.fault(d)
	ended := time.Now()
	r.Fault = ended.Sub(began).Seconds()
	d.await(r, ended)
	d.judge(r)
	if d.prometheus != "" {
		d.Wait(d.opts.watch)
	}
	d.lookOnce()
	r.observe(&d.watch, d.prometheus != "")
}

// rate is how many events are sent in a second.
func (d *deployment) rate() float64 {
	if d.scenario.slow > 0 {
		return d.opts.rate / d.scenario.slow
	}
	return d.opts.rate
}

// await waits until everything has been accepted and nothing is pending.
func (d *deployment) await(r *result, ended time.Time) {
	for _, s := range d.traffic {
		<-s.done
		r.Sent += s.report.Events
		r.Requests += s.report.Requests
		r.Accepted += min(s.report.Done, s.report.Events)
		if s.err != nil {
			d.Error(s.err)
		}
	}
	r.Recovered = -1
	for time.Since(ended) < patience {
		left, err := d.Unsettled()
		if err == nil && left == 0 {
			r.Recovered = time.Since(ended).Seconds()
			return
		}
		d.Wait(100 * time.Millisecond)
	}
}

// records are the documents of subscriptions, by key.
type records map[string]bson.M

// verdict is what is in the database.
type verdict struct {
	Audited   int `json:"audited"`   // events that are in the audit trail once
	Twice     int `json:"twice"`     // events that are there more often
	Wrong     int `json:"wrong"`     // determined records that differ from the truth, and missing ones, if all their events are audited
	Ambiguous int `json:"ambiguous"` // records that are not determined
	mayLose   int // how many accepted events may be missing
}

func (d *deployment) judge(r *result) {
	r.verdict = verdict{}
	if d.scenario.loses {
		r.mayLose = r.Accepted
	}
	times := map[string]int{}
	var audited []struct {
		ID string `bson:"event_id"`
	}
	d.read("webhook_events", &audited, bson.D{{Key: "event_id", Value: 1}})
	for _, doc := range audited {
		times[doc.ID]++
	}
	for _, e := range d.history.Deliveries {
		switch times[e.ID] {
		case 0:
		case 1:
			r.Audited++
		default:
			r.Twice++
		}
	}
	for key, t := range d.history.Truth {
		if slices.ContainsFunc(t.Events, func(e stripesim.EventRef) bool { return times[e.ID] == 0 }) {
			delete(d.history.Truth, key) // the state cannot be the last one
		}
	}
	d.judgeStates(r, d.history.Truth)
	r.Bridge, r.Subscriber = d.logged(d.bridge.Process), d.logged(d.subscriber.Process)
}

func (d *deployment) judgeStates(r *result, truth map[string]stripesim.Truth) {
	var docs []bson.M
	d.read("subscriptions", &docs, nil)
	all := records{}
	for _, doc := range docs {
		all[fmt.Sprint(doc["_id"])] = doc
	}
	for key, t := range truth {
		switch record := all[key]; {
		case record == nil:
			r.Wrong++
		case record["ordering"] != "determined":
			r.Ambiguous++
		case !right(record, t):
			r.Wrong++
			d.complain(key, record, t)
		}
	}
	if d.scenario.check != nil {
		r.Wrong += d.scenario.check(all)
	}
}

func right(record bson.M, t stripesim.Truth) bool {
	return slices.ContainsFunc(t.Recorded(), func(want events.Subscription) bool {
		diff, err := judge.Difference(record, want)
		return diff == "" && err == nil
	})
}

// complain writes how a record differs into the folder of the scenario.
func (d *deployment) complain(key string, record bson.M, t stripesim.Truth) {
	diff, err := judge.Difference(record, t.Recorded()[0])
	file, openErr := os.OpenFile(filepath.Join(d.Dir, "wrong.txt"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	d.Must(openErr)
	_, err = fmt.Fprintln(file, key, "-want +got:", diff, err)
	d.Must(errors.Join(err, file.Close()))
}

// checkBurst returns 1 if the record of burst is determined and not the last.
func checkBurst(all records) int {
	sub, err := judge.Subscription(all[burstKey])
	known := err == nil && len(sub.Items) == 1 && sub.Items[0].Quantity != nil
	if known && (all[burstKey]["ordering"] != "determined" || *sub.Items[0].Quantity == burstEvents+1) {
		return 0
	}
	return 1
}

func (d *deployment) read(collection string, into any, fields bson.D) {
	query := options.Find()
	if fields != nil {
		query.SetProjection(fields)
	}
	cursor, err := d.DB.Collection(collection).Find(d.Context(), bson.D{}, query)
	d.Must(err)
	d.Must(cursor.All(d.Context(), into))
}

func (d *deployment) logged(p *kit.Process) lines {
	n, err := logged(p.Log)
	d.Must(err)
	return n
}
