// Package stripesim simulates Stripe: it generates histories of subscriptions, sends
// them as the signed webhooks that Stripe would send, and knows the final state of every
// subscription.
//
// It changes a model of each subscription step by step (trial, activation, renewal,
// failed payments, cancellation and more) and renders an event after each step, in one
// of several API versions. previous_attributes are the difference between two renderings.
// The final state comes from the model and not from the rendered events, so it can be
// used to judge code that reads them.
//
// Everything is a function of the seed.
package stripesim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/events"
)

// Config says which histories to generate.
type Config struct {
	// Seed decides everything that is random. Histories of two seeds share no id.
	Seed uint64
	// Subscriptions is how many to generate. The history of a subscription does not
	// depend on how many others there are.
	Subscriptions int
	// Old is how many of them, the first ones, have no events any more: Stripe has the
	// objects only.
	Old int
	// APIVersions are the versions to render in, one for each subscription; all of
	// [Versions] if empty. Generate panics if it does not know a version.
	APIVersions []string
	// Ties is the probability, 0 to 1, that several changes of a subscription have
	// the same stamp. Otherwise its events are at least three seconds apart.
	Ties float64
	// Kinds are the kinds of the histories with ties, in turn. If empty, the ties are
	// somewhere in an ordinary history.
	Kinds []Kind
	// Start is when the first customers come; 2025-01-01 if it is zero. All come
	// within 30 days, and no history is longer than a year.
	Start    time.Time
	Livemode bool
	// PerCustomer is how many subscriptions a customer has at most, one after the other or
	// at the same time; 1 if it is zero. They belong to one user.
	PerCustomer int
	// UserIDs puts the application's user id into the metadata of some subscriptions
	// and of some customers. Checkout sessions always have it as client_reference_id.
	UserIDs bool
}

// History is the history of all subscriptions.
type History struct {
	Seed uint64
	// Deliveries are all events in the order in which they happened.
	Deliveries []Delivery
	// Truth is the final state of each subscription, by [events.Key].
	Truth map[string]Truth
	// Objects are the states of all objects. Those of one object are in the order in
	// which it had them.
	Objects []Object
}

// Delivery is one event, ready to be signed.
type Delivery struct {
	ID   string
	Type string
	// Created is the event's stamp, in whole seconds. Stamps are no order: a created
	// event can have a later stamp than the update that follows it.
	Created        time.Time
	SubscriptionID string
	APIVersion     string
	// Body is the event as Stripe renders it; of a [Snapshot] the subscription.
	Body []byte
	// Because is the id of the event that caused a [Snapshot] to be read, if one did.
	Because string

	at   int64 // when it happened
	news *news // nil for a snapshot
}

// Snapshot is the type of a delivery that is not an event, but the subscription as read
// from Stripe's API. It has no id and cannot be sent.
const Snapshot = "subscription.snapshot"

// Truth is the final state of one subscription.
type Truth struct {
	// Subscription is the normalized state, with the fields that the rendering has.
	// The user id is the one in metadata.user_id.
	Subscription events.Subscription `json:"subscription"`
	// UserID is the user that the subscription, its Checkout session or its customer names,
	// and so that of the record; "" if none does.
	UserID string `json:"user_id,omitempty"`
	// Also is the same state in another rendering of the last event, if there are two.
	// The rendering that arrives first counts.
	Also *events.Subscription `json:"also,omitempty"`
	// LastEventID is the last customer.subscription.* event; "" if a snapshot follows
	// it.
	LastEventID string `json:"last_event_id"`
	// Tied is true if another of these events has a stamp that is less than three
	// seconds earlier, or later: then stamps do not say which is the last.
	Tied bool `json:"tied"`
	// Kind is the kind of the history; "" for an ordinary one.
	Kind Kind `json:"kind,omitempty"`
	// Open is true if the events allow two final states.
	Open bool `json:"open,omitempty"`
	// Events are all events in true order, including those of invoices, the Checkout
	// session and the customer.
	Events []EventRef `json:"events"`
}

// EventRef names an event.
type EventRef struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// Versions returns the API versions in which histories can be rendered, oldest first.
func Versions() []string {
	var versions []string
	for _, s := range shapes() {
		versions = append(versions, s.version)
	}
	return slices.Compact(versions)
}

