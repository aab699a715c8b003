package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go/jetstream"
)

//go:embed schema.sql
var schema string

// A value is stored only if its revision is greater than that of the row. So the order and
// the repetition of writes do not matter.
const (
	putSubscription = `
		insert into billbus.subscriptions
		select (jsonb_populate_record(null::billbus.subscriptions,
			$3::jsonb || jsonb_build_object('key', $1::text, 'revision', $2::bigint, 'record', $3::jsonb))).*
		on conflict (key) do update set
			(revision, subscription_id, livemode, account_id, customer_id, user_id, status, access, currency, created,
			 current_period_start, current_period_end, trial_end, cancel_at_period_end, canceled_at, ends_at, ordering, record) =
			(excluded.revision, excluded.subscription_id, excluded.livemode, excluded.account_id, excluded.customer_id, excluded.user_id,
			 excluded.status, excluded.access, excluded.currency, excluded.created, excluded.current_period_start, excluded.current_period_end,
			 excluded.trial_end, excluded.cancel_at_period_end, excluded.canceled_at, excluded.ends_at, excluded.ordering, excluded.record)
		where subscriptions.revision < excluded.revision`
	// The items are those of the stored record, whichever it is.
	deleteItems = `delete from billbus.items where key = $1`
	putItems    = `
		insert into billbus.items
		select (jsonb_populate_record(null::billbus.items, item || jsonb_build_object('key', key, 'number', number))).*
		from billbus.subscriptions, jsonb_array_elements(record -> 'items') with ordinality as list (item, number)
		where key = $1`
	putAccess = `
		insert into billbus.access
		select (jsonb_populate_record(null::billbus.access,
			$3::jsonb || jsonb_build_object('key', $1::text, 'revision', $2::bigint, 'document', $3::jsonb))).*
		on conflict (key) do update set
			(revision, access, user_id, subscription_id, since, until, ambiguous, document) =
			(excluded.revision, excluded.access, excluded.user_id, excluded.subscription_id, excluded.since, excluded.until, excluded.ambiguous, excluded.document)
		where access.revision < excluded.revision`
	deleteSubscription = `delete from billbus.subscriptions where key = $1 and revision < $2`
	deleteAccess       = `delete from billbus.access where key = $1 and revision < $2`
	moveOn             = `update billbus.position set revision = greatest(revision, $2) where bucket = $1`
)

// oneWriter is the key of a lock that the connection holds until it ends. A second process
// waits for it, and takes over if the first one dies.
const oneWriter = `select pg_advisory_lock(hashtext('billbus'))`

type store struct{ conn *pgx.Conn }

// openStore connects, waits until no other process writes, and creates the tables.
func openStore(ctx context.Context, url string) (store, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return store{}, fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	for _, sql := range []string{oneWriter, schema} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return store{}, errors.Join(fmt.Errorf("preparing PostgreSQL: %w", err), conn.Close(ctx))
		}
	}
	return store{conn}, nil
}

// position returns the revision up to which the bucket was read. In a bucket that was
// created again, revisions begin at 1, so those of the rows no longer count. The rows stay
// until the bucket has their keys again.
func (s store) position(ctx context.Context, bucket string, created time.Time) (revision uint64, err error) {
	created = created.Truncate(time.Microsecond) // like PostgreSQL
	err = pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		var known time.Time
		err := tx.QueryRow(ctx, `select created, revision from billbus.position where bucket = $1`, bucket).Scan(&known, &revision)
		if err == nil && known.Equal(created) {
			return nil
		}
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		revision = 0
		return startOver(ctx, tx, bucket, created)
	})
	return revision, err
}

func startOver(ctx context.Context, tx pgx.Tx, bucket string, created time.Time) error {
	var batch pgx.Batch
	batch.Queue(`update billbus.subscriptions set revision = 0`)
	batch.Queue(`update billbus.access set revision = 0`)
	batch.Queue(`insert into billbus.position values ($1, $2, 0)
		on conflict (bucket) do update set created = excluded.created, revision = 0`, bucket, created)
	return tx.SendBatch(ctx, &batch).Close()
}

// apply stores entries. One that the tables cannot have is skipped: it would be in the way
// of all others.
func (s store) apply(ctx context.Context, entries []jetstream.KeyValueEntry) error {
	err := s.write(ctx, entries, queue)
	if !isFaulty(err) {
		return err
	}
	if len(entries) == 1 {
		log.Printf("skipping %s, revision %d: %v", entries[0].Key(), entries[0].Revision(), err)
		return s.write(ctx, entries, func(*pgx.Batch, jetstream.KeyValueEntry) {})
	}
	for i := range entries {
		if err := s.apply(ctx, entries[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// isFaulty reports whether PostgreSQL rejected a value: invalid data, or a field is missing.
func isFaulty(err error) bool {
	var rejected *pgconn.PgError
	return errors.As(err, &rejected) && (strings.HasPrefix(rejected.Code, "22") || strings.HasPrefix(rejected.Code, "23"))
}

// write stores entries and the position in one transaction.
func (s store) write(ctx context.Context, entries []jetstream.KeyValueEntry, queue func(*pgx.Batch, jetstream.KeyValueEntry)) error {
	return pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		var batch pgx.Batch
		for _, entry := range entries {
			queue(&batch, entry)
		}
		last := entries[len(entries)-1]
		batch.Queue(moveOn, last.Bucket(), last.Revision())
		return tx.SendBatch(ctx, &batch).Close()
	})
}

// queue leaves out keys that begin with none of the known words, such as "gaps".
func queue(batch *pgx.Batch, entry jetstream.KeyValueEntry) {
	first, _, _ := strings.Cut(entry.Key(), ".")
	access := first == "access"
	switch {
	case !access && first != "live" && first != "test":
	case entry.Operation() != jetstream.KeyValuePut && access:
		batch.Queue(deleteAccess, entry.Key(), entry.Revision())
	case entry.Operation() != jetstream.KeyValuePut:
		batch.Queue(deleteSubscription, entry.Key(), entry.Revision())
	case access:
		batch.Queue(putAccess, entry.Key(), entry.Revision(), text(entry))
	default:
		batch.Queue(putSubscription, entry.Key(), entry.Revision(), text(entry))
		batch.Queue(deleteItems, entry.Key())
		batch.Queue(putItems, entry.Key())
	}
}

// withoutNUL replaces the one character that PostgreSQL cannot store. An escaped backslash
// before it is skipped.
var withoutNUL = strings.NewReplacer(`\\`, `\\`, `\u0000`, `\ufffd`)

func text(entry jetstream.KeyValueEntry) string { return withoutNUL.Replace(string(entry.Value())) }
