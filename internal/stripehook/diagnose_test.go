package stripehook_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/stripehook"
)

// event is written as Stripe writes events, with everything in it that encoders
// write differently.
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
      "application_fee_percent": 12.5,
      "description": "Crème <b>brûlée</b> & \"tea\"\n for two \\ three 🍰",
      "discounts": [],
      "items": {
        "object": "list",
        "data": [
          {
            "id": "si_1",
            "object": "subscription_item",
            "quantity": 1
          }
        ],
        "has_more": false,
        "url": "/v1/subscription_items?subscription=sub_1Qghi"
      },
      "metadata": {},
      "trial_end": null
    }
  },
  "livemode": true,
  "pending_webhooks": 1,
  "type": "customer.subscription.updated"
}`

// sortable is an event in the order in which Stripe writes keys, all through.
var sortable = strings.Replace(event, "\"data\": [\n          {\n            \"id\": \"si_1\",\n            \"object\": \"subscription_item\",\n            \"quantity\": 1\n          }\n        ],\n        \"has_more\"", "\"data\": [],\n        \"has_more\"", 1)

func diagnose(t testing.TB, body, header string, keys ...stripehook.Key) stripehook.Diagnosis {
	t.Helper()
	h := http.Header{}
	if header != "" {
		h.Set("Stripe-Signature", header)
	}
	if keys == nil {
		keys = []stripehook.Key{main, next}
	}
	d, err := stripehook.Diagnose([]byte(body), h, keys, 5*time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDiagnoseClock(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		off  time.Duration
		want stripehook.Cause
	}{
		"now":               {0, stripehook.CauseVerified},
		"5 minutes old":     {5 * time.Minute, stripehook.CauseVerified},
		"10 minutes old":    {10 * time.Minute, stripehook.CauseStale},
		"5 minutes ahead":   {-5 * time.Minute, stripehook.CauseVerified},
		"10 minutes ahead":  {-10 * time.Minute, stripehook.CauseFuture},
		"hours before that": {5 * time.Hour, stripehook.CauseStale},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := now.Add(-tt.off)
			d := diagnose(t, event, header(next, at, []byte(event)))
			if d.Cause != tt.want || d.Clock() != tt.want || d.Age != tt.off || !d.SignedAt.Equal(at) || d.Key != "next" {
				t.Errorf("got %+v, want %s by next, %s old", d, tt.want, tt.off)
			}
		})
	}
}

func TestDiagnoseHeader(t *testing.T) {
	t.Parallel()
	good := header(main, now, []byte(event))
	stamp, v1, _ := strings.Cut(good, ",")
	for name, tt := range map[string]struct {
		header string
		cause  stripehook.Cause
		want   string // in one of the faults
	}{
		"no t":                 {v1, stripehook.CauseMalformed, "has no t"},
		"t is a word":          {"t=now," + v1, stripehook.CauseMalformed, "no whole number"},
		"two t":                {"t=1," + good, stripehook.CauseMalformed, "two different t"},
		"no v1":                {stamp, stripehook.CauseMalformed, "no v1 signature"},
		"only v0":              {strings.Replace(good, "v1=", "v0=", 1), stripehook.CauseMalformed, "only v0"},
		"cut off":              {good[:len(good)-8], stripehook.CauseMalformed, "64 hexadecimal digits"},
		"masked":               {stamp + ",v1=***", stripehook.CauseMalformed, "masked"},
		"space after comma":    {strings.Replace(good, ",", ", ", 1), stripehook.CauseMalformed, "white space"},
		"quoted":               {`"` + good + `"`, stripehook.CauseMalformed, "quotation marks"},
		"semicolon":            {strings.Replace(good, ",", ";", 1), stripehook.CauseMalformed, "semicolons"},
		"URL-encoded":          {url.QueryEscape(good), stripehook.CauseMalformed, "URL-encoded"},
		"trailing comma":       {good + ",", stripehook.CauseMalformed, "empty part"},
		"base64 padding in v1": {stamp + ",v1=abc=", stripehook.CauseMalformed, "more than one ="},
		"no pairs":             {"nonsense", stripehook.CauseMalformed, "part without ="},
		"longer than any":      {good + strings.Repeat(",v1=00", 22_000), stripehook.CauseMalformed, "longer than 128 KiB"},
		"absent":               {"", stripehook.CauseMissing, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := diagnose(t, event, tt.header)
			faults := strings.Join(d.HeaderFaults, "\n")
			if d.Cause != tt.cause || !strings.Contains(faults, tt.want) || tt.want == "" && faults != "" || d.Key != "" {
				t.Errorf("got %s, %q, want %s, %q", d.Cause, d.HeaderFaults, tt.cause, tt.want)
			}
			if strings.Contains(faults, v1[3:]) {
				t.Errorf("a fault quotes the signature: %q", faults)
			}
		})
	}
}

func TestDiagnoseNamesHeadersWithoutValues(t *testing.T) {
	t.Parallel()
	d, err := stripehook.Diagnose([]byte(event), http.Header{
		"User-Agent": {"Stripe/1.0 (+https://stripe.com/docs/webhooks)"}, "X-Stripe-Signature": {"t=1,v1=hunter2"},
		"HTTP_STRIPE_SIGNATURE": {"t=1"}, "Content-Encoding": {"gzip"}, "Stripe-Signature": {""},
		"whsec_hunter2": {"1"}, "not a header hunter2": {"1"},
	}, []stripehook.Key{main}, time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Content-Encoding", "HTTP_STRIPE_SIGNATURE", "Stripe-Signature", "User-Agent", "X-Stripe-Signature"}
	if diff := cmp.Diff(want, d.Headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"HTTP_STRIPE_SIGNATURE", "X-Stripe-Signature"}, d.Lookalikes); diff != "" {
		t.Errorf("lookalikes (-want +got):\n%s", diff)
	}
	if d.Cause != stripehook.CauseMissing || !d.FromStripe || !d.Encoding || d.Repeated || len(d.HeaderFaults) != 1 {
		t.Errorf("got %+v", d)
	}
}

func TestDiagnoseRepeatedHeader(t *testing.T) {
	t.Parallel()
	h := http.Header{"Stripe-Signature": {"t=1,v1=" + strings.Repeat("00", 32), header(main, now, []byte(event))}}
	d, err := stripehook.Diagnose([]byte(event), h, []stripehook.Key{main}, time.Minute, now)
	if err != nil || d.Cause != stripehook.CauseNoMatch || !d.Repeated {
		t.Errorf("got %+v, %v, want no match and repeated", d, err)
	}
}

func TestDiagnoseUnknownSecret(t *testing.T) {
	t.Parallel()
	live := stripehook.Key{Name: "live", Secret: "whsec_live"}
	test := stripehook.Key{Name: "test", Secret: "whsec_test"}
	d := diagnose(t, event, header(live, now, []byte(event)), test, main)
	want := stripehook.Body{
		Size: len(event), Layout: stripehook.LayoutStripe,
		Event: stripehook.Event{Object: "event", ID: "evt_1Qabc", Type: "customer.subscription.updated", Account: "acct_1Qdef", Livemode: "true"},
	}
	if d.Cause != stripehook.CauseNoMatch || d.Key != "" || len(d.Changes) > 0 {
		t.Errorf("got %+v, want no match", d)
	}
	if diff := cmp.Diff(want, d.Body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"test", "main"}, d.Tried); diff != "" {
		t.Errorf("tried (-want +got):\n%s", diff)
	}
}

func TestDiagnoseRefusesWhatNewRefuses(t *testing.T) {
	t.Parallel()
	unsigned := header(stripehook.Key{}, now, body)
	h := http.Header{"Stripe-Signature": {unsigned}}
	if d, err := stripehook.Diagnose(body, h, []stripehook.Key{{Name: "empty"}}, time.Minute, now); err == nil {
		t.Errorf("an empty secret: got %+v, want an error", d)
	}
	if d, err := stripehook.Diagnose(body, h, []stripehook.Key{main}, 0, now); err == nil {
		t.Errorf("no tolerance: got %+v, want an error", d)
	}
}

// indented writes JSON as encoding/json does, keys in their order.
func indented(t *testing.T, doc, indent string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(doc), "", indent); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func compacted(t *testing.T, doc string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(doc)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// decoded is what json.Unmarshal and json.Marshal make of it: compact, sorted,
// HTML escaped.
func decoded(t *testing.T, doc string) string {
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

// asciiOnly escapes what is beyond ASCII, as Python and PHP do.
func asciiOnly(doc, verb string) string {
	var b strings.Builder
	for _, char := range doc {
		if char < 0x80 {
			b.WriteRune(char)
			continue
		}
		for _, half := range utf16.AppendRune(nil, char) {
			fmt.Fprintf(&b, verb, half)
		}
	}
	return b.String()
}

func spaced(t *testing.T, doc string) string {
	t.Helper()
	lines := strings.Split(indented(t, doc, ""), "\n")
	return strings.NewReplacer("{ ", "{", " }", "}", "[ ", "[", " ]", "]").Replace(strings.Join(lines, " "))
}

func quoted(t *testing.T, doc string) string {
	t.Helper()
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func zipped(t *testing.T, doc string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func deflated(t *testing.T, doc string) string {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func latin1(doc string) string {
	var b []byte
	for _, char := range strings.ReplaceAll(doc, "🍰", "") {
		b = append(b, byte(char))
	}
	return string(b)
}

func wide(doc string) string {
	b := []byte{0xff, 0xfe}
	for _, half := range utf16.Encode([]rune(doc)) {
		b = append(b, byte(half), byte(half>>8))
	}
	return string(b)
}

func TestDiagnoseAlteredBody(t *testing.T) {
	t.Parallel()
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	slashes := func(s string) string { return strings.ReplaceAll(s, "/", `\/`) }
	html := func(s string) string {
		return strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`).Replace(s)
	}
	noCake := strings.ReplaceAll(event, "🍰", "")
	oldRuby := strings.NewReplacer("[]", "[\n\n      ]", "{}", "{\n      }").Replace(event)
	for name, tt := range map[string]struct {
		original, body string
		want           []stripehook.Kind
		text           string // in the texts
	}{
		"newline added":              {event, event + "\n", kinds(stripehook.KindNewlineAdded), "line end after it"},
		"CRLF added":                 {event, event + "\r\n", kinds(stripehook.KindNewlineAdded), ""},
		"newline removed":            {event + "\n", event, kinds(stripehook.KindNewlineRemoved), ""},
		"compact, newline removed":   {`{"id":1}` + "\n", `{"id":1}`, kinds(stripehook.KindNewlineRemoved), ""},
		"spaces around":              {event, "  " + event + " \n\n", kinds(stripehook.KindWhitespace, stripehook.KindWhitespace), "at its start"},
		"LF to CRLF":                 {event, crlf(event), kinds(stripehook.KindCRLF), "Windows"},
		"LF to CRLF, newline":        {event, crlf(event + "\n"), kinds(stripehook.KindCRLF, stripehook.KindNewlineAdded), ""},
		"CRLF to LF":                 {crlf(event), event, kinds(stripehook.KindLF), "Unix"},
		"line ends removed":          {event, strings.ReplaceAll(event, "\n", ""), kinds(stripehook.KindNewlinesRemoved), ""},
		"compacted":                  {event, compacted(t, event), kinds(stripehook.KindReencoded), "re-encoded as compact JSON"},
		"compacted, newline":         {event, compacted(t, event) + "\n", kinds(stripehook.KindReencoded, stripehook.KindNewlineAdded), ""},
		"compacted from old Ruby":    {oldRuby, compacted(t, event), kinds(stripehook.KindReencoded), "compact JSON"},
		"other empty containers":     {oldRuby, event, kinds(stripehook.KindReencoded), "empty objects and lists"},
		"thin event indented":        {compacted(t, event), event, kinds(stripehook.KindReencoded), "indented by two spaces"},
		"4 spaces":                   {event, indented(t, event, "    "), kinds(stripehook.KindReencoded), "indented by four spaces"},
		"3 spaces":                   {event, indented(t, event, "   "), kinds(stripehook.KindReencoded), "three spaces"},
		"tabs":                       {event, indented(t, event, "\t"), kinds(stripehook.KindReencoded), "by tabs"},
		"tabs of old":                {indented(t, event, "\t"), event, kinds(stripehook.KindReencoded), "two spaces"},
		"in one line with spaces":    {event, spaced(t, event), kinds(stripehook.KindReencoded), "one line with spaces"},
		"lines of its own":           {event, strings.ReplaceAll(event, ": ", " : "), kinds(stripehook.KindReencoded), "layout of its own"},
		"keys sorted":                {sortable, indented(t, unhtml(decoded(t, sortable)), "  "), kinds(stripehook.KindReencoded), "keys sorted"},
		"decoded and encoded by Go":  {sortable, decoded(t, sortable), kinds(stripehook.KindReencoded), "compact JSON, with its keys sorted, with HTML"},
		"slashes escaped":            {event, slashes(event), kinds(stripehook.KindReencoded), `slashes escaped (\/)`},
		"slashes unescaped":          {slashes(event), event, kinds(stripehook.KindReencoded), "unescaped"},
		"unicode escaped":            {event, asciiOnly(event, `\u%04x`), kinds(stripehook.KindReencoded), "beyond ASCII escaped"},
		"unicode escaped, capitals":  {event, asciiOnly(event, `\u%04X`), kinds(stripehook.KindReencoded), "beyond ASCII escaped"},
		"unicode unescaped":          {asciiOnly(event, `\u%04x`), event, kinds(stripehook.KindReencoded), "written out as UTF-8"},
		"unicode unescaped, capital": {asciiOnly(event, `\u%04X`), event, kinds(stripehook.KindReencoded), "written out as UTF-8"},
		"HTML escaped":               {event, html(event), kinds(stripehook.KindReencoded), `escaped (\u003c)`},
		"HTML unescaped":             {html(event), event, kinds(stripehook.KindReencoded), "HTML characters (\\u003c) written out"},
		"by PHP":                     {event, asciiOnly(slashes(compacted(t, event)), `\u%04x`), kinds(stripehook.KindReencoded), "compact JSON, with slashes escaped"},
		"quotes escaped by number":   {event, strings.ReplaceAll(event, `\"`, `\u0022`), kinds(stripehook.KindReencoded), "other characters escaped"},
		"BOM":                        {event, "\ufeff" + event, kinds(stripehook.KindBOM), "byte order mark"},
		"BOM and CRLF":               {event, "\ufeff" + crlf(event), kinds(stripehook.KindCRLF, stripehook.KindBOM), ""},
		"base64":                     {event, base64.StdEncoding.EncodeToString([]byte(event)), kinds(stripehook.KindBase64), "base64"},
		"base64 for URLs":            {event, base64.RawURLEncoding.EncodeToString([]byte(event)), kinds(stripehook.KindBase64), ""},
		"compacted, then base64":     {event, base64.StdEncoding.EncodeToString([]byte(compacted(t, event))), kinds(stripehook.KindReencoded, stripehook.KindBase64), ""},
		"URL-encoded":                {event, url.QueryEscape(event), kinds(stripehook.KindURLEncoded), "URL-encoded"},
		"URL-encoded with %20":       {event, url.PathEscape(event), kinds(stripehook.KindURLEncoded), "URL-encoded"},
		"form field":                 {event, url.Values{"payload": {event}, "x": {"y"}}.Encode(), kinds(stripehook.KindForm), "HTML form"},
		"form field's name":          {event, url.QueryEscape(event) + "=", kinds(stripehook.KindForm), "HTML form"},
		"form field's name, as JSON": {event, "{" + quoted(t, event) + `:""}`, kinds(stripehook.KindEnvelope), "another JSON document"},
		"gzip":                       {event, zipped(t, event), kinds(stripehook.KindGzip), "gzip"},
		"gzip in base64":             {event, base64.StdEncoding.EncodeToString([]byte(zipped(t, event))), kinds(stripehook.KindGzip, stripehook.KindBase64), ""},
		"deflate":                    {event, deflated(t, event), kinds(stripehook.KindDeflate), "deflate"},
		"JSON string":                {event, quoted(t, event), kinds(stripehook.KindJSONString), "encoded twice"},
		"gateway's event":            {event, `{"headers":{"a":"b"},"isBase64Encoded":false,"body":` + quoted(t, event) + `}`, kinds(stripehook.KindEnvelope), ""},
		"gateway's event, base64":    {event, `{"isBase64Encoded":true,"body":"` + base64.StdEncoding.EncodeToString([]byte(event)) + `"}`, kinds(stripehook.KindBase64, stripehook.KindEnvelope), ""},
		"detail of a bus":            {event, `{"version":"0","detail":` + compacted(t, event) + `}`, kinds(stripehook.KindReencoded, stripehook.KindEnvelope), ""},
		"chunks":                     {event, fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", 10, event[:10], len(event)-10, event[10:]), kinds(stripehook.KindChunked), ""},
		"Latin-1":                    {noCake, latin1(noCake), kinds(stripehook.KindCharset), "Latin-1"},
		"UTF-8 twice":                {noCake, toUTF8(noCake), kinds(stripehook.KindCharset), "once more"},
		"UTF-16":                     {event, wide(event), kinds(stripehook.KindCharset), "UTF-16"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.original == tt.body {
				t.Fatal("nothing is altered")
			}
			d := diagnose(t, tt.body, header(next, now.Add(-time.Hour), []byte(tt.original)))
			var got []stripehook.Kind
			var texts []string
			for _, c := range d.Changes {
				got, texts = append(got, c.Kind), append(texts, c.Text)
			}
			if d.Cause != stripehook.CauseAltered || d.Key != "next" || d.Clock() != stripehook.CauseStale {
				t.Errorf("got %s by %q, want altered by next", d.Cause, d.Key)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("changes %q (-want +got):\n%s", texts, diff)
			}
			if all := strings.Join(texts, "; "); !strings.Contains(all, tt.text) {
				t.Errorf("got %q, want %q in it", all, tt.text)
			}
			if d.Body.Event.Livemode != "true" && strings.Contains(tt.original, "livemode") {
				t.Errorf("got event %+v, want it read", d.Body.Event)
			}
		})
	}
}

