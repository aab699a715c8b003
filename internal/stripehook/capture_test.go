package stripehook_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/stripehook"
)

func TestParseHeaders(t *testing.T) {
	t.Parallel()
	want := http.Header{"Stripe-Signature": {"t=1,v1=ab"}, "Host": {"a.example:8080"}}
	for name, text := range map[string]string{
		"lines":               "Stripe-Signature: t=1,v1=ab\nHost: a.example:8080\n",
		"Windows lines":       "\ufeffStripe-Signature: t=1,v1=ab\r\nHost: a.example:8080\r\n",
		"small letters":       "stripe-signature:t=1,v1=ab\nhost:  a.example:8080  ",
		"a whole request":     "POST /webhooks/stripe HTTP/1.1\r\nHost: a.example:8080\r\nStripe-Signature: t=1,v1=ab\r\n\r\nA: body\r\n",
		"curl -v":             "* Connected\n> POST / HTTP/1.1\n> Host: a.example:8080\n> Stripe-Signature: t=1,v1=ab\n>\n< HTTP/1.1 400 Bad Request\n< A: b\n",
		"indented":            "\n  Host: a.example:8080\n  Stripe-Signature: t=1,v1=ab\n",
		"HTTP/2":              ":method: POST\n:path: /\nhost: a.example:8080\nstripe-signature: t=1,v1=ab\n",
		"printed by Node":     "{\n  host: 'a.example:8080',\n  'stripe-signature': 't=1,v1=ab',\n}\n",
		"JSON":                `{"host":"a.example:8080","stripe-signature":"t=1,v1=ab","content-length":5}`,
		"JSON of lists":       `{"Host":["a.example:8080"],"Stripe-Signature":["t=1,v1=ab"]}`,
		"a gateway's event":   `{"resource":"/","headers":{"Host":"a.example:8080","Stripe-Signature":"t=1,v1=ab"},"body":"x"}`,
		"JSON without braces": "\"host\": \"a.example:8080\",\n\"stripe-signature\": \"t=1,v1=ab\",\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := stripehook.ParseHeaders(text)
			if name == "printed by Node" { // it quotes only names that need it
				got.Set("Host", "a.example:8080")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseHeadersOddities(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want http.Header
	}{
		"nothing":               {"", http.Header{}},
		"no header in it":       {"hello\nnot a name: x\n: y\n", http.Header{}},
		"twice":                 {"A: 1\na: 2\n", http.Header{"A": {"1", "2"}}},
		"folded":                {"A: t=1,\n\tv1=2\nB: 3", http.Header{"A": {"t=1, v1=2"}, "B": {"3"}}},
		"folded before any":     {"  x\nA: 1", http.Header{"A": {"1"}}},
		"folded after a dump's": {"HTTP_A: 1\n  x\n", http.Header{"HTTP_A": {"1"}}},
		"empty":                 {"A:\n", http.Header{"A": {""}}},
		"CGI's name":            {"HTTP_STRIPE_SIGNATURE: t=1\n", http.Header{"HTTP_STRIPE_SIGNATURE": {"t=1"}}},
		"value with colons":     {"A: b: c\n", http.Header{"A": {"b: c"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, stripehook.ParseHeaders(tt.text)); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}
