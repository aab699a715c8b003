package ops_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/secret"
)

func fine(context.Context) error { return nil }

func request(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		build  func(h *ops.Health)
		status int
		want   string
	}{
		{
			name:   "no checks is ready",
			build:  func(*ops.Health) {},
			status: http.StatusOK,
			want:   `{"ready":true,"checks":{}}`,
		},
		{
			name:   "passing checks are ready",
			build:  func(h *ops.Health) { h.Check("nats", fine); h.Check("stream", fine) },
			status: http.StatusOK,
			want:   `{"ready":true,"checks":{"nats":{"ok":true},"stream":{"ok":true}}}`,
		},
		{
			name: "a failure is not ready and says why",
			build: func(h *ops.Health) {
				h.Check("nats", fine)
				h.Check("stream", func(context.Context) error { return errors.New("stream is missing") })
			},
			status: http.StatusServiceUnavailable,
			want:   `{"ready":false,"checks":{"nats":{"ok":true},"stream":{"ok":false,"error":"stream is missing"}}}`,
		},
		{
			name:   "a panic is a failure",
			build:  func(h *ops.Health) { h.Check("nats", func(context.Context) error { panic("boom") }) },
			status: http.StatusServiceUnavailable,
			want:   `{"ready":false,"checks":{"nats":{"ok":false,"error":"panic: boom"}}}`,
		},
		{
			name:   "shutting down is not ready",
			build:  func(h *ops.Health) { h.Check("nats", fine); h.Shutdown() },
			status: http.StatusServiceUnavailable,
			want:   `{"ready":false,"checks":{"nats":{"ok":true},"shutdown":{"ok":false,"error":"shutting down"}}}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := ops.NewHealth()
			tt.build(h)
			w := request(t, ops.AdminHandler(h, ops.NewMetrics(), secret.Text{}), "GET", "/readyz")
			if w.Code != tt.status {
				t.Errorf("got status %d, want %d", w.Code, tt.status)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("got content type %q, want JSON", got)
			}
			var got, want any
			if err := errors.Join(json.Unmarshal(w.Body.Bytes(), &got), json.Unmarshal([]byte(tt.want), &want)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("readiness (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHungCheckFailsAtItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := ops.NewHealth()
		release := make(chan struct{})
		h.Check("hung", func(context.Context) error { <-release; return nil })
		h.Check("slow", func(ctx context.Context) error { <-ctx.Done(); return nil })
		h.Check("nats", fine)

		start := time.Now()
		got := h.Ready(t.Context())
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("got an answer after %s, want all checks to end at 2s", took)
		}
		if got.Ready || got.Checks["hung"].OK || !got.Checks["nats"].OK {
			t.Errorf("got %+v, want only the hung check failed", got)
		}
		again := h.Ready(t.Context()).Checks["hung"]
		if want := "an earlier run of this check has not returned"; again.Error != want {
			t.Errorf("got %q, want %q", again.Error, want)
		}
		close(release)
		synctest.Wait()
		if got := h.Ready(t.Context()).Checks["hung"]; !got.OK {
			t.Errorf("got %+v, want the check to pass after it returns", got)
		}
	})
}

func TestAdminRoutes(t *testing.T) {
	t.Parallel()
	h := ops.NewHealth()
	h.Shutdown()
	handler := ops.AdminHandler(h, ops.NewMetrics(), secret.Text{})
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/healthz", http.StatusOK}, // alive, but not ready
		{"GET", "/readyz", http.StatusServiceUnavailable},
		{"GET", "/metrics", http.StatusOK},
		{"POST", "/healthz", http.StatusMethodNotAllowed},
		{"DELETE", "/readyz", http.StatusMethodNotAllowed},
		{"PUT", "/metrics", http.StatusMethodNotAllowed},
		{"GET", "/", http.StatusNotFound},
		{"GET", "/readyz/more", http.StatusNotFound},
		{"GET", "/debug/pprof/", http.StatusNotFound},
	} {
		if got := request(t, handler, tt.method, tt.path).Code; got != tt.want {
			t.Errorf("%s %s: got %d, want %d", tt.method, tt.path, got, tt.want)
		}
	}
}
