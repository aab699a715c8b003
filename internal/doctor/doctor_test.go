package doctor_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76/webhook"
	"golang.org/x/text/encoding/charmap"
	"pgregory.net/rapid"

	"github.com/billbus/billbus/internal/doctor"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/stripehook"
	"github.com/billbus/billbus/internal/term"
)

// event is indented as Stripe does, and contains characters that encoders write
// in different ways. Its keys are in the order of Stripe's, too.
const event = `{
  "id": "evt_1Qabc",
  "object": "event",
  "account": "acct_1Qdef",
  "api_version": "2025-09-30.clover",
  "created": 1767225600,
  "data": {
    "object": {
      "id": "sub_1Qghi",
      "object": "subscription",
      "application_fee_percent": 12.50,
      "description": "Crème <b>brûlée</b> & \"tea\"\n for two \\ three 🍰",
      "discounts": [],
      "items": {
        "object": "list",
        "data": [
          {
            "id": "si_1",
            "object": "subscription_item"
          }
        ],
        "url": "/v1/subscription_items?subscription=sub_1Qghi"
      },
      "metadata": {}
    }
  },
  "livemode": true,
  "type": "customer.subscription.updated"
}`

const thinEvent = `{"id":"evt_2","object":"v2.core.event","type":"v2.core.account[configuration.merchant].updated","livemode":false}`

var (
	now  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	main = stripehook.Key{Name: "main", Secret: "whsec_bWFpbg=="}
	next = stripehook.Key{Name: "next", Secret: "whsec_bmV4dA=="}
)

const (
	missing   = fault.SignatureMissing
	malformed = fault.Malformed
	noMatch   = fault.NoMatchingSecret
	stale     = fault.Stale
	future    = fault.FromTheFuture
)

func sign(k stripehook.Key, at time.Time, body string) string {
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(webhook.ComputeSignature(at, []byte(body), k.Secret)))
}

func settings(keys ...stripehook.Key) doctor.Settings {
	return doctor.Settings{Keys: keys, Tolerance: 5 * time.Minute, Now: now}
}

// examine returns the report about a body with a signature header.
func examine(t testing.TB, body, signature string) doctor.Report {
	t.Helper()
	headers := http.Header{}
	if signature != "" {
		headers.Set("Stripe-Signature", signature)
	}
	r, err := doctor.Examine(doctor.Request{Header: headers, Body: []byte(body)}, settings(main, next))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestExamineClock(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		age  time.Duration
		want fault.Reason
		text string
	}{
		"now":                {0, doctor.Verified, "secret next"},
		"5 minutes old":      {5 * time.Minute, doctor.Verified, ""},
		"10 minutes old":     {10 * time.Minute, stale, "10m0s ago, 5m0s more than"},
		"5 minutes ahead":    {-5 * time.Minute, doctor.Verified, ""},
		"10 minutes ahead":   {-10 * time.Minute, future, "10m0s in the future, 5m0s more than"},
		"200 years old":      {200 * 365 * 24 * time.Hour, stale, ""},
		"far in the future":  {-200 * 365 * 24 * time.Hour, future, ""},
		"5 hours 1 second":   {5*time.Hour + time.Second, stale, "5h0m1s ago"},
		"6 minutes in front": {-6 * time.Minute, future, "1m0s more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := now.Add(-tt.age)
			r := examine(t, event, sign(next, at, event))
			if r.Cause != tt.want || r.Clock != tt.want || *r.AgeSeconds != int64(tt.age/time.Second) || r.SignedAt != at.Format(time.RFC3339) || r.Secret != "next" {
				t.Errorf("got %+v, want %s, signed with next %s ago", r, tt.want, tt.age)
			}
			if !strings.Contains(r.Verdict, tt.text) || r.Cause != doctor.Verified && len(r.Advice) == 0 {
				t.Errorf("got verdict %q and advice %q, want %q in it", r.Verdict, r.Advice, tt.text)
			}
		})
	}
}

func TestExamineClockOfExtremeTimes(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int64]fault.Reason{math.MaxInt64: future, math.MinInt64: stale, 1 << 40: future, 0: stale} {
		signature := webhook.ComputeSignature(time.Unix(seconds, 0), []byte(event), main.Secret)
		r := examine(t, event, fmt.Sprintf("t=%d,v1=%x", seconds, signature))
		if r.Cause != want || r.Clock != want {
			t.Errorf("t=%d: got %s, clock %s, want %s", seconds, r.Cause, r.Clock, want)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("t=%d: %v", seconds, err)
		}
	}
}

