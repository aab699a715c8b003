package ops_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/secret"
	"github.com/billbus/billbus/test/kit"
)

// admin serves the admin address of a program with two checks.
func admin(t *testing.T, stream error) (addr string) {
	t.Helper()
	h := ops.NewHealth()
	h.Check("nats", fine)
	h.Check("streams", func(context.Context) error { return stream })
	srv := httptest.NewServer(ops.AdminHandler(h, ops.NewMetrics(), secret.Text{}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func TestHealthOfAProgram(t *testing.T) {
	t.Parallel()
	missing := errors.New("stream BILLBUS is missing")
	for name, tt := range map[string]struct {
		stream error
		json   bool
		want   string
		err    error
	}{
		"ready":             {nil, false, "✓ nats\n✓ streams\nready\n", nil},
		"ready, JSON":       {nil, true, `{"ready":true,"checks":{"nats":{"ok":true},"streams":{"ok":true}}}` + "\n", nil},
		"a check fails":     {missing, false, "✓ nats\n✗ streams: stream BILLBUS is missing\n", ops.ErrNotReady},
		"it fails, in JSON": {missing, true, `{"ready":false,"checks":{"nats":{"ok":true},"streams":{"ok":false,"error":"stream BILLBUS is missing"}}}` + "\n", ops.ErrNotReady},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := ops.PrintHealth(t.Context(), ops.Admin{Addr: admin(t, tt.stream)}, tt.json, &out)
			if out.String() != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %v and\n%s\nwant %v and\n%s", err, out.String(), tt.err, tt.want)
			}
		})
	}
}

// In a container, the program listens on all addresses.
func TestHealthOfAProgramThatListensEverywhere(t *testing.T) {
	t.Parallel()
	_, port, err := net.SplitHostPort(admin(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"", "0.0.0.0", "[::]"} {
		if err := ops.PrintHealth(t.Context(), ops.Admin{Addr: host + ":" + port}, false, new(bytes.Buffer)); err != nil {
			t.Errorf("%q: got %v", host, err)
		}
	}
}

func TestHealthOfNoProgram(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	for addr, want := range map[string]string{
		kit.FreeAddr(t):                "the program does not run, or has another ADMIN_ADDR",
		other.Listener.Addr().String(): "is another program",
	} {
		var out bytes.Buffer
		err := ops.PrintHealth(t.Context(), ops.Admin{Addr: addr}, true, &out)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, ops.ErrNotReady) || out.Len() > 0 {
			t.Errorf("%s: got %v and %q, want %q", addr, err, out.String(), want)
		}
	}
}