func kinds(list ...stripehook.Kind) []stripehook.Kind { return list }

func unhtml(doc string) string {
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(doc)
}

// toUTF8 takes each byte for a character.
func toUTF8(doc string) string {
	var b strings.Builder
	for _, c := range []byte(doc) {
		b.WriteRune(rune(c))
	}
	return b.String()
}

func TestDiagnoseTellsWhatABodyIs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body string
		want stripehook.Body
	}{
		"empty":     {" \n", stripehook.Body{Layout: stripehook.LayoutEmpty}},
		"cut off":   {event[:200], stripehook.Body{Layout: stripehook.LayoutTruncated}},
		"not JSON":  {"hello", stripehook.Body{Layout: stripehook.LayoutNotJSON}},
		"no event":  {`{"id":"sub_1","object":"subscription","type":"x","livemode":true}`, stripehook.Body{Layout: stripehook.LayoutCompact}},
		"a list":    {`[1, 2]`, stripehook.Body{Layout: stripehook.LayoutSpaced}},
		"thin":      {`{"id":"evt_1","object":"v2.core.event","type":"v2.core.account[configuration.merchant].updated","livemode":false}`, stripehook.Body{Layout: stripehook.LayoutCompact, Event: stripehook.Event{Object: "v2.core.event", ID: "evt_1", Type: "v2.core.account[configuration.merchant].updated", Livemode: "false"}}},
		"odd types": {`{"object":"event","id":1,"type":{"a":"hunter2"},"account":"hunter2","livemode":"yes"}`, stripehook.Body{Layout: stripehook.LayoutCompact, Event: stripehook.Event{Object: "event"}}},
		"odd words": {`{"object":"event","id":"evt_1 hunter2","type":"Hunter 2","account":null}`, stripehook.Body{Layout: stripehook.LayoutCompact, Event: stripehook.Event{Object: "event"}}},
		"sorted":    {`{"a":1,"b":{"c":2,"d":3},"object":"event"}`, stripehook.Body{Layout: stripehook.LayoutCompact, Sorted: true, Event: stripehook.Event{Object: "event"}}},
		"damaged":   {`{"object":"event","name":"` + "\ufffd" + `"}`, stripehook.Body{Layout: stripehook.LayoutCompact, Replaced: true, Event: stripehook.Event{Object: "event"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := diagnose(t, tt.body, header(main, now, []byte("something else")))
			tt.want.Size = len(tt.body)
			if diff := cmp.Diff(tt.want, d.Body); diff != "" || d.Cause != stripehook.CauseNoMatch {
				t.Errorf("%s, body (-want +got):\n%s", d.Cause, diff)
			}
		})
	}
}

