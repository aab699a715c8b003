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

// Main runs a program until it ends or gets a signal, and exits with the status that
// exit returns for its error. It prints the error unless that status is 0.
func Main(run func(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error, exit func(error) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills the program
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err != nil && exit(err) != 0 {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(exit(err))
}

// Hangup returns a channel that receives SIGHUP, and a function that ends that.
func Hangup() (<-chan os.Signal, func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	return hup, func() { signal.Stop(hup) }
}

// Deps are what the parts of a process share.
type Deps struct {
	Log     *slog.Logger
	Metrics *Metrics
	Health  *Health
	Now     func() time.Time
}

// NewDeps returns the shared parts of a process that begins.
func NewDeps(log *slog.Logger) Deps {
	return Deps{Log: log, Metrics: NewMetrics(), Health: NewHealth(), Now: time.Now}
}

// WithAdmin serves the admin address until run returns, and keeps the metric of
// readiness up to date. After ctx is done, while run drains, the program is not ready
// but alive.
func WithAdmin(ctx context.Context, ln net.Listener, admin Admin, deps Deps, run func(context.Context) error) error {
	adminCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan struct{})
	go func() { defer close(watched); deps.Metrics.watchReady(adminCtx, deps.Health) }()
	served := make(chan error, 1)
	go func() {
		served <- Serve(adminCtx, ln, AdminHandler(deps.Health, deps.Metrics, admin.Token), time.Second, deps.Log)
	}()
	unready := context.AfterFunc(ctx, deps.Health.Shutdown)
	defer unready()
	err := run(ctx)
	stop()
	<-watched
	if adminErr := <-served; err == nil {
		err = adminErr
	}
	return err
}

// Every calls f at once and then at every interval, until ctx is done.
func Every(ctx context.Context, interval time.Duration, f func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
