// Command memory runs the subscriber's path from the stream to the store on one core, with a
// database that costs nothing: consume, decode, fold and commit in groups. It logs only failures.
// Package bench runs it.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/store"
)

// These are defaults of the subscriber.
const (
	inFlight      = 1024
	inFlightBytes = 32 << 20
)

func main() {
	runtime.GOMAXPROCS(1)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	log, db := ops.NewLogger(os.Stderr, slog.LevelWarn, "json"), newDatabase()
	ops.LimitMemory(log)
	bus, err := natsbus.Open(natsbus.Auth{URL: os.Getenv("NATS_URL")}, "bench-memory", log)
	if err != nil {
		return err
	}
	defer bus.Close()
	queue := store.NewQueue(store.NewCommitter(db, time.Now), inFlight/2)
	commit, err := handlers.NewCommit(handlers.CommitConfig{
		Store: queue, Position: position, References: normalize.References, Now: time.Now, Metrics: ops.NewMetrics(), Log: log,
	})
	if err != nil {
		return err
	}
	name := os.Getenv("CONSUMER")
	provisioner := bus.NewProvisioner(natsbus.ProvisionCreate.WithoutStreams(), natsbus.StreamSettings{
		Name: os.Getenv("STREAM"), Replicas: 1, MaxBytes: -1, DuplicateWindow: 72 * time.Hour, StateView: true,
	}, natsbus.SubscriberConsumer(name))
	router, err := bus.NewRouter(natsbus.SubscriberConfig{
		Stream: os.Getenv("STREAM"), Consumer: name, MaxInFlight: inFlight, MaxBytes: inFlightBytes, CloseTimeout: 5 * time.Second,
		DeadLetter: bus.NewDeadLetters(time.Now).Keep,
	}, commit.Handle)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { provisioner.Run(ctx); return nil })
	group.Go(func() error { provisioner.WaitFirst(ctx); return router.Run(ctx) })
	group.Go(func() error { return serve(ctx, db) })
	return group.Wait()
}

func position(msg *message.Message) store.Position {
	delivery, _ := natsbus.DeliveryOf(msg)
	return store.Position{StreamSequence: delivery.Sequence, StoredAt: delivery.StoredAt}
}

// serve answers how many audit documents and records there are.
func serve(ctx context.Context, db *database) error {
	server := &http.Server{Addr: os.Getenv("LISTEN_ADDR"), ReadHeaderTimeout: time.Second}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "%d %d", db.audited(), db.recorded())
	})
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}
