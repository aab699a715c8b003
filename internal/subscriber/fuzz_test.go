package subscriber

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/cli"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/term"
)

// FuzzAudit gives any words to "subscriber audit", and has it print an event in which anyone may have
// written. It reports wrong usage or prints, and what it prints controls no terminal.
func FuzzAudit(f *testing.F) {
	for _, words := range []string{
		"", "--json", "--wide", "--limit\n1", "--limit\n-1", "--limit=1e9", "--since\n7d\n--until\n2026-01-31", "--since=99999d", "--since=9999-12-31T23:59:59+23:59",
		"--until=0000-01-01", "--since=\x00", "--subscription\n$ne\n--json", "--customer={\"$gt\":\"\"}", "--user\n--event", "--type=.*", "--payload=evt_1", "--without-user\n--json",
		"--ignored=false", "--unknown", "--", "x", "--mongodb-uri=mongodb://a:hunter2@h", "-h",
	} {
		for _, m := range canceled("\x1b[2J\r\n\u202e").messages[:2] {
			m.Data.Event = nil
			payload, err := events.Encode(m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(words, payload)
		}
	}
	f.Fuzz(func(t *testing.T, words string, payload []byte) {
		if strings.Contains(words, "file") {
			return // may name one that has no end
		}
		db := trails{payload: "{}"}
		if m, err := events.Decode(payload); err == nil {
			db.messages = append(canceled("").messages, m)
		}
		var cfg config.Subscriber
		var out, help bytes.Buffer
		runs := cli.SubscriberRuns{Audit: func(ctx context.Context) error {
			return audit(ctx, users{db}, cfg.Audit, term.Printer{Out: &out, Width: 80}, time.Now())
		}}
		err := cli.Execute(t.Context(), cli.Subscriber(&cfg, runs), append([]string{"audit"}, strings.Split(words, "\n")...), func(string) string { return "" }, &help, &help)
		if faults, ok := errors.AsType[*config.Faults](err); ok && (len(faults.Lines) == 0 || out.Len() > 0) {
			t.Fatalf("got %v after %q", err, out.String())
		}
		checkPrinted(t, out.String(), cfg.Audit.JSON)
	})
}

// users has no records without a user.
type users struct{ trails }

func (users) Anonymous(context.Context) iter.Seq2[store.Anonymous, error] {
	return func(func(store.Anonymous, error) bool) {}
}

func (users) ClaimsOf(context.Context, store.Owners) iter.Seq2[store.Audited, error] {
	return func(func(store.Audited, error) bool) {}
}

func checkPrinted(t *testing.T, text string, asJSON bool) {
	t.Helper()
	for line := range strings.Lines(text) {
		if asJSON && !json.Valid([]byte(line)) {
			t.Fatalf("got %q, want JSON", line)
		}
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), unicode.IsControl) || strings.Contains(line, "\u202e") && !asJSON {
			t.Fatalf("printed %q", line)
		}
	}
}
