package chaos

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/test/chaos/report"
	"github.com/billbus/billbus/test/chaos/verdict"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/deploy"
	"github.com/billbus/billbus/test/kit/servers"
)

const (
	mongoVariable = "BILLBUS_TEST_MONGODB_URI"
	apiKey        = "sk_test_chaos"
	historyFile   = "history.jsonl"
	idle          = 5 * time.Second // at the end, to see what memory and goroutines come back to
)

// run is one run.
type run struct {
	*deploy.Deployment
	cfg     Config
	shape   shape
	history stripesim.History
	faults  []Fault
	traffic *traffic
	network *network
	secrets *secrets
	disk    disk
	api     string // URL of Stripe's API
	log     *slog.Logger
	show    *term.Progress
	stderr  io.Writer
	locks   map[string]*sync.Mutex // of what only one fault may touch
	watch   watch

	began, healed, ended time.Time

	mu           sync.Mutex
	happened     []report.Fault
	deletions    []interval // of the stream
	cleanStops   []verdict.CleanStop
	missed       int // faults that could not be brought about
	failedDuties map[string]Fault
	judged       verdict.Result
}

// Run runs chaos, with the programs in a folder of binaries. It returns what came of it.
func Run(ctx context.Context, cfg Config, binaries string, stderr io.Writer) Result {
	dir, err := workDir(cfg)
	if err != nil {
		return Result{Seed: cfg.Seed, Command: cfg.Command(), Dir: cfg.Dir, Failures: []string{err.Error()}}
	}
	r := &run{cfg: cfg, stderr: stderr, failedDuties: map[string]Fault{}}
	t := kit.NewTrial(ctx, dir)
	failures := t.Run(func() { r.play(t, binaries) })
	result := r.result(dir, failures)
	if result.Good() && cfg.Dir == "" {
		_ = os.RemoveAll(dir)
		result.Dir = ""
	}
	return result
}

// workDir returns a folder with the settings of the run.
func workDir(cfg Config) (string, error) {
	dir := cfg.Dir
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "billbus-chaos-")
	} else {
		dir, err = filepath.Abs(dir)
	}
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", err
	}
	// Data of another run would be judged, too.
	file, err := os.OpenFile(filepath.Join(dir, settings), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("there is a run in %s already: name another folder with --dir, or repeat the run with --replay", dir)
	}
	if err != nil {
		return "", err
	}
	encoder := json.NewEncoder(file)
	encoder.SetIndent("", "  ")
	return dir, errors.Join(encoder.Encode(cfg), file.Close())
}

func (r *run) play(t *kit.Trial, binaries string) {
	r.prepare(t)
	r.deploy(t, binaries)
	r.log.Info("everything is ready", "database", r.DB.Name())
	r.show = term.NewProgress(r.stderr, "chaos", int64(r.cfg.Duration.Seconds()))
	defer r.show.Stop()
	r.began = time.Now()
	rate := float64(r.cfg.Events) / r.cfg.Duration.Seconds()
	r.traffic = newTraffic(r.Deployment, r.secrets, r.log, rate)
	r.traffic.begin(r.Context(), r.history, rate)
	unwatch := r.startWatch()
	defer unwatch()
	r.suffer()
	r.heal()
	r.healed = time.Now()
	r.drain()
	r.Wait(idle)
	r.ended = time.Now()
	unwatch()
	r.judge()
}

