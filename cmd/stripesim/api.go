package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
)

const (
	apiKey   = "sk_test_stripesim"
	apiDelay = 3 * time.Second
	apiGrace = time.Second
)

// withAPI serves the API until the program is stopped. If there is a secret, it sends the
// webhooks at the same time.
func withAPI(ctx context.Context, cfg config.Stripesim, h stripesim.History, stdout, stderr io.Writer) error {
	ln, err := ops.Listen("STRIPESIM_API", cfg.API)
	if err != nil {
		return err
	}
	var accepted sync.Map
	pending := func(id string) bool {
		_, ok := accepted.Load(id)
		return !ok
	}
	server := api.New(api.Config{Accounts: []api.Account{{Key: apiKey, History: h}}, Pending: pending, Faults: faults(cfg)})
	hint := stdout
	if cfg.JSON {
		hint = stderr
	}
	_, err = fmt.Fprintf(hint, "seed %d: Stripe's API of %d subscriptions is served until Ctrl-C; a bridge reads from it with\n"+
		"  STRIPE_API_BASE=%s STRIPE_API_KEY=%s WEBHOOK_LIVEMODE=test\n", h.Seed, len(h.Truth), baseURL(ln.Addr()), apiKey)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		defer stop()
		served <- ops.Serve(ctx, ln, server, apiGrace, ops.NewLogger(stderr, slog.LevelWarn, "text"))
	}()
	if cfg.Secret.IsSet() {
		send := sending(cfg)
		send.Accepted = func(id string) { accepted.Store(id, true) }
		if err = simulate(ctx, cfg, h, send, stdout, stderr); err != nil {
			stop()
		}
	}
	return errors.Join(err, <-served)
}

func faults(cfg config.Stripesim) api.Faults {
	f := cfg.Faults
	return api.Faults{Rate: f.Rate, ErrorEvery: f.ErrorEvery, HangEvery: f.HangEvery, SlowEvery: f.SlowEvery, Delay: apiDelay}
}

// baseURL names a host that the bridge accepts without TLS.
func baseURL(addr net.Addr) string {
	host, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
