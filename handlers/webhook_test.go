package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/fault"
)

const (
	path     = "/webhooks/stripe"
	maxBytes = 1000
	sent     = `{"id":"evt_1"}`
)

// webhookTest is a webhook handler whose collaborators all succeed.
type webhookTest struct {
	handlers.WebhookConfig
	calls     calls
	logs      logs
	published []*message.Message
	topics    []string
}

func newWebhookTest() *webhookTest {
	s := &webhookTest{}
	s.WebhookConfig = handlers.WebhookConfig{
		Path: path, MaxBytes: maxBytes, BodyBudget: 1 << 20, MaxConcurrent: 1,
		Verifier: verify(func([]byte, string) (string, error) { return "main", nil }),
		Verified: func(context.Context) { s.calls.add("trusted") },
		Normalizer: normalize(func([]byte, string, time.Time) (events.Message, error) {
			return subscriptionMessage(), nil
		}),
		Publisher: publish(func(topic string, msg *message.Message) error {
			s.topics, s.published = append(s.topics, topic), append(s.published, msg)
			return nil
		}),
		SecondEndpoint: func(m events.Message) string { return strings.TrimPrefix(m.StripeEndpoint, "main") },
		MaxMessage:     func() int { return 0 },
		Now:            newClock().read, Metrics: &s.calls, Log: s.logs.logger(),
	}
	return s
}

func (s *webhookTest) normalizes(m events.Message) {
	s.Normalizer = normalize(func([]byte, string, time.Time) (events.Message, error) { return m, nil })
}

func (s *webhookTest) failsToPublish(err error) {
	s.Publisher = publish(func(string, *message.Message) error { return err })
}

