package e2e_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/standalone"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit"
)

func TestStandaloneSimulationIsCorrectTwice(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"DATA_DIR": t.TempDir(), "LISTEN_ADDR": kit.FreeAddr(t), "ADMIN_ADDR": kit.FreeAddr(t),
		"STANDALONE_NATS_ADDR": kit.FreeAddr(t), "STANDALONE_MONGODB_ADDR": kit.FreeAddr(t),
	}
	var cfg config.Standalone
	if err := config.StandaloneRun(&cfg).Load("standalone", kit.Flags("--simulate=25", "--once"), func(key string) string { return env[key] }); err != nil {
		t.Fatal(err)
	}
	for _, run := range []string{"first", "second"} {
		var out, logged kit.Buffer
		if err := standalone.Run(t.Context(), cfg, &out, slog.New(slog.NewTextHandler(&logged, nil))); err != nil {
			t.Errorf("%s run: %v\n%s", run, err, out.String())
		}
		if !strings.Contains(out.String(), "25 of 25 records are correct") {
			t.Errorf("%s run printed:\n%s", run, out.String())
		}
		if strings.Contains(logged.String(), "bridge provision") {
			t.Errorf("%s run logged that the bridge must be started:\n%s", run, logged.String())
		}
	}
}

// TestSimulatedHistories sends histories to the programs, out of order and with
// repetitions. Some end with changes in one second. BILLBUS_E2E_SUBSCRIPTIONS sets
// their number.
func TestSimulatedHistories(t *testing.T) {
	t.Parallel()
	subscriptions := setting("BILLBUS_E2E_SUBSCRIPTIONS", "100")
	if _, err := strconv.Atoi(subscriptions); err != nil {
		t.Fatal(err)
	}
	c := newCluster(t)
	path := filepath.Join(t.TempDir(), "truth.json")
	c.simulate(t, subscriptions, "--truth", path)
	truth := readTruth(t, path)
	c.drained(t)
	c.judge(t, truth)
	t.Logf("%d of %d histories end with changes in one second", stripesim.History{Truth: truth}.Tied(), len(truth))
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
