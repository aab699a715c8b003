package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"golang.org/x/sync/errgroup"
)

const (
	batchSize = 128
	atOnce    = 8
)

// batch is the audit documents of some messages, and the documents of the subscriptions
// whose state they show.
type batch struct {
	audit  []any
	states []bson.Raw
}

// persist writes documents that it has read from files, once it is asked to by POST /start.
// GET /done returns how many audit documents are written.
func persist(ctx context.Context, bulk bool) error {
	batches, err := readBatches(os.Getenv("DOCUMENTS"))
	if err != nil {
		return err
	}
	client, err := mongo.Connect(options.Client().ApplyURI(os.Getenv("MONGODB_URI")).SetWriteConcern(writeconcern.Majority()))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	if err := client.Ping(ctx, nil); err != nil {
		return err
	}
	w := &writer{db: client.Database(os.Getenv("MONGODB_DATABASE")), bulk: bulk}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /done", func(out http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(out, w.done.Load()) })
	mux.HandleFunc("POST /start", func(http.ResponseWriter, *http.Request) {
		go func() {
			if err := w.writeAll(ctx, batches); err != nil {
				stop(err)
			}
		}()
	})
	err = serve(ctx, os.Getenv("LISTEN_ADDR"), mux)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// readBatches reads the audit documents in the order of the stream, and for each batch the
// documents of its subscriptions.
func readBatches(dir string) ([]batch, error) {
	audit, err := read(filepath.Join(dir, "audit.bson"))
	if err != nil {
		return nil, err
	}
	list, err := read(filepath.Join(dir, "states.bson"))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(audit, func(a, b bson.Raw) int {
		return cmp.Compare(a.Lookup("stream_sequence").AsInt64(), b.Lookup("stream_sequence").AsInt64())
	})
	states := map[string]bson.Raw{}
	for _, state := range list {
		states[state.Lookup("_id").StringValue()] = state
	}
	var batches []batch
	for len(audit) > 0 {
		n := min(len(audit), batchSize)
		batches = append(batches, newBatch(audit[:n], states))
		audit = audit[n:]
	}
	return batches, nil
}

func newBatch(audit []bson.Raw, states map[string]bson.Raw) batch {
	var b batch
	seen := map[string]bool{}
	for _, doc := range audit {
		b.audit = append(b.audit, doc)
		key, _ := doc.Lookup("subscription_key").StringValueOK()
		if state, ok := states[key]; ok && !seen[key] {
			seen[key] = true
			b.states = append(b.states, state)
		}
	}
	return b
}

func read(path string) ([]bson.Raw, error) {
	file, err := os.Open(path) //nolint:gosec // written by the program that starts this one
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var list []bson.Raw
	for {
		doc, err := bson.ReadDocument(file)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, doc)
	}
}

type writer struct {
	db   *mongo.Database
	bulk bool
	done atomic.Int64
}

func (w *writer) writeAll(ctx context.Context, batches []batch) error {
	for _, b := range batches {
		_, err := w.db.Collection("webhook_events").InsertMany(ctx, b.audit, options.InsertMany().SetOrdered(false))
		if err != nil {
			return err
		}
		write := w.single
		if w.bulk {
			write = w.together
		}
		if err := write(ctx, b.states); err != nil {
			return err
		}
		w.done.Add(int64(len(b.audit)))
	}
	return nil
}

// together writes all states in one unordered command.
func (w *writer) together(ctx context.Context, states []bson.Raw) error {
	if len(states) == 0 {
		return nil
	}
	models := make([]mongo.WriteModel, len(states))
	for i, state := range states {
		models[i] = mongo.NewReplaceOneModel().SetFilter(id(state)).SetReplacement(state).SetUpsert(true)
	}
	_, err := w.db.Collection("subscriptions").BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	return err
}

// single writes each state in a command of its own, some at once.
func (w *writer) single(ctx context.Context, states []bson.Raw) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, state := range states {
		group.Go(func() error {
			_, err := w.db.Collection("subscriptions").ReplaceOne(ctx, id(state), state, options.Replace().SetUpsert(true))
			return err
		})
	}
	return group.Wait()
}

func id(doc bson.Raw) bson.D { return bson.D{{Key: "_id", Value: doc.Lookup("_id")}} }
