package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/deploy"
	"github.com/billbus/billbus/test/kit/proxy"
	"github.com/billbus/billbus/test/kit/servers"
)

const secret = "whsec_reliability_0123456789"

// deployment is the processes of one scenario.
type deployment struct {
	*deploy.Deployment
	opts     settings
	scenario scenario

	bridge, subscriber *deploy.Program

	prometheus string // URL, "" if it is not installed
	history    stripesim.History
	traffic    []*sending
	watch      watch
}

// start starts everything, and waits until it is ready.
func start(b *kit.Trial, s scenario, opts settings) *deployment {
	cfg := deploy.Config{
		Binaries: binaries, Bridges: 1, Subscribers: 1, Env: s.env,
		Servers:   servers.Cluster{Binaries: binaries, Dir: b.Dir, Nodes: max(s.nodes, 1), JetStream: s.jetStream},
		BridgeEnv: []string{"WEBHOOK_LIVEMODE=any", "STRIPE_WEBHOOK_SECRETS=" + secret},
		Route: func(_, to, addr string) string {
			if to == deploy.DatabaseName && s.delay > 0 {
				uri, way := proxy.Through(b, addr)
				if err := way.Delay(s.delay); err != nil {
					b.Fatal(err)
				}
				return uri
			}
			return addr
		},
	}
	if s.nodes > 1 {
		cfg.Env = append(cfg.Env, fmt.Sprintf("STREAM_REPLICAS=%d", s.nodes))
	}
	d := &deployment{Deployment: deploy.Start(b, cfg), opts: opts, scenario: s}
	d.bridge, d.subscriber = d.Bridges[0], d.Subscribers[0]
	d.startPrometheus()
	return d
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
		"bridge:9090", strings.TrimPrefix(d.bridge.Admin, "http://"), "subscriber:9091", strings.TrimPrefix(d.subscriber.Admin, "http://"))
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

func (d *deployment) restart(p *kit.Process, outage time.Duration) {
	p.Kill(d)
	d.Wait(outage)
	p.Start(d)
}

// frozen stops a process for the length of the fault.
func (d *deployment) frozen(p *kit.Process) {
	p.Signal(d, syscall.SIGSTOP)
	d.hold(1)
	p.Signal(d, syscall.SIGCONT)
}

// hold waits for a part of the length of the fault.
func (d *deployment) hold(part float64) {
	d.Wait(time.Duration(part * float64(d.length())))
}

// length is how long the fault lasts.
func (d *deployment) length() time.Duration {
	seconds := d.scenario.seconds
	if d.opts.seconds > 0 {
		seconds = d.opts.seconds
	}
	return time.Duration(seconds) * time.Second
}

// node returns the only NATS server.
func (d *deployment) node() *kit.Process { return d.Nodes["node1"] }