func TestExamineHeader(t *testing.T) {
	t.Parallel()
	good := sign(main, now, event)
	stamp, v1, _ := strings.Cut(good, ",")
	for name, tt := range map[string]struct {
		header string
		cause  fault.Reason
		want   string // in the faults
	}{
		"no t":                 {v1, malformed, "has no t"},
		"t is a word":          {"t=now," + v1, malformed, "a whole number"},
		"two t":                {"t=1," + good, malformed, "two t"},
		"no v1":                {stamp, malformed, "no v1 signature"},
		"only v0":              {strings.Replace(good, "v1=", "v0=", 1), malformed, "only v0"},
		"empty t":              {"t=," + v1, malformed, "has no t"},
		"t too large":          {"t=99999999999999999999," + v1, malformed, "has no t"},
		"cut off":              {good[:len(good)-8], malformed, "64 hexadecimal digits"},
		"masked":               {stamp + ",v1=***", malformed, "masked"},
		"quoted":               {`"` + good + `"`, malformed, "quotation marks"},
		"semicolon":            {strings.Replace(good, ",", ";", 1), malformed, "it contains ;"},
		"URL-encoded":          {url.QueryEscape(good), malformed, "URL-encoded"},
		"base64 padding in v1": {stamp + ",v1=abc=", malformed, "64 hexadecimal digits"},
		"nothing that counts":  {"nonsense,v2=x", malformed, "has no t"},
		"t with a sign inside": {"t=12-3," + v1, malformed, "has no t"},
		"space in v1":          {strings.Replace(good, "v1=", "v1= ", 1), malformed, "64 hexadecimal digits"},
		"longer than any":      {good + strings.Repeat(",v1=00", 22_000), malformed, "longer than"},
		"absent":               {"", missing, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := examine(t, event, tt.header)
			faults := strings.Join(r.HeaderFaults, "\n")
			if r.Cause != tt.cause || !strings.Contains(faults, tt.want) || tt.want == "" && faults != "" || r.Secret != "" || len(r.Advice) == 0 {
				t.Errorf("got %s, %q, %q, want %s, %q and advice", r.Cause, r.HeaderFaults, r.Advice, tt.cause, tt.want)
			}
			if strings.Contains(r.Verdict, v1[3:]) {
				t.Errorf("the verdict quotes the signature: %q", r.Verdict)
			}
		})
	}
}

func TestExamineNamesHeadersWithoutValues(t *testing.T) {
	t.Parallel()
	r, err := doctor.Examine(doctor.Request{Header: http.Header{
		"User-Agent": {"Stripe/1.0 (+https://stripe.com/docs/webhooks)"}, "X-Stripe-Signature": {"t=1,v1=hunter2"},
		"HTTP_STRIPE_SIGNATURE": {"t=1"}, "Content-Encoding": {"gzip"}, "Stripe-Signature": {""}, "whsec_hunter2": {"1"},
	}}, settings(main))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Content-Encoding", "HTTP_STRIPE_SIGNATURE", "Stripe-Signature", "User-Agent", "X-Stripe-Signature"}, r.Headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"HTTP_STRIPE_SIGNATURE", "X-Stripe-Signature"}, r.SimilarHeaders); diff != "" {
		t.Errorf("similar headers (-want +got):\n%s", diff)
	}
	if r.Cause != missing || !strings.Contains(r.Verdict, "it is empty") {
		t.Errorf("got %s: %q, want a header that is empty", r.Cause, r.Verdict)
	}
	advice := strings.Join(r.Advice, "\n")
	for _, want := range []string{"X-Stripe-Signature", "with 415"} {
		if !strings.Contains(advice, want) {
			t.Errorf("got no %q in %s", want, advice)
		}
	}
	if strings.Contains(advice, "user agent") || strings.Contains(advice, "hunter2") {
		t.Errorf("got %s, want nothing about the user agent and no value", advice)
	}
}

func TestExamineReportsSeveralSignatureHeaders(t *testing.T) {
	t.Parallel()
	headers := http.Header{"Stripe-Signature": {sign(main, now, "other"), sign(main, now, event)}}
	r, err := doctor.Examine(doctor.Request{Header: headers, Body: []byte(event)}, settings(main))
	if err != nil || r.Cause != noMatch || !strings.Contains(strings.Join(r.Advice, "\n"), "only the first counts") {
		t.Errorf("got %+v, %v, want the first header to count", r, err)
	}
}

