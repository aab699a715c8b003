// Package standalone runs the embedded servers, the bridge and the subscriber in one
// process, on one data folder. It can also simulate Stripe.
package standalone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/bridge"
	"github.com/billbus/billbus/internal/embedded/docdb"
	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/secret"
	"github.com/billbus/billbus/internal/subscriber"
)

// streamsTimeout is far more than a server in this process needs to create streams.
const streamsTimeout = 5 * time.Second

// Run runs standalone until ctx is done. What it prints to out may contain the signing
// secret, so the log must go elsewhere.
func Run(ctx context.Context, cfg config.Standalone, out io.Writer, log *slog.Logger) error {
	unlock, err := lock(cfg.DataDir)
	if err != nil {
		return err
	}
	defer unlock()
	made, err := ensureSecret(&cfg)
	if err != nil {
		return err
	}
	admin, err := ops.Admin(cfg.Admin).Listen(log)
	if err != nil {
		return err
	}
	servers, err := start(cfg)
	if err != nil {
		return errors.Join(err, admin.Close())
	}
	defer servers.close()
	return servers.run(ctx, cfg, admin, made, out, log)
}

// lock locks the data folder. Two standalones on one folder would write to the same
// files.
func lock(dir string) (func(), error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("DATA_DIR: %w", err)
	}
	mutex := flock.New(filepath.Join(dir, "lock"))
	locked, err := mutex.TryLock()
	if err != nil {
		return nil, fmt.Errorf("DATA_DIR: locking: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("DATA_DIR: %s is in use by another standalone: stop that one, or choose another folder", dir)
	}
	return func() { _ = mutex.Unlock() }, nil
}

type servers struct {
	nats *natsserver.Server
	docs *docdb.Server
}

func start(cfg config.Standalone) (*servers, error) {
	if err := free("STANDALONE_NATS_ADDR", cfg.NATSAddr); err != nil {
		return nil, err
	}
	if err := free("STANDALONE_MONGODB_ADDR", cfg.MongoAddr); err != nil {
		return nil, err
	}
	nats, err := natsserver.Start(natsserver.Config{
		Addr: cfg.NATSAddr, Dir: filepath.Join(cfg.DataDir, "nats"), SyncAlways: true,
	})
	if err != nil {
		return nil, fmt.Errorf("STANDALONE_NATS_ADDR: %w", err)
	}
	docs, err := docdb.Start(docdb.Config{Addr: cfg.MongoAddr, Dir: filepath.Join(cfg.DataDir, "documents")})
	if err != nil {
		nats.Close()
		return nil, fmt.Errorf("STANDALONE_MONGODB_ADDR: %w", err)
	}
	return &servers{nats: nats, docs: docs}, nil
}

// free returns an error that names the setting if its port is in use. The embedded
// servers do not know the settings, and NATS reports a port in use only in its own log.
func free(setting, addr string) error {
	ln, err := ops.Listen(setting, addr)
	if err != nil {
		return err
	}
	return ln.Close()
}

func (s *servers) close() {
	s.docs.Close()
	s.nats.Close()
}

// run runs bridge and subscriber. When ctx is done, the bridge stops first, and the
// subscriber still processes what the bridge published.
func (s *servers) run(ctx context.Context, cfg config.Standalone, admin net.Listener, made bool, out io.Writer, log *slog.Logger) error {
	hup, ignore := ops.Hangup()
	defer ignore()
	deps := ops.NewDeps(log)
	deps.Metrics.OnRejection = hintOnce(out, cfg)
	cfg.NATS.URL = s.nats.URL()
	b, err := bridge.Open(cfg.Bridge, bridge.Deps{Deps: deps, Hangup: hup})
	if err != nil {
		return errors.Join(err, admin.Close())
	}
	sub, err := subscriber.Open(s.subscriberConfig(cfg), deps)
	if err != nil {
		return errors.Join(err, admin.Close(), b.Close())
	}
	if err := s.greet(out, cfg, b.Addr(), admin.Addr(), made); err != nil {
		return errors.Join(err, admin.Close(), b.Close(), sub.Close())
	}
	consume := afterStreams(deps.Health, sub.Run)
	return ops.WithAdmin(ctx, admin, ops.Admin(cfg.Admin), deps, func(ctx context.Context) error {
		if cfg.Simulate == 0 {
			return inOrder(ctx, b.Run, consume)
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		played := make(chan error, 1)
		go func() {
			played <- s.simulate(ctx, stop, cfg, "http://"+reachable(b.Addr())+cfg.Webhook.Path, deps.Health, out, log)
		}()
		err := inOrder(ctx, b.Run, consume)
		stop()
		return errors.Join(err, <-played)
	})
}

// afterStreams returns a function that runs the subscriber once the bridge has created
// the streams. It would log that they are missing, and that a bridge has to be started.
func afterStreams(health *ops.Health, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		// If they take longer, the subscriber waits for them itself.
		_ = poll(ctx, streamsTimeout, func() (bool, error) { return health.Ready(ctx).Checks["streams"].OK, nil })
		return run(ctx)
	}
}

// inOrder runs two functions. It stops the second when the first has returned, and the
// first if the second returns early.
func inOrder(ctx context.Context, first, second func(context.Context) error) error {
	firstCtx, stopFirst := context.WithCancel(ctx)
	defer stopFirst()
	secondCtx, stopSecond := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSecond()
	ended := make(chan error, 1)
	go func() {
		defer stopFirst()
		ended <- second(secondCtx)
	}()
	err := first(firstCtx)
	stopSecond()
	return errors.Join(err, <-ended)
}

func (s *servers) subscriberConfig(cfg config.Standalone) config.Subscriber {
	return config.Subscriber{
		Stream: cfg.Stream, Provision: cfg.Provision, NATS: cfg.NATS,
		Mongo:        config.Mongo{URI: secret.New(s.docs.URI()), Database: cfg.Database},
		ConsumerName: cfg.ConsumerName, MaxInFlight: cfg.MaxInFlight, MaxBytes: cfg.MaxBytes, ShutdownTimeout: cfg.ShutdownTimeout,
		AuditRetention: cfg.AuditRetention,
	}
}
