package handlers_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// lines returns a value of each line that was logged above the level debug.
func (l *logs) lines(t *testing.T, key string) []any {
	t.Helper()
	var values []any
	for text := range strings.Lines(l.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line["level"] != "DEBUG" {
			values = append(values, line[key])
		}
	}
	return values
}

func TestRejectionsAreLoggedOnceASecond(t *testing.T) {
	t.Parallel()
	s, clock := newWebhookTest(), newClock()
	s.Now = clock.read
	s.Verifier = refuseSignature("no_match")
	h := s.handler(t)
	for range 100 {
		serve(h, post(sent))
	}
	serve(h, postTo("/other"))
	clock.add(time.Second)
	serve(h, post(sent))
	if diff := cmp.Diff([]any{1.0, 101.0}, s.logs.lines(t, "count")); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"192.0.2.1:1234", "192.0.2.1:1234"}, s.logs.lines(t, "peer")); diff != "" {
		t.Errorf("peers (-want +got):\n%s", diff)
	}
	if got := len(s.calls.list()); got != 2*102 {
		t.Errorf("counted %d times, want all", got)
	}
}

func TestWebhooksThatFailAreLoggedOnceAMinuteAndReason(t *testing.T) {
	t.Parallel()
	s, clock := newWebhookTest(), newClock()
	s.Now = clock.read
	var err error
	s.Publisher = publish(func(string, *message.Message) error { return err })
	h := s.handler(t)
	fail := func(reason fault.Reason, times int) {
		err = fault.New(fault.Transient, reason, errors.New("no"))
		for range times {
			serve(h, post(sent))
		}
	}
	fail(fault.NATSUnreachable, 50)
	fail(fault.StreamFull, 1)
	clock.add(time.Minute)
	fail(fault.NATSUnreachable, 1)
	if diff := cmp.Diff([]any{"nats_unreachable", "stream_full", "nats_unreachable"}, s.logs.lines(t, "reason")); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{1.0, 1.0, 50.0}, s.logs.lines(t, "count")); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestMessagesThatFailAreLoggedOnceAMinuteAndReason(t *testing.T) {
	t.Parallel()
	clock := newClock()
	r := newCommitTest(store.Applied, fault.New(fault.Transient, fault.DatabaseUnreachable, errors.New("no")))
	r.Now = clock.read
	handler := r.handler(t)
	for range 50 {
		_ = handler.Handle(delivered(t, subscriptionMessage()))
	}
	clock.add(time.Minute)
	_ = handler.Handle(delivered(t, subscriptionMessage()))
	if diff := cmp.Diff([]any{1.0, 50.0}, r.logs.lines(t, "count")); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// Each of them is a dead letter.
func TestEveryPermanentFailureIsLogged(t *testing.T) {
	t.Parallel()
	r := newCommitTest(store.Applied, fault.New(fault.Permanent, fault.TooLarge, errors.New("no")))
	handler := r.handler(t)
	for range 3 {
		_ = handler.Handle(delivered(t, subscriptionMessage()))
	}
	if got := len(r.logs.lines(t, "reason")); got != 3 {
		t.Errorf("got %d lines, want 3", got)
	}
}
