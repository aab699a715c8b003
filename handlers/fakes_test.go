package handlers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

// verify, normalize and publish are the collaborators of a webhook.
type (
	verify    func(payload []byte, signature string) (string, error)
	normalize func(body []byte, endpoint string, receivedAt time.Time) (events.Message, error)
	publish   func(topic string, msg *message.Message) error
)

func (f verify) Verify(payload []byte, signature string) (string, error) {
	return f(payload, signature)
}

func (f normalize) Normalize(body []byte, endpoint string, receivedAt time.Time) (events.Message, error) {
	return f(body, endpoint, receivedAt)
}

func (f publish) Publish(topic string, messages ...*message.Message) error {
	return f(topic, messages[0])
}

func (f publish) Close() error { return nil }

// journal counts what is reported, one line for each call.
type journal struct {
	mu    sync.Mutex
	calls []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls = append(j.calls, fmt.Sprintf(format, args...))
}

func (j *journal) list() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.calls)
}

func (j *journal) WebhookDone(outcome string, d time.Duration) { j.add("done %s %s", outcome, d) }
func (j *journal) WebhookRejected(reason fault.Reason)         { j.add("rejected %s", reason) }
func (j *journal) SecretVerified(name string)                  { j.add("verified by %s", name) }
func (j *journal) PublishDone(d time.Duration)                 { j.add("published %s", d) }
func (j *journal) ResolveDone(outcome string)                  { j.add("resolved %s", outcome) }
func (j *journal) MessageDone(outcome string, d time.Duration) { j.add("done %s %s", outcome, d) }
func (j *journal) EventLag(d time.Duration)                    { j.add("lag %s", d) }
func (j *journal) UserID(source string)                        { j.add("user id from %s", source) }

// clock moves on by a millisecond whenever it is read.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 1, 0, 0, 10, 0, time.UTC)} }

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// logs keeps what is logged as JSON.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logs) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// line returns the only line that was logged, without its time.
func (l *logs) line(t *testing.T) map[string]any {
	t.Helper()
	text := strings.TrimSpace(l.text())
	if strings.Count(text, "\n") != 0 {
		t.Fatalf("got more than one line:\n%s", text)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	delete(line, "time")
	return line
}

// subscriptionMessage is what a normalizer makes of a subscription's update.
func subscriptionMessage() events.Message {
	return events.Message{
		SpecVersion: events.SpecVersion, ID: "evt_1", Source: "/stripe/platform/live", Type: "subscription.updated", Subject: "sub_1",
		Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), DataContentType: events.DataContentType,
		StripeType: "customer.subscription.updated", StripeEndpoint: "main", Livemode: true,
		Data: events.Data{
			SchemaVersion: events.SchemaVersion, Subscription: &events.Subscription{ID: "sub_1", Livemode: true},
			Event: json.RawMessage(`{"id":"evt_1"}`), Origin: events.OriginWebhook,
		},
	}
}