// prepare makes what does not depend on the processes.
func (r *run) prepare(t *kit.Trial) {
	file, err := os.Create(filepath.Join(t.Dir, historyFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	r.log = slog.New(slog.NewJSONHandler(file, nil))
	r.shape = shape{
		bridges: r.cfg.Bridges, subscribers: r.cfg.Subscribers, servers: r.cfg.Servers,
		database: r.cfg.DB, databaseLink: r.cfg.DB != mongoDB || single(os.Getenv(mongoVariable)),
	}
	r.history = generate(r.cfg)
	r.faults = plan(uint64(r.cfg.Seed), r.cfg.Duration, r.cfg.kinds, r.shape)
	r.locks = map[string]*sync.Mutex{}
	for _, f := range r.faults {
		for _, name := range r.kind(f).touches(r.shape, f.Target) {
			r.locks[name] = &sync.Mutex{}
		}
	}
	for _, name := range r.shape.processes() {
		r.locks[name] = &sync.Mutex{}
	}
	if r.secrets, err = newSecrets(t.Dir); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api.New(api.Config{Accounts: []api.Account{{Key: apiKey, History: r.history}}}))
	t.Cleanup(server.Close)
	r.api = server.URL
}

func (r *run) deploy(t *kit.Trial, binaries string) {
	r.network = &network{t: t}
	r.disk = newDisk(t, r.faults, r.cfg.Events)
	cluster := servers.Cluster{Binaries: binaries, Dir: t.Dir, Store: r.disk.dir, Nodes: r.cfg.Servers, JetStream: r.disk.limit}
	if r.cfg.Servers > 1 {
		cluster.Route = r.network.route
	}
	uri, role := "", servers.Documents
	switch r.cfg.DB {
	case memory:
		role = servers.Memory
	case mongoDB:
		uri = os.Getenv(mongoVariable)
	}
	r.Deployment = deploy.Start(t, deploy.Config{
		Binaries: binaries, Servers: cluster, MongoDB: uri, Role: role, Database: "billbus_chaos_" + strings.ToLower(rand.Text()),
		Bridges: r.cfg.Bridges, Subscribers: r.cfg.Subscribers, Route: r.network.route,
		Env: []string{
			"LOG_LEVEL=debug", // names acknowledgements that were not confirmed
			"STREAM_DUPLICATE_WINDOW=" + duplicateWindow.String(), fmt.Sprintf("STREAM_REPLICAS=%d", r.cfg.Servers),
		},
		BridgeEnv: []string{"WEBHOOK_LIVEMODE=test", "STRIPE_WEBHOOK_SECRETS_FILE=" + r.secrets.path},
	})
}

func (r *run) kind(f Fault) kind {
	for _, k := range r.cfg.kinds {
		if k.name == f.Kind {
			return k
		}
	}
	return kind{} // the plan is made of these kinds
}

// heal makes sure that everything runs and is ready.
func (r *run) heal() {
	r.show.Describe("healing")
	r.Must(r.network.each(func(way) bool { return true }, heal))
	for _, p := range r.Processes() {
		p.Signal(r, syscall.SIGCONT)
		r.supervise(p)
	}
	for _, p := range r.Programs() {
		kit.Eventually(r, p.Name+" is ready", p.Ready)
	}
	r.Must(r.again())
	r.log.Info("healed")
}

// drain waits until everything has been accepted and stored. What a stream had that was
// deleted, and was perhaps not stored, is sent again, as docs/recovery.md says: also what is in
// the audit trail, since its changes of access may be missing.
func (r *run) drain() {
	r.show.Describe("draining")
	kit.Drained(r, "all events are accepted", func() (uint64, error) {
		r.Wait(100 * time.Millisecond)
		return r.unaccepted(), nil
	})
	<-r.traffic.done
	r.Must(r.traffic.err)
	r.settle()
	if len(r.deletions) == 0 {
		return
	}
	lost := r.deliveries(r.unsure())
	r.log.Info("sent again, since a stream was deleted", "events", len(lost))
	r.Must(r.sendAgain(lost))
	r.settle()
}

// unsure returns the events that a deleted stream can have had before they were stored: what
// was asked before may be in it, even if it was answered later.
func (r *run) unsure() map[string]bool {
	ids := map[string]bool{}
	for _, d := range r.deletions {
		stored := r.traffic.before(r.watch.settledBefore(d.begin), r.traffic.accepted)
		for id, had := range r.traffic.before(d.end, r.traffic.asked) {
			ids[id] = ids[id] || had && !stored[id]
		}
	}
	return ids
}

func (r *run) unaccepted() uint64 {
	select {
	case <-r.traffic.done:
		return 0
	default:
		return uint64(len(r.history.Deliveries)-r.traffic.acceptances()) + 1
	}
}

func (r *run) settle() {
	kit.Drained(r, "everything is stored", func() (uint64, error) {
		r.Wait(100 * time.Millisecond)
		return r.Unsettled()
	})
}

func (r *run) judge() {
	r.show.Describe("judging")
	handled := r.handlings()
	r.countRedelivered(handled)
	countStored(r.watch.points, handled)
	r.checkSources(handled)
	ctx, stop := context.WithTimeout(r.Context(), longest)
	defer stop()
	var renewed []time.Time
	for _, d := range r.deletions {
		renewed = append(renewed, d.end)
	}
	result, err := verdict.Examine(ctx, verdict.Run{
		Accepted: r.traffic.accepted, History: r.history, DB: r.DB, JS: r.JS, Stream: deploy.Stream,
		Renewed: renewed, Disturbed: r.began.Add(lead), Samples: r.watch.samples, CleanStops: r.cleanStops,
	})
	r.Must(err)
	result.Figures["clean stops of subscribers"], result.Figures["messages in their logs"] = float64(len(r.cleanStops)), float64(len(handled))
	r.judged = result
	if r.shape.database == mongoDB && len(result.Findings) == 0 {
		r.Must(r.DB.Drop(r.Context()))
	}
}

// checkSources checks that the logs and metrics say something: from nothing, nothing wrong
// would follow.
func (r *run) checkSources(handled []handling) {
	if len(handled) == 0 {
		r.Errorf("the logs of the subscribers name no message")
	}
	for _, p := range r.Programs() {
		if !slices.ContainsFunc(r.watch.samples, func(s verdict.Sample) bool { return s.Process == p.Name }) {
			r.Errorf("there is no sample of %s", p.Name)
		}
	}
}

// line prints a line above the progress.
func (r *run) line(format string, args ...any) {
	_ = r.show.Line(r.stderr, fmt.Sprintf(format, args...))
}
