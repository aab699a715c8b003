package handlers_test

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/fault"
	stripe "github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/stripehook"
	"github.com/billbus/billbus/test/attack"
	"github.com/billbus/billbus/test/corpus"
	"github.com/billbus/billbus/test/kit"
)

const whsec = "whsec_fuzz_0123456789"

var signedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// reads is the normalizer as a collaborator of a webhook.
type reads struct{ *stripe.Normalizer }

func (r reads) Normalize(body []byte, endpoint, account string, receivedAt time.Time) (events.Message, error) {
	return r.Event(body, stripe.Receipt{Endpoint: endpoint, Account: account, Origin: events.OriginWebhook, ReceivedAt: receivedAt})
}

// realWebhook has the verifier and the normalizer that the bridge has.
func realWebhook(f *testing.F) *webhookTest {
	f.Helper()
	verifier, err := stripehook.New([]stripehook.Key{{Name: "main", Endpoint: "main", Secret: whsec}}, time.Minute, func() time.Time { return signedAt })
	if err != nil {
		f.Fatal(err)
	}
	normalizer, err := stripe.New(stripe.Options{Livemode: "any", Accounts: []string{"any"}, Named: verifier.Names, UserIDKeys: []string{"user_id"}, ClientReference: "api"})
	if err != nil {
		f.Fatal(err)
	}
	s := newWebhookTest()
	s.Verifier, s.Normalizer, s.MaxBytes, s.BodyBudget = verifier, reads{normalizer}, 1_000_000, 1<<30
	return s
}

// answered sends a request, and checks the answer and what was published.
func answered(t *testing.T, s *webhookTest, r *http.Request) (status int) {
	t.Helper()
	s.published, s.topics = nil, nil
	w := s.serve(t, r)
	if !slices.Contains([]int{200, 400, 404, 405, 413, 415}, w.Code) || (w.Code == 200) != (len(s.published) == 1) {
		t.Fatalf("got %d %s and %d messages", w.Code, w.Body, len(s.published))
	}
	for i, msg := range s.published {
		m, err := events.Decode(msg.Payload)
		if err != nil || m.Type != s.topics[i] || m.MessageID() != msg.UUID {
			t.Fatalf("published %s with id %q on %q: %v", msg.Payload, msg.UUID, s.topics[i], err)
		}
		for name, value := range msg.Metadata {
			if strings.ContainsFunc(name+value, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("got header %q: %q", name, value)
			}
		}
	}
	return w.Code
}

// FuzzWebhookBody sends bodies that are signed.
func FuzzWebhookBody(f *testing.F) {
	for _, body := range hostileBodies() {
		f.Add([]byte(body))
	}
	for _, file := range corpus.Seeds(f) {
		f.Add(file.Raw)
	}
	s := realWebhook(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		if got := answered(t, s, with(r, "Stripe-Signature", kit.Sign(body, whsec, signedAt))); got != 200 && got != 400 && len(body) <= 1_000_000 {
			t.Fatalf("got %d", got)
		}
	})
}

// hostileBodies are bodies that readers of JSON understand differently, or with effort.
func hostileBodies() []string {
	inside := func(object string) string {
		return `{"id":"evt_1","object":"event","type":"customer.subscription.updated","created":1760000000,"livemode":false,"data":{"object":` + object + `}}`
	}
	return []string{
		sent, ``, `null`, `[]`, inside(`null`), inside(`{}`), inside(`{"id":"sub_1","object":"subscription","status":"active"}`),
		string(attack.Nested(9_000, 100_000)), string(attack.Nested(11_000, 100_000)), strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000),
		inside(`{"id":"sub_1","id":"sub_2","object":"subscription","status":"active","status":"canceled","STATUS":"x"}`),
		`{"id":"evt_1",` + inside(`{}`)[1:], strings.Replace(inside(`{}`), `"created":1760000000`, `"created":1e999999`, 1),
		strings.Replace(inside(`{}`), `1760000000`, strings.Repeat("9", 400), 1), inside(`{"id":"sub_1","quantity":1e999999,"created":` + strings.Repeat("9", 400) + `}`),
		inside("{\"id\":\"sub_\xff\xfe\",\"metadata\":{\"\xc0\xaf\":\"\xed\xa0\x80\"}}"), inside(`{"id":"\ud800","metadata":{"\u0000":"\udc00"}}`),
		"\ufeff" + inside(`{}`), inside(`{}`) + inside(`{}`), inside(`{}`) + "\x00", strings.ReplaceAll(inside(`{}`), `"`, `'`),
	}
}

// FuzzWebhookRequest sends whole requests. Only one whose body is signed is accepted.
func FuzzWebhookRequest(f *testing.F) {
	body := []byte(sent[:len(sent)-1] + `,"object":"event","type":"a.b","created":1}`)
	signature := kit.Sign(body, whsec, signedAt)
	for _, seed := range []string{
		"POST " + path + " HTTP/1.1\r\nHost: x\r\nStripe-Signature: " + signature + "\r\nContent-Length: 64\r\n\r\n" + string(body),
		"POST " + path + "?x HTTP/1.0\r\nStripe-Signature: " + signature + "\r\nContent-Encoding: identity\r\n\r\n" + string(body),
		"POST " + path + " HTTP/1.1\r\nHost: x\r\nStripe-Signature: t=1,v1=00\r\nstripe-signature: " + signature + "\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n",
		"GET http://x" + path + "/ HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	s := realWebhook(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		header := strings.ToLower(r.Header.Get("Stripe-Signature"))
		if answered(t, s, r) != http.StatusOK {
			return
		}
		h, _ := stripehook.ReadHeader(header)
		for size := range len(raw) + 1 {
			for start := range len(raw) + 1 - size {
				if strings.Contains(header, kit.MAC(raw[start:start+size], whsec, h.SignedAt())) {
					return
				}
			}
		}
		t.Fatalf("accepted %q", raw)
	})
}

// FuzzCommit handles messages that anyone could have published, with any header. A message
// is stored or never comes again, and whatever is stored can be decided about.
func FuzzCommit(f *testing.F) {
	normalizer, err := stripe.New(stripe.Options{Livemode: "any", Accounts: []string{"any"}, Named: func(string) bool { return false }, ClientReference: "all"})
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range corpus.Seeds(f) {
		if m, err := normalizer.Event(file.Raw, stripe.Receipt{Endpoint: "main", Origin: events.OriginWebhook, ReceivedAt: signedAt}); err == nil {
			if payload, err := events.Encode(m); err == nil {
				f.Add(payload, "Nats-Msg-Id", m.ID)
			}
		}
	}
	for _, body := range append(hostileBodies(), strings.Repeat("[", 1_000_000)) {
		f.Add([]byte(body), "Billbus-Account\r\nX", "\xff\x00")
	}
	s := newCommitTest(store.Applied, nil)
	s.References = stripe.References
	f.Fuzz(func(t *testing.T, payload []byte, header, value string) {
		s.entries = nil
		msg := message.NewMessage(value, payload)
		msg.Metadata.Set(header, value)
		err := s.handle(t, msg)
		if (err == nil) != (len(s.entries) == 1) || err != nil && fault.KindOf(err) != fault.Permanent {
			t.Fatalf("got %v and %d entries", err, len(s.entries))
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Fatalf("an error of %d bytes", len(err.Error()))
		}
		for _, entry := range s.entries {
			if _, err := handlers.NewMessage(entry.Message); err != nil {
				t.Fatalf("what was stored cannot be published again: %v", err)
			}
		}
	})
}
