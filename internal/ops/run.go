package ops

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Until returns a context that ends at SIGINT or SIGTERM. A second signal kills
// the program as usual.
func Until(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Hangup returns a channel that receives SIGHUP, and what ends that.
func Hangup() (<-chan os.Signal, func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	return hup, func() { signal.Stop(hup) }
}

// WithAdmin serves the admin address while run runs, and for as long as run
// takes to drain after ctx is done: not ready, but alive.
func WithAdmin(ctx context.Context, ln net.Listener, health *Health, metrics *Metrics, log *slog.Logger, run func(context.Context) error) error {
	adminCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- Serve(adminCtx, ln, AdminHandler(health, metrics), time.Second, log) }()
	unready := context.AfterFunc(ctx, health.Shutdown)
	defer unready()
	err := run(ctx)
	stop()
	if adminErr := <-served; err == nil {
		err = adminErr
	}
	return err
}