// What nothing explains must not take for ever.
func TestDiagnoseBoundsItsWork(t *testing.T) {
	t.Parallel()
	foreign := header(stripehook.Key{Secret: "whsec_x"}, now, nil)
	if d := diagnose(t, event, foreign); d.GaveUp {
		t.Error("an ordinary body: gave up")
	}
	large := `{"object":"event","list":[` + strings.Repeat(`{"a/é<":[{},[]]},`, 60_000) + `1]}`
	if d := diagnose(t, large, foreign); d.Cause != stripehook.CauseNoMatch || !d.GaveUp {
		t.Errorf("a large body: got %s, gave up: %t", d.Cause, d.GaveUp)
	}
}

// What Diagnose calls verified is what a Verifier accepts, whatever the body.
func FuzzDiagnose(f *testing.F) {
	for _, seed := range []string{
		event, "", "{", `{"a":"\ud83c"}`, `"\ud83c\u0041"`, `[{},[],"\/",1e5]`, "\x1f\x8b", "5\r\nhello\r\n0\r\n\r\n",
		`{"body":"eyJhIjoxfQ=="}`, "%7b%7d=", "\ufeff{}", "\xff\xfe{\x00}\x00", "{\"a\":\"\xff\"}", `{"a":{}}`, "é", "Ã©",
	} {
		f.Add([]byte(seed), header(main, now, []byte(seed)))
		f.Add([]byte(seed), header(main, now, []byte(seed+"\n")))
	}
	v := verifier(f, main)
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		h := http.Header{"Stripe-Signature": {header}}
		d, err := stripehook.Diagnose(body, h, []stripehook.Key{main}, 5*time.Minute, now)
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(body, header)
		if (err == nil) != (d.Cause == stripehook.CauseVerified) {
			t.Fatalf("got %s, and the verifier says %v (%s)", d.Cause, err, fault.ReasonOf(err))
		}
		if (d.Cause == stripehook.CauseAltered) != (len(d.Changes) > 0) {
			t.Fatalf("got %s with changes %v", d.Cause, d.Changes)
		}
	})
}
