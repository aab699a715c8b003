package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/stripesim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "whsec_hunter2"

func getenv(name string) string {
	if name == "STRIPESIM_SECRET" {
		return secret
	}
	return ""
}

// endpoint answers every request with one status, and keeps the bodies.
type endpoint struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
}

func newEndpoint(t *testing.T, status int) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !strings.HasPrefix(r.Header.Get("Stripe-Signature"), "t=") {
			t.Errorf("got signature %q, %v", r.Header.Get("Stripe-Signature"), err)
		}
		e.mu.Lock()
		e.bodies = append(e.bodies, string(body))
		e.mu.Unlock()
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"received":true}`)
	}))
	t.Cleanup(e.Close)
	return e
}

func call(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, complaints bytes.Buffer
	err = run(t.Context(), args, getenv, &out, &complaints)
	if strings.Contains(complaints.String()+out.String(), secret) {
		t.Errorf("got the secret in the output")
	}
	return out.String(), complaints.String(), err
}

func TestSendsAndReports(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, http.StatusOK)
	out, complaints, err := call(t, "--url", e.URL, "--seed", "5", "--subscriptions", "8", "--duplicates", "--disorder")
	if err != nil || complaints != "" {
		t.Fatalf("got %v, %q", err, complaints)
	}
	for _, want := range []string{"seed 5: sending ", " of 8 subscriptions to " + e.URL, "\n event ", " customer.subscription.created         8\n", "\n answer ", " 200 OK  ", " events accepted in "} {
		if !strings.Contains(out, want) {
			t.Errorf("got no %q in\n%s", want, out)
		}
	}
}

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, http.StatusOK)
	out, _, err := call(t, "--url", e.URL, "--seed", "18446744073709551615", "--subscriptions", "8", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Seed             string
		Events, Accepted int
		Answers, Types   map[string]int
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	n := len(e.bodies)
	if report.Seed != "18446744073709551615" || report.Events != n || report.Accepted != n || report.Answers["200"] != n || report.Types["customer.created"] != 8 {
		t.Errorf("got %+v of %d", report, n)
	}
}

func TestRandomSeedIsPrintedAndMakesTheSameAgain(t *testing.T) {
	t.Parallel()
	first := newEndpoint(t, http.StatusOK)
	out, _, err := call(t, "--url", first.URL, "--subscriptions", "3")
	if err != nil {
		t.Fatal(err)
	}
	seed, _, _ := strings.Cut(strings.TrimPrefix(out, "seed "), ":")
	again := newEndpoint(t, http.StatusOK)
	if _, _, err := call(t, "--url", again.URL, "--subscriptions", "3", "--seed", seed); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, body := range append(first.bodies, again.bodies...) {
		count[body]++
	}
	for body, n := range count {
		if n != 2 {
			t.Errorf("got %d times, want twice:\n%.300s", n, body)
		}
	}
}

func TestTruth(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.json")
	if _, _, err := call(t, "--dry-run", "--seed", "5", "--subscriptions", "8", "--truth", path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var truth struct{ Subscriptions map[string]stripesim.Truth }
	if err := json.Unmarshal(text, &truth); err != nil {
		t.Fatal(err)
	}
	want := stripesim.Generate(stripesim.Config{Seed: 5, Subscriptions: 8, Ties: 0.1, UserIDs: true}).Truth
	if diff := cmp.Diff(want, truth.Subscriptions); diff != "" {
		t.Errorf("truth (-want +got):\n%s", diff)
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, http.StatusOK)
	out, _, err := call(t, "--dry-run", "--url", e.URL, "--seed", "5", "--subscriptions", "2", "--api-version", "2023-10-16")
	if err != nil || len(e.bodies) > 0 {
		t.Fatalf("got %v and %d requests, want none", err, len(e.bodies))
	}
	events := len(stripesim.Generate(stripesim.Config{Seed: 5, Subscriptions: 2, Ties: 0.1, UserIDs: true, APIVersions: []string{"2023-10-16"}}).Deliveries)
	if got := strings.Count(out, "\ncurl -sS -X POST '"+e.URL+"' "); got != events || !strings.HasPrefix(out, "# seed 5;") {
		t.Errorf("got %d commands, want %d:\n%.500s", got, events, out)
	}
	if strings.Count(out, `"api_version": "2023-10-16"`) != events {
		t.Error("got other API versions")
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "event.json")
	const event = "{\n\t\"id\": \"evt_1\"  }\n"
	if err := os.WriteFile(path, []byte(event), 0o600); err != nil {
		t.Fatal(err)
	}
	e := newEndpoint(t, http.StatusOK)
	out, _, err := call(t, "--url", e.URL, "--file", path)
	if err != nil || out != "200\n{\"received\":true}\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if diff := cmp.Diff([]string{event}, e.bodies); diff != "" {
		t.Errorf("bodies, byte for byte (-want +got):\n%s", diff)
	}
	refusing := newEndpoint(t, http.StatusServiceUnavailable)
	out, _, err = call(t, "--url", refusing.URL, "--file", path, "--json")
	if config.ExitCode(err) != 1 || !strings.Contains(out, `"status":503`) || len(refusing.bodies) != 1 {
		t.Errorf("got %q, %v, %d requests", out, err, len(refusing.bodies))
	}
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	refusing := newEndpoint(t, http.StatusBadRequest)
	for name, tt := range map[string]struct {
		args []string
		want int
	}{
		"refused":        {[]string{"--url", refusing.URL, "--subscriptions", "5"}, 1},
		"no such file":   {[]string{"--file", "/no/such/file"}, 1},
		"no such folder": {[]string{"--dry-run", "--truth", "/no/such/folder.json"}, 1},
		"wrong usage":    {[]string{"--subscriptions", "none"}, 2},
		"help":           {[]string{"--help"}, 0},
		"version":        {[]string{"--version"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := call(t, tt.args...); config.ExitCode(err) != tt.want {
				t.Errorf("got %v, want status %d", err, tt.want)
			}
		})
	}
}

func TestRefusalNamesTheSecret(t *testing.T) {
	t.Parallel()
	out, complaints, err := call(t, "--url", newEndpoint(t, http.StatusBadRequest).URL)
	if err == nil || !strings.Contains(err.Error(), "signing secret") {
		t.Errorf("got %v", err)
	}
	if strings.Count(complaints, "answered 400") != 1 || !strings.Contains(out, " 400 Bad Request  ") {
		t.Errorf("got %q and\n%s", complaints, out)
	}
}

// TestKindsAreThoseOfTheSettings checks that the settings accept the kinds of
// ties that can be sent, and no others.
func TestKindsAreThoseOfTheSettings(t *testing.T) {
	t.Parallel()
	var cfg config.Stripesim
	err := config.StripesimSend(&cfg).Load("stripesim", map[string]string{"kinds": "all"}, getenv)
	if diff := cmp.Diff(stripesim.SentKinds(), kinds(cfg)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestVersionsAreThoseOfTheSettings checks that the settings accept the API
// versions that the simulator knows, and no others.
func TestVersionsAreThoseOfTheSettings(t *testing.T) {
	t.Parallel()
	err := config.StripesimSend(&config.Stripesim{}).Load("stripesim", map[string]string{"api-version": "none"}, getenv)
	if err == nil || !strings.Contains(err.Error(), "one of "+strings.Join(stripesim.Versions(), ", ")+", not") {
		t.Errorf("got %v, want %v", err, stripesim.Versions())
	}
}