func TestExamineRefusesWhatTheVerifierRefuses(t *testing.T) {
	t.Parallel()
	request := doctor.Request{Header: http.Header{"Stripe-Signature": {sign(stripehook.Key{}, now, event)}}, Body: []byte(event)}
	if r, err := doctor.Examine(request, settings(stripehook.Key{Name: "empty"})); err == nil {
		t.Errorf("an empty secret: got %+v, want an error", r)
	}
	if r, err := doctor.Examine(request, doctor.Settings{Keys: []stripehook.Key{main}}); err == nil {
		t.Errorf("no tolerance: got %+v, want an error", r)
	}
}

func TestWriteText(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]doctor.Report{
		"verified": examine(t, event, sign(main, now, event)), "altered": examine(t, compacted(t, event), sign(main, now, event)),
		"no match": examine(t, "hello", sign(main, now, event)), "malformed": examine(t, event, "t=1, v1=ab"),
	} {
		var plain, terminal strings.Builder
		if r.WriteText(term.Printer{Out: &plain}) != nil || r.WriteText(term.Printer{Out: &terminal, Width: 80, Color: true}) != nil {
			t.Fatal("cannot write to memory")
		}
		if strings.Contains(plain.String(), "\x1b") || !strings.HasPrefix(plain.String(), r.Verdict+"\n") {
			t.Errorf("%s: got %q, want plain text that starts with the verdict", name, plain.String())
		}
		styles := regexp.MustCompile("\x1b\\[[0-9;]*m")
		if color := map[bool]string{true: "32", false: "31"}[r.Verifies]; !strings.HasPrefix(terminal.String(), "\x1b["+color+"m") {
			t.Errorf("%s: got %q, want a verdict in color", name, terminal.String())
		}
		shown := styles.ReplaceAllString(terminal.String(), "")
		for line := range strings.Lines(shown) {
			if length := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); length > 80 {
				t.Errorf("%s: got a line of %d columns: %q", name, length, line)
			}
		}
		if diff := cmp.Diff(strings.Fields(plain.String()), strings.Fields(shown)); diff != "" {
			t.Errorf("%s: the terminal shows other words (-plain +terminal):\n%s", name, diff)
		}
	}
}

