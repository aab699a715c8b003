package stripeapi_test

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/stripeapi"
)

const requireMock = "BILLBUS_REQUIRE_STRIPE_MOCK"

// The stand-in of the other tests was written here, and would take what Stripe
// does not. stripe-mock goes by Stripe's own specification of its API, and
// refuses paths and parameters that are not in it. It knows the v1 endpoints,
// which are all that is asked for; those of v2, by which a thin event could be
// read, are not in its specification.
func TestStripesSpecificationKnowsWhatIsAsked(t *testing.T) {
	t.Parallel()
	m := startMock(t)
	mockRefuses(t, m) // else what follows would prove nothing
	c := client(t, stripeapi.Config{Base: m.URL})
	if _, err := c.Event(t.Context(), platform, "evt_1"); err != nil {
		t.Error(err)
	}
	got, err := c.Subscription(t.Context(), stripeapi.Owner{Account: "acct_1"}, "sub_1")
	if err != nil {
		t.Error(err)
	}
	if !bytes.Contains(got.Raw, []byte(`"has_more":false`)) {
		t.Errorf("got %s", got.Raw)
	}
	want := []string{
		"200 /v1/events/evt_1 ", "200 /v1/subscriptions/sub_1 ", "200 /v1/subscription_items limit,subscription",
		"200 /v1/subscription_items limit,starting_after,subscription",
	}
	if diff := cmp.Diff(want, m.answered()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func mockRefuses(t *testing.T, m *mock) {
	t.Helper()
	for uri, want := range map[string]int{
		"/v1/subscription_items":                        http.StatusBadRequest,
		"/v1/subscription_items?subscription=s&pages=1": http.StatusBadRequest,
		"/v1/subscription_parts?subscription=sub_1":     http.StatusNotFound,
		"/v2/core/events/evt_1":                         http.StatusNotFound,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.URL+uri, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := m.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d", uri, resp.StatusCode, want)
		}
	}
	m.forget()
}

// mock is stripe-mock behind a proxy that notes how it answers. Its lists do
// not go on, and ours must be asked for the second page, too: so the first two,
// in the subscription and of its items, are made to.
type mock struct {
	*httptest.Server
	mu    sync.Mutex
	notes []string
	lists int
}

func startMock(t *testing.T) *mock {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: runMock(t)}
	m, transport := &mock{}, &http.Transport{}
	m.Server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Accept-Encoding") // the body is looked into
		},
		ModifyResponse: m.note,
		Transport:      transport,
	})
	t.Cleanup(func() { m.Close(); transport.CloseIdleConnections() })
	return m
}

func (m *mock) note(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	names := slices.Sorted(maps.Keys(resp.Request.URL.Query()))
	m.notes = append(m.notes, resp.Status[:3]+" "+resp.Request.URL.Path+" "+strings.Join(names, ","))
	if more := []byte(`"has_more":false`); m.lists < 2 && bytes.Contains(body, more) {
		m.lists++
		body = bytes.ReplaceAll(body, more, []byte(`"has_more":true`))
	}
	resp.Header.Del("Content-Length")
	resp.ContentLength = int64(len(body))
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

func (m *mock) answered() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.notes
}

func (m *mock) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes = nil
}

// runMock starts stripe-mock until the test ends.
func runMock(t *testing.T) (addr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), buildMock(t), "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the context of the test has ended it
	listening := regexp.MustCompile(`Listening for HTTP at address: (\S+)`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if match := listening.FindStringSubmatch(lines.Text()); match != nil {
			return match[1]
		}
	}
	t.Fatal("stripe-mock does not say where it listens")
	return ""
}

// buildMock builds stripe-mock as it is pinned in tools. Where that cannot be
// done, because nothing can be downloaded, the test is skipped, or fails if
// BILLBUS_REQUIRE_STRIPE_MOCK is set.
func buildMock(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "stripe-mock")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-modfile=tools/stripe-mock/go.mod", "-o", binary, "github.com/stripe/stripe-mock")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv(requireMock) != "":
		t.Fatalf("building stripe-mock, and %s is set: %v\n%s", requireMock, err, out)
	default:
		t.Skipf("stripe-mock cannot be built (with %s set that is a failure): %v\n%s", requireMock, err, out)
	}
	return binary
}
