package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

const (
	signatureHeader = "Stripe-Signature"
	// retryAfter is a hint in seconds. Stripe follows its own schedule.
	retryAfter = "5"
	// bodyTimeout bounds how long a sender may take to send the body.
	bodyTimeout = 10 * time.Second
	// slotTimeout is how long a webhook waits while too many are being published. It
	// is short, because the time for publishing comes on top.
	slotTimeout = 300 * time.Millisecond
)

// Verifier checks Stripe's signature of a body. It returns the name of the secret
// that signed it, and the account whose endpoint has that secret: "" for the platform.
// Its errors are marked (see [fault.New]).
type Verifier interface {
	Verify(payload []byte, signature string) (name, account string, err error)
}

// Normalizer turns a verified body into a message. Every error means that the body is
// not a Stripe event. The account is that of an event that names none itself.
type Normalizer interface {
	Normalize(body []byte, endpoint, account string, receivedAt time.Time) (events.Message, error)
}

// WebhookMetrics counts the outcomes of webhooks.
type WebhookMetrics interface {
	WebhookDone(outcome string, d time.Duration)
	WebhookRejected(reason fault.Reason)
	// WebhookIgnored counts an event that was not admitted. The reason is that of
	// data.ignored.
	WebhookIgnored(reason string)
	SecretVerified(name string)
	PublishDone(d time.Duration)
}

// WebhookConfig has the settings and collaborators of a [Webhook]. All fields are
// required.
type WebhookConfig struct {
	Path          string
	MaxBytes      int64
	MaxConcurrent int // how many webhooks may be published at the same time
	Verifier      Verifier
	Normalizer    Normalizer
	// SecondEndpoint returns the name of the endpoint that delivered a message, if
	// another endpoint may deliver the event in another API version. Of the two, it
	// returns "" for one.
	SecondEndpoint func(events.Message) string
	// Publisher returns nil only when the message is durable.
	Publisher message.Publisher
	// MaxMessage returns the largest payload that the server accepts, or 0 if unknown.
	MaxMessage func() int
	Now        func() time.Time
	Metrics    WebhookMetrics
	Log        *slog.Logger
}

// Webhook receives Stripe's webhooks. It verifies, normalizes and publishes them, and
// answers 200 only after the stream has stored the message.
// See https://docs.stripe.com/webhooks
type Webhook struct {
	cfg   WebhookConfig
	slots chan struct{}
}

// NewWebhook returns a handler, or an error if cfg is incomplete.
func NewWebhook(cfg WebhookConfig) (*Webhook, error) {
	if err := requireAll(cfg); err != nil {
		return nil, err
	}
	return &Webhook{cfg: cfg, slots: make(chan struct{}, cfg.MaxConcurrent)}, nil
}

// answer is the answer to a request, with what log and metrics say about it.
type answer struct {
	status  int
	body    string
	outcome string
	reason  fault.Reason // of a rejection or a failure
	message events.Message
	err     error // for the log, never for the sender
}

// ServeHTTP implements http.Handler.
func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.cfg.Now()
	a := h.handle(w, r, start)
	h.write(w, a)
	h.report(a, h.cfg.Now().Sub(start))
}

func (h *Webhook) handle(w http.ResponseWriter, r *http.Request, start time.Time) answer {
	if refused, ok := h.refuse(r); ok {
		return refused
	}
	body, err := h.read(w, r)
	if err != nil {
		return unreadable(err)
	}
	endpoint, account, err := h.cfg.Verifier.Verify(body, r.Header.Get(signatureHeader))
	if err != nil {
		return reject(http.StatusBadRequest, "signature verification failed", fault.ReasonOf(err))
	}
	h.cfg.Metrics.SecretVerified(endpoint)
	msg, err := h.cfg.Normalizer.Normalize(body, endpoint, account, start)
	if err != nil {
		return reject(http.StatusBadRequest, "not a Stripe event", fault.NotAnEvent)
	}
	if err := h.publish(r, msg); err != nil {
		return unavailable(msg, err)
	}
	return accepted(msg)
}

