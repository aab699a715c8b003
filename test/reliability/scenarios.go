package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/test/kit/deploy"
)

// scenario is one thing that goes wrong under load.
type scenario struct {
	name, title string
	seconds     int           // how long it lasts
	delay       time.Duration // between the subscriber and the database
	slow        float64       // how many times fewer events are sent than usual
	nodes       int           // NATS servers; 1 by default
	env         []string      // settings of both programs
	jetStream   string        // settings of the NATS servers
	// fault brings it about, and ends it. It takes about the length of the fault.
	fault func(*deployment)
	// check returns how many determined states of events from deliver are wrong.
	check func(records) int
	// loses is true if messages that the subscriber has not read may be lost.
	loses bool
}

func scenarios() []scenario {
	return slices.Concat(databaseScenarios(), natsScenarios(), killScenarios(), clientScenarios(), attackScenarios())
}

func databaseScenarios() []scenario {
	return []scenario{
		{name: "quiet", title: "nothing goes wrong", seconds: 60, fault: nothing},
		{name: "database-200ms", title: "the database is 200 ms away", seconds: 90, delay: 200 * time.Millisecond, fault: nothing},
		{name: "database-1s", title: "the database is 1 s away (two events a second)", seconds: 90, slow: 5, delay: time.Second, fault: nothing},
		{name: "database-frozen", title: "the database hangs", seconds: 90, fault: func(d *deployment) { d.frozen(d.Documents) }},
		{name: "database-killed", title: "the database is killed and started again", seconds: 180, fault: func(d *deployment) {
			d.restart(d.Documents, d.length())
		}},
	}
}

func natsScenarios() []scenario {
	return []scenario{
		{name: "nats-killed", title: "NATS is killed and started again", seconds: 60, fault: func(d *deployment) { d.restart(d.node(), d.length()) }},
		{name: "nats-frozen", title: "NATS hangs", seconds: 180, fault: func(d *deployment) { d.frozen(d.node()) }},
		{
			name: "stream-full", title: "the stream is full, until STREAM_MAX_BYTES is raised", seconds: 180,
			env: []string{"STREAM_MAX_BYTES=1000000"}, fault: (*deployment).fillStream,
		},
		{
			name: "jetstream-full", title: "JetStream's limit is reached", seconds: 180,
			jetStream: "max_file_store: 64MB", fault: (*deployment).fillJetStream,
		},
		{name: "consumer-deleted", title: "the consumer is deleted three times", seconds: 60, fault: func(d *deployment) {
			d.thrice(func() error { return d.JS.DeleteConsumer(d.Context(), deploy.Stream, deploy.Consumer) })
		}},
		{name: "stream-deleted", title: "the stream is deleted", seconds: 60, loses: true, fault: func(d *deployment) {
			d.hold(0.5)
			d.Must(d.JS.DeleteStream(d.Context(), deploy.Stream))
			d.hold(0.5)
		}},
		{name: "leader-killed", title: "three NATS servers: the leader is killed and started again", seconds: 60, nodes: 3, fault: func(d *deployment) {
			d.restart(d.Nodes[d.leader()], d.length())
		}},
		{name: "follower-frozen", title: "three NATS servers: a follower hangs", seconds: 60, nodes: 3, fault: func(d *deployment) {
			d.frozen(d.Nodes[d.follower()])
		}},
		{name: "rolling-restart", title: "three NATS servers: each is restarted", seconds: 60, nodes: 3, fault: (*deployment).rollingRestart},
	}
}

func killScenarios() []scenario {
	return []scenario{
		{name: "bridge-killed", title: "the bridge is killed three times", seconds: 60, fault: func(d *deployment) {
			d.thrice(func() error { d.restart(d.bridge.Process, time.Second); return nil })
		}},
		{name: "subscriber-killed", title: "the subscriber is killed three times", seconds: 60, fault: func(d *deployment) {
			d.thrice(func() error { d.restart(d.subscriber.Process, time.Second); return nil })
		}},
	}
}

func clientScenarios() []scenario {
	return []scenario{
		{name: "flood", title: "1,000 connections send bodies of 990 kB with wrong signatures", seconds: 60, fault: func(d *deployment) {
			d.crowd(1000, 10*time.Second, largeForgery)
		}},
		{name: "never-reading", title: "1,000 clients send webhooks and never read an answer", seconds: 60, fault: func(d *deployment) {
			d.crowd(1000, time.Second, neverReads)
		}},
		{name: "strangers", title: "strangers send 100 POSTs a second without a signature", seconds: 120, fault: func(d *deployment) {
			d.crowd(100, time.Second, unsigned)
		}},
		{
			name: "large-backlog", title: "200 events of 980 kB wait for the subscriber", seconds: 30,
			fault: func(d *deployment) {
				d.subscriber.Kill(d)
				d.deliver(largeEvents())
				d.hold(1)
				d.subscriber.Start(d)
			},
		},
		{name: "burst", title: "1,800 events of one subscription in one second", seconds: 30, check: checkBurst, fault: func(d *deployment) {
			d.hold(1)
			d.deliver(burst())
		}},
	}
}

func scenarioNames() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}

// choose returns the scenarios of these names, or all.
func choose(names string) ([]scenario, error) {
	if names == "" {
		return scenarios(), nil
	}
	known := map[string]scenario{}
	for _, s := range scenarios() {
		known[s.name] = s
	}
	var chosen []scenario
	for name := range strings.SplitSeq(names, ",") {
		s, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(scenarioNames(), ", "))
		}
		chosen = append(chosen, s)
	}
	return chosen, nil
}

func nothing(d *deployment) { d.hold(1) }

// thrice does something three times, at last at the end of the fault.
func (d *deployment) thrice(do func() error) {
	for range 3 {
		d.hold(1.0 / 3)
		d.Must(do())
	}
}

// fillStream waits while traffic fills the stream. Then it raises the limit, as
// docs/operating.md says.
func (d *deployment) fillStream() {
	d.hold(1)
	const limit = "STREAM_MAX_BYTES=-1"
	d.bridge.Env, d.subscriber.Env = append(d.bridge.Env, limit), append(d.subscriber.Env, limit)
	d.Must(d.Execute(d.Context(), d.bridge, nil, "provision"))
	d.restart(d.bridge.Process, 0)
	d.restart(d.subscriber.Process, 0)
}

// fillJetStream fills the server with another stream until it takes nothing more.
func (d *deployment) fillJetStream() {
	filler, err := d.JS.CreateStream(d.Context(), jetstream.StreamConfig{Name: "FILLER", Subjects: []string{"filler"}})
	d.Must(err)
	for _, size := range []int{500_000, 10_000, 500} {
		for err = nil; err == nil; {
			_, err = d.JS.Publish(d.Context(), "filler", make([]byte, size))
		}
	}
	d.hold(1)
	d.Must(filler.Purge(d.Context()))
}

func (d *deployment) leader() string {
	leader, err := d.Leader()
	d.Must(err)
	return leader
}

func (d *deployment) follower() string {
	leader := d.leader()
	for name := range d.Nodes {
		if name != leader {
			return name
		}
	}
	return ""
}

func (d *deployment) rollingRestart() {
	for _, node := range d.Nodes {
		_ = node.Terminate(d) // its status is that of the signal
		d.Wait(2 * time.Second)
		node.Start(d)
		d.hold(1.0 / 3)
	}
}
