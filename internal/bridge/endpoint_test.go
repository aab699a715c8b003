package bridge_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/bridge"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit"
)

const address = "https://example.com/webhooks/stripe"

// endpointing runs "bridge endpoint check" or "create". Arguments like A=b are variables.
func endpointing(t *testing.T, command, base string, args ...string) (out string, err error) {
	t.Helper()
	env, flags := map[string]string{"STRIPE_API_KEY": apiKey, "STRIPE_API_BASE": base}, []string{}
	for _, arg := range args {
		if key, value, ok := strings.Cut(arg, "="); ok && !strings.HasPrefix(arg, "--") {
			env[key] = value
			continue
		}
		flags = append(flags, arg)
	}
	var cfg config.Bridge
	load, run := config.EndpointCheck, bridge.EndpointCheck
	if command == "create" {
		load, run = config.EndpointCreate, bridge.EndpointCreate
	}
	if err := load(&cfg).Load("bridge endpoint "+command, kit.Flags(flags...), func(key string) string { return env[key] }); err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	err = run(t.Context(), cfg, bridge.Console{Stdout: &stdout, Stderr: &stderr}, time.Now)
	if all := stdout.String() + stderr.String() + fmt.Sprint(err); strings.Contains(all, "hunter2") || strings.Contains(all, "whsec_") {
		t.Errorf("a key or a secret was printed: %s", all)
	}
	return stdout.String(), err
}

// add creates an endpoint at the fake.
func add(t *testing.T, base, address string, events ...string) {
	t.Helper()
	post(t, base, url.Values{"url": {address}, "enabled_events[]": events})
}

func post(t *testing.T, uri string, form url.Values) {
	t.Helper()
	if !strings.Contains(uri, "/v1/") {
		uri += "/v1/webhook_endpoints"
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, uri, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+apiKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Fatalf("got %s", resp.Status)
	}
}

func TestCreatedEndpointIsAsItShouldBe(t *testing.T) {
	t.Parallel()
	s, base := stripe(t)
	file := filepath.Join(t.TempDir(), "secret")
	out, err := endpointing(t, "create", base, "--url="+address, "--secret-file="+file, "--api-version=2025-09-30.clover")
	if err != nil || !strings.HasPrefix(out, "created we_") {
		t.Fatalf("got %s, %v", out, err)
	}
	secret, err := os.ReadFile(file)
	info, statErr := os.Stat(file)
	if err != nil || statErr != nil || !regexp.MustCompile(`^whsec_\w+\n$`).Match(secret) || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v %v, %v, %v", len(secret), info, err, statErr)
	}
	out, err = endpointing(t, "check", base, "--url=HTTPS://Example.com:443/webhooks/stripe")
	if err != nil || !strings.HasSuffix(out, "1 endpoints: 0 wrong, 0 warnings\n") {
		t.Errorf("got %s, %v", out, err)
	}
	// There is never a second one.
	for _, again := range []string{address, "https://EXAMPLE.com:443/webhooks/stripe"} {
		other := filepath.Join(t.TempDir(), "other")
		out, err := endpointing(t, "create", base, "--url="+again, "--secret-file="+other)
		if config.ExitCode(err) != 1 || out != "" || !strings.Contains(fmt.Sprint(err), "Dashboard") {
			t.Errorf("got %s, %v", out, err)
		}
		if _, err := os.Stat(other); err == nil {
			t.Error("there is a file for a secret")
		}
	}
	created := 0
	for _, q := range s.Requests() {
		if q.Method == http.MethodPost {
			created++
		}
		if q.Path != "/v1/webhook_endpoints" {
			t.Errorf("got %s", q.Path)
		}
	}
	if created != 1 {
		t.Errorf("got %d creations", created)
	}
}