func (s *webhookTest) handler(t *testing.T) *handlers.Webhook {
	t.Helper()
	h, err := handlers.NewWebhook(s.WebhookConfig)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (s *webhookTest) serve(t *testing.T, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	return serve(s.handler(t), r)
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func post(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
}

func with(r *http.Request, header, value string) *http.Request {
	r.Header.Set(header, value)
	return r
}

const (
	notVerified = `{"error":"signature verification failed"}`
	tooLarge    = `{"error":"too large"}`
	later       = `{"error":"temporarily unavailable"}`
	received    = `{"received":true,"id":"evt_1"}`
)

func TestWebhookAnswers(t *testing.T) {
	t.Parallel()
	rejected := func(reason string) []string { return []string{"done rejected 1ms", "rejected " + reason} }
	stored := []string{"trusted", "verified by main", "published 1ms", "done stored 3ms"}
	failed := []string{"trusted", "verified by main", "published 1ms", "done unavailable 3ms"}
	cases := map[string]struct {
		request *http.Request
		setup   func(*webhookTest)
		status  int
		body    string
		header  map[string]string
		counts  []string
		reason  string
	}{
		"stored":            {request: post(sent), status: 200, body: received, counts: stored},
		"query string":      {request: httptest.NewRequest(http.MethodPost, path+"?a=b&x", strings.NewReader(sent)), status: 200, body: received, counts: stored},
		"encoding identity": {request: with(post(sent), "Content-Encoding", "Identity"), status: 200, body: received, counts: stored},
		"largest body":      {request: post(strings.Repeat("x", maxBytes)), status: 200, body: received, counts: stored},
		"ignored for its mode": {
			request: post(sent), setup: func(s *webhookTest) { s.normalizes(ignored(events.IgnoredLivemode)) },
			status: 200, body: `{"received":true,"id":"evt_1","ignored":"livemode"}`, counts: []string{"trusted", "verified by main", "published 1ms", "done ignored 3ms", "ignored livemode"},
		},
		"ignored for its account": {
			request: post(sent), setup: func(s *webhookTest) { s.normalizes(ignored(events.IgnoredAccount)) },
			status: 200, body: `{"received":true,"id":"evt_1","ignored":"account"}`, counts: []string{"trusted", "verified by main", "published 1ms", "done ignored 3ms", "ignored account"},
		},
		"id that JSON escapes": {
			request: post(sent), setup: func(s *webhookTest) {
				m := subscriptionMessage()
				m.ID = "a\"\\\n"
				s.normalizes(m)
			},
			status: 200, body: `{"received":true,"id":"a\"\\\n"}`, counts: stored,
		},
		"signature absent": {
			request: post(sent), setup: func(s *webhookTest) { s.Verifier = refuseSignature("absent") },
			status: 400, body: notVerified, counts: rejected("absent"), reason: "absent",
		},
		"signature stale": {
			request: post(sent), setup: func(s *webhookTest) { s.Verifier = refuseSignature("stale") },
			status: 400, body: notVerified, counts: rejected("stale"), reason: "stale",
		},
		"signature refused without a reason": {
			request: post(sent), setup: func(s *webhookTest) {
				s.Verifier = verify(func([]byte, string) (string, error) { return "", errors.New("no") })
			},
			status: 400, body: notVerified, counts: rejected("other"), reason: "other",
		},
		"not an event": {
			request: post(sent), setup: func(s *webhookTest) {
				s.Normalizer = normalize(func([]byte, string, time.Time) (events.Message, error) {
					return events.Message{}, errors.New("id is missing")
				})
			},
			status: 400, body: `{"error":"not a Stripe event"}`, counts: []string{"trusted", "verified by main", "done rejected 1ms", "rejected not_an_event"}, reason: "not_an_event",
		},
		"GET": {
			request: httptest.NewRequest(http.MethodGet, path, nil), status: 405, body: `{"error":"method not allowed"}`,
			header: map[string]string{"Allow": "POST"}, counts: rejected("method"), reason: "method",
		},
		"PUT": {
			request: httptest.NewRequest(http.MethodPut, path, strings.NewReader(sent)), status: 405, body: `{"error":"method not allowed"}`,
			header: map[string]string{"Allow": "POST"}, counts: rejected("method"), reason: "method",
		},
		"other path":     {request: postTo("/"), status: 404, body: `{"error":"not found"}`, counts: rejected("path"), reason: "path"},
		"path below":     {request: postTo(path + "/"), status: 404, body: `{"error":"not found"}`, counts: rejected("path"), reason: "path"},
		"unclean path":   {request: postTo("/" + path), status: 404, body: `{"error":"not found"}`, counts: rejected("path"), reason: "path"},
		"path with dots": {request: postTo("/x/.." + path), status: 404, body: `{"error":"not found"}`, counts: rejected("path"), reason: "path"},
		"gzip": {
			request: with(post(sent), "Content-Encoding", "gzip"), status: 415, body: `{"error":"content encoding not supported"}`,
			counts: rejected("encoding"), reason: "encoding",
		},
		"too large": {
			request: post(strings.Repeat("x", maxBytes+1)), status: 413, body: tooLarge,
			header: map[string]string{"Connection": "close"}, counts: rejected("too_large"), reason: "too_large",
		},
		"too large, without a length": {
			request: chunked(strings.NewReader(strings.Repeat("x", maxBytes+1))), status: 413, body: tooLarge,
			header: map[string]string{"Connection": "close"}, counts: rejected("too_large"), reason: "too_large",
		},
		"body breaks off": {
			request: chunked(io.MultiReader(strings.NewReader(sent), broken{})), status: 400, body: `{"error":"body could not be read"}`,
			counts: rejected("body"), reason: "body",
		},
		"stream unreachable": {
			request: post(sent), setup: func(s *webhookTest) {
				s.failsToPublish(fault.New(fault.Transient, fault.NATSUnreachable, errors.New("no connection")))
			},
			status: 503, body: later, header: map[string]string{"Retry-After": "5"}, counts: failed, reason: "nats_unreachable",
		},
		"outcome unknown": {
			request: post(sent), setup: func(s *webhookTest) { s.failsToPublish(errors.New("no ack")) },
			status: 503, body: later, header: map[string]string{"Retry-After": "5"}, counts: failed, reason: "other",
		},
		"permanent failure of the publisher": {
			request: post(sent), setup: func(s *webhookTest) {
				s.failsToPublish(fault.New(fault.Permanent, fault.TooLarge, errors.New("maximum payload exceeded")))
			},
			status: 503, body: later, header: map[string]string{"Retry-After": "5"}, counts: failed, reason: "too_large",
		},
		"message violates the contract": {
			request: post(sent), setup: func(s *webhookTest) { s.normalizes(events.Message{ID: "evt_1"}) },
			status: 503, body: later, header: map[string]string{"Retry-After": "5"}, counts: []string{"trusted", "verified by main", "done unavailable 1ms"}, reason: "unencodable",
		},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWebhookTest()
			if tt.setup != nil {
				tt.setup(s)
			}
			w := s.serve(t, tt.request)
			if w.Code != tt.status || w.Body.String() != tt.body {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, tt.status, tt.body)
			}
			want := http.Header{"Content-Type": {"application/json"}, "Content-Length": {fmt.Sprint(len(tt.body))}}
			if tt.status != http.StatusOK {
				want.Set("Connection", "close")
			}
			for key, value := range tt.header {
				want.Set(key, value)
			}
			if diff := cmp.Diff(want, w.Header()); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.counts, s.calls.list()); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
			if got, _ := s.logs.line(t)["reason"].(string); got != tt.reason {
				t.Errorf("reason in the log: got %q, want %q", got, tt.reason)
			}
			if tt.status == 400 && len(s.published) != 0 {
				t.Error("published a rejected webhook")
			}
		})
	}
}

