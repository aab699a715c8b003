package attack_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billbus/billbus/test/attack"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

const (
	secret = "whsec_attack_0123456789"
	path   = "/webhooks/stripe"
	// mostMemory is what docs/operating.md says that the bridge needs with the defaults, in kB.
	mostMemory = 384 << 10
	valid      = 400 // webhooks that are sent meanwhile
)

var binaries string // folder of the built program

func TestMain(m *testing.M) {
	os.Exit(kit.RunWithBinaries(&binaries, m.Run, "github.com/billbus/billbus/cmd/bridge"))
}

// bridge is a process, with a NATS server of its own.
type bridge struct {
	kit.Process
	addr, admin, nats string
}

// start starts a bridge, by the words of a shell if there are some.
func start(t *testing.T, shell ...string) *bridge {
	t.Helper()
	b := &bridge{addr: kit.FreeAddr(t), admin: kit.FreeAddr(t), nats: natstest.Start(t).URL()}
	b.Process = kit.Process{
		Name: "bridge", Command: append(shell, filepath.Join(binaries, "bridge")), Log: filepath.Join(t.TempDir(), "log"),
		Env: []string{
			"LISTEN_ADDR=" + b.addr, "ADMIN_ADDR=" + b.admin, "NATS_URL=" + b.nats, "WEBHOOK_LIVEMODE=any", "STRIPE_WEBHOOK_SECRETS=" + secret,
		},
	}
	b.Start(t)
	kit.Eventually(t, "the bridge is ready", func() bool { return kit.Get("http://"+b.admin+"/readyz").Status == http.StatusOK })
	return b
}

func event(id string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event","type":"customer.subscription.updated","created":1760000000,"livemode":false,`+
		`"data":{"object":{"id":"sub_1","object":"subscription","status":"active","customer":"cus_1"}}}`, id)
}

// Webhooks from Stripe are answered 200 during every attack, and memory is bounded.
func TestWebhooksAreAcceptedDuringAttacks(t *testing.T) {
	for _, a := range attack.All(path, secret) {
		t.Run(a.Name, func(t *testing.T) {
			b := start(t)
			stop := b.attacked(t, a, b.addr)
			took := b.accepts(t)
			stop()
			b.check(t, took)
		})
	}
}

// attacked runs an attack until stop is called. It returns when all clients have been connected.
func (b *bridge) attacked(t *testing.T, a attack.Attack, addr string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	began, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		a.Run(ctx, addr, func() { close(began) })
	}()
	<-began
	return func() { cancel(); <-ended }
}

// accepts sends valid webhooks, half of them on connections of their own, and returns
// how long each took, in order.
func (b *bridge) accepts(t *testing.T) []time.Duration {
	t.Helper()
	const senders = 4
	took := make([]time.Duration, valid)
	var work sync.WaitGroup
	for sender := range senders {
		work.Go(func() {
			keep := &http.Transport{DisableKeepAlives: sender%2 == 0}
			defer keep.CloseIdleConnections()
			for i := sender; i < valid; i += senders {
				took[i] = b.accept(t, keep, event(fmt.Sprint("evt_", i)))
			}
		})
	}
	work.Wait()
	slices.Sort(took)
	return took
}

func (b *bridge) accept(t *testing.T, by *http.Transport, body []byte) time.Duration {
	start := time.Now()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.addr+path, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0
	}
	req.Header.Set("Stripe-Signature", kit.Sign(body, secret, time.Now()))
	resp, err := by.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("got %d, want the webhook accepted", resp.StatusCode)
	}
	return time.Since(start)
}

func (b *bridge) check(t *testing.T, took []time.Duration) {
	t.Helper()
	memory, err := b.PeakMemory()
	if err != nil || memory > mostMemory {
		t.Errorf("got a peak of %d kB, %v, want at most %d", memory, err, mostMemory)
	}
	if log, err := os.ReadFile(b.Log); err != nil || strings.Contains(string(log), "panic") {
		t.Errorf("a panic, or %v: %s", err, log)
	}
	t.Logf("peak memory %d MB; valid webhooks: median %s, p99 %s, slowest %s",
		memory>>10, took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
}
