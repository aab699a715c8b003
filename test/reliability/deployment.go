package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
	"github.com/billbus/billbus/test/kit/servers"
)

const (
	secret   = "whsec_reliability_0123456789"
	stream   = "BILLBUS"
	consumer = "billbus-subscriber"
)

// deployment is the processes of one scenario.
type deployment struct {
	*kit.Trial
	opts     settings
	scenario scenario

	nodes                         map[string]*kit.Process
	documents, bridge, subscriber *kit.Process

	natsURL, webhooks, bridgeAdmin, subAdmin string

	prometheus string // URL, "" if it is not installed
	js         jetstream.JetStream
	db         *mongo.Database
	history    stripesim.History
	traffic    []*sending
	watch      watch
	starting   sync.Mutex // held while a program is started, which the watch looks at
}

// deploy starts everything, and waits until it is ready.
func deploy(b *kit.Trial, s scenario, opts settings) *deployment {
	d := &deployment{Trial: b, opts: opts, scenario: s}
	d.startServers()
	d.assemble()
	d.bridge.Start(d)
	d.ready(d.bridgeAdmin)
	d.subscriber.Start(d)
	d.ready(d.subAdmin)
	d.js = natstest.JetStream(d, d.natsURL)
	d.startPrometheus()
	return d
}

func (d *deployment) startServers() {
	d.nodes, d.natsURL = servers.Nodes(d, binaries, d.Dir, max(d.scenario.nodes, 1), d.scenario.jetStream)
	for _, node := range d.nodes {
		node.Start(d)
	}
	addr := kit.FreeAddr(d)
	d.documents = servers.Process(d, d.Dir, servers.Documents, addr)
	d.documents.Start(d)
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + addr))
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(d.Context())) })
	d.db = client.Database("billbus")
}

// assemble says how the programs are run, without starting them.
func (d *deployment) assemble() {
	web, admin1, admin2 := kit.FreeAddr(d), kit.FreeAddr(d), kit.FreeAddr(d)
	d.webhooks, d.bridgeAdmin, d.subAdmin = "http://"+web+"/webhooks/stripe", "http://"+admin1, "http://"+admin2
	_, addr, _ := strings.Cut(d.documents.Env[len(d.documents.Env)-2], "=")
	if d.scenario.delay > 0 {
		addr = kit.Delayed(d, addr, d.scenario.delay)
	}
	env := append([]string{"NATS_URL=" + d.natsURL, "LOG_FORMAT=json"}, d.scenario.env...)
	if d.scenario.nodes > 1 {
		env = append(env, fmt.Sprintf("STREAM_REPLICAS=%d", d.scenario.nodes))
	}
	program := func(name string, more ...string) *kit.Process {
		return &kit.Process{
			Name: name, Command: []string{filepath.Join(binaries, name)}, Log: filepath.Join(d.Dir, name+".log"),
			Env: append(more, env...),
		}
	}
	d.bridge = program("bridge", "LISTEN_ADDR="+web, "ADMIN_ADDR="+admin1, "WEBHOOK_LIVEMODE=any", "STRIPE_WEBHOOK_SECRETS="+secret)
	d.subscriber = program("subscriber", "ADMIN_ADDR="+admin2, "MONGODB_URI=mongodb://"+addr)
}

func (d *deployment) ready(admin string) {
	kit.Eventually(d, admin+" is ready", func() bool { return kit.Get(admin+"/readyz").Status == http.StatusOK })
}

// startPrometheus starts Prometheus with the configuration and the rules that are shipped,
// if it is installed.
func (d *deployment) startPrometheus() {
	root := moduleDir(d.Trial)
	path, err := exec.LookPath("prometheus")
	if err != nil {
		path, err = exec.LookPath(filepath.Join(root, "bin", "prometheus"))
	}
	if err != nil {
		return
	}
	shipped := filepath.Join(root, "deploy", "prometheus")
	config, err := os.ReadFile(filepath.Join(shipped, "prometheus.yml"))
	if err != nil {
		d.Fatal(err)
	}
	here := strings.NewReplacer("/etc/prometheus/alerts.yml", filepath.Join(shipped, "alerts.yml"),
		"bridge:9090", strings.TrimPrefix(d.bridgeAdmin, "http://"), "subscriber:9091", strings.TrimPrefix(d.subAdmin, "http://"))
	file := filepath.Join(d.Dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(here.Replace(string(config))), 0o600); err != nil {
		d.Fatal(err)
	}
	addr := kit.FreeAddr(d)
	(&kit.Process{
		Name: "prometheus", Log: filepath.Join(d.Dir, "prometheus.log"), Env: os.Environ(),
		Command: []string{path, "--config.file=" + file, "--storage.tsdb.path=" + d.TempDir(), "--web.listen-address=" + addr, "--log.level=warn"},
	}).Start(d)
	d.prometheus = "http://" + addr
	kit.Eventually(d, "Prometheus is ready", func() bool { return kit.Get(d.prometheus+"/-/ready").Status == http.StatusOK })
}

func moduleDir(b *kit.Trial) string {
	out, err := exec.CommandContext(b.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		b.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// start starts a process again.
func (d *deployment) start(p *kit.Process) {
	d.starting.Lock()
	defer d.starting.Unlock()
	p.Start(d)
}

func (d *deployment) restart(p *kit.Process, outage time.Duration) {
	p.Kill(d)
	d.wait(outage)
	d.start(p)
}

// frozen stops a process for the length of the fault.
func (d *deployment) frozen(p *kit.Process) {
	p.Signal(d, syscall.SIGSTOP)
	d.hold(1)
	p.Signal(d, syscall.SIGCONT)
}

// hold waits for a part of the length of the fault.
func (d *deployment) hold(part float64) {
	d.wait(time.Duration(part * float64(d.length())))
}

// length is how long the fault lasts.
func (d *deployment) length() time.Duration {
	seconds := d.scenario.seconds
	if d.opts.seconds > 0 {
		seconds = d.opts.seconds
	}
	return time.Duration(seconds) * time.Second
}

func (d *deployment) wait(t time.Duration) {
	select {
	case <-time.After(t):
	case <-d.Context().Done():
		d.Fatal("interrupted")
	}
}

// node returns the only NATS server.
func (d *deployment) node() *kit.Process { return d.nodes["node1"] }