// refuse answers requests that cannot be webhooks. A mux would redirect unclean
// paths, which Stripe counts as a failure.
func (h *Webhook) refuse(r *http.Request) (answer, bool) {
	encoding := r.Header.Get("Content-Encoding")
	switch {
	case r.URL.Path != h.cfg.Path:
		return reject(http.StatusNotFound, "not found", fault.WrongPath), true
	case r.Method != http.MethodPost:
		return reject(http.StatusMethodNotAllowed, "method not allowed", fault.WrongMethod), true
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return reject(http.StatusUnsupportedMediaType, "content encoding not supported", fault.WrongEncoding), true
	case r.ContentLength > h.cfg.MaxBytes:
		return reject(http.StatusRequestEntityTooLarge, "too large", fault.TooLarge), true
	}
	return answer{}, false
}

func (h *Webhook) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	// The response writers of tests have no deadline.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	return io.ReadAll(http.MaxBytesReader(w, r.Body, h.cfg.MaxBytes))
}

func unreadable(err error) answer {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return reject(http.StatusRequestEntityTooLarge, "too large", fault.TooLarge)
	}
	return reject(http.StatusBadRequest, "body could not be read", fault.BodyUnreadable)
}

// publish returns nil only if the message is in the stream.
func (h *Webhook) publish(r *http.Request, msg events.Message) error {
	if !h.acquire() {
		return fault.New(fault.Transient, fault.TooManyWebhooks, errors.New("too many webhooks at once"))
	}
	defer func() { <-h.slots }()
	subject, out, err := outgoing(msg, h.cfg.MaxMessage(), r.Header.Get(HeaderTraceparent))
	if err != nil {
		return fault.New(fault.Transient, fault.CannotBeEncoded, err)
	}
	// The stream must not drop an event in another version as a repetition.
	if endpoint := h.cfg.SecondEndpoint(msg); endpoint != "" {
		out.UUID += "@" + endpoint
	}
	start := h.cfg.Now()
	err = h.cfg.Publisher.Publish(subject, out)
	h.cfg.Metrics.PublishDone(h.cfg.Now().Sub(start))
	return err
}

func (h *Webhook) acquire() bool {
	select {
	case h.slots <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(slotTimeout)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func reject(status int, text string, reason fault.Reason) answer {
	return answer{status: status, body: fmt.Sprintf(`{"error":%q}`, text), outcome: "rejected", reason: reason}
}

func unavailable(msg events.Message, err error) answer {
	return answer{
		status: http.StatusServiceUnavailable, body: `{"error":"temporarily unavailable"}`,
		outcome: "unavailable", reason: fault.ReasonOf(err), message: msg, err: err,
	}
}

func accepted(msg events.Message) answer {
	a := answer{status: http.StatusOK, outcome: "stored", message: msg}
	if msg.Data.Ignored != "" {
		a.outcome = "ignored"
	}
	body, _ := json.Marshal(struct { // strings always encode
		Received bool   `json:"received"`
		ID       string `json:"id"`
		Ignored  string `json:"ignored,omitempty"`
	}{true, msg.ID, msg.Data.Ignored})
	a.body = string(body)
	return a
}

func (h *Webhook) write(w http.ResponseWriter, a answer) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(a.body)))
	switch a.status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter)
	case http.StatusRequestEntityTooLarge:
		header.Set("Connection", "close")
	}
	w.WriteHeader(a.status)
	// If the sender is gone, it will send again.
	_, _ = io.WriteString(w, a.body)
}

// report logs and counts a webhook. The logged ids and subjects cannot contain other
// parts of the payload.
func (h *Webhook) report(a answer, took time.Duration) {
	h.cfg.Metrics.WebhookDone(a.outcome, took)
	attrs := []any{"outcome", a.outcome, "status", a.status, "duration_ms", milliseconds(took)}
	if a.reason != "" {
		attrs = append(attrs, "reason", a.reason)
	}
	if a.message.ID != "" {
		attrs = append(attrs, "event_id", events.SafeID(a.message.ID), "subject", a.message.Type, "endpoint", a.message.StripeEndpoint)
	}
	switch a.outcome {
	case "ignored":
		h.cfg.Metrics.WebhookIgnored(a.message.Data.Ignored)
		h.cfg.Log.Info("webhook", attrs...)
	case "rejected":
		h.cfg.Metrics.WebhookRejected(a.reason)
		h.cfg.Log.Warn("webhook", attrs...)
	case "unavailable":
		h.cfg.Log.Error("webhook", append(attrs, "error", a.err)...)
	default:
		h.cfg.Log.Info("webhook", attrs...)
	}
}