// The answer is lost after the endpoint was created. The same request gets it again.
func TestLostAnswerCreatesOneEndpoint(t *testing.T) {
	t.Parallel()
	s, direct := stripe(t)
	for name, lost := range map[string]int64{"once": 1, "always": 100} {
		var posted atomic.Int64
		base := serving(t, func(w http.ResponseWriter, q *http.Request) {
			if q.Method == http.MethodPost && posted.Add(1) <= lost {
				s.ServeHTTP(httptest.NewRecorder(), q)
				kit.StripeError(http.StatusBadGateway, "")(w, q)
				return
			}
			s.ServeHTTP(w, q)
		})
		file := filepath.Join(t.TempDir(), "secret")
		ctx := "https://" + name + ".example.com/webhooks/stripe"
		_, err := endpointing(t, "create", base, "--url="+ctx, "--secret-file="+file)
		_, missing := os.Stat(file)
		if lost == 1 && (err != nil || missing != nil) {
			t.Errorf("%s: got %v, %v", name, err, missing)
		}
		if lost > 1 && (missing == nil || !strings.Contains(fmt.Sprint(err), "was created, and its signing secret is in the Dashboard")) {
			t.Errorf("%s: got %v, %v", name, err, missing)
		}
		if out, err := endpointing(t, "check", direct, "--url="+ctx); err != nil || !strings.Contains(out, "1 endpoints:") {
			t.Errorf("%s: got %s, %v", name, out, err)
		}
	}
}

func TestFileForTheSecretComesFirst(t *testing.T) {
	t.Parallel()
	s, base := stripe(t)
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(taken, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{taken, filepath.Join(taken, "in a file")} {
		out, err := endpointing(t, "create", base, "--url="+address, "--secret-file="+file)
		if config.ExitCode(err) != 1 || out != "" || !strings.Contains(fmt.Sprint(err), "nothing was created") {
			t.Errorf("got %s, %v", out, err)
		}
	}
	if kept, err := os.ReadFile(taken); err != nil || string(kept) != "mine" {
		t.Errorf("got %s, %v", kept, err)
	}
	for _, q := range s.Requests() {
		if q.Method == http.MethodPost {
			t.Error("an endpoint was created")
		}
	}
}

func TestEndpointCheckFinds(t *testing.T) {
	t.Parallel()
	all := strings.Split(strings.Join(bridge.EndpointEvents(), " "), " ")
	required := all[:8]
	for name, tt := range map[string]struct {
		prepare func(base string)
		args    []string
		want    []string
		exit    int
	}{
		"none":        {func(string) {}, nil, []string{"✗ none of 0 endpoints is for the path /webhooks/stripe. Create it: "}, 1},
		"another":     {func(base string) { add(t, base, "https://example.com/other", all...) }, nil, []string{"✗ none of 1 endpoints"}, 1},
		"path":        {func(base string) { add(t, base, "https://example.com/other", all...) }, []string{"--url=https://example.com/other"}, []string{"its path is not /webhooks/stripe"}, 1},
		"as the path": {func(base string) { add(t, base, "https://example.com/other", all...) }, []string{"WEBHOOK_PATH=/other"}, []string{"1 endpoints: 0 wrong, 0 warnings"}, 0},
		"disabled": {func(base string) {
			add(t, base, address, all...)
			post(t, base+"/v1/webhook_endpoints/we_1BillbusSimulated0001", url.Values{"disabled": {"true"}})
		}, nil, []string{`✗ we_1BillbusSimulated0001 it is "disabled": Stripe sends nothing`, "bridge backfill"}, 1},
		"not https": {func(base string) { add(t, base, "http://example.com/webhooks/stripe", all...) }, nil, []string{"its address is not https://"}, 1},
		"missing": {
			func(base string) { add(t, base, address, required[1:]...) }, nil,
			[]string{"✗ we_1BillbusSimulated0001 it does not select " + required[0] + ": records", "! we_1BillbusSimulated0001 it does not select product.created,"},
			1,
		},
		"required only":   {func(base string) { add(t, base, address, required...) }, nil, []string{"0 wrong, 4 warnings"}, 0},
		"all":             {func(base string) { add(t, base, address, "*") }, nil, []string{"it selects all events", "invoice.created", "0 wrong, 1 warnings"}, 0},
		"invoice.created": {func(base string) { add(t, base, address, append(slices.Clone(all), "invoice.created")...) }, nil, []string{"Stripe waits up to three days", "0 wrong, 1 warnings"}, 0},
		"two": {
			func(base string) {
				add(t, base, address, all...)
				add(t, base, "https://example.org/webhooks/stripe", "invoice.paid")
			},
			[]string{"--url=" + address},
			[]string{"it delivers the same events as we_1BillbusSimulated0002", "1 endpoints: 0 wrong, 1 warnings"},
			0,
		},
		"version": {func(base string) {
			post(t, base, url.Values{"url": {address}, "enabled_events[]": all, "api_version": {"2099-01-01.future"}})
		}, nil, []string{"its API version is 2099-01-01.future"}, 0},
		"many": {func(base string) {
			for i := range 15 {
				add(t, base, fmt.Sprintf("https://example.com/%d", i), "*")
			}
			add(t, base, address, all...)
		}, nil, []string{"1 endpoints: 0 wrong, 0 warnings"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, base := stripe(t)
			tt.prepare(base)
			out, err := endpointing(t, "check", base, tt.args...)
			if config.ExitCode(err) != tt.exit {
				t.Errorf("got %v\n%s", err, out)
			}
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("want %q in\n%s", want, out)
				}
			}
		})
	}
}

