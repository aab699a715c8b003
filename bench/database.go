package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/proxy"
	"github.com/billbus/billbus/test/kit/servers"
)

// Names of databases, for --db.
const (
	embedded         = "embedded"
	ferretOnPostgres = "ferretdb-postgres"
	memory           = "memory" // not MongoDB, but speaks its protocol
)

// server is a database server. Contestants use it one after the other, each in a database
// of its own.
type server struct {
	name      string
	uri       string
	processes map[string]*kit.Process // that run here
}

// database starts the server of that name, or returns that of a URI.
func (b *bench) database(t *kit.Trial, name string) *server {
	if strings.Contains(name, "://") {
		return &server{name: "MongoDB", uri: name}
	}
	addr := kit.FreeAddr(t)
	s := &server{name: name, uri: "mongodb://" + addr, processes: map[string]*kit.Process{}}
	role := servers.Documents
	if name == memory {
		role = servers.Memory
	}
	documents := servers.Process(t, t.Dir, role, addr)
	if name == ferretOnPostgres {
		db, err := kit.NewPostgres(t)
		if err != nil {
			t.Fatal(err)
		}
		db.Start(t)
		t.Cleanup(func() { db.Stop(t) })
		documents.Env = append(documents.Env, servers.PostgreSQL+"="+db.URL())
		s.processes[postgresPart] = db.Process
	}
	documents.Start(t)
	s.processes[databasePart] = documents
	kit.Eventually(t, "the database listens", func() bool { return listens(addr) })
	return s
}

// dataset is the database of one measurement.
type dataset struct {
	*mongo.Database
	uri string // for the contestant: by a detour if there is a delay
}

// dataset makes an empty database with the indexes that the subscriber creates. It is
// removed at the end.
func (s *server) dataset(t *kit.Trial, delay time.Duration) *dataset {
	client, err := mongo.Connect(options.Client().ApplyURI(s.uri))
	if err != nil {
		t.Fatal(err)
	}
	d := &dataset{client.Database("bench_" + strings.ToLower(rand.Text())), s.uri}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := d.Drop(ctx); err != nil {
			t.Errorf("removing the database: %v", err)
		}
		_ = client.Disconnect(ctx)
	})
	s.provision(t, d.Name())
	if delay > 0 {
		uri, way := proxy.Through(t, s.uri)
		if err := way.Delay(delay); err != nil {
			t.Fatal(err)
		}
		d.uri = uri
	}
	return d
}

func (s *server) provision(t *kit.Trial, name string) {
	store, err := mongostore.Open(mongostore.Config{URI: s.uri, Database: name, MaxBatch: 1, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	store.Provision(t.Context(), true)
	if err := store.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// count returns how many documents are in a collection.
func (d *dataset) count(t *kit.Trial, collection string) int {
	n, err := d.Collection(collection).CountDocuments(t.Context(), bson.D{})
	if err != nil {
		t.Fatalf("counting documents of %s: %v", collection, err)
	}
	return int(n)
}

// save writes the documents of a collection to a file, for the floor.
func (d *dataset) save(t *kit.Trial, collection, path string) {
	file, err := os.Create(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	cursor, err := d.Collection(collection).Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	for cursor.Next(t.Context()) {
		if _, err := file.Write(cursor.Current); err != nil {
			t.Fatal(err)
		}
	}
	if err := cursor.Err(); err != nil {
		t.Fatal(fmt.Errorf("reading %s: %w", collection, err))
	}
}
