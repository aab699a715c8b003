package doctor_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/doctor"
)

// files are what a curl command in these tests can name.
func files(stdin string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		data, ok := map[string]string{
			"-": stdin, "body.json": "{\r\n  \"a\": 1\n}\n", "my file": "x&y z",
		}[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return []byte(data), nil
	}
}

func readCurl(text string) (doctor.Request, error) {
	return doctor.Read(doctor.Input{Curl: "-"}, files(text))
}

func TestReadCurl(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, body string }{
		"plain":                      {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' -d '{"a": 1}'`, `{"a": 1}`},
		"double quotes":              {`curl "http://a.example/hook" -H "stripe-signature: t=1,v1=ab" --data "{\"a\": \"\\n \q\"}"`, `{"a": "\n \q"}`},
		"long options":               {`curl --url http://a.example/hook --request POST --header 'STRIPE-SIGNATURE:t=1,v1=ab' --data-raw '@x'`, "@x"},
		"long options with =":        {`curl --url=http://a.example/hook --header='Stripe-Signature: t=1,v1=ab' --data=x=y`, "x=y"},
		"options written together":   {`curl -sSXPOST -kH'Stripe-Signature: t=1,v1=ab' -d{} http://a.example/hook`, "{}"},
		"continued lines":            {"curl -X POST \\\n  http://a.example/hook \\\n  -H 'Stripe-Signature: t=1,v1=ab' \\\n  -d '{\n}'\n", "{\n}"},
		"escapes of a browser":       {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' --data-raw $'{"a": "it\'s \u00e9 \xc3\xa9 \\n\n\t 100%"}'`, "{\"a\": \"it's é é \\n\n\t 100%\"}"},
		"translated string":          {`curl http://a.example/hook -H $"Stripe-Signature: t=1,v1=ab" -d x`, "x"},
		"quotes within words":        {`curl http://"a.example"/ho'o'k -H Stripe-Signature:\ t=1,v1=ab -d a'b'"c"\'d`, "abc'd"},
		"apostrophe":                 {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' -d 'it'\''s'`, "it's"},
		"braces":                     {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' -d {a,b}`, "{a,b}"},
		"tilde":                      {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' -d ~root`, "~root"},
		"wildcard":                   {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' -d *`, "*"},
		"empty body":                 {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' -d ''`, ""},
		"several data":               {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' -d a=1 -d b=2`, "a=1&b=2"},
		"several JSON":               {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' --json '{"a":' --json 1}`, `{"a":1}`},
		"binary file":                {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' --data-binary @body.json`, "{\r\n  \"a\": 1\n}\n"},
		"JSON file":                  {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' --json '@my file'`, "x&y z"},
		"headers without a value":    {`curl http://a.example/hook -H 'Accept:' -H 'none' -H 'Stripe-Signature: t=1,v1=ab' -d x`, "x"},
		"other options with a value": {`curl -o out -u me:hunter2 --max-time 5 --cacert x -b 'a=b' http://a.example/hook -d x -w '%{http_code}' -H 'Stripe-Signature: t=1,v1=ab'`, "x"},
		"after a prompt":             {"$ curl http://a.example/hook -d x -H 'Stripe-Signature: t=1,v1=ab' | jq .", "x"},
		"among other commands":       {"# comment's\nexport A=b; cd /tmp && A=b sudo /usr/bin/curl http://a.example/hook -d x -H 'Stripe-Signature: t=1,v1=ab' # end's\n", "x"},
		"with a redirection":         {"curl http://a.example/hook -d x -H 'Stripe-Signature: t=1,v1=ab' >out 2>&1 <in", "x"},
		"before what is not shell":   {"curl http://a.example/hook -d x -H 'Stripe-Signature: t=1,v1=ab'\n<html>)(", "x"},
		"hash within a word":         {`curl http://a.example/hook -d x#y -H 'Stripe-Signature: t=1,v1=ab'`, "x#y"},
		"byte order mark":            {"\ufeffcurl http://a.example/hook -d x -H 'Stripe-Signature: t=1,v1=ab'", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readCurl(tt.text)
			want := doctor.Request{Header: http.Header{"Stripe-Signature": {"t=1,v1=ab"}}, Body: []byte(tt.body)}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v, request (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestReadCurlNotes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, body, want string }{
		"-d strips newlines":      {"curl a -d @body.json", `{  "a": 1}`, "--data-binary"},
		"variable":                {`curl a -d "$BODY"`, "$BODY", "a shell would replace it"},
		"variable without quotes": {`curl a -d x${BODY:-y}`, "x${BODY:-y}", "a shell would replace it"},
		"command substitution":    {`curl a -d "$(touch x)"`, "$(touch x)", "a shell would replace it"},
		"old substitution":        {"curl a -d \"`touch x`\"", "`touch x`", "a shell would replace it"},
		"process substitution":    {"curl a -d <(touch x)", "<(touch x)", "a shell would replace it"},
		"arithmetic":              {"curl a -d $((2**9999))", "$((2**9999))", "a shell would replace it"},
		"two commands":            {"curl a -d x\ncurl b -d y\n", "x", "only the first was read"},
		"two requests":            {"curl a -d x --next b -d y", "x", ""},
		"no body":                 {"curl a -X POST", "", "sends no body"},
		"another method":          {"curl a -d x -X PUT", "x", "not POST"},
		"Windows line ends":       {"curl a \\\r\n -d 'x\r\ny'\r\n", "x\ny", "Windows line ends"},
		"dollar alone":            {`curl a -d '$x' -H 'A: $ 5' -H "$ 5"`, "$x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readCurl(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			notes := strings.Join(got.Notes, "\n")
			if string(got.Body) != tt.body || !strings.Contains(notes, tt.want) || tt.want == "" && notes != "" {
				t.Errorf("got body %q and notes %q, want %q and %q", got.Body, got.Notes, tt.body, tt.want)
			}
		})
	}
}

func TestReadCurlFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":           {"", "no curl command"},
		"another command":   {"wget hunter2\n", "no curl command"},
		"single quote open": {"curl a -d 'hunter2", "not closed"},
		"double quote open": {`curl a -d "hunter2\"`, "not closed"},
		"dollar quote open": {`curl a -d $'hunter2\'`, "not closed"},
		"substitution open": {`curl a -d $(hunter2`, "not closed"},
		"JSON":              {`{"a": (hunter2}`, "not a command"},
		"invalid UTF-8":     {"curl a -d 'hunter2\xff'", "not a command"},
		"too large":         {"curl a -d '" + strings.Repeat("a", 5<<20) + "'", "too large"},
		"too many brackets": {"curl a -d '" + strings.Repeat("{", 20_000) + "'", "too large"},
		"no value":          {"curl hunter2 -d", "has no value"},
		"missing file":      {"curl a -d @hunter2", "the file of --data cannot be read"},
		"standard input":    {"curl a --data-binary @-", "standard input"},
		"form":              {"curl a -F b=hunter2", "a form"},
		"URL-encoded":       {"curl a --data-urlencode b=hunter2", "a form"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readCurl(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %+v, %v, want %q and nothing quoted", got, err, tt.want)
			}
		})
	}
	if _, err := readCurl("curl a -d @x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want the cause wrapped", err)
	}
}

// Deep nesting must neither exhaust the stack nor take long.
func TestReadCurlLimitsItsWork(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{"( ", "(( ", "$(", "`", "${a:-", "{ ", "$((", "'", "[[ (", "a=(", "<<x\n", "if ", "a|", "a[", "\\\n", "! ", "a=", "a?", "- ", "a*", "a,", "a&&", "a\n", "case a in a)", "for a in a;do ", "while ", "coproc ", "@(a|"} {
		for _, size := range []int{10_000, 250_000} {
			start := time.Now()
			for _, before := range []string{"", "curl -d ", "((", "[["} {
				_, _ = readCurl(before + strings.Repeat(piece, size/len(piece)))
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("%d bytes of %q: took %s", size, piece, took)
			}
		}
	}
}

func FuzzReadCurl(f *testing.F) {
	for _, seed := range []string{
		"curl http://a -H 'A: b' -d '{}'", `curl "a\` + "\n" + `b" $'\x41\u00e9\'' $"x"`, "curl -sXPOST -d@x -H@y a | curl b",
		"curl a -d `b` ${c} #d\n", "curl -", "curl --", "curl --data=", "curl -d ''", "$ curl \\", "curl '", `curl $'\`, `curl $'\777\UFFFFFFFF\c'`,
		"curl a&&b -H 'x;' -H ';' -H ': y' --json @z --next", "curl -é b", "0&00\xd9", "curl `a $(b \\`c\\`)`\r\n", "curl <<a\n$b\na\n", "curl @(a|b) ${a[$(b)]}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := readCurl(text)
		if err == nil && got.Header == nil {
			t.Errorf("got %+v, want headers", got)
		}
	})
}

// A body in single quotes arrives unchanged, except for line ends.
func FuzzReadCurlBody(f *testing.F) {
	for _, seed := range []string{event, "", "it's", "'", `\'`, "$'", "`$x`", "@body.json", "\\\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		body = strings.ToValidUTF8(strings.NewReplacer("\r", "", "\x00", "").Replace(body), "")
		quoted := "'" + strings.ReplaceAll(body, "'", `'\''`) + "'"
		got, err := readCurl("curl http://a --data-raw " + quoted + " -H 'A: b'")
		if err != nil || string(got.Body) != body || got.Header.Get("A") != "b" {
			t.Errorf("got %q, %v, want %q", got.Body, err, body)
		}
	})
}

func readHeaders(t testing.TB, text string) http.Header {
	t.Helper()
	r, err := doctor.Read(doctor.Input{Body: "my file", Headers: "-"}, files(text))
	if err != nil {
		t.Fatal(err)
	}
	return r.Header
}

func TestReadHeaders(t *testing.T) {
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
		"printed by Node.js":  "{\n  'host': 'a.example:8080',\n  'stripe-signature': 't=1,v1=ab',\n}\n",
		"JSON":                `{"host":"a.example:8080","stripe-signature":"t=1,v1=ab","content-length":5}`,
		"JSON with lists":     `{"Host":["a.example:8080"],"Stripe-Signature":["t=1,v1=ab"]}`,
		"event of a gateway":  `{"headers":{"Host":"a.example:8080","Stripe-Signature":"t=1,v1=ab"},"isBase64Encoded":false}`,
		"JSON without braces": "\"host\": \"a.example:8080\",\n\"stripe-signature\": \"t=1,v1=ab\",\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(want, readHeaders(t, text)); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadOddHeaders(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want http.Header
	}{
		"nothing":             {"", http.Header{}},
		"no header in it":     {"hello\nnot a name: x\n: y\n", http.Header{}},
		"twice":               {"A: 1\na: 2\n", http.Header{"A": {"1", "2"}}},
		"empty value":         {"A:\n", http.Header{"A": {""}}},
		"CGI variable":        {"HTTP_STRIPE_SIGNATURE: t=1\n", http.Header{"HTTP_STRIPE_SIGNATURE": {"t=1"}}},
		"value with colons":   {"A: b: c\n", http.Header{"A": {"b: c"}}},
		"value in quotes":     {`A: "b"`, http.Header{"A": {`"b"`}}},
		"name that is a text": {strings.Repeat("a", 65) + ": b", http.Header{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, readHeaders(t, tt.text)); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzReadHeaders(f *testing.F) {
	for _, seed := range []string{"A: b\n c\n", `{"a":["b"],"headers":{"c":null}}`, `{"headers":{"headers":[[["a"]]]}}`, "> a: b\n>", "'a_b': 'c',", "\ufeff\r\n: x", "null"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, values := range readHeaders(t, text) {
			if len(values) == 0 || name == "" {
				t.Errorf("got %q with values %q", name, values)
			}
		}
	})
}

func TestFilesLimitsSizeAndNamesNoFile(t *testing.T) {
	t.Parallel()
	read := doctor.Files(strings.NewReader(strings.Repeat("a", 65<<20)))
	if _, err := read("-"); err == nil || !strings.Contains(err.Error(), "larger than 64 MB") {
		t.Errorf("a large file: got %v", err)
	}
	for _, name := range []string{"no/hunter2", "."} {
		if _, err := read(name); err == nil || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: got %v, want an error without the name", name, err)
		}
	}
}
