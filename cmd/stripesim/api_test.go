package main

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/test/kit"
)

// serving is a stripesim that serves the API.
type serving struct {
	out  *kit.Buffer
	base string
	stop func() error
}

func serve(t *testing.T, getenv func(string) string, args ...string) serving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := serving{out: &kit.Buffer{}}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, append(args, "--api", "127.0.0.1:0"), getenv, s.out, s.out) }()
	s.stop = func() error {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		return <-ended
	}
	hint := regexp.MustCompile(`STRIPE_API_BASE=(http://127\.0\.0\.1:\d+) STRIPE_API_KEY=` + apiKey)
	kit.Eventually(t, "the address of the API", func() bool {
		match := hint.FindStringSubmatch(s.out.String())
		if match != nil {
			s.base = match[1]
		}
		return match != nil
	})
	return s
}

// list returns the ids of the first page.
func (s serving) list(t *testing.T, path string) (ids []string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(apiKey, "")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var page struct{ Data []struct{ ID string } }
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %d, %v", resp.StatusCode, err)
	}
	for _, o := range page.Data {
		ids = append(ids, o.ID)
	}
	return ids
}

func TestAPIIsServedAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, func(string) string { return "" }, "--seed", "5", "--subscriptions", "30")
	if got := s.list(t, "/v1/events"); len(got) == 0 {
		t.Error("got no events of the last 30 days")
	}
	if got := s.list(t, "/v1/customers?limit=100"); len(got) != 30 {
		t.Errorf("got %d customers, want 30", len(got))
	}
	if err := s.stop(); err != nil || strings.Contains(s.out.String(), "accepted") {
		t.Errorf("got %v and\n%s", err, s.out)
	}
}

func TestAPIKnowsWhichEventsAreDelivered(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, http.StatusOK)
	s := serve(t, getenv, "--seed", "5", "--subscriptions", "8", "--url", e.URL)
	kit.Eventually(t, "everything is delivered", func() bool { return len(s.list(t, "/v1/events?delivery_success=false")) == 0 })
	if got := s.list(t, "/v1/events?delivery_success=true"); len(got) == 0 {
		t.Error("got no event that was delivered")
	}
	kit.Eventually(t, "the report", func() bool { return strings.Contains(s.out.String(), "events accepted in") })
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	refusing := newEndpoint(t, http.StatusBadRequest)
	if _, _, err := call(t, "--url", refusing.URL, "--api", "127.0.0.1:0"); config.ExitCode(err) != 1 {
		t.Errorf("got %v, want an end with the refusal", err)
	}
	if _, _, err := call(t, "--api", strings.TrimPrefix(e.URL, "http://")); err == nil || !strings.Contains(err.Error(), "STRIPESIM_API") {
		t.Errorf("got %v, want the taken port", err)
	}
}
