package e2e_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/billbus/billbus/test/kit"
)

// process is one program that a test starts, kills and starts again.
type process struct {
	name string
	path string
	args []string
	env  []string
	log  string // file, appended over restarts
	cmd  *exec.Cmd
	done chan error
}

func (p *process) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.Command(p.path, p.args...) //nolint:noctx // killed by the test, which is what it is about
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = p.env, log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan<- error) { done <- cmd.Wait() }(p.cmd, p.done)
	t.Cleanup(func() { p.kill(t) })
}

// kill ends the process as a power cut would.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	_ = <-p.done //nolint:staticcheck // how a killed process exited says nothing
	p.cmd = nil
}

func (p *process) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// terminate asks the process to stop and returns how it exited.
func (p *process) terminate(t *testing.T) error {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	select {
	case err := <-p.done:
		p.cmd = nil
		return err
	case <-time.After(30 * time.Second):
		t.Fatalf("%s did not stop within 30 s of SIGTERM", p.name)
		return nil
	}
}

// cluster is the four processes of a deployment.
type cluster struct {
	nats, documents, bridge, subscriber *process
	natsURL, mongoURI                   string
	webhookURL, bridgeAdmin, subAdmin   string
}

const secret = "whsec_e2e_0123456789abcdef"

func newCluster(t *testing.T, more ...string) *cluster {
	t.Helper()
	dir := t.TempDir()
	natsAddr, docAddr, web, admin1, admin2 := freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server := func(role, addr string) *process {
		return &process{
			name: role, path: self, log: filepath.Join(dir, role+".log"),
			env: append(os.Environ(), roleVar+"="+role, addrVar+"="+addr, dirVar+"="+filepath.Join(dir, role)),
		}
	}
	program := func(name string, env ...string) *process {
		return &process{name: name, path: filepath.Join(binaries, name), log: filepath.Join(dir, name+".log"), env: append(env, more...)}
	}
	c := &cluster{
		nats: server("nats", natsAddr), documents: server("documents", docAddr),
		natsURL: "nats://" + natsAddr, mongoURI: "mongodb://" + docAddr,
		webhookURL: "http://" + web + "/webhooks/stripe", bridgeAdmin: "http://" + admin1, subAdmin: "http://" + admin2,
	}
	c.bridge = program("bridge", "NATS_URL="+c.natsURL, "LISTEN_ADDR="+web, "ADMIN_ADDR="+admin1,
		"WEBHOOK_LIVEMODE=any", "STRIPE_WEBHOOK_SECRETS="+secret)
	c.subscriber = program("subscriber", "NATS_URL="+c.natsURL, "MONGODB_URI="+c.mongoURI, "ADMIN_ADDR="+admin2)
	return c
}

func (c *cluster) all() []*process {
	return []*process{c.nats, c.documents, c.bridge, c.subscriber}
}

// up starts everything and waits until both programs are ready.
func (c *cluster) up(t *testing.T) *cluster {
	t.Helper()
	for _, p := range c.all() {
		p.start(t)
	}
	kit.Eventually(t, "bridge is ready", func() bool { return status(c.bridgeAdmin+"/readyz") == http.StatusOK })
	kit.Eventually(t, "subscriber is ready", func() bool { return status(c.subAdmin+"/readyz") == http.StatusOK })
	return c
}

func status(url string) int {
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Get(url) //nolint:noctx // has a timeout
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// nextPort counts through ports below those that the system hands out by
// itself, so that no client's port is taken for a server that is restarted.
var nextPort = func() func() int64 {
	var n atomic.Int64
	n.Store(15000 + int64(os.Getpid()%1000)*10)
	return func() int64 { return n.Add(1) }
}()

func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", nextPort())
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
		if err != nil {
			continue
		}
		_ = ln.Close()
		return addr
	}
	t.Fatal("no free port")
	return ""
}