func postTo(target string) *http.Request {
	r := post(sent)
	r.URL.Path = target
	return r
}

func chunked(body io.Reader) *http.Request {
	r := post("")
	r.Body, r.ContentLength = io.NopCloser(body), -1
	return r
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func ignored(why string) events.Message {
	m := subscriptionMessage()
	m.Type, m.Data.Subscription, m.Data.Ignored = "stripe."+m.StripeType, nil, why
	return m
}

func refuseSignature(reason string) verify {
	return func([]byte, string) (string, error) {
		return "", fault.New(fault.Rejected, fault.Reason(reason), errors.New("signature: "+reason))
	}
}

func TestWebhookPassesOnWhatItRead(t *testing.T) {
	t.Parallel()
	s := newWebhookTest()
	s.Verifier = verify(func(payload []byte, signature string) (string, error) {
		if string(payload) != sent || signature != "t=1,v1=ab" {
			t.Errorf("Verify: got %q signed %q", payload, signature)
		}
		return "second", nil
	})
	s.Normalizer = normalize(func(body []byte, endpoint string, receivedAt time.Time) (events.Message, error) {
		if string(body) != sent || endpoint != "second" || !receivedAt.Equal(time.Date(2026, 1, 1, 0, 0, 10, 1_000_000, time.UTC)) {
			t.Errorf("Normalize: got %q of %q at %v", body, endpoint, receivedAt)
		}
		return subscriptionMessage(), nil
	})
	if w := s.serve(t, with(post(sent), "Stripe-Signature", "t=1,v1=ab")); w.Code != http.StatusOK {
		t.Fatalf("got %d", w.Code)
	}
	want, err := events.Encode(subscriptionMessage())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(s.published[0].Payload)); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"subscription.updated"}, s.topics); diff != "" {
		t.Errorf("topics (-want +got):\n%s", diff)
	}
}

// A mux would redirect unclean paths, and Stripe does not follow redirects.
func TestWebhookNeverRedirects(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(newWebhookTest().handler(t))
	t.Cleanup(srv.Close)
	client := srv.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, target := range []string{"//webhooks/stripe", "/webhooks//stripe", "/webhooks/./stripe", "/a/../webhooks/stripe", "/webhooks/stripe/", "/Webhooks/Stripe", "/"} {
		res, err := client.Post(srv.URL+target, "application/json", strings.NewReader(sent))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", target, res.StatusCode)
		}
	}
	res, err := client.Post(srv.URL+path+"?x=/../y", "application/json", strings.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("with a query string: got %d, want 200", res.StatusCode)
	}
}

// endless is a body without an end. n is how much of it was read.
type endless struct{ n int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.n += int64(len(p))
	return len(p), nil
}

