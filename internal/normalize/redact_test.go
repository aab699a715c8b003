package normalize_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/normalize"
)

func TestRedaction(t *testing.T) {
	t.Parallel()
	const x = `"[redacted]"`
	for name, tt := range map[string]struct {
		in, out string // data
		paths   []string
	}{
		"nothing to do": {
			in:  `{"object":{"url":"/v1/x","n":1.50,"e":1E+2,"s":"\u00fc\/ü","b":[],"o":{}}}`,
			out: `{"object":{"url":"/v1/x","n":1.50,"e":1E+2,"s":"\u00fc\/ü","b":[],"o":{}}}`,
		},
		"client secret anywhere": {
			in:    `{"object":{"id":"pi_1","client_secret":"s","a":[{"client_secret":"s"},[1,{"client_secret":"s"}]],"z":1.0}}`,
			out:   `{"object":{"id":"pi_1","client_secret":` + x + `,"a":[{"client_secret":` + x + `},[1,{"client_secret":` + x + `}]],"z":1.0}}`,
			paths: []string{"data.object.client_secret", "data.object.a[0].client_secret", "data.object.a[1][1].client_secret"},
		},
		"null stays": {
			in:  `{"object":{"object":"checkout.session","client_secret":null,"url":null,"invoice_pdf":null}}`,
			out: `{"object":{"object":"checkout.session","client_secret":null,"url":null,"invoice_pdf":null}}`,
		},
		"values of other types": {
			in:    `{"object":{"client_secret":{"client_secret":"s","a":[1]},"invoice_pdf":[{}],"receipt_url":false}}`,
			out:   `{"object":{"client_secret":` + x + `,"invoice_pdf":` + x + `,"receipt_url":` + x + `}}`,
			paths: []string{"data.object.client_secret", "data.object.invoice_pdf", "data.object.receipt_url"},
		},
		"metadata": {
			in:    `{"object":{"metadata":{"client_secret":"s"}}}`,
			out:   `{"object":{"metadata":{"client_secret":` + x + `}}}`,
			paths: []string{"data.object.metadata.client_secret"},
		},
		"escaped key": {
			in:    `{"object":{"client\u005fsecret":"s"}}`,
			out:   `{"object":{"client\u005fsecret":` + x + `}}`,
			paths: []string{"data.object.client_secret"},
		},
		"repeated key": {
			in:    `{"object":{"client_secret":"s","client_secret":"t"}}`,
			out:   `{"object":{"client_secret":` + x + `,"client_secret":` + x + `}}`,
			paths: []string{"data.object.client_secret", "data.object.client_secret"},
		},
		"key in capitals is another key": {
			in:  `{"object":{"Client_Secret":"s"}}`,
			out: `{"object":{"Client_Secret":"s"}}`,
		},
		"checkout session, url first": {
			in:    `{"object":{"url":"u","success_url":"v","object":"checkout.session"},"previous_attributes":{"url":"u"}}`,
			out:   `{"object":{"url":` + x + `,"success_url":"v","object":"checkout.session"},"previous_attributes":{"url":` + x + `}}`,
			paths: []string{"data.object.url", "data.previous_attributes.url"},
		},
		"checkout session with a repeated object": {
			in:    `{"object":{"object":"checkout.session","object":"x","url":"u"}}`,
			out:   `{"object":{"object":"checkout.session","object":"x","url":` + x + `}}`,
			paths: []string{"data.object.url"},
		},
		"previous attributes first": {
			in:    `{"previous_attributes":{"url":"u","nested":{"url":"u"}},"object":{"object":"checkout.session","client_secret":"s"}}`,
			out:   `{"previous_attributes":{"url":` + x + `,"nested":{"url":"u"}},"object":{"object":"checkout.session","client_secret":` + x + `}}`,
			paths: []string{"data.previous_attributes.url", "data.object.client_secret"},
		},
		"portal session inside a list": {
			in:    `{"object":{"object":"list","url":"/v1/x","data":[{"object":"billing_portal.session","url":"u"}]},"previous_attributes":{"url":"/v1/y"}}`,
			out:   `{"object":{"object":"list","url":"/v1/x","data":[{"object":"billing_portal.session","url":` + x + `}]},"previous_attributes":{"url":"/v1/y"}}`,
			paths: []string{"data.object.data[0].url"},
		},
		"secret inside a url": {
			in:    `{"object":{"url":{"client_secret":"s","object":"checkout.session","url":"u"},"object":"checkout.session"}}`,
			out:   `{"object":{"url":` + x + `,"object":"checkout.session"}}`,
			paths: []string{"data.object.url"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			around := `{"id":"evt_1","object":"event","created":1700000000,"type":"a.b","data":%s,"receipt_url":"r","url":"u"}`
			want := strings.Replace(fmt.Sprintf(around, tt.out), `"receipt_url":"r"`, `"receipt_url":`+x, 1)
			m := message(t, fmt.Sprintf(around, tt.in))
			roundTrip(t, m)
			if diff := cmp.Diff(want, string(m.Data.Event)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(append(tt.paths, "receipt_url"), m.Data.Redactions); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhitespaceIsRemovedOutsideStrings(t *testing.T) {
	t.Parallel()
	raw := []byte("\r\n{ \"id\" : \"evt_1\" , \"object\" : \"event\",\n\t\"created\": 1700000000, \"type\": \"a.b\", \"s\": \" a \\n b \\u2028 \u2028 <&> \\ud83d\\ude00 \", \"l\": [ 1 , 2 ] }\n")
	want := `{"id":"evt_1","object":"event","created":1700000000,"type":"a.b","s":" a \n b \u2028 ` + "\u2028" + ` <&> \ud83d\ude00 ","l":[1,2]}`
	if diff := cmp.Diff(want, string(roundTrip(t, message(t, string(raw))).Data.Event)); diff != "" {
		t.Error(diff)
	}
}

func TestFixturesKeepTheirBytes(t *testing.T) {
	t.Parallel()
	for name, raw := range fixtures(t) {
		m := message(t, string(raw))
		var want bytes.Buffer
		if err := json.Compact(&want, raw); err != nil {
			t.Fatal(err)
		}
		if len(m.Data.Redactions) == 0 && !bytes.Equal(m.Data.Event, want.Bytes()) {
			t.Errorf("%s: got %s, want %s", name, m.Data.Event, want.Bytes())
		}
		for _, secret := range []string{"_secret_", "invoice.stripe.com", "pay.stripe.com", "checkout.stripe.com", "kept by mistake"} {
			if bytes.Contains(m.Data.Event, []byte(secret)) {
				t.Errorf("%s: %s is still there", name, secret)
			}
		}
	}
}

func TestRedactedFieldsAreNotSet(t *testing.T) {
	t.Parallel()
	o := options()
	o.RedactKeys = []string{"customer", "description", "metadata", "items", "current_period_end"}
	raw := event("customer.subscription.updated", `{"id":"sub_1","customer":"cus_1","description":"x","metadata":{"user_id":"u"},"items":{"data":[]},"current_period_end":5}`)
	m, err := normalizer(t, o).Event([]byte(raw), receipt())
	if err != nil {
		t.Fatal(err)
	}
	s := m.Data.Subscription
	if s.CustomerID != "" || s.Description != "" || s.Metadata != nil || s.UserID != "" || !s.CurrentPeriodEnd.IsZero() {
		t.Errorf("got %+v, want nothing that was redacted", s)
	}
	if len(m.Data.Warnings) != 0 || len(m.Data.Redactions) != 5 {
		t.Errorf("got warnings %q and redactions %q, want none and 5", m.Data.Warnings, m.Data.Redactions)
	}
}

func TestListsAreLimited(t *testing.T) {
	t.Parallel()
	object := func(n int) string {
		return `{"id":"sub_1","l":[` + strings.TrimSuffix(strings.Repeat(`{"client_secret":"s"},`, n), ",") +
			`],"discounts":[` + strings.TrimSuffix(strings.Repeat(`1,`, n), ",") + `]}`
	}
	for n, last := range map[int]string{100: "[99]", 101: "and 2 more", 5000: "and 4901 more"} {
		data := message(t, event("customer.subscription.updated", object(n))).Data
		for name, list := range map[string][]string{"redactions": data.Redactions, "warnings": data.Warnings} {
			if len(list) != 100 || !strings.Contains(list[99], last) {
				t.Errorf("%d %s: got %d, the last %q, want 100, the last %q", n, name, len(list), list[len(list)-1], last)
			}
		}
		if bytes.Contains(data.Event, []byte(`"s"`)) {
			t.Errorf("%d: a secret is still there", n)
		}
	}
}

func TestLongNamesAreShortenedInPaths(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 10_000)
	raw := event("customer.subscription.updated", `{"id":"sub_1","metadata":{"`+long+`":1},"`+long+`":{"client_secret":"s"}}`)
	m := message(t, raw)
	roundTrip(t, m)
	short := strings.Repeat("ü", 32) + "…"
	if diff := cmp.Diff([]string{"data.object." + short + ".client_secret"}, m.Data.Redactions); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"metadata." + short + ": not a string"}, m.Data.Warnings); diff != "" {
		t.Error(diff)
	}
}

// An object can repeat its type and its URL many times.
func TestRepeatedSessionIsRedactedOnce(t *testing.T) {
	t.Parallel()
	const times = 20_000
	object := `{"id":"cs_1"` + strings.Repeat(`,"object":"checkout.session","url":"u"`, times) + `}`
	m := message(t, event("checkout.session.completed", object))
	if got := bytes.Count(m.Data.Event, []byte(`"url":"[redacted]"`)); got != times {
		t.Errorf("got %d URLs redacted, want %d", got, times)
	}
	if got, want := m.Data.Redactions[len(m.Data.Redactions)-1], "and 19901 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Without one of these, an event is refused, admitted by mistake, or assigned to
// no subscription or user.
func TestCannotRedact(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		"id": true, "object": true, "type": true, "created": true, "data": true, "livemode": true, "account": true,
		"context": true, "user_id": true, "related_object": true, "api_version": true, "status": true, "items": true,
		"customer": true, "subscription": true, "previous_attributes": true, "client_reference_id": true,
		"invoice_pdf": false, "email": false, "ID": false, "": false,
	} {
		if got := normalize.CannotRedact(key); got != want {
			t.Errorf("%q: got %t, want %t", key, got, want)
		}
	}
}
