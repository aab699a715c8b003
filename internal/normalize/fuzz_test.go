package normalize_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/billbus/billbus/internal/normalize"
)

func FuzzEvent(f *testing.F) {
	for _, raw := range fixtures(f) {
		f.Add(raw)
	}
	for _, raw := range []string{
		``, `null`, `{}`, `{"id":"evt_0","object":"event","created":"1","type":"a"}`,
		event("customer.subscription.updated", `{"id":"sub_1","url":"u","object":"checkout.session"}`),
		event("customer.subscription.updated", `{"id":"[redacted]","i\u0064":"sub_\ud800"}`),
		`{"id":"evt_1","object":"v2.core.event","created":"9999-12-31T23:59:59Z","type":"a.b"}`,
	} {
		f.Add([]byte(raw))
	}
	n := normalizer(f, options())
	f.Fuzz(func(t *testing.T, raw []byte) { checkEvent(t, n, raw) })
}

// FuzzObject puts the input into an event, which gets it read more often.
func FuzzObject(f *testing.F) {
	for _, object := range []string{
		`{"id":"sub_1","url":"u","object":"checkout.session","client_secret":[1]}`,
		`{"id":"s","status":"active","customer":{"id":"c"},"created":"1","trial_end":1e3,"metadata":{"user_id":"u","n":1}}`,
		`{"id":"s","plan":{"id":"p","amount":1.0,"currency":"usd"},"quantity":2,"discount":{"coupon":{"percent_off":1.50}}}`,
		`{"id":"s","items":{"data":[{"price":{"recurring":{}},"plan":"p"},null,1],"has_more":true},"discounts":["d",{"source":{}}]}`,
	} {
		f.Add([]byte(object))
	}
	n := normalizer(f, options())
	f.Fuzz(func(t *testing.T, object []byte) {
		checkEvent(t, n, []byte(event("customer.subscription.updated", string(object))))
	})
}

func checkEvent(t *testing.T, n *normalize.Normalizer, raw []byte) {
	t.Helper()
	m, err := n.Event(raw, receipt())
	if err != nil {
		if !errors.Is(err, normalize.ErrNotEvent) {
			t.Fatalf("got %v, want ErrNotEvent", err)
		}
		return
	}
	roundTrip(t, m)
	normalize.References(m.Data.Event)
	again, err := n.Event(m.Data.Event, receipt())
	if err != nil || !bytes.Equal(again.Data.Event, m.Data.Event) {
		t.Fatalf("redacting twice: got %s, %v, want %s", again.Data.Event, err, m.Data.Event)
	}
	checkSecrets(t, m.Data.Event)
}

// checkSecrets looks for secret values with another decoder.
func checkSecrets(t *testing.T, event []byte) {
	t.Helper()
	var v any
	dec := json.NewDecoder(bytes.NewReader(event))
	dec.UseNumber() // a float cannot hold 1e400
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("the redacted event is not JSON: %v", err)
	}
	walk(v, func(o map[string]any) {
		kind, _ := o["object"].(string)
		for key, val := range o {
			secret := key == "client_secret" || key == "invoice_pdf" ||
				key == "url" && (kind == "checkout.session" || kind == "billing_portal.session")
			if secret && val != nil && val != "[redacted]" {
				t.Fatalf("%s is still there in %s", key, event)
			}
		}
	})
}

func walk(v any, visit func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(v)
		for _, each := range v {
			walk(each, visit)
		}
	case []any:
		for _, each := range v {
			walk(each, visit)
		}
	}
}

// The time to read deep or wide objects must not grow with the square of their
// size.
func TestHostileShapesAreReadInLinearTime(t *testing.T) {
	t.Parallel()
	const n = 50_000
	for name, object := range map[string]string{
		"deep objects":  strings.Repeat(`{"url":`, 9_900) + `1` + strings.Repeat(`}`, 9_900),
		"many members":  `{"id":"sub_1"` + strings.Repeat(`,"a":1`, n) + `}`,
		"many urls":     `{"id":"sub_1","object":"checkout.session"` + strings.Repeat(`,"url":1`, n) + `}`,
		"many secrets":  `{"id":"sub_1"` + strings.Repeat(`,"client_secret":1`, n) + `}`,
		"many metadata": `{"id":"sub_1","metadata":{"a":1` + strings.Repeat(`,"a":1`, n) + `}}`,
		"many escapes":  `{"id":"sub_1"` + strings.Repeat(`,"\u0061":1`, n/10) + `}`,
	} {
		m := message(t, event("customer.subscription.updated", object))
		if m.ID != "evt_1" {
			t.Errorf("%s: got %q, want evt_1", name, m.ID)
		}
	}
}
