// Package stripesim stands in for Stripe: it makes up the histories of
// subscriptions, renders them as the signed webhooks that Stripe would send,
// and knows how every subscription stands at the end.
//
// It keeps a model of its own of each subscription (trial, activation, renewal,
// dunning, cancellation and what lies between), changes it step by step, and
// renders an event after each step in one of several API versions.
// previous_attributes are the difference between two renderings. The truth
// comes from the model and not from reading what was rendered, so that it can
// judge the code that does read it.
//
// Everything is a function of the seed.
package stripesim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/events"
)

// Config says which histories to make up.
type Config struct {
	// Seed decides everything that is left to chance. Two seeds share no id.
	Seed uint64
	// Subscriptions is how many there are. A subscription has the same history
	// however many others there are.
	Subscriptions int
	// APIVersions are the versions to render in, each subscription in one of
	// them; all of [Versions] if empty. Generate panics at others.
	APIVersions []string
	// Ties is the probability, 0 to 1, that several changes of a subscription
	// carry one second; else its events are at least three seconds apart.
	Ties float64
	// Kinds are what the ends of the subscriptions with ties are like, in turn. If
	// empty, the ties are somewhere in an ordinary history.
	Kinds []Kind
	// Start is when the first customers come; the first of January 2025 if it is
	// zero. All come within 30 days, and no history takes longer than a year.
	Start    time.Time
	Livemode bool
	// UserIDs puts the application's user id into metadata: into that of some
	// subscriptions, and into that of some customers. (Checkout sessions have it
	// as client_reference_id in any case.)
	UserIDs bool
}

// History is what happened to all subscriptions.
type History struct {
	Seed uint64
	// Deliveries are all events in the order in which they came about.
	Deliveries []Delivery
	// Truth says how each subscription stands in the end, by [events.Key].
	Truth map[string]Truth
}

// Delivery is one event, ready to be signed.
type Delivery struct {
	ID   string
	Type string
	// Created is the event's stamp, in whole seconds. It is not an order: a
	// created event may carry a later stamp than the update that follows it.
	Created        time.Time
	SubscriptionID string
	APIVersion     string
	// Body is the event as Stripe renders it; of a [Snapshot] the subscription.
	Body []byte

	at int64 // when it came about
}

// Snapshot is the type of what is no event, but the subscription as it was read
// from Stripe's API. It has no id, and is not for sending.
const Snapshot = "subscription.snapshot"

// Truth is what is true of one subscription after its last event.
type Truth struct {
	// Subscription is its normalized state, as far as the rendering can say it.
	// The user id is that of metadata.user_id.
	Subscription events.Subscription `json:"subscription"`
	// Also is the same state in another rendering of the last event, where there
	// are two: that which comes first counts.
	Also *events.Subscription `json:"also,omitempty"`
	// LastEventID is the last of its customer.subscription.* events; "" if a
	// snapshot came after them.
	LastEventID string `json:"last_event_id"`
	// Tied is true if another of them carries a stamp less than three seconds
	// before that of the last, or after it: then stamps cannot tell which is the
	// last.
	Tied bool `json:"tied"`
	// Kind is what its end is like; "" of an ordinary history.
	Kind Kind `json:"kind,omitempty"`
	// Open is true if its events allow of another end as well.
	Open bool `json:"open,omitempty"`
	// Events are all its events in true order, those of its invoices, Checkout
	// session and customer included.
	Events []EventRef `json:"events"`
}

// EventRef names an event.
type EventRef struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// Versions are the API versions that histories can be rendered in, oldest
// first.
func Versions() []string {
	var versions []string
	for _, s := range shapes() {
		versions = append(versions, s.version)
	}
	return slices.Compact(versions)
}

// Generate makes up histories.
func Generate(cfg Config) History {
	cfg = cfg.withDefaults()
	plots := newCasting(cfg)
	h := History{Seed: cfg.Seed, Truth: make(map[string]Truth, cfg.Subscriptions)}
	for i := range cfg.Subscriptions {
		l := newLife(cfg, i, plots.shape(i))
		l.shapes = plots.shapes
		if len(plots.knots) > 0 && l.chance(cfg.Ties) {
			l.entangle(plots.knots[i%len(plots.knots)])
		} else {
			l.rushed = len(plots.knots) == 0 && l.chance(cfg.Ties)
			l.play(plots.story(i))
		}
		h.Deliveries = append(h.Deliveries, l.deliveries...)
		h.Truth[events.Key(cfg.Livemode, "", l.sub.id)] = l.truth()
	}
	slices.SortStableFunc(h.Deliveries, func(a, b Delivery) int { return cmp.Compare(a.at, b.at) })
	return h
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
			panic(fmt.Sprintf("stripesim: no rendering of API version %q, only of %s", v, strings.Join(Versions(), ", ")))
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

// Tied counts the subscriptions whose last event the stamps do not tell.
func (h History) Tied() int {
	n := 0
	for truth := range maps.Values(h.Truth) {
		if truth.Tied {
			n++
		}
	}
	return n
}

// Open counts the subscriptions whose events allow of another end as well.
func (h History) Open() int {
	n := 0
	for truth := range maps.Values(h.Truth) {
		if truth.Open {
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

// casting decides who plays what: the stories in turn, in an order that the
// seed decides, so that few subscriptions already tell most of them; and the
// renderings in turn, among those that can tell the story.
type casting struct {
	stories []story
	shapes  []shape
	knots   []knot
}

func newCasting(cfg Config) casting {
	c := casting{shapes: slices.DeleteFunc(shapes(), func(s shape) bool { return !slices.Contains(cfg.APIVersions, s.version) })}
	for _, kind := range cfg.Kinds {
		if k := knotOf(kind); k.needs == nil || slices.ContainsFunc(c.shapes, k.needs) {
			c.knots = append(c.knots, k)
		}
	}
	for _, s := range stories() {
		if slices.ContainsFunc(c.shapes, s.tellable) {
			c.stories = append(c.stories, s)
		}
	}
	rng := rand.New(rand.NewPCG(cfg.Seed, 0))
	rng.Shuffle(len(c.stories), func(i, j int) { c.stories[i], c.stories[j] = c.stories[j], c.stories[i] })
	return c
}

func (c casting) story(i int) story { return c.stories[i%len(c.stories)] }

func (c casting) shape(i int) shape {
	able := slices.DeleteFunc(slices.Clone(c.shapes), func(s shape) bool { return !c.story(i).tellable(s) })
	return able[(i+i/len(c.stories))%len(able)]
}
