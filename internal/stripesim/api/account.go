package api

import (
	"cmp"
	"iter"
	"slices"
	"sort"
	"strings"

	"github.com/billbus/billbus/internal/stripesim"
)

// eventsKept is how long events can be read, in seconds.
const eventsKept = 30 * 24 * 60 * 60

// account is an account, its objects, and its webhook endpoints.
type account struct {
	Account
	objects   map[string]*track
	kinds     map[string][]*track // newest first
	endpoints []endpoint          // newest first
	created   int                 // endpoints that were ever created
	repeated  map[string]endpoint // the answers to creations, by their idempotency key
}

// track is an object in all of its states, or an event.
type track struct {
	states   []stripesim.Object
	delivery *stripesim.Delivery // of an event
}

// thing is an object at one moment.
type thing struct {
	stripesim.Object
	delivery *stripesim.Delivery // of an event
	json     any                 // of what is not simulated
}

func newAccount(cfg Account) *account {
	cfg.ID = cmp.Or(cfg.ID, stripesim.Account)
	a := &account{Account: cfg, objects: map[string]*track{}, kinds: map[string][]*track{}, repeated: map[string]endpoint{}}
	for _, o := range cfg.History.Objects {
		a.add(o, nil)
	}
	for i, d := range cfg.History.Deliveries {
		if d.Type != stripesim.Snapshot {
			created := d.Created.Unix()
			a.add(stripesim.Object{Type: "event", ID: d.ID, Created: created, Since: created}, &cfg.History.Deliveries[i])
		}
	}
	for _, t := range a.objects {
		slices.SortStableFunc(t.states, func(x, y stripesim.Object) int { return cmp.Compare(x.Since, y.Since) })
	}
	for _, kind := range a.kinds {
		slices.Reverse(kind)
		slices.SortStableFunc(kind, func(x, y *track) int { return cmp.Compare(y.states[0].Created, x.states[0].Created) })
	}
	return a
}

// add adds a state. Of an event in several renderings the first one counts.
func (a *account) add(o stripesim.Object, d *stripesim.Delivery) {
	t := a.objects[o.ID]
	if t == nil {
		t = &track{delivery: d}
		a.objects[o.ID] = t
		a.kinds[o.Type] = append(a.kinds[o.Type], t)
	}
	t.states = append(t.states, o)
}

func (a *account) version() string {
	all := stripesim.Versions()
	return cmp.Or(a.Version, all[len(all)-1])
}

func (a *account) livemode() bool { return strings.Contains(a.Key, "_live_") }

// at returns the state at a time, if the object can be read then.
func (t *track) at(now int64) (thing, bool) {
	i := sort.Search(len(t.states), func(i int) bool { return t.states[i].Since > now })
	if i == 0 {
		return thing{}, false
	}
	o := t.states[i-1]
	return thing{Object: o, delivery: t.delivery}, !o.Gone && (t.delivery == nil || o.Created > now-eventsKept)
}

// all returns the objects of a kind, newest first.
func (c *call) all(kind string) iter.Seq[thing] {
	switch kind {
	case "webhook_endpoint":
		return slices.Values(c.endpoints())
	case "account":
		return slices.Values(c.connected())
	}
	return func(yield func(thing) bool) {
		for _, t := range c.account.kinds[kind] {
			if o, ok := t.at(c.now); ok && !yield(o) {
				return
			}
		}
	}
}

func (c *call) find(kind, id string) (thing, bool) {
	if t := c.account.objects[id]; t != nil {
		o, ok := t.at(c.now)
		return o, ok && (o.Type == kind || kind == "")
	}
	for o := range c.all(kind) {
		if o.ID == id {
			return o, true
		}
	}
	return thing{}, false
}

// connected returns the accounts that are connected to the platform.
func (c *call) connected() (accounts []thing) {
	if c.account != c.server.accounts[0] {
		return nil
	}
	for _, a := range c.server.accounts[1:] {
		accounts = append(accounts, thing{Object: stripesim.Object{Type: "account", ID: a.ID}, json: a.describe()})
	}
	return accounts
}

func ownAccount(c *call) (any, error) { return c.account.describe(), c.know("expand") }

func (a *account) describe() any {
	return map[string]any{
		"id": a.ID, "object": "account", "charges_enabled": true, "country": "US", "default_currency": "usd",
		"details_submitted": true, "email": nil, "metadata": map[string]string{}, "payouts_enabled": true, "type": "standard",
	}
}
