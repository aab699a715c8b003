package docdb

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
)

// FerretDB creates a collection in three steps, and an index in two, without a transaction.
// If it was killed in between, every later attempt fails, because the table or the index
// exists. These queries find what it had begun, and are run before it starts.
const (
	// A table that the list of collections does not have, or whose list lacks the index of
	// the keys. Nothing can have been stored in it.
	begunTables = `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name <> '_ferretdb_collections'
		AND name NOT IN (SELECT table_name FROM _ferretdb_collections, json_each(settings, '$.indexes') WHERE json_extract(value, '$.name') = '_id_')`
	// An entry of that list without a table: the collection was being dropped or created.
	begunEntries = `SELECT table_name FROM _ferretdb_collections WHERE table_name NOT IN (SELECT name FROM sqlite_schema WHERE type = 'table')`
	// An index that the list of its collection does not have.
	begunIndexes = `SELECT name FROM sqlite_schema AS i WHERE type = 'index' AND sql IS NOT NULL AND name <> tbl_name || '_key'
		AND tbl_name IN (SELECT table_name FROM _ferretdb_collections)
		AND name NOT IN (SELECT table_name || '_' || json_extract(value, '$.name') FROM _ferretdb_collections, json_each(settings, '$.indexes') WHERE table_name = i.tbl_name)`
)

// repair removes what FerretDB had begun when it was killed.
func repair(ctx context.Context, dir string) error {
	files, _ := filepath.Glob(filepath.Join(dir, "*.sqlite")) // the pattern is valid
	for _, file := range files {
		if err := repairFile(ctx, file); err != nil {
			return fmt.Errorf("checking %s: %w", file, err)
		}
	}
	return nil
}

func repairFile(ctx context.Context, file string) error {
	return within(file, func(db *sql.DB) error {
		lists, err := names(ctx, db, `SELECT name FROM sqlite_schema WHERE name = '_ferretdb_collections'`)
		if err != nil || len(lists) == 0 { // nothing was created yet
			return err
		}
		for _, step := range []struct{ begun, remove string }{
			{begunTables, `DROP TABLE %q`},
			{begunEntries, `DELETE FROM _ferretdb_collections WHERE table_name = '%s'`},
			{begunIndexes, `DROP INDEX %q`},
		} {
			found, err := names(ctx, db, step.begun)
			if err != nil {
				return err
			}
			for _, name := range found {
				if _, err := db.ExecContext(ctx, fmt.Sprintf(step.remove, name)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
