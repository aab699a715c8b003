package natsbus_test

import (
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/internal/natsbus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func startServer(t testing.TB) *natsserver.Server {
	t.Helper()
	return startServerAt(t, "127.0.0.1:0", t.TempDir())
}

func startServerAt(t testing.TB, addr, dir string) *natsserver.Server {
	t.Helper()
	srv, err := natsserver.Start(natsserver.Config{Addr: addr, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

func open(t testing.TB, url string) *natsbus.Bus {
	t.Helper()
	return openAs(t, natsbus.Auth{URL: url})
}

func openAs(t testing.TB, auth natsbus.Auth) *natsbus.Bus {
	t.Helper()
	bus, err := natsbus.Open(auth, t.Name(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	return bus
}

func settings() natsbus.StreamSettings {
	return natsbus.StreamSettings{Name: "BILLBUS", Replicas: 1, MaxBytes: -1, DuplicateWindow: 72 * time.Hour}
}
