package stripehook_test

import (
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/stripehook"
)

// disk stands in for files.
func disk(name string) ([]byte, error) {
	data, ok := map[string]string{
		"body.json": "{\r\n  \"a\": 1\n}\n\x00", "headers.txt": "Stripe-Signature: t=1\nA: b\n", "my file": "x&y z",
	}[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(data), nil
}

func TestParseCurl(t *testing.T) {
	t.Parallel()
	signed := http.Header{"Stripe-Signature": {"t=1,v1=ab"}}
	const url = "http://a.example/hook"
	post := func(body string, h http.Header) stripehook.Capture {
		return stripehook.Capture{Header: h, Body: []byte(body), Method: "POST", URL: url}
	}
	for name, tt := range map[string]struct {
		text string
		want stripehook.Capture
	}{
		"plain":                        {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' -d '{"a": 1}'`, post(`{"a": 1}`, signed)},
		"double quotes":                {`curl "http://a.example/hook" -H "stripe-signature: t=1,v1=ab" --data "{\"a\": \"\\n \q\"}"`, post(`{"a": "\n \q"}`, signed)},
		"long options":                 {`curl --url http://a.example/hook --request POST --header 'STRIPE-SIGNATURE:t=1,v1=ab' --data-raw '@x'`, post("@x", signed)},
		"long options with =":          {`curl --url=http://a.example/hook --header='Stripe-Signature: t=1,v1=ab' --data=x=y`, post("x=y", signed)},
		"options run together":         {`curl -sSXPOST -kH'Stripe-Signature: t=1,v1=ab' -d{} http://a.example/hook`, post("{}", signed)},
		"continued lines":              {"curl -X POST \\\n  http://a.example/hook \\\r\n  -H 'Stripe-Signature: t=1,v1=ab' \\\n  -d '{\n}'\n", post("{\n}", signed)},
		"PowerShell's continued lines": {"curl.exe -X POST `\n http://a.example/hook `\r\n -H 'Stripe-Signature: t=1,v1=ab' -d x", post("x", signed)},
		"dollar quotes":                {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' --data-binary $'{"a": "it\'s \u00e9 \xc3\xa9 \101 \\n\n\t\z \U0001F370"}'`, post("{\"a\": \"it's é é A \\n\n\t\\z 🍰\"}", signed)},
		"dollar quotes cut short":      {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' -d $'\x\u\cA'`, post("\\x\\u\x01", signed)},
		"translated string":            {`curl http://a.example/hook -H $"Stripe-Signature: t=1,v1=ab" -d x`, post("x", signed)},
		"quotes within words":          {`curl http://"a.example"/ho'o'k -H Stripe-Signature:\ t=1,v1=ab -d a'b'"c"\'d`, post("abc'd", signed)},
		"single quote in single":       {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' -d 'it'\''s'`, post("it's", signed)},
		"empty body":                   {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' -d ''`, post("", signed)},
		"several data":                 {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' -d a=1 -d b=2`, post("a=1&b=2", signed)},
		"several JSON":                 {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' --json '{"a":' --json 1}`, post(`{"a":1}`, signed)},
		"binary file":                  {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' --data-binary @body.json`, post("{\r\n  \"a\": 1\n}\n\x00", signed)},
		"JSON file":                    {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' --json @body.json`, post("{\r\n  \"a\": 1\n}\n\x00", signed)},
		"urlencoded":                   {`curl http://a.example/hook -H 'Stripe-Signature: t=1,v1=ab' --data-urlencode 'a b' --data-urlencode '=c d' --data-urlencode 'e=f g' --data-urlencode 'h@my file' --data-urlencode '@my file'`, post("a+b&c+d&e=f+g&h=x%26y+z&x%26y+z", signed)},
		"headers from a file":          {`curl http://a.example/hook -H @headers.txt -A Stripe/1.0 -d x`, post("x", http.Header{"Stripe-Signature": {"t=1"}, "A": {"b"}, "User-Agent": {"Stripe/1.0"}})},
		"headers of no use":            {`curl http://a.example/hook -H 'Accept:' -H 'Empty;' -H 'none' -H 'Stripe-Signature: t=1,v1=ab' -d x`, post("x", http.Header{"Stripe-Signature": {"t=1,v1=ab"}, "Empty": {""}})},
		"CGI's name":                   {`curl http://a.example/hook -H 'HTTP_STRIPE_SIGNATURE: t=1' -d x`, post("x", http.Header{"HTTP_STRIPE_SIGNATURE": {"t=1"}})},
		"values of other options":      {`curl -o out -u me:hunter2 --max-time 5 --cacert -x -b 'a=b' http://a.example/hook -d x -w '%{http_code}' -H 'Stripe-Signature: t=1,v1=ab'`, post("x", signed)},
		"after a prompt":               {"$ curl http://a.example/hook -d x -H 'Stripe-Signature: t=1,v1=ab' | jq .", post("x", signed)},
		"among other things":           {"# comment's\nexport A=b; cd /tmp && A=b sudo /usr/bin/curl http://a.example/hook -d x -H 'Stripe-Signature: t=1,v1=ab' # end's\n", post("x", signed)},
		"before output":                {"curl http://a.example/hook -d x -H 'Stripe-Signature: t=1,v1=ab' >out 2>&1", post("x", signed)},
		"hash within a word":           {`curl http://a.example/hook -d x#y -H 'Stripe-Signature: t=1,v1=ab'`, post("x#y", signed)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := stripehook.ParseCurl(tt.text, disk)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(tt.want.Body), string(got.Body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			got.Body, tt.want.Body = nil, nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("capture (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseCurlNotes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, body, want string }{
		"-d strips line ends":       {"curl a -d @body.json", `{  "a": 1}`, "--data-binary"},
		"a variable":                {`curl a -d "$BODY"`, "$BODY", "a shell replaces"},
		"a command":                 {`curl a -d "$(cat x)"`, "$(cat x)", "a shell replaces"},
		"an old command":            {"curl a -d \"`cat x`\"", "`cat x`", "a shell replaces"},
		"two commands":              {"curl a -d x\ncurl b -d y\n", "x", "only the first is read"},
		"two requests":              {"curl a -d x --next b -d y", "x", "only the first is read"},
		"no body":                   {"curl a -X POST", "", "sends no body"},
		"another method":            {"curl a -d x -X PUT", "x", "not POST"},
		"data in the URL":           {"curl a -G -d x", "", "sends no body"},
		"uploaded":                  {"curl a -T 'my file'", "x&y z", "not POST"},
		"URL with & without quotes": {"curl http://a/?b=c&d=e -d $", "$", ""},
		"dollar in single quotes":   {`curl a -d '$x' -H 'A: $ 5'`, "$x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := stripehook.ParseCurl(tt.text, disk)
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

func TestParseCurlFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":             {"", "no curl command"},
		"another command":     {"wget hunter2\n", "no curl command"},
		"single quote open":   {"curl a -d 'hunter2", "not closed"},
		"double quote open":   {`curl a -d "hunter2\"`, "not closed"},
		"dollar quote open":   {`curl a -d $'hunter2\'`, "not closed"},
		"backslash at end":    {`curl a -d $'hunter2\`, "not closed"},
		"no value":            {"curl hunter2 -d", "lacks a value"},
		"missing file":        {"curl a -d @hunter2", "the file of --data cannot be read"},
		"missing header file": {"curl a -H @hunter2", "the file of --header cannot be read"},
		"standard input":      {"curl a --data-binary @-", "standard input"},
		"form":                {"curl a -F b=hunter2", "multipart form"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := stripehook.ParseCurl(tt.text, disk)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %+v, %v, want %q and nothing quoted", got, err, tt.want)
			}
		})
	}
	if _, err := stripehook.ParseCurl("curl a -d @x", disk); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want its cause wrapped", err)
	}
}

func FuzzParseCurl(f *testing.F) {
	for _, seed := range []string{
		"curl http://a -H 'A: b' -d '{}'", `curl "a\` + "\n" + `b" $'\x41\u00e9\'' $"x"`, "curl -sXPOST -d@x -H@y a | curl b",
		"curl a -d `b` ${c} #d\n", "curl -", "curl --", "curl --data=", "curl -d ''", "$ curl \\", "curl '", `curl $'\`, `curl $'\777\UFFFFFFFF\c'`,
		"curl a&&b -H 'x;' -H ';' -H ': y' --json @z --next", "curl -é b",
	} {
		f.Add(seed)
	}
	read := func(string) ([]byte, error) { return []byte("A: b\r\n c\n\nd"), nil }
	f.Fuzz(func(t *testing.T, text string) {
		got, err := stripehook.ParseCurl(text, read)
		if err != nil {
			return
		}
		if got.Header == nil || got.Method == "" {
			t.Errorf("got %+v, want headers and a method", got)
		}
	})
}

// Whatever stands between single quotes arrives as it is.
func FuzzParseCurlBody(f *testing.F) {
	for _, seed := range []string{event, "", "it's", "'", `\'`, "$'", "`$x`", "@body.json"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		quoted := "'" + strings.ReplaceAll(body, "'", `'\''`) + "'"
		got, err := stripehook.ParseCurl("curl http://a --data-raw "+quoted+" -H 'A: b'", disk)
		if err != nil || string(got.Body) != body || got.Header.Get("A") != "b" {
			t.Errorf("got %q, %v, want %q", got.Body, err, body)
		}
	})
}

func FuzzParseHeaders(f *testing.F) {
	for _, seed := range []string{"A: b\n c\n", `{"a":["b"],"headers":{"c":null}}`, "> a: b\n>", "'a_b': 'c',", "\ufeff\r\n: x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, values := range stripehook.ParseHeaders(text) {
			if len(values) == 0 {
				t.Errorf("got %q without a value", name)
			}
		}
	})
}
