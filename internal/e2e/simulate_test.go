package e2e_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/standalone"
	"github.com/billbus/billbus/internal/stripesim"
)

func TestSimulationEndsAsItTrulyWas(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"DATA_DIR": t.TempDir(), "LISTEN_ADDR": freeAddr(t), "ADMIN_ADDR": freeAddr(t),
		"STANDALONE_NATS_ADDR": freeAddr(t), "STANDALONE_MONGODB_ADDR": freeAddr(t),
	}
	cfg, err := config.LoadStandalone([]string{"--simulate=25", "--once"}, func(key string) string { return env[key] })
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range []string{"first", "second"} {
		var out buffer
		if err := standalone.Run(t.Context(), cfg, &out, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
			t.Errorf("%s run: %v\n%s", run, err, out.String())
		}
		if !strings.Contains(out.String(), "25 of 25 records are as they truly are") {
			t.Errorf("%s run printed:\n%s", run, out.String())
		}
	}
}

// TestSimulatedHistoriesWithoutTies sends histories to the separate programs,
// out of order and repeated. Where two changes of a subscription lie within two
// seconds its stamps cannot tell which was the last: those are counted, not
// judged.
func TestSimulatedHistoriesWithoutTies(t *testing.T) {
	t.Parallel()
	c := newCluster(t).up(t)
	history := stripesim.Generate(stripesim.Config{Seed: uint64(time.Now().UnixNano()), Subscriptions: 100, Ties: 0.3, UserIDs: true})
	report, err := stripesim.Send(t.Context(), history, stripesim.SendConfig{
		URL: c.webhookURL, Secret: secret, Duplicates: 0.2, Disorder: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	drained(t, jetStream(t, c.natsURL))
	store, err := mongostore.Open(mongostore.Config{URI: c.mongoURI, Database: "billbus", MaxBatch: 1, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close(context.WithoutCancel(t.Context())) }()
	counts, err := store.EventCounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(counts) != report.Events {
		t.Errorf("got %d events in the audit trail, want %d", len(counts), report.Events)
	}
	for id, n := range counts {
		if n != 1 {
			t.Errorf("%s is audited %d times", id, n)
		}
	}
	tied, wrong := 0, 0
	for key, truth := range history.Truth {
		_, differing, err := store.Compare(t.Context(), key, truth.Subscription)
		switch {
		case truth.Tied:
			tied++
			if err != nil || differing != nil {
				wrong++
			}
		case err != nil || differing != nil:
			t.Errorf("%s: %v, differs in %v", key, err, differing)
		}
	}
	t.Logf("seed %d: %d events, %d again; %d of %d histories end in a tie, of these %d came out otherwise",
		history.Seed, report.Events, report.Repeats, tied, len(history.Truth), wrong)
}