func TestWebhookStopsReadingALargeBody(t *testing.T) {
	t.Parallel()
	body := &endless{}
	if w := newWebhookTest().serve(t, chunked(body)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("chunked: got %d, want 413", w.Code)
	}
	if body.n > maxBytes+1 {
		t.Errorf("chunked: read %d bytes, want at most %d", body.n, maxBytes+1)
	}
	announced := &endless{}
	r := chunked(announced)
	r.ContentLength = maxBytes + 1
	if w := newWebhookTest().serve(t, r); w.Code != http.StatusRequestEntityTooLarge || announced.n != 0 {
		t.Errorf("with Content-Length: got %d after %d bytes, want 413 after none", w.Code, announced.n)
	}
	short := chunked(&endless{})
	short.Header.Set("Content-Encoding", "gzip")
	if w := newWebhookTest().serve(t, short); w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("encoded: got %d, want 415 without reading", w.Code)
	}
}

// inBackground serves a webhook and sends its answer.
func inBackground(h http.Handler) <-chan *httptest.ResponseRecorder {
	done := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, post(sent))
		done <- w
	}()
	return done
}

func TestWebhookIsUnavailableWhenSaturated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newWebhookTest()
		release := make(chan struct{})
		s.Publisher = publish(func(string, *message.Message) error {
			<-release
			return nil
		})
		h := s.handler(t)
		first := inBackground(h)
		synctest.Wait()
		start := time.Now()
		second := <-inBackground(h)
		if second.Code != http.StatusServiceUnavailable || second.Header().Get("Retry-After") == "" {
			t.Errorf("while saturated: got %d %v, want 503 with Retry-After", second.Code, second.Header())
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("while saturated: got an answer after %v, want it within a second", took)
		}
		if got := s.logs.line(t)["reason"]; got != "saturated" {
			t.Errorf("reason: got %v, want saturated", got)
		}
		close(release)
		if w := <-first; w.Code != http.StatusOK {
			t.Errorf("the published one: got %d, want 200", w.Code)
		}
		if w := <-inBackground(h); w.Code != http.StatusOK {
			t.Errorf("afterwards: got %d, want 200", w.Code)
		}
	})
}

func TestWebhookWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newWebhookTest()
		release := make(chan struct{})
		s.Publisher = publish(func(string, *message.Message) error {
			<-release
			return nil
		})
		h := s.handler(t)
		first := inBackground(h)
		synctest.Wait()
		second := inBackground(h)
		synctest.Wait() // until the second one waits, too
		close(release)
		for _, answer := range []<-chan *httptest.ResponseRecorder{first, second} {
			if w := <-answer; w.Code != http.StatusOK {
				t.Errorf("got %d, want 200", w.Code)
			}
		}
	})
}

func TestWebhookSetsHeaders(t *testing.T) {
	t.Parallel()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	cases := map[string]struct {
		account, traceparent string
		want                 message.Metadata
		id                   string
	}{
		"platform":            {"", "", message.Metadata{}, "evt_1"},
		"account":             {"acct_1", "", message.Metadata{"Billbus-Account": "acct_1"}, "acct_1:evt_1"},
		"hostile account":     {"a\r\nNats-Rollup: all", "", message.Metadata{"Billbus-Account": events.SafeID("a\r\nNats-Rollup: all")}, events.SafeID("a\r\nNats-Rollup: all") + ":evt_1"},
		"traceparent":         {"", trace, message.Metadata{"traceparent": trace}, "evt_1"},
		"traceparent hostile": {"", trace + "\r\nNats-Rollup: all", message.Metadata{}, "evt_1"},
		"traceparent upper":   {"", strings.ToUpper(trace), message.Metadata{}, "evt_1"},
		"traceparent ff":      {"", "ff" + trace[2:], message.Metadata{}, "evt_1"},
		"traceparent longer":  {"", trace + "-x", message.Metadata{}, "evt_1"},
		"traceparent line":    {"", trace + "\n", message.Metadata{}, "evt_1"},
		"traceparent trace 0": {"", "00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01", message.Metadata{}, "evt_1"},
		"traceparent span 0":  {"", "00-4bf92f3577b34da6a3ce929d0e0e4736-" + strings.Repeat("0", 16) + "-01", message.Metadata{}, "evt_1"},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWebhookTest()
			m := subscriptionMessage()
			m.StripeAccount, m.Source = tt.account, events.Source(true, tt.account)
			s.normalizes(m)
			r := with(post(sent), "traceparent", tt.traceparent)
			r.Header.Set("Nats-Rollup", "all")
			r.Header.Set("Billbus-Account", "acct_forged")
			s.serve(t, r)
			if len(s.published) != 1 {
				t.Fatalf("got %d messages, want 1", len(s.published))
			}
			want := message.Metadata{"Content-Type": "application/cloudevents+json", "Billbus-Livemode": "true", "Billbus-Endpoint": "main"}
			maps.Copy(want, tt.want)
			if diff := cmp.Diff(want, s.published[0].Metadata); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if got := s.published[0].UUID; got != tt.id {
				t.Errorf("message id: got %q, want %q", got, tt.id)
			}
		})
	}
}

