package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/billbus/billbus/test/kit/deploy"
)

const (
	lead = 3 * time.Second // before the first fault
	// Between the beginnings of two faults. The machine of CI manages about this.
	leastGap, mostGap = 2 * time.Second, 6 * time.Second
	// breath is how long what a fault has touched is left alone after it.
	breath = time.Second
)

// Fault is one thing that goes wrong.
type Fault struct {
	Kind   string        `json:"kind"`
	Target string        `json:"target,omitempty"`
	At     time.Duration `json:"at"` // after the traffic began
	Length time.Duration `json:"length"`
}

func (f Fault) String() string {
	if f.Target == "" {
		return f.Kind
	}
	return f.Kind + " " + f.Target
}

// shape is what there is to break.
type shape struct {
	bridges, subscribers, servers int
	database                      string
	databaseLink                  bool // a proxy can be on the way to the database
}

// processes returns the names of those that run.
func (s shape) processes() []string {
	all := slices.Concat(s.nodes(), names("bridge", s.bridges), names("subscriber", s.subscribers))
	if s.database != mongoDB {
		all = append(all, deploy.DatabaseName)
	}
	return all
}

// lasting returns the names of those processes that lose nothing when they stop.
func (s shape) lasting() []string {
	return slices.DeleteFunc(s.processes(), func(name string) bool { return name == deploy.DatabaseName && s.database == memory })
}

func (s shape) nodes() []string { return names("node", s.servers) }

// links returns the pairs that can be separated.
func (s shape) links() []string {
	var all []string
	for _, bridge := range names("bridge", s.bridges) {
		all = append(all, "client-"+bridge, bridge+"-nats")
	}
	for _, subscriber := range names("subscriber", s.subscribers) {
		all = append(all, subscriber+"-nats")
		if s.databaseLink {
			all = append(all, subscriber+"-database")
		}
	}
	return all
}

func names(kind string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(kind, i+1))
	}
	return all
}

// planner draws faults.
type planner struct {
	rng   *rand.Rand
	shape shape
	kinds []kind
	deck  []kind                   // what comes next, if it can
	busy  map[string]time.Duration // until when something is left alone
}

// plan returns the faults of a run. It depends on its arguments alone.
func plan(seed uint64, length time.Duration, kinds []kind, s shape) []Fault {
	p := planner{rng: rand.New(rand.NewPCG(seed, 1)), shape: s, kinds: kinds, busy: map[string]time.Duration{}}
	var faults []Fault
	for at := lead; at < length-breath; at += p.between(leastGap, mostGap) {
		if f, ok := p.draw(at, length); ok {
			faults = append(faults, f)
		}
	}
	return faults
}

func (p *planner) between(least, most time.Duration) time.Duration {
	return least + time.Duration(p.rng.Int64N(int64(most-least)+1)).Round(time.Millisecond)
}

// draw takes the next fault that can begin at a time. A kind that cannot stays in the deck,
// so every kind has its turn.
func (p *planner) draw(at, end time.Duration) (Fault, bool) {
	if len(p.deck) == 0 {
		for _, k := range p.kinds {
			p.deck = append(p.deck, slices.Repeat([]kind{k}, k.weight)...)
		}
		p.rng.Shuffle(len(p.deck), func(i, j int) { p.deck[i], p.deck[j] = p.deck[j], p.deck[i] })
	}
	for i, k := range p.deck {
		if target, ok := p.free(k, at); ok {
			p.deck = slices.Delete(p.deck, i, i+1)
			f := Fault{Kind: k.name, Target: target, At: at, Length: min(p.between(k.least, max(k.least, min(k.most, end/4))), end-at)}
			for _, name := range k.touches(p.shape, target) {
				p.busy[name] = f.At + f.Length + breath
			}
			return f, true
		}
	}
	return Fault{}, false
}

// free returns a target that no other fault touches.
func (p *planner) free(k kind, at time.Duration) (string, bool) {
	targets := k.targets(p.shape)
	p.rng.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
	for _, target := range targets {
		if !slices.ContainsFunc(k.touches(p.shape, target), func(name string) bool { return p.busy[name] > at }) {
			return target, true
		}
	}
	return "", false
}
