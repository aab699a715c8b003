// Package entitlement is what both Go examples do with the messages they get. It
// keeps in a folder who has access to what, and a list of the cancellations that
// somebody is to be told of. It stands for the database of your own service.
//
//	entitlements/<subscription>.json   one file per subscription
//	notices.jsonl                      one line per cancellation
//
// Everything is on disk when [Book.Apply] returns, and applying a message again
// changes nothing. So a consumer acknowledges after Apply, and needs no memory of
// what it has already processed.
package entitlement

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

// State is how one event says that a subscription stands.
type State struct {
	UserID string `json:"user_id,omitempty"`
	Status string `json:"status"`
	Access string `json:"access,omitempty"`
}

// Entitlement is the file of one subscription: its present state, the event that
// it rests on, and the events that still matter to the order.
type Entitlement struct {
	Subscription string `json:"subscription"`
	State
	EventID  string             `json:"event_id"`
	Ordering ordering.Certainty `json:"ordering"`
	Known    map[string]known   `json:"known"`
}

type known struct {
	Fact  ordering.Fact `json:"fact"`
	State State         `json:"state"`
}

// Book is the folder. One process may write it at a time.
type Book struct {
	dir     string
	mu      sync.Mutex
	notices *noticeFile
}

// Open opens the folder, or makes it.
func Open(dir string) (*Book, error) {
	if err := os.MkdirAll(filepath.Join(dir, "entitlements"), 0o750); err != nil {
		return nil, fmt.Errorf("making the folder: %w", err)
	}
	notices, err := openNotices(filepath.Join(dir, "notices.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("opening the notices: %w", err)
	}
	return &Book{dir: dir, notices: notices}, nil
}

// Close closes the files.
func (b *Book) Close() error { return b.notices.close() }

// Apply makes a message take effect. After an error it may have taken effect in
// part; applying it again completes it.
func (b *Book) Apply(msg events.Message) error {
	fact, ok := ordering.FactOf(msg)
	if !ok {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if msg.Type == "subscription.canceled" {
		if err := b.notices.add(noticeOf(msg)); err != nil {
			return fmt.Errorf("adding a notice: %w", err)
		}
	}
	return b.update(msg, fact)
}

// update adds the event to those known of its subscription, and asks which of
// them counts. Messages come in the order in which Stripe delivered them: the
// latest to come need not be the latest to have happened.
func (b *Book) update(msg events.Message, fact ordering.Fact) error {
	path := b.path(msg.SubscriptionKey())
	e, err := read(path)
	if err != nil {
		return fmt.Errorf("reading an entitlement: %w", err)
	}
	e.Subscription = msg.SubscriptionKey()
	e.add(fact, stateOf(*msg.Data.Subscription))
	if err := write(path, e); err != nil {
		return fmt.Errorf("writing an entitlement: %w", err)
	}
	return nil
}

// add folds the event in. What Fold calls relevant is all that later verdicts
// depend on, so the file stays small; an event that comes again, relevant or not,
// leaves it as it is.
func (e *Entitlement) add(fact ordering.Fact, state State) {
	facts := []ordering.Fact{fact}
	for _, k := range e.Known {
		facts = append(facts, k.Fact)
	}
	verdict := ordering.Fold(facts)
	relevant := map[string]known{}
	for _, f := range verdict.Relevant {
		relevant[f.EventID] = known{f, state}
		if old, ok := e.Known[f.EventID]; ok {
			relevant[f.EventID] = old
		}
	}
	e.Known, e.Ordering = relevant, verdict.Ordering
	e.EventID = verdict.Winner.EventID
	e.State = relevant[e.EventID].State
}

func stateOf(sub events.Subscription) State {
	return State{UserID: sub.UserID, Status: sub.Status, Access: sub.Access}
}

func (b *Book) path(key string) string {
	return filepath.Join(b.dir, "entitlements", url.QueryEscape(key)+".json")
}

func read(path string) (Entitlement, error) {
	var e Entitlement
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	return e, json.Unmarshal(text, &e)
}