// Generate generates histories.
func Generate(cfg Config) History {
	cfg = cfg.withDefaults()
	cast := newCast(cfg)
	h := History{Seed: cfg.Seed, Truth: make(map[string]Truth, cfg.Subscriptions)}
	var first *life // of the customer
	named := map[string]string{}
	for i := range cfg.Subscriptions {
		l := newLife(cfg, i, cast.shape(i))
		l.shapes = cast.shapes
		if first != nil && first.others > 0 {
			l.join(first)
		} else {
			first = l
		}
		if len(cast.endings) > 0 && l.chance(cfg.Ties) {
			l.playToEnding(cast.endings[i%len(cast.endings)])
		} else {
			l.rushed = len(cast.endings) == 0 && l.chance(cfg.Ties)
			l.play(cast.story(i))
		}
		h.Objects = append(h.Objects, l.objects...)
		if !l.old {
			h.Deliveries = append(h.Deliveries, l.deliveries...)
		}
		h.Truth[events.Key(cfg.Livemode, "", l.sub.id)] = l.truth()
		if l.namesCustomer() {
			named[l.customer.id] = l.user
		}
	}
	for key, truth := range h.Truth {
		truth.UserID = cmp.Or(named[truth.Subscription.CustomerID], truth.UserID)
		h.Truth[key] = truth
	}
	slices.SortStableFunc(h.Deliveries, func(a, b Delivery) int { return cmp.Compare(a.at, b.at) })
	return h
}

// Before returns the configuration with another start: everything happens before now, and
// the last of it in the days before. Histories of one day are the same.
func (cfg Config) Before(now time.Time) Config {
	cfg = cfg.withDefaults()
	trial := cfg
	trial.Old = cfg.Subscriptions
	last := cfg.Start
	for _, o := range Generate(trial).Objects {
		if at := time.Unix(o.Since, 0); at.After(last) {
			last = at
		}
	}
	// Months have different lengths, so the histories end up to three days earlier or later.
	cfg.Start = now.Add(cfg.Start.Sub(last) - 4*24*time.Hour).UTC().Truncate(24 * time.Hour)
	return cfg
}

func (cfg Config) withDefaults() Config {
	if cfg.Start.IsZero() {
		cfg.Start = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	if len(cfg.APIVersions) == 0 {
		cfg.APIVersions = Versions()
	}
	for _, v := range cfg.APIVersions {
		if !slices.Contains(Versions(), v) {
			panic(fmt.Sprintf("stripesim: cannot render API version %q, only %s", v, strings.Join(Versions(), ", ")))
		}
	}
	return cfg
}

// Types counts the events by type.
func (h History) Types() map[string]int {
	types := map[string]int{}
	for _, d := range h.Deliveries {
		types[d.Type]++
	}
	return types
}

// Tied counts the subscriptions whose last event cannot be found by stamps.
func (h History) Tied() int { return h.count(func(t Truth) bool { return t.Tied }) }

// Open counts the subscriptions whose events allow two final states.
func (h History) Open() int { return h.count(func(t Truth) bool { return t.Open }) }

func (h History) count(counts func(Truth) bool) (n int) {
	for _, truth := range h.Truth {
		if counts(truth) {
			n++
		}
	}
	return n
}

// WriteTruth writes {"subscriptions": {"test:platform:sub_…": …}} as JSON.
func (h History) WriteTruth(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(map[string]any{"subscriptions": h.Truth}); err != nil {
		return fmt.Errorf("writing the truth: %w", err)
	}
	return nil
}

// cast assigns stories, endings and renderings to subscriptions.
type cast struct {
	stories []story
	shapes  []shape
	endings []ending
}

// newCast shuffles the stories, so that a few subscriptions already show most of what
// can happen.
func newCast(cfg Config) cast {
	c := cast{shapes: slices.DeleteFunc(shapes(), func(s shape) bool { return !slices.Contains(cfg.APIVersions, s.version) })}
	for _, kind := range cfg.Kinds {
		if e := endingOf(kind); e.needs == nil || slices.ContainsFunc(c.shapes, e.needs) {
			c.endings = append(c.endings, e)
		}
	}
	c.stories = slices.DeleteFunc(stories(), func(s story) bool { return !slices.ContainsFunc(c.shapes, s.fits) })
	rng := rand.New(rand.NewPCG(cfg.Seed, 0))
	rng.Shuffle(len(c.stories), func(i, j int) { c.stories[i], c.stories[j] = c.stories[j], c.stories[i] })
	return c
}

func (c cast) story(i int) story { return c.stories[i%len(c.stories)] }

// shape takes the renderings that can show the story in turn.
func (c cast) shape(i int) shape {
	able := slices.DeleteFunc(slices.Clone(c.shapes), func(s shape) bool { return !c.story(i).fits(s) })
	return able[(i+i/len(c.stories))%len(able)]
}
