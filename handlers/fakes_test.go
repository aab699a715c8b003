package handlers_test

import (
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
	"github.com/billbus/billbus/test/kit"
)

// verify, normalize and publish are functions as collaborators of a webhook.
type (
	verify    func(payload []byte, signature string) (string, error)
	normalize func(body []byte, endpoint string, receivedAt time.Time) (events.Message, error)
	publish   func(topic string, msg *message.Message) error
)

func (f verify) Verify(payload []byte, signature string) (name, account string, err error) {
	name, err = f(payload, signature)
	return name, "acct_of_" + name, err
}

func (f verify) Check(string) error { return nil }

func (f normalize) Normalize(body []byte, endpoint, account string, receivedAt time.Time) (events.Message, error) {
	if account != "acct_of_"+endpoint {
		return events.Message{}, fmt.Errorf("got account %q of another secret than %q", account, endpoint)
	}
	return f(body, endpoint, receivedAt)
}

func (f publish) Publish(topic string, messages ...*message.Message) error {
	return f(topic, messages[0])
}

func (f publish) Close() error { return nil }

// calls are the metrics, one line for each call.
type calls struct {
	mu    sync.Mutex
	lines []string
}

func (c *calls) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, fmt.Sprintf(format, args...))
}

func (c *calls) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.lines)
}

func (c *calls) WebhookDone(outcome string, d time.Duration) { c.add("done %s %s", outcome, d) }
func (c *calls) WebhookIgnored(reason string)                { c.add("ignored %s", reason) }
func (c *calls) WebhookRejected(reason fault.Reason)         { c.add("rejected %s", reason) }
func (c *calls) SecretVerified(name string)                  { c.add("verified by %s", name) }
func (c *calls) PublishDone(d time.Duration)                 { c.add("published %s", d) }
func (c *calls) ResolveDone(outcome string)                  { c.add("resolved %s", outcome) }
func (c *calls) MessageDone(outcome string, d time.Duration) { c.add("done %s %s", outcome, d) }
func (c *calls) EventLag(d time.Duration)                    { c.add("lag %s", d) }

// clock advances by a millisecond whenever it is read.
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

// logs is what was logged, as JSON.
type logs struct{ kit.Buffer }

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// line returns the only line that was logged, without its time.
func (l *logs) line(t *testing.T) map[string]any {
	t.Helper()
	text := strings.TrimSpace(l.String())
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

// subscriptionMessage returns the message of an updated subscription.
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
