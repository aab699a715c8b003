// Command entitlements answers over HTTP whether a user or a customer may use something.
// It keeps the access documents of Billbus's state view in memory, so an answer costs no
// request, and it also answers while NATS is unreachable.
//
//	GET /users/{id}?product=prod_…   or   GET /customers/{id}?product=prod_…
//	GET /readyz
//
// Without product, the question is whether anything may be used. Until everything was
// loaded once, the answer is 503: an unknown user is not one without access.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	s := newService(os.Getenv("LIVEMODE") == "true", os.Getenv("ACCOUNT"))
	lost := make(chan error, 1)
	nc, err := nats.Connect(cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL),
		nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
		nats.DisconnectErrHandler(func(*nats.Conn, error) {
			select {
			case lost <- errors.New("the connection to NATS was lost"):
			default: // already known
			}
		}))
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: cmp.Or(os.Getenv("LISTEN_ADDR"), "127.0.0.1:8090"), Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	go s.follow(ctx, js, lost)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return server.Shutdown(ctx)
	}
}

// follow watches the keys for as long as the service runs.
func (s *service) follow(ctx context.Context, js jetstream.JetStream, lost <-chan error) {
	for ctx.Err() == nil {
		err := s.watch(ctx, js, lost)
		s.setStale()
		log.Print("watching again, because ", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// watch keeps the documents current until anything may have been missed. The next watcher
// then delivers all values again, which repairs whatever it was.
//
// The watcher of nats.go continues by itself after most interruptions, but not after the
// bucket was deleted: it closes its channel. If the bucket is created again before it
// notices, it is worse. Then it continues with the number that it had reached in the old
// bucket, and silently misses all smaller ones in the new bucket.
func (s *service) watch(ctx context.Context, js jetstream.JetStream, lost <-chan error) error {
	ctx, stop := context.WithCancelCause(ctx) // also ends the watcher
	defer stop(nil)
	created, err := bucketCreated(ctx, js)
	if err != nil {
		return err
	}
	kv, err := js.KeyValue(ctx, events.StateBucket)
	if err != nil {
		return err
	}
	watcher, err := kv.Watch(ctx, s.keys())
	if err != nil {
		return err
	}
	go func() { stop(doubt(ctx, js, created, lost)) }()
	for entry := range watcher.Updates() {
		s.apply(entry)
	}
	if ctx.Err() == nil {
		return errors.New("the bucket is gone")
	}
	return context.Cause(ctx)
}

// doubt returns when the watcher cannot be trusted any more.
func doubt(ctx context.Context, js jetstream.JetStream, created time.Time, lost <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return err
		case <-time.After(2 * time.Second):
		}
		now, err := bucketCreated(ctx, js)
		if err != nil {
			return err
		}
		if !now.Equal(created) {
			return errors.New("the bucket was created again")
		}
	}
}

func bucketCreated(ctx context.Context, js jetstream.JetStream) (time.Time, error) {
	stream, err := js.Stream(ctx, "KV_"+events.StateBucket)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading about the bucket: %w", err)
	}
	return stream.CachedInfo().Created, nil
}

// apply takes over one entry. The bucket's order is the order of the changes, so the last
// entry of a key is the present one.
func (s *service) apply(entry jetstream.KeyValueEntry) {
	if entry == nil { // all present values were delivered
		s.setCurrent()
		return
	}
	var doc events.AccessDocument
	if entry.Operation() == jetstream.KeyValuePut {
		if err := json.Unmarshal(entry.Value(), &doc); err != nil {
			log.Printf("keeping what was known, since %s cannot be read: %v", entry.Key(), err)
			return
		}
	}
	s.set(entry.Key(), doc)
}