func TestEndpointOfTheOtherMode(t *testing.T) {
	t.Parallel()
	s := kit.NewStripeAPI(t)
	s.On("/v1/webhook_endpoints?limit=100", kit.StripeObject(`{"data":[{"id":"we_1","url":"`+address+`","status":"enabled","enabled_events":["*"],"application":"ca_1"}]}`))
	out, err := endpointing(t, "check", s.URL, "WEBHOOK_LIVEMODE=live", "STRIPE_API_KEY=rk_hunter2")
	if config.ExitCode(err) != 1 || !strings.Contains(out, "✗ we_1 its events are of test mode") || !strings.Contains(out, `the Connect application "ca_1"`) {
		t.Errorf("got %s, %v", out, err)
	}
}

func TestJSONOfEndpointCheck(t *testing.T) {
	t.Parallel()
	_, base := stripe(t)
	add(t, base, address, "*")
	out, err := endpointing(t, "check", base, "--json")
	want := `{"kind":"endpoint","account":"platform","id":"we_1BillbusSimulated0001","url":"https://example.com/webhooks/stripe","status":"enabled","livemode":false,"events":1}
{"kind":"finding","severity":"warning","account":"platform","endpoint":"we_1BillbusSimulated0001","problem":`
	if err != nil || !strings.HasPrefix(out, want) || !strings.HasSuffix(out, `{"kind":"summary","endpoints":1,"wrong":0,"warnings":1}`+"\n") {
		t.Errorf("got %v (-want +got):\n%s", err, cmp.Diff(want, out))
	}
}

func TestWrongUsageOfEndpoint(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	for name, args := range map[string][]string{
		"no url":          {"create", "--secret-file=" + file},
		"no file":         {"create", "--url=" + address},
		"no key":          {"create", "--url=" + address, "--secret-file=" + file, "STRIPE_API_KEY="},
		"all accounts":    {"create", "--url=" + address, "--secret-file=" + file, "--account=all"},
		"other path":      {"create", "--url=https://example.com/hooks", "--secret-file=" + file},
		"version":         {"create", "--url=" + address, "--secret-file=" + file, "--api-version=new"},
		"not an address":  {"check", "--url=example.com"},
		"this machine":    {"check", "--url=http://localhost/webhooks/stripe"},
		"private network": {"check", "--url=https://10.0.0.1/webhooks/stripe"},
		"organization":    {"check", "STRIPE_API_KEY=sk_org_test_hunter2", "STRIPE_API_VERSION=2025-09-30.clover"},
		"no such key":     {"check", "STRIPE_API_KEY=", "STRIPE_API_KEYS=acct_1=rk_test_hunter2", "--account=acct_2"},
	} {
		if out, err := endpointing(t, args[0], "http://127.0.0.1:1", args[1:]...); config.ExitCode(err) != 2 || out != "" {
			t.Errorf("%s: got %q, %v, want wrong usage", name, out, err)
		}
	}
}

// The table in the docs and the code are the same.
func TestDocsListTheEventsToSelect(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## The webhook endpoint\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[a-z_.`, ]+`) \\| (.+) \\|$").FindAllStringSubmatch(section, -1) {
		got = append(got, strings.NewReplacer("`", "", ", ", " ").Replace(row[1])+": "+row[2])
	}
	var want []string
	for i, without := range bridge.EndpointEventsWithout() {
		want = append(want, bridge.EndpointEvents()[i]+": "+without)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-code +page):\n%s", diff)
	}
}

func TestNewestVersionIsTheNewestOfTheSimulation(t *testing.T) {
	t.Parallel()
	all := stripesim.Versions()
	if oldest, newest := bridge.TestedVersions(); oldest != all[0] || newest != all[len(all)-1] {
		t.Errorf("got %s to %s, want %s to %s", oldest, newest, all[0], all[len(all)-1])
	}
}
