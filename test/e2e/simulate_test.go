package e2e_test

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/standalone"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit"
)

func TestSimulationEndsWithCorrectRecords(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"DATA_DIR": t.TempDir(), "LISTEN_ADDR": freeAddr(t), "ADMIN_ADDR": freeAddr(t),
		"STANDALONE_NATS_ADDR": freeAddr(t), "STANDALONE_MONGODB_ADDR": freeAddr(t),
	}
	var cfg config.Standalone
	if err := config.StandaloneRun(&cfg).Load("standalone", kit.Flags("--simulate=25", "--once"), func(key string) string { return env[key] }); err != nil {
		t.Fatal(err)
	}
	for _, run := range []string{"first", "second"} {
		var out kit.Buffer
		if err := standalone.Run(t.Context(), cfg, &out, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
			t.Errorf("%s run: %v\n%s", run, err, out.String())
		}
		if !strings.Contains(out.String(), "25 of 25 records are correct") {
			t.Errorf("%s run printed:\n%s", run, out.String())
		}
	}
}

// histories is how many subscriptions are simulated; more can be asked for.
func histories(t *testing.T) string {
	t.Helper()
	text := cmp.Or(os.Getenv("BILLBUS_E2E_SUBSCRIPTIONS"), "100")
	if _, err := strconv.Atoi(text); err != nil {
		t.Fatal(err)
	}
	return text
}

// TestSimulatedHistories sends histories to the separate programs, out of order
// and repeated. In some of them stamps cannot tell which change was the last.
func TestSimulatedHistories(t *testing.T) {
	t.Parallel()
	c := newCluster(t).up(t)
	truth := filepath.Join(t.TempDir(), "truth.json")
	code, report, stderr := execute(t, "stripesim", []string{"STRIPESIM_SECRET=" + secret},
		"--url", c.webhookURL, "--subscriptions", histories(t), "--duplicates", "--disorder", "--ties", "0.3", "--truth", truth)
	if code != 0 {
		t.Fatalf("stripesim: exit status %d\n%s", code, stderr)
	}
	t.Log(report)
	truths := readTruth(t, truth)
	drained(t, jetStream(t, c.natsURL))
	db, err := mongostore.Open(mongostore.Config{URI: c.mongoURI, Database: "billbus", MaxBatch: 1, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(t.Context())) }()
	checkAudited(t, db, truths)
	checkStates(t, db, truths)
}

func readTruth(t *testing.T, path string) map[string]stripesim.Truth {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Subscriptions map[string]stripesim.Truth `json:"subscriptions"`
	}
	if err := json.Unmarshal(raw, &file); err != nil || len(file.Subscriptions) == 0 {
		t.Fatalf("reading the truth: %v, %d subscriptions", err, len(file.Subscriptions))
	}
	return file.Subscriptions
}

func checkAudited(t *testing.T, db store.Search, truths map[string]stripesim.Truth) {
	t.Helper()
	found, err := db.Search(t.Context(), store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, audited := range found {
		counts[audited.ID]++
	}
	sent := 0
	for _, truth := range truths {
		for _, e := range truth.Events {
			sent++
			if counts[e.ID] != 1 {
				t.Errorf("%s is audited %d times", e.ID, counts[e.ID])
			}
		}
	}
	if len(counts) != sent {
		t.Errorf("%d events are audited, %d were sent", len(counts), sent)
	}
}

func checkStates(t *testing.T, db store.States, truths map[string]stripesim.Truth) {
	t.Helper()
	tied := 0
	for key, truth := range truths {
		state, found, err := db.State(t.Context(), key)
		if truth.Tied {
			tied++
		}
		if diff := events.Diff(&truth.Subscription, &state.Subscription); !found || err != nil || diff != nil || state.Ordering != ordering.Determined {
			t.Errorf("%s: %v, %v, differs in %v; the last event is %s, and the record says: %s %s", key, found, err, diff, truth.LastEventID, state.Ordering, state.Explanation)
		}
	}
	t.Logf("%d of %d histories end in a tie", tied, len(truths))
}