// The stream drops no event that comes through a second endpoint, and no repetition of
// one gets in.
func TestMessageIDContainsTheSecondEndpoint(t *testing.T) {
	t.Parallel()
	m := subscriptionMessage()
	m.StripeAccount, m.Source = "acct_two", events.Source(true, "acct_two")
	second := m
	second.StripeEndpoint = "second"
	ignored := second
	ignored.Type, ignored.Data = events.StripeSubject(m.StripeType), events.Data{
		SchemaVersion: 1, Ignored: events.IgnoredAccount, Origin: m.Data.Origin, ReceivedAt: m.Data.ReceivedAt,
	}
	for want, m := range map[string]events.Message{
		"acct_two:evt_1": m, "acct_two:evt_1@second": second, "ignored:acct_two:evt_1@second": ignored,
	} {
		s := newWebhookTest()
		s.normalizes(m)
		s.serve(t, post(sent))
		if len(s.published) != 1 || s.published[0].UUID != want {
			t.Errorf("got %v, want one message under %s", s.published, want)
		}
	}
}

func TestWebhookLimitsTheSizeOfTheMessage(t *testing.T) {
	t.Parallel()
	big := subscriptionMessage()
	big.Data.Event = []byte(`"` + strings.Repeat("e", 2000) + `"`)
	big.Data.Subscription.Description = strings.Repeat("s", 2000)
	big.Data.Warnings = []string{strings.Repeat("w", 2000)}
	big.Data.Changes = []events.Change{events.ChangeMetadata}
	big.Data.Previous = &events.Previous{Fields: []string{"description"}, Values: events.Subscription{Description: strings.Repeat("p", 2000)}}
	big.Data.Identity = &events.Identity{UserID: strings.Repeat("u", 2000), Source: events.IdentitySubscriptionMetadata}
	whole, err := events.Encode(big)
	if err != nil {
		t.Fatal(err)
	}
	withoutEvent, withoutBoth := big, big
	withoutEvent.Data.Event, withoutEvent.Data.EventOmitted = nil, "size"
	withoutBoth.Type, withoutBoth.Data.Subscription = "stripe.customer.subscription.updated", nil
	withoutBoth.Data.Event, withoutBoth.Data.EventOmitted = nil, "size"
	withoutBoth.Data.Previous, withoutBoth.Data.Changes, withoutBoth.Data.Identity = nil, nil, nil
	withoutBoth.Data.Warnings = []string{"object: too large for a message"}
	cases := map[string]struct {
		limit int
		want  events.Message
	}{
		"unknown limit":      {0, big},
		"fits exactly":       {len(whole), big},
		"one byte too large": {len(whole) - 1, withoutEvent},
		"far too large":      {1000, withoutBoth},
		"always too large":   {1, withoutBoth}, // the server refuses it
		"fits easily":        {1 << 20, big},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWebhookTest()
			s.normalizes(big)
			s.MaxMessage = func() int { return tt.limit }
			if w := s.serve(t, post(sent)); w.Code != http.StatusOK {
				t.Fatalf("got %d", w.Code)
			}
			got, err := events.Decode(s.published[0].Payload)
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if s.topics[0] != tt.want.Type {
				t.Errorf("got subject %q, want %q", s.topics[0], tt.want.Type)
			}
		})
	}
}

