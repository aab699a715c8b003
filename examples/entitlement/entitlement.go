// Package entitlement is what both Go examples do with a message. In a folder it keeps
// who has access to what, and a list of cancellations to notify users about. In your
// own service this would be a database.
//
//	entitlements/<subscription>.json   one file per subscription
//	notices.jsonl                      one line per cancellation
//
// When [Book.Apply] returns, everything is on disk. To apply a message again changes
// nothing. So a consumer acknowledges a message after Apply, and does not have to
// remember which messages it has processed.
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

// State is the state of a subscription after one event.
type State struct {
	UserID string `json:"user_id,omitempty"`
	Status string `json:"status"`
	Access string `json:"access,omitempty"`
}

// Entitlement is the file of one subscription: its current state, the event that
// holds this state, and the events that a later decision can depend on.
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

// Book is the folder. Only one process may write to it at a time.
type Book struct {
	dir     string
	mu      sync.Mutex
	notices *noticeFile
}

// Open opens the folder, and creates it if it does not exist.
func Open(dir string) (*Book, error) {
	if err := os.MkdirAll(filepath.Join(dir, "entitlements"), 0o750); err != nil {
		return nil, fmt.Errorf("creating the folder: %w", err)
	}
	notices, err := openNotices(filepath.Join(dir, "notices.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("opening the notices: %w", err)
	}
	return &Book{dir: dir, notices: notices}, nil
}

// Close closes the files.
func (b *Book) Close() error { return b.notices.close() }

// Apply puts a message into effect. After an error it may be in effect partly; to
// apply it again completes it.
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

// update adds the event to the known events of its subscription, and decides which of
// them is current. Messages arrive in the order in which Stripe delivered them: the
// last one to arrive may not be the last one that happened.
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

// add keeps only the facts that a later decision can depend on, so the file stays
// small. An event that arrives again, kept or not, changes nothing.
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
