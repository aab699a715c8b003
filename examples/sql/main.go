// Command sql keeps tables in PostgreSQL that say what the bucket BILLBUS_STATE says, for
// services and reports that speak SQL: see schema.sql and queries.sql.
//
// It can be killed at any time. The position in the bucket is stored together with the
// rows, so it goes on where it stopped.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	bucketName    = "BILLBUS_STATE"
	retryDelay    = time.Second
	checkInterval = 5 * time.Second
	closeTimeout  = 5 * time.Second
	maxBatch      = 500
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	// By default the client stops reconnecting after 60 attempts.
	nc, err := nats.Connect(getenv("NATS_URL", nats.DefaultURL), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	for {
		err := follow(ctx, js)
		if ctx.Err() != nil {
			return nil
		}
		log.Printf("%v; trying again", err)
		select {
		case <-ctx.Done():
		case <-time.After(retryDelay):
		}
	}
}

func getenv(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// follow brings the tables up to date and keeps them so until something fails. When NATS
// is unreachable, it waits: the client resumes by itself.
func follow(ctx context.Context, js jetstream.JetStream) error {
	bucket, err := js.KeyValue(ctx, bucketName)
	if err != nil {
		return fmt.Errorf("bucket %s: %w", bucketName, err)
	}
	store, err := openStore(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer closeStore(ctx, store)
	created, err := createdAt(ctx, bucket)
	if err != nil {
		return err
	}
	position, err := store.position(ctx, bucketName, created)
	if err != nil {
		return fmt.Errorf("reading the position: %w", err)
	}
	watcher, err := bucket.WatchAll(ctx, jetstream.ResumeFromRevision(position+1))
	if err != nil {
		return fmt.Errorf("watching from revision %d: %w", position+1, err)
	}
	defer stop(watcher)
	log.Printf("watching from revision %d", position+1)
	return transfer(ctx, bucket, created, watcher, store)
}

// transfer stores what the watcher delivers. It ends if the bucket was created again: then
// revisions begin at 1, and a watcher that waits for the next one misses them.
func transfer(ctx context.Context, bucket jetstream.KeyValue, created time.Time, watcher jetstream.KeyWatcher, store store) error {
	check := time.NewTicker(checkInterval)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-check.C:
			if now, err := createdAt(ctx, bucket); err == nil && !now.Equal(created) {
				return errors.New("the bucket was created again")
			}
		case entry, ok := <-watcher.Updates():
			if !ok {
				return errors.New("the watcher has ended")
			}
			entries := collect(entry, watcher.Updates())
			if len(entries) == 0 {
				continue
			}
			if err := store.apply(ctx, entries); err != nil {
				return fmt.Errorf("storing revisions %d to %d: %w", entries[0].Revision(), entries[len(entries)-1].Revision(), err)
			}
		}
	}
}

// collect returns the entry and those that have already arrived after it. It leaves out
// nil, by which the watcher says that all present values were delivered.
func collect(entry jetstream.KeyValueEntry, more <-chan jetstream.KeyValueEntry) (entries []jetstream.KeyValueEntry) {
	for {
		if entry != nil {
			entries = append(entries, entry)
		}
		if len(entries) == maxBatch {
			return entries
		}
		select {
		case next, ok := <-more:
			if !ok {
				return entries
			}
			entry = next
		default:
			return entries
		}
	}
}

func createdAt(ctx context.Context, bucket jetstream.KeyValue) (time.Time, error) {
	status, err := bucket.Status(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("bucket %s: %w", bucketName, err)
	}
	return status.(*jetstream.KeyValueBucketStatus).StreamInfo().Created, nil
}

// stop ends the watcher, whose goroutine may be waiting to deliver an entry.
func stop(watcher jetstream.KeyWatcher) {
	_ = watcher.Stop()
	go func() {
		for range watcher.Updates() {
		}
	}()
}

func closeStore(ctx context.Context, store store) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = store.conn.Close(ctx)
}
