package ops

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Main runs a program: until a signal, with what the process was given, and to
// the exit status that exit says its error means. The error is printed, if it is
// one.
func Main(run func(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error, exit func(error) int) {
	ctx, stop := Until(context.Background())
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err != nil && exit(err) != 0 {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(exit(err))
}

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
