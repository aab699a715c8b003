package docdb

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // which FerretDB uses
)

// keysInterval is how often new collections are looked for.
const keysInterval = time.Second

// indexKeys gives every collection an index with which SQLite finds a document by its key,
// until ctx is done. FerretDB's own index is on the expression ->"_id", and its queries say
// ->'$._id', so SQLite would parse every document of the collection for each of them. Without
// the index everything works, only slower: so what fails is tried again.
func indexKeys(ctx context.Context, dir string) {
	tick := time.NewTicker(keysInterval)
	defer tick.Stop()
	for {
		files, _ := filepath.Glob(filepath.Join(dir, "*.sqlite")) // the pattern is valid
		for _, file := range files {
			_ = indexFile(ctx, file)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func indexFile(ctx context.Context, file string) error {
	return within(file, func(db *sql.DB) error {
		tables, err := names(ctx, db, unindexed)
		for _, table := range tables {
			if _, err := db.ExecContext(ctx, fmt.Sprintf(`CREATE INDEX IF NOT EXISTS %q ON %q (_ferretdb_sjson->'$._id')`, table+"_key", table)); err != nil {
				return err
			}
		}
		return err
	})
}

// unindexed finds the tables in which FerretDB keeps its collections, without those that
// have the index. It asks the file: a collection that is dropped and made again has a table of
// the same name.
const unindexed = `SELECT table_name FROM _ferretdb_collections
	WHERE table_name || '_key' NOT IN (SELECT name FROM sqlite_schema WHERE type = 'index')`

// within opens one of FerretDB's files, next to FerretDB.
func within(file string, run func(db *sql.DB) error) error {
	db, err := sql.Open("sqlite", "file:"+file+"?mode=rw&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return run(db)
}

// names returns the only column of what a query finds.
func names(ctx context.Context, db *sql.DB, query string) (found []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		found = append(found, name)
	}
	return found, rows.Err()
}
