package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/billbus/billbus/internal/store"
)

// RecordLetter implements [store.Letters].
func (c *Client) RecordLetter(ctx context.Context, l store.Letter) error {
	if err := call(ctx, nil, Insert); err != nil {
		return err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if _, taken := c.server.letters[l.ID]; taken {
		return store.ErrExists
	}
	c.server.letters[l.ID] = l
	return nil
}

// RecordedLetter implements [store.Letters].
func (c *Client) RecordedLetter(ctx context.Context, sequence uint64) (newest store.Letter, found bool, err error) {
	if err := call(ctx, nil, Find); err != nil {
		return newest, false, err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	for _, l := range c.server.letters {
		if l.Sequence == sequence && (!found || l.At.After(newest.At)) {
			newest, found = l, true
		}
	}
	return newest, found, nil
}

var letterTests = map[string]func(*testing.T, Backend){
	"the first record of a letter counts":   testFirstLetter,
	"the newest letter of a sequence found": testNewestLetter,
}

func testFirstLetter(t *testing.T, b Backend) {
	db := b.Connect()
	first := store.Letter{
		ID: "7@1", Sequence: 7, StreamSequence: 1 << 40, Action: store.Redriven, Code: "unreadable", Reason: "why", Subject: "stripe.x",
		EventID: "evt_1", Consumer: "billbus-subscriber", At: noon(), By: "ann@host",
	}
	second := first
	second.Action, second.At, second.EventID = store.Discarded, noon().Add(time.Hour), ""
	equal(t, "outcomes", "written exists", outcomes([]error{db.RecordLetter(t.Context(), first), db.RecordLetter(t.Context(), second)}))
	got, found, err := b.Connect().RecordedLetter(t.Context(), 7)
	if equal(t, "record", first, got); !found || err != nil {
		t.Errorf("got %v, %v", found, err)
	}
	if _, found, err := db.RecordedLetter(t.Context(), 8); found || err != nil {
		t.Errorf("another sequence: got %v, %v, want none", found, err)
	}
}

// Sequences begin again when the stream of the letters was deleted.
func testNewestLetter(t *testing.T, b Backend) {
	db := b.Connect()
	for i, id := range []string{"7@2", "7@3", "7@1"} {
		at := noon().Add([]time.Duration{time.Hour, 2 * time.Hour, 0}[i])
		if err := db.RecordLetter(t.Context(), store.Letter{ID: id, Sequence: 7, Action: store.Discarded, At: at}); err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := db.RecordedLetter(t.Context(), 7)
	if err != nil || got.ID != "7@3" {
		t.Errorf("got %s, %v, want 7@3", got.ID, err)
	}
}
