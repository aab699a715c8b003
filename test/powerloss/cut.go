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
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit"
)

const secret = "whsec_powerloss_0123456789"

// build builds the programs, and returns their folder.
func build(ctx context.Context, dir string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/billbus/billbus").Output()
	if err != nil {
		return "", fmt.Errorf("looking for the programs: %w", err)
	}
	binaries := filepath.Join(dir, "binaries")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binaries+"/", "./cmd/bridge", "github.com/nats-io/nats-server/v2")
	cmd.Dir = strings.TrimSpace(string(root))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return binaries, nil
}

// cut is one power cut.
type cut struct {
	kind
	binaries string
	rate     float64
	seed     uint64
	after    time.Duration // from when the bridge is ready
}

// result says which events were answered 200, and how many of them the stream lacks afterwards.
type result struct{ answered, missing int }

func (c cut) run(t testing.TB) result {
	dir := t.TempDir()
	disk, err := newDisk(dir, c.strict)
	if err != nil {
		t.Fatal(err)
	}
	mountpoint, addr := filepath.Join(dir, "mounted"), kit.FreeAddr(t)
	mounted, err := mount(dir, mountpoint, disk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mounted.Unmount() })
	server := c.server(t, dir, addr, mountpoint)
	server.Start(t)
	answered := c.load(t, dir, addr, disk, server)
	if err := mounted.Unmount(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "left")
	if err := disk.restore(left); err != nil {
		t.Fatal(err)
	}
	server = c.server(t, dir, addr, left)
	server.Start(t)
	stored := stored(t, "nats://"+addr)
	r := result{answered: len(answered)}
	for id := range answered {
		if !stored[id] {
			r.missing++
		}
	}
	return r
}

func (c cut) server(t testing.TB, dir, addr, store string) *kit.Process {
	t.Helper()
	file := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\nmax_payload: 4MB\njetstream { store_dir: %q\n%s }\n", addr, store, c.sync)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &kit.Process{
		Name: "nats-server", Command: []string{filepath.Join(c.binaries, "nats-server"), "--config", file}, Log: filepath.Join(dir, "nats.log"),
	}
}

// load sends webhooks until the power is cut, and returns the ids of the events that were answered
// 200. The stream was created long before.
func (c cut) load(t testing.TB, dir, addr string, d *disk, server *kit.Process) map[string]bool {
	t.Helper()
	web, admin := kit.FreeAddr(t), kit.FreeAddr(t)
	bridge := &kit.Process{
		Name: "bridge", Command: []string{filepath.Join(c.binaries, "bridge")}, Log: filepath.Join(dir, "bridge.log"),
		Env: []string{"NATS_URL=nats://" + addr, "LISTEN_ADDR=" + web, "ADMIN_ADDR=" + admin, "WEBHOOK_LIVEMODE=any", "STRIPE_WEBHOOK_SECRETS=" + secret},
	}
	bridge.Start(t)
	kit.Eventually(t, "the bridge is ready", func() bool { return kit.Get("http://"+admin+"/readyz").Status == http.StatusOK })
	if err := d.settle(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	answered := map[string]bool{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		h := stripesim.Generate(stripesim.Config{Seed: c.seed, Subscriptions: 200})
		_, _ = stripesim.Send(ctx, h, stripesim.SendConfig{ // it cannot send all before the cut
			URL: "http://" + web + "/webhooks/stripe", Secret: secret, Rate: c.rate, Workers: 32,
			Accepted: func(id string) { mu.Lock(); defer mu.Unlock(); answered[id] = true },
		})
	}()
	<-time.After(c.after)
	server.Kill(t)
	bridge.Kill(t)
	stop()
	<-done
	return answered
}

// stored returns the ids of the events in the stream; none if there is no stream.
func stored(t testing.TB, url string) map[string]bool {
	t.Helper()
	var conn *nats.Conn
	kit.Eventually(t, "the server is back", func() (ok bool) {
		nc, err := nats.Connect(url)
		conn = nc
		return err == nil
	})
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	stream, err := js.Stream(t.Context(), "BILLBUS")
	if err != nil {
		return ids
	}
	state := stream.CachedInfo().State
	for sequence := state.FirstSeq; sequence <= state.LastSeq; sequence++ {
		if msg, err := stream.GetMsg(t.Context(), sequence); err == nil {
			ids[msg.Header.Get(nats.MsgIdHdr)] = true
		}
	}
	return ids
}
