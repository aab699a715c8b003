// Package docdb runs FerretDB on SQLite inside the process, for standalone and for
// tests; measurements also run it on PostgreSQL. It speaks MongoDB's wire protocol and
// handles a few thousand documents. Production runs on a MongoDB replica set.
//
// Linking it takes a minute, so few packages import it.
package docdb

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/FerretDB/FerretDB/ferretdb"
)

// Config says where the database listens and keeps its data.
type Config struct {
	Addr string // host:port; port 0 picks a free one
	Dir  string // folder of the SQLite files
	// PostgreSQL is the URL of a database to use instead of SQLite.
	PostgreSQL string
}

// Server is a running database.
type Server struct {
	db   *ferretdb.FerretDB
	stop context.CancelFunc
	done sync.WaitGroup
}

// Start runs a database and returns when it accepts connections.
func Start(cfg Config) (*Server, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("folder of embedded document database: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of embedded document database: %w", err)
	}
	handler := "sqlite"
	if cfg.PostgreSQL != "" {
		handler = "postgresql"
	}
	if err := repair(context.Background(), dir); err != nil {
		return nil, fmt.Errorf("starting embedded document database: %w", err)
	}
	db, err := ferretdb.New(&ferretdb.Config{
		Listener:      ferretdb.ListenerConfig{TCP: cfg.Addr},
		Handler:       handler,
		SQLiteURL:     "file:" + dir + "/",
		PostgreSQLURL: cfg.PostgreSQL,
		// When a command fails, FerretDB logs whole documents, with their payloads.
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("starting embedded document database: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{db: db, stop: stop}
	s.done.Go(func() { _ = db.Run(ctx) }) // returns nil when ctx is done
	if cfg.PostgreSQL == "" {
		s.done.Go(func() { indexKeys(ctx, dir) })
	}
	return s, nil
}

// URI returns the address for clients.
func (s *Server) URI() string { return s.db.MongoDBURI() }

// Close stops the database and waits until it has stopped.
func (s *Server) Close() {
	s.stop()
	s.done.Wait()
}