func indented(t testing.TB, doc, indent string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(doc), "", indent); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func compacted(t testing.TB, doc string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(doc)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// remarshaled is compact, with sorted keys and HTML escapes, as Go writes JSON.
func remarshaled(t testing.TB, doc string) string {
	t.Helper()
	var v any
	decoder := json.NewDecoder(strings.NewReader(doc))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func gzipped(t testing.TB, doc string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(doc))
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

func encoded(t testing.TB, charset *charmap.Charmap, doc string) string {
	t.Helper()
	text, err := charset.NewEncoder().String(doc)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decoded(t testing.TB, charset *charmap.Charmap, doc string) string {
	t.Helper()
	text, err := charset.NewDecoder().String(doc)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestExamineFindsWhatChangedTheBody(t *testing.T) {
	t.Parallel()
	base64Of := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	crlf := strings.ReplaceAll(event, "\n", "\r\n")
	php := strings.NewReplacer("/", `\/`, "è", `\u00e8`, "û", `\u00fb`, "é", `\u00e9`, "🍰", `\ud83c\udf70`).Replace(compacted(t, event))
	html := strings.NewReplacer("<", `\u003c`, ">", `\u003E`, "&", `\u0026`).Replace(event)
	python := strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(compacted(t, thinEvent))
	noCake := strings.ReplaceAll(event, "🍰", "")
	for name, tt := range map[string]struct {
		original, body string
		want           string // kinds
		text           string // in the verdict
	}{
		"newline added":               {event, event + "\n", "newline_added", "given a newline at its end"},
		"CRLF added":                  {event, event + "\r\n", "newline_added", ""},
		"newline removed":             {event + "\n", event, "newline_removed", "stripped of the newline"},
		"newline of a word removed":   {"hello\n", "hello", "newline_removed", ""},
		"spaces around it":            {event, "  " + event + " ", "whitespace", "white space around it"},
		"LF to CRLF":                  {event, crlf, "json_reencoded", "JSON in another layout"},
		"CRLF to LF is not undone":    {crlf, event, "", ""},
		"line ends removed":           {event, strings.ReplaceAll(event, "\n", ""), "newlines_removed", "all its newlines"},
		"compacted":                   {event, compacted(t, event), "json_reencoded", "re-encoded as compact JSON."},
		"compacted, newline added":    {event, compacted(t, event) + "\n", "json_reencoded newline_added", ", then given a newline"},
		"thin event indented":         {thinEvent, indented(t, thinEvent, "  "), "json_reencoded", "indented by two spaces"},
		"thin event by Python":        {thinEvent, python, "json_reencoded", "another layout"},
		"indented by 4 spaces":        {event, indented(t, event, "    "), "json_reencoded", "another layout"},
		"indented by tabs":            {event, indented(t, event, "\t"), "json_reencoded", "another layout"},
		"decoded and encoded by Go":   {event, remarshaled(t, event), "json_reencoded", "keys in another order"},
		"decoded and indented by Go":  {event, indented(t, remarshaled(t, event), "  "), "json_reencoded", "keys in another order"},
		"decoded and encoded by PHP":  {event, php, "json_reencoded", "compact JSON, with other characters escaped"},
		"HTML escaped":                {event, html, "json_reencoded", "other characters escaped"},
		"HTML unescaped":              {html, event, "", ""},
		"quotes escaped as \\u0022":   {event, strings.ReplaceAll(event, `\"`, `\u0022`), "json_reencoded", "other characters escaped"},
		"byte order mark":             {event, "\ufeff" + event, "bom_added", "byte order mark"},
		"byte order mark and CRLF":    {event, "\ufeff" + crlf, "json_reencoded bom_added", ""},
		"base64":                      {event, base64Of(event), "base64", "base64"},
		"base64 with a newline":       {event, base64Of(event) + "\n", "base64", ""},
		"compacted, then base64":      {event, base64Of(compacted(t, event)), "json_reencoded base64", "compact JSON, then encoded as base64"},
		"gzip":                        {event, gzipped(t, event), "gzip", "compressed (gzip)"},
		"gzip in base64":              {event, base64Of(gzipped(t, event)), "gzip base64", "compressed (gzip), then encoded as base64"},
		"UTF-8 to Latin-1":            {noCake, encoded(t, charmap.ISO8859_1, noCake), "charset", ""},
		"UTF-8 to Windows-1252":       {noCake + "€", encoded(t, charmap.Windows1252, noCake+"€"), "charset", "to Windows-1252"},
		"UTF-8 taken for Latin-1":     {event, decoded(t, charmap.ISO8859_1, event), "charset", "Latin-1"},
		"UTF-8 taken for Windows":     {noCake, decoded(t, charmap.Windows1252, noCake), "charset", "Windows-1252"},
		"UTF-8 taken for it, compact": {noCake, decoded(t, charmap.Windows1252, compacted(t, noCake)), "json_reencoded charset", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.original == tt.body {
				t.Fatal("nothing was changed")
			}
			r := examine(t, tt.body, sign(next, now.Add(-time.Hour), tt.original))
			var kinds []string
			for _, change := range r.Alterations {
				kinds = append(kinds, change.Kind)
			}
			if got := strings.Join(kinds, " "); got != tt.want || !strings.Contains(r.Verdict, tt.text) || len(r.Advice) == 0 {
				t.Errorf("got %q: %q, want %q: %q and advice", got, r.Verdict, tt.want, tt.text)
			}
			if tt.want == "" {
				return
			}
			if r.Cause != doctor.Altered || r.Secret != "next" || r.Clock != stale {
				t.Errorf("got %s by %q, %s, want altered by next, stale", r.Cause, r.Secret, r.Clock)
			}
			if strings.HasPrefix(tt.original, "{") && strings.HasSuffix(tt.original, "}") && r.Event.ID == "" {
				t.Errorf("got event %+v, want it found", r.Event)
			}
		})
	}
}

func TestExamineDescribesABodyThatNoSecretSigned(t *testing.T) {
	t.Parallel()
	off := false
	for name, tt := range map[string]struct {
		body    string
		layout  doctor.Layout
		event   doctor.Event
		verdict string
		advice  string
	}{
		"as Stripe writes it": {strings.Replace(event, "true", "null", 1), "indent_2", doctor.Event{ID: "evt_1Qabc", Object: "event", Type: "customer.subscription.updated", Account: "acct_1Qdef"}, "(main, next).", "another secret"},
		"compact":             {`{"id":"evt_1","object":"event"}`, "compact", doctor.Event{ID: "evt_1", Object: "event"}, "not recognized: it is compact JSON", "cannot be undone"},
		"empty":               {" \n", "empty", doctor.Event{}, "not recognized: it is empty", "or nothing"},
		"cut off":             {event[:200], "truncated_json", doctor.Event{}, "not recognized: it is JSON that is cut off", "limit"},
		"not JSON":            {"hello", "not_json", doctor.Event{}, "not recognized: it is not JSON", "another document"},
		"two documents":       {"{} {}", "not_json", doctor.Event{}, "not recognized: it is not JSON", ""},
		"no event":            {`{"id":"sub_1","object":"subscription","type":"x"}`, "compact", doctor.Event{}, "not recognized: it is not a Stripe event", ""},
		"a list":              {`[1, 2]`, "other_json", doctor.Event{}, "it is not a Stripe event", ""},
		"thin":                {thinEvent, "compact", doctor.Event{ID: "evt_2", Object: "v2.core.event", Type: "v2.core.account[configuration.merchant].updated", Livemode: &off}, "(main, next).", "thin event"},
		"thin, indented":      {"{\n  \"object\": \"v2.core.event\"\n}", "indent_2", doctor.Event{Object: "v2.core.event"}, "thin events as compact JSON", ""},
		"values of odd types": {`{"object":"event","id":1,"type":{"a":"hunter2"},"account":"hunter2","livemode":"yes"}`, "compact", doctor.Event{Object: "event"}, "", ""},
		"values of odd shape": {`{"object":"event","id":"evt_1 hunter2","type":"Hunter 2","account":null}`, "compact", doctor.Event{Object: "event"}, "", ""},
		"a key as a value":    {`{"object":"event","type":"sk_live_hunter2"}`, "compact", doctor.Event{Object: "event"}, "", ""},
		"lost characters":     {"{\n  \"object\": \"event\",\n  \"name\": \"\ufffd\"\n}", "indent_2", doctor.Event{Object: "event"}, "it contains U+FFFD", "characters lost"},
		"gzip, other secret":  {gzipped(t, thinEvent), "not_json", doctor.Event{ID: "evt_2", Object: "v2.core.event", Type: "v2.core.account[configuration.merchant].updated", Livemode: &off}, "it is not JSON", "test mode"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := examine(t, tt.body, sign(main, now, "something else"))
			if r.Cause != noMatch || r.Body.Layout != tt.layout || r.Body.Bytes != len(tt.body) {
				t.Errorf("got %s, %+v, want %s, %s", r.Cause, r.Body, noMatch, tt.layout)
			}
			if diff := cmp.Diff(tt.event, r.Event); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
			all := r.Verdict + strings.Join(r.Advice, "\n")
			if !strings.Contains(r.Verdict, tt.verdict) || !strings.Contains(all, tt.advice) || strings.Contains(all, "hunter2") {
				t.Errorf("got %s, want %q and %q, and nothing quoted", all, tt.verdict, tt.advice)
			}
		})
	}
}

func TestExamineComparesModes(t *testing.T) {
	t.Parallel()
	sandbox := strings.Replace(event, "true", "false", 1)
	for name, tt := range map[string]struct {
		body, secret, livemode string
		want                   []string
	}{
		"live event, test secret": {event, "test", "", []string{"all secrets are named for test mode", "secret of a live endpoint"}},
		"test event, live secret": {sandbox, "live-2", "", []string{"all secrets are named for live mode", "stripe listen"}},
		"live event, test bridge": {event, "a", "test", []string{"WEBHOOK_LIVEMODE is test"}},
		"test event, live bridge": {sandbox, "a", "live", []string{"WEBHOOK_LIVEMODE is live"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := doctor.Request{Header: http.Header{"Stripe-Signature": {sign(next, now, tt.body)}}, Body: []byte(tt.body)}
			s := settings(stripehook.Key{Name: tt.secret, Secret: main.Secret})
			s.Livemode = tt.livemode
			r, err := doctor.Examine(request, s)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range append(tt.want, "acct_1Qdef", "has its own secret") {
				if !strings.Contains(strings.Join(r.Advice, "\n"), want) {
					t.Errorf("got no %q in %q", want, r.Advice)
				}
			}
		})
	}
}

// A body that nothing explains must still get an answer within seconds.
func TestExamineLimitsItsWork(t *testing.T) {
	t.Parallel()
	foreign := sign(stripehook.Key{Secret: "whsec_x"}, now, "")
	for name, body := range map[string]string{
		"many strings":     `{"object":"event","list":[` + strings.Repeat(`{"a/é<":[{},[]]},`, 10_000) + `1]}`,
		"deep":             strings.Repeat(`[`, 2_000) + strings.Repeat(`]`, 2_000),
		"deeper than read": strings.Repeat(`{"a":`, 100_000),
		"deep, no JSON":    strings.Repeat(`[`, 200_000),
		"zip bomb":         gzipped(t, strings.Repeat(" ", 8<<20)),
		"escapes":          `"` + strings.Repeat(`\u00e9`, 100_000) + `"`,
	} {
		start := time.Now()
		if r := examine(t, body, foreign); r.Cause != noMatch || len(r.Advice) == 0 {
			t.Errorf("%s: got %s, %q", name, r.Cause, r.Advice)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%s: took %s", name, took)
		}
	}
	large := indented(t, `{"object":"event","a":"`+strings.Repeat("a", 4<<20)+`"}`, "  ")
	if r := examine(t, large, foreign); !strings.Contains(strings.Join(r.Advice, "\n"), "too large to look for changes") {
		t.Errorf("a large body: got %q", r.Advice)
	}
}

// checkAgreement fails unless a report and the verifier agree on a request.
func checkAgreement(t interface{ Fatalf(string, ...any) }, body []byte, header string, s doctor.Settings) {
	r, err := doctor.Examine(doctor.Request{Header: http.Header{"Stripe-Signature": {header}}, Body: body}, s)
	if err != nil {
		t.Fatalf("Examine: %v", err)
	}
	v, err := stripehook.New(s.Keys, s.Tolerance, func() time.Time { return s.Now })
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	key, _, err := v.Verify(body, header)
	if (err == nil) != r.Verifies || r.Verifies != (r.Cause == doctor.Verified) || err == nil && key != r.Secret {
		t.Fatalf("got %s by %q, and the verifier says %q, %v (%s)", r.Cause, r.Secret, key, err, fault.ReasonOf(err))
	}
	if (r.Cause == doctor.Altered) != (len(r.Alterations) > 0) {
		t.Fatalf("got %s with changes %v", r.Cause, r.Alterations)
	}
	if r.Cause != doctor.Altered && r.Cause != malformed && err != nil && r.Cause != fault.ReasonOf(err) {
		t.Fatalf("got %s, and the verifier's reason is %s", r.Cause, fault.ReasonOf(err))
	}
}

func TestExamineAgreesWithTheVerifier(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		original := rapid.SampledFrom([]string{event, thinEvent, "", "{}", "hello"}).Draw(t, "original")
		change := rapid.SampledFrom([]func(string) string{
			func(s string) string { return s },
			func(s string) string { return s },
			func(s string) string { return s + "\n" },
			func(s string) string { return strings.ReplaceAll(s, "\n", "") },
			func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
			func(s string) string { return strings.Replace(s, "u", `\u0075`, 1) },
			func(s string) string { return rapid.String().Draw(t, "other body") },
		}).Draw(t, "change")
		key := rapid.SampledFrom([]stripehook.Key{main, next, {Secret: "whsec_x"}}).Draw(t, "key")
		at := now.Add(time.Duration(rapid.IntRange(-400, 400).Draw(t, "seconds")) * time.Second)
		header := sign(key, at, original) + rapid.SampledFrom([]string{"", "", ",v0=1", ",", ",t=1", ",v1=00", ",v2=YQ==", ", t=1", " ,\tv3", ",v1=YQ=="}).Draw(t, "more")
		checkAgreement(t, []byte(change(original)), header, settings(main, next))
	})
}

func FuzzExamine(f *testing.F) {
	for _, seed := range []string{
		event, "", "{", `{"a":"\ud83c"}`, `"\ud83c\u0041"`, `[{},[],"\/",1e5]`, "\x1f\x8b", "eyJhIjoxfQ==", "\ufeff{}", "{\"a\":\"\xff\"}",
		`{"a":{}}`, "é", "Ã©", `{"x\"id":1,"id":2,"object":"\u0000id"}`,
	} {
		f.Add([]byte(seed), sign(main, now, seed))
		f.Add([]byte(seed), sign(main, now, seed+"\n"))
	}
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		checkAgreement(t, body, header, settings(main))
	})
}