func TestWebhookLogsOneLineWithoutSecrets(t *testing.T) {
	t.Parallel()
	const secret = "jane@example.com"
	m := subscriptionMessage()
	m.ID, m.Data.Subscription.Description, m.Data.Event = secret, secret, []byte(`"`+secret+`"`)
	m.StripeAccount, m.Source = secret, events.Source(true, secret)
	cases := map[string]struct {
		setup func(*webhookTest)
		want  map[string]any
	}{
		"stored": {func(*webhookTest) {}, map[string]any{
			"level": "INFO", "msg": "webhook", "outcome": "stored", "status": 200.0, "duration_ms": 3.0,
			"event_id": events.SafeID(secret), "type": "customer.subscription.updated", "subject": "subscription.updated",
			"subscription_id": "sub_1", "endpoint": "main",
		}},
		"unavailable": {func(s *webhookTest) {
			s.failsToPublish(fault.New(fault.Transient, fault.NATSTimeout, errors.New("no ack")))
		}, map[string]any{
			"level": "ERROR", "msg": "webhook", "outcome": "unavailable", "status": 503.0, "duration_ms": 3.0, "reason": "nats_timeout",
			"event_id": events.SafeID(secret), "type": "customer.subscription.updated", "subject": "subscription.updated",
			"subscription_id": "sub_1", "endpoint": "main", "error": "no ack", "count": 1.0,
		}},
		"not verified": {
			func(s *webhookTest) {
				s.Verifier = verify(func(b []byte, signature string) (string, error) {
					return "", fault.New(fault.Rejected, "mismatch", fmt.Errorf("%s does not match %s", signature, b))
				})
			}, map[string]any{
				"level": "WARN", "msg": "webhook", "outcome": "rejected", "status": 400.0, "duration_ms": 1.0, "reason": "mismatch",
				"peer": "192.0.2.1:1234", "count": 1.0,
			},
		},
		"not an event": {
			func(s *webhookTest) {
				s.Normalizer = normalize(func(b []byte, _ string, _ time.Time) (events.Message, error) {
					return m, fmt.Errorf("%s is not an event", b)
				})
			}, map[string]any{
				"level": "WARN", "msg": "webhook", "outcome": "rejected", "status": 400.0, "duration_ms": 1.0, "reason": "not_an_event",
				"peer": "192.0.2.1:1234", "count": 1.0,
			},
		},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWebhookTest()
			s.normalizes(m)
			tt.setup(s)
			r := httptest.NewRequest(http.MethodPost, path+"?"+secret, strings.NewReader(`{"email":"`+secret+`"}`))
			s.serve(t, with(r, "Stripe-Signature", secret))
			if strings.Contains(s.logs.String(), secret) {
				t.Errorf("the log quotes the request: %s", s.logs.String())
			}
			if diff := cmp.Diff(tt.want, s.logs.line(t)); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewWebhookNeedsEveryCollaborator(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(*handlers.WebhookConfig){
		"path":        func(c *handlers.WebhookConfig) { c.Path = "" },
		"budget":      func(c *handlers.WebhookConfig) { c.BodyBudget = 0 },
		"limit":       func(c *handlers.WebhookConfig) { c.MaxBytes = 0 },
		"slots":       func(c *handlers.WebhookConfig) { c.MaxConcurrent = 0 },
		"verifier":    func(c *handlers.WebhookConfig) { c.Verifier = nil },
		"normalizer":  func(c *handlers.WebhookConfig) { c.Normalizer = nil },
		"publisher":   func(c *handlers.WebhookConfig) { c.Publisher = nil },
		"max message": func(c *handlers.WebhookConfig) { c.MaxMessage = nil },
		"clock":       func(c *handlers.WebhookConfig) { c.Now = nil },
		"metrics":     func(c *handlers.WebhookConfig) { c.Metrics = nil },
		"log":         func(c *handlers.WebhookConfig) { c.Log = nil },
	} {
		cfg := newWebhookTest().WebhookConfig
		remove(&cfg)
		if _, err := handlers.NewWebhook(cfg); err == nil {
			t.Errorf("without %s: got no error", name)
		}
	}
}
