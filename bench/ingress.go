package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/billbus/billbus/bench/figures"
	"github.com/billbus/billbus/test/kit"
)

const (
	floorName   = "floor"
	billbusName = "billbus"
	peerName    = "peer"

	// warmUp is the share of events that come before the measurement.
	warmUp = 0.1
	// saturating is how many connections saturate a server.
	saturating = 32
	starts     = 5
)

// receiver is a server that takes webhooks.
type receiver struct {
	*kit.Process
	addr  string // for webhooks
	ready string // URL
}

func (b *bench) ingress() error {
	bodies, err := workload(b.seed, b.events+int(float64(b.events)*warmUp), b.subscriptions)
	if err != nil {
		return err
	}
	for _, syncInterval := range b.sync {
		for _, connections := range b.connections {
			share := bodies
			if connections == 1 || syncInterval != "default" {
				share = bodies[:len(bodies)/5] // it takes as long
			}
			b.alternate("ingress", ingressCase(connections, syncInterval), b.receivers(func(start starter) measure {
				return func(t *kit.Trial) []figures.Figure { return b.throughput(t, start, syncInterval, connections, share) }
			}))
		}
	}
	b.latencies(bodies)
	b.startTimes()
	return nil
}

func ingressCase(connections int, syncInterval string) string {
	return fmt.Sprintf("connections %d, sync %s", connections, syncInterval)
}

type (
	starter func(t *kit.Trial, natsURL string) *receiver
	measure = func(t *kit.Trial) []figures.Figure
)

// receivers returns the contestants, each measured with how it is started.
func (b *bench) receivers(with func(starter) measure) []contestant {
	list := []contestant{{floorName, with(b.startFloor("ingress"))}, {"floor-id", with(b.startFloor("ingress-id"))}, {billbusName, with(b.startBridge)}}
	if b.peer != "" {
		list = append(list, contestant{peerName, with(b.startPeer)})
	}
	return list
}

func (b *bench) startFloor(how string) starter {
	return func(t *kit.Trial, natsURL string) *receiver {
		addr := kit.FreeAddr(t)
		return started(t, &kit.Process{
			Name: "floor", Command: []string{filepath.Join(b.binaries, "floor"), how},
			Env: []string{"NATS_URL=" + natsURL, "LISTEN_ADDR=" + addr, "SECRET=" + secret},
		}, addr, addr)
	}
}

func (b *bench) startBridge(t *kit.Trial, natsURL string) *receiver {
	addr, admin := kit.FreeAddr(t), kit.FreeAddr(t)
	return started(t, &kit.Process{
		Name: "bridge", Command: []string{filepath.Join(b.binaries, "bridge")},
		Env: []string{"NATS_URL=" + natsURL, "LISTEN_ADDR=" + addr, "ADMIN_ADDR=" + admin, "STRIPE_WEBHOOK_SECRETS=" + secret, "WEBHOOK_LIVEMODE=any"},
	}, addr, admin)
}

func (b *bench) startPeer(t *kit.Trial, natsURL string) *receiver {
	addr := kit.FreeAddr(t)
	return started(t, &kit.Process{
		Name: "node", Command: []string{"node", filepath.Join(b.peer, "ingress.js")},
		Env: append(os.Environ(), "NATS_URL="+natsURL, "LISTEN_ADDR="+addr, "SECRET="+secret, "NODE_ENV=production"),
	}, addr, addr)
}

// started starts a process and waits until it is ready.
func started(t *kit.Trial, p *kit.Process, addr, admin string) *receiver {
	p.Log = filepath.Join(t.Dir, p.Name+".log")
	r := &receiver{p, addr, "http://" + admin + "/readyz"}
	r.Start(t)
	awaitReady(t, p, r.ready)
	return r
}

func awaitReady(t *kit.Trial, p *kit.Process, url string) {
	for deadline := time.Now().Add(time.Minute); kit.Get(url).Status != http.StatusOK; time.Sleep(time.Millisecond) {
		if p.Ended() || time.Now().After(deadline) {
			t.Fatalf("%s is not ready; the end of its log: %s", p.Name, tail(p.Log))
		}
	}
}

// throughput measures how many webhooks a second a receiver accepts.
func (b *bench) throughput(t *kit.Trial, start starter, syncInterval string, connections int, bodies [][]byte) []figures.Figure {
	res, list := b.receive(t, start, syncInterval, connections, bodies, 0)
	return append([]figures.Figure{{Name: rate, Value: float64(len(res.latencies)) / res.took.Seconds()}}, list...)
}

// receive sends all bodies to a receiver, and checks that all of them are in the stream. It
// also returns what the servers used.
func (b *bench) receive(t *kit.Trial, start starter, syncInterval string, connections int, bodies [][]byte, perSecond float64) (result, []figures.Figure) {
	node := b.nats(t, t.Dir, syncInterval)
	server := start(t, node.url)
	l, err := newLoad(server.addr, connections)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	list := requests(server.addr, bodies)
	first := int(float64(len(list)) * warmUp)
	warm := l.send(list[:first], 0)
	meter := newMeter(t, map[string]*kit.Process{serverPart: server.Process, natsPart: node.Process})
	res := l.send(list[first:], perSecond)
	for _, failure := range slices.Concat(warm.failures, res.failures) {
		t.Fatalf("a request failed: %v; the end of the server's log: %s", failure, tail(server.Log))
	}
	used := meter.figures(len(res.latencies))
	if got, want := node.stored(t), len(bodies); got != want {
		t.Fatalf("the stream has %d messages, want %d", got, want)
	}
	return res, used
}

// latencies measures latencies at half of the rates that saturate the floor and Billbus. A
// contestant that half of the rate would saturate is left out.
func (b *bench) latencies(bodies [][]byte) {
	saturation := map[string]float64{}
	for _, row := range figures.Rows(b.samples) {
		if row.Figure == rate && row.Case == ingressCase(saturating, "default") {
			saturation[row.Contestant] = row.Median
		}
	}
	for _, of := range []string{floorName, billbusName} {
		perSecond := saturation[of] / 2
		if perSecond == 0 {
			continue
		}
		some := bodies[:min(int(perSecond*b.latency.Seconds()*(1+warmUp)), len(bodies))]
		list := b.receivers(func(start starter) measure {
			return func(t *kit.Trial) []figures.Figure { return b.latencyOf(t, start, some, perSecond) }
		})
		list = slices.DeleteFunc(list, func(c contestant) bool { return saturation[c.name] < perSecond*1.1 })
		b.alternate("ingress", fmt.Sprintf("at half of what saturates %s, %.0f a second", of, perSecond), list)
	}
}

func (b *bench) latencyOf(t *kit.Trial, start starter, bodies [][]byte, perSecond float64) []figures.Figure {
	res, used := b.receive(t, start, "default", saturating, bodies, perSecond)
	return append([]figures.Figure{
		{Name: p50, Value: figures.Percentile(res.latencies, 0.5)}, {Name: p99, Value: figures.Percentile(res.latencies, 0.99)},
	}, used...)
}

// startTimes measures how long each program takes from its start until it is ready.
func (b *bench) startTimes() {
	list := b.receivers(func(start starter) measure {
		return func(t *kit.Trial) []figures.Figure {
			node := b.nats(t, t.Dir, "default")
			var all []float64
			for range starts {
				before := time.Now()
				server := start(t, node.url)
				all = append(all, time.Since(before).Seconds()*1000)
				server.Kill(t)
			}
			return []figures.Figure{{Name: ready, Value: figures.Median(all)}}
		}
	})
	b.alternate("ingress", "from start to ready", list)
}
