package handlers

import (
	"context"
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
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
)

const (
	signatureHeader = "Stripe-Signature"
	// retryAfter is a hint in seconds. Stripe follows its own schedule.
	retryAfter = "5"
	// answerTimeout bounds how long an answer waits for a sender that does not read.
	// Other answers wait for nothing: they are small, and the system takes them.
	answerTimeout = time.Second
	// restTimeout bounds how long the rest of a refused request is read. A sender
	// that is still sending would otherwise not see the answer.
	restTimeout = time.Second
	// rejectionsEvery is how long rejections are not logged again. Anyone can cause
	// them.
	rejectionsEvery = time.Second
)

// Verifier checks Stripe's signature of a body. Its errors are marked (see [fault.New]).
type Verifier interface {
	// Check returns an error if a signature is missing or malformed. It needs no body.
	Check(signature string) error
	// Verify returns the name of the secret that signed the body, and the account whose
	// endpoint has that secret: "" for the platform.
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
	BodyBudget    int64 // the memory that bodies may use at the same time, in bytes
	MaxConcurrent int   // how many webhooks may be published at the same time
	Verifier      Verifier
	// Verified is called with the context of a request whose signature is right.
	Verified   func(context.Context)
	Normalizer Normalizer
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
	cfg        WebhookConfig
	memory     memory
	slots      turns
	rejections repeats
	failures   repeats
}

// NewWebhook returns a handler, or an error if cfg is incomplete.
func NewWebhook(cfg WebhookConfig) (*Webhook, error) {
	if err := requireAll(cfg); err != nil {
		return nil, err
	}
	return &Webhook{
		cfg: cfg, memory: newMemory(cfg.BodyBudget), slots: newTurns(int64(cfg.MaxConcurrent)),
		rejections: repeats{fault.Repeats{Every: rejectionsEvery}},
	}, nil
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
	h.report(a, r.RemoteAddr, start)
}

func (h *Webhook) handle(w http.ResponseWriter, r *http.Request, start time.Time) answer {
	if refused, ok := h.refuse(r); ok {
		return refused
	}
	body, taken, err := h.memory.read(w, r, h.cfg.MaxBytes)
	defer taken.giveBack()
	if err != nil {
		return unreadable(err)
	}
	endpoint, account, err := h.cfg.Verifier.Verify(body, r.Header.Get(signatureHeader))
	if err != nil {
		return notVerified(err)
	}
	h.cfg.Verified(r.Context())
	h.cfg.Metrics.SecretVerified(endpoint)
	work, ok := h.memory.verify(len(body))
	defer work.giveBack()
	if !ok {
		return unavailable(events.Message{}, errMemory)
	}
	msg, err := h.cfg.Normalizer.Normalize(body, endpoint, account, start)
	if err != nil {
		return reject(http.StatusBadRequest, "not a Stripe event", fault.NotAnEvent)
	}
	if err := h.publish(r, msg); err != nil {
		return unavailable(msg, err)
	}
	failpoint.At("webhook:published")
	return accepted(msg)
}

// refuse answers requests that cannot be webhooks, before anything is read. A mux would
// redirect unclean paths, which Stripe counts as a failure.
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
	if err := h.cfg.Verifier.Check(r.Header.Get(signatureHeader)); err != nil {
		return notVerified(err), true
	}
	return answer{}, false
}

func notVerified(err error) answer {
	return reject(http.StatusBadRequest, "signature verification failed", fault.ReasonOf(err))
}

func unreadable(err error) answer {
	if fault.ReasonOf(err) == fault.MemoryUsedUp {
		return unavailable(events.Message{}, err)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return reject(http.StatusRequestEntityTooLarge, "too large", fault.TooLarge)
	}
	return reject(http.StatusBadRequest, "body could not be read", fault.BodyUnreadable)
}

// publish returns nil only if the message is in the stream.
func (h *Webhook) publish(r *http.Request, msg events.Message) error {
	slot := share{turns: h.slots}
	defer slot.giveBack()
	if !slot.grow(1) {
		return fault.New(fault.Transient, fault.TooManyWebhooks, errors.New("too many webhooks at once"))
	}
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
	// The response writers of tests have no deadlines.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(answerTimeout))
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(a.body)))
	if a.status != http.StatusOK {
		// Only those whose webhooks are accepted may keep a connection.
		header.Set("Connection", "close")
		_ = control.SetReadDeadline(time.Now().Add(restTimeout))
	}
	switch a.status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter)
	}
	w.WriteHeader(a.status)
	// If the sender is gone, it will send again.
	_, _ = io.WriteString(w, a.body)
}

// report logs and counts a webhook. The logged ids, types and subjects cannot contain
// other parts of the payload.
func (h *Webhook) report(a answer, peer string, start time.Time) {
	now := h.cfg.Now()
	took := now.Sub(start)
	h.cfg.Metrics.WebhookDone(a.outcome, took)
	attrs := []any{"outcome", a.outcome, "status", a.status, "duration_ms", milliseconds(took)}
	if a.message.ID != "" {
		attrs = append(append(attrs, Describe(a.message)...), "endpoint", a.message.StripeEndpoint)
	}
	switch a.outcome {
	case "rejected":
		h.cfg.Metrics.WebhookRejected(a.reason)
		h.rejections.log(h.cfg.Log, slog.LevelWarn, "", now, "webhook", append(attrs, "reason", a.reason, "peer", peer)...)
	case "unavailable":
		h.failures.log(h.cfg.Log, slog.LevelError, string(a.reason), now, "webhook", append(attrs, "reason", a.reason, "error", a.err)...)
	case "ignored":
		h.cfg.Metrics.WebhookIgnored(a.message.Data.Ignored)
		h.cfg.Log.Info("webhook", attrs...)
	default:
		h.cfg.Log.Info("webhook", attrs...)
	}
}
