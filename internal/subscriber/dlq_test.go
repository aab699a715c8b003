package subscriber

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
	"github.com/billbus/billbus/test/storetest"
)

const durable = "billbus-subscriber"

// letterRig is a server with the streams, and a database.
type letterRig struct {
	js      jetstream.JetStream
	letters *natsbus.DeadLetters
	server  *storetest.Memory
	db      *flakyStore
}

// flakyStore is a store on the database in memory, which can fail.
type flakyStore struct {
	*storetest.Client
	*store.Queue
	record error // of RecordLetter, once, after it was written
	away   error // of everything else
}

func (f *flakyStore) Commit(ctx context.Context, e store.Entry) (store.Effect, error) {
	if f.away != nil {
		return "", f.away
	}
	return f.Queue.Commit(ctx, e)
}

func (f *flakyStore) RecordLetter(ctx context.Context, l store.Letter) error {
	recorded := f.Client.RecordLetter(ctx, l)
	if err := f.record; err != nil {
		f.record = nil
		return err
	}
	return recorded
}

func (f *flakyStore) Ping(context.Context) error { return f.away }

func newLetterRig(t *testing.T) *letterRig {
	t.Helper()
	url := natstest.Start(t).URL()
	bus, err := natsbus.Open(natsbus.Auth{URL: url}, t.Name(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	settings := natsbus.StreamSettings{Name: "BILLBUS", Replicas: 1, MaxBytes: -1, DuplicateWindow: time.Hour}
	streams := bus.NewProvisioner(natsbus.ProvisionCreate, settings, natsbus.SubscriberConsumer(durable))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); streams.Run(ctx) }()
	kit.Eventually(t, "the streams exist", func() bool { return streams.Check(ctx) == nil })
	stop()
	<-done
	server := storetest.NewMemory()
	client := server.Connect(storetest.Hooks{})
	queue := store.NewQueue(store.NewCommitter(client, time.Now), 16)
	t.Cleanup(queue.Close)
	return &letterRig{natstest.JetStream(t, url), bus.NewDeadLetters(time.Now), server, &flakyStore{Client: client, Queue: queue}}
}

// letter publishes a message and makes a letter of it. It returns the sequence of the message.
func (r *letterRig) letter(t *testing.T, consumer, subject string, reason fault.Reason, payload []byte) uint64 {
	t.Helper()
	ack, err := r.js.Publish(t.Context(), subject, payload)
	if err != nil {
		t.Fatal(err)
	}
	err = r.letters.Keep(t.Context(), natsbus.Letter{
		Delivery: natsbus.Delivery{Stream: "BILLBUS", Sequence: ack.Sequence, StoredAt: natstest.Message(t, r.js, "BILLBUS", ack.Sequence).Time, Deliveries: 2, Subject: subject},
		Consumer: consumer, Err: fault.New(fault.Permanent, reason, fmt.Errorf("failed with %s", reason)), Header: nats.Header{"Ce-Note": {"a", "b"}}, Payload: payload,
	})
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

func encoded(t *testing.T, m events.Message) []byte {
	t.Helper()
	data, err := events.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// run runs a command on the letters and returns its lines of JSON, without the kinds.
func (r *letterRig) run(t *testing.T, d config.DeadLetters, command func(*settling, context.Context) error) (lines []string, err error) {
	t.Helper()
	var out bytes.Buffer
	d.JSON, d.By = true, "ann@host"
	s, err := newSettling(config.Subscriber{ConsumerName: durable, DeadLetters: d}, r.letters, r.db, nil, Console{strings.NewReader(""), &out, &out})
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return kit.At(9) }
	err = command(s, t.Context())
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(strings.TrimPrefix(line, `{"kind":`), "\n")
		lines = append(lines, line)
	}
	return lines, err
}

func sequences(n ...uint64) config.DeadLetters { return config.DeadLetters{Sequences: n} }

func TestRedriveHasOneEffect(t *testing.T) {
	t.Parallel()
	r := newLetterRig(t)
	other, err := r.js.CreateConsumer(t.Context(), "BILLBUS", jetstream.ConsumerConfig{Durable: "other", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	sequence := r.letter(t, durable, "subscription.created", fault.DatabaseRefused, encoded(t, kit.Event("sub_1", "evt_1", "created", 1, "active")))
	before := natstest.Stream(t, r.js, "BILLBUS").CachedInfo().State
	// The first attempt ends after message and record are written.
	r.db.record = fault.New(fault.Transient, fault.DatabaseTimeout, errors.New("no answer"))
	if _, err := r.run(t, sequences(1), (*settling).redriveAll); err == nil || !strings.Contains(err.Error(), "run the same command again") {
		t.Fatalf("got %v, want that it can be repeated", err)
	}
	if n := natstest.Count(t, r.js, natsbus.DeadLetterStream); n != 1 {
		t.Fatalf("got %d letters although the record is not known to be durable, want 1", n)
	}
	for _, want := range [][]string{
		{`"letter","sequence":1,"outcome":"redriven"}`, `"summary","letters":1,"results":{"redriven":1},"outcomes":{"duplicate":1}}`},
		{`"letter","sequence":1,"outcome":"earlier","reason":"redriven by ann@host, 2026-01-01T00:00:09Z"}`, `"summary","letters":1,"results":{"earlier":1}}`},
	} {
		got, err := r.run(t, sequences(1), (*settling).redriveAll)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	found, err := r.db.Search(t.Context(), store.Query{})
	if err != nil || len(found) != 1 || found[0].StreamSequence != sequence || !found[0].StoredAt.Equal(natstest.Message(t, r.js, "BILLBUS", sequence).Time) {
		t.Errorf("got %+v, %v, want one event where its message is", found, err)
	}
	if record, ok := r.server.Record(kit.Key("sub_1")); !ok || record.Revision != 1 {
		t.Errorf("got record %+v, want its first revision", record)
	}
	if n := natstest.Count(t, r.js, natsbus.DeadLetterStream); n != 0 {
		t.Errorf("got %d letters, want none", n)
	}
	after := natstest.Stream(t, r.js, "BILLBUS").CachedInfo().State
	if info, err := other.Info(t.Context()); err != nil || info.NumPending != 1 || after.LastSeq != before.LastSeq {
		t.Errorf("another consumer has %d messages, %v; last sequence %d, want %d", info.NumPending, err, after.LastSeq, before.LastSeq)
	}
	got, _, err := r.db.RecordedLetter(t.Context(), 1)
	want := store.Letter{
		ID: got.ID, Sequence: 1, StreamSequence: sequence, Action: store.Redriven, Code: "database_refused", Reason: "failed with database_refused",
		Subject: "subscription.created", EventID: "evt_1", Consumer: durable, At: kit.At(9), By: "ann@host",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("record: %v (-want +got):\n%s", err, diff)
	}
}

func TestRedriveLeavesWhatItCannotApply(t *testing.T) {
	t.Parallel()
	r := newLetterRig(t)
	r.letter(t, durable, "stripe.x", fault.MessageUnreadable, []byte("not a message"))
	r.letter(t, natsbus.ResolverConsumer().Name, "stripe.x", fault.Panicked, encoded(t, kit.Event("sub_1", "evt_1", "created", 1, "active")))
	r.letter(t, "another", "stripe.x", fault.Panicked, encoded(t, kit.Event("sub_1", "evt_2", "updated", 2, "active")))
	for i := range 40 {
		r.letter(t, durable, "subscription.updated", fault.TooLarge, encoded(t, kit.Event(fmt.Sprintf("sub_%d", i), fmt.Sprintf("evt_1%d", i), "updated", 1, "active")))
	}
	got, err := r.run(t, sequences(1, 2, 3, 99), (*settling).redriveAll)
	text := strings.Join(got, "\n")
	for _, want := range []string{
		`"sequence":1,"outcome":"failed","code":"unreadable"`, `"sequence":2,"outcome":"failed","code":"other","reason":"the bridge made this letter`,
		`"sequence":3,"outcome":"failed","code":"other","reason":"it is of the consumer another: set CONSUMER_NAME`, `"sequence":99,"outcome":"failed"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %s in\n%s", want, text)
		}
	}
	if !errors.Is(err, ErrNotRedriven) || config.ExitCode(err) != 1 {
		t.Errorf("got %v", err)
	}
	got, err = r.run(t, config.DeadLetters{All: true}, (*settling).redriveAll)
	want := `"summary","letters":43,"results":{"failed":1,"other_consumer":2,"redriven":40},"outcomes":{"applied":40}}`
	if diff := cmp.Diff(want, got[len(got)-1]); diff != "" || !errors.Is(err, ErrNotRedriven) {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if n := natstest.Count(t, r.js, natsbus.DeadLetterStream); n != 3 {
		t.Errorf("got %d letters, want the 3 that failed or are of others", n)
	}
}

func TestRedriveStopsWhileTheDatabaseIsUnreachable(t *testing.T) {
	t.Parallel()
	r := newLetterRig(t)
	r.letter(t, durable, "subscription.created", fault.TooLarge, encoded(t, kit.Event("sub_1", "evt_1", "created", 1, "active")))
	r.db.away = fault.New(fault.Transient, fault.DatabaseUnreachable, errors.New("connection refused"))
	if _, err := r.run(t, config.DeadLetters{All: true}, (*settling).redriveAll); err == nil || !strings.Contains(err.Error(), "connection refused; run the same command again") {
		t.Errorf("got %v", err)
	}
}

func TestDiscardRemovesAndRecords(t *testing.T) {
	t.Parallel()
	r := newLetterRig(t)
	r.letter(t, natsbus.ResolverConsumer().Name, "stripe.x", fault.Panicked, []byte("poison"))
	yes := sequences(1)
	yes.Yes = true
	if _, err := r.run(t, sequences(1), (*settling).discardAll); !errors.Is(err, errDeclined) || natstest.Count(t, r.js, natsbus.DeadLetterStream) != 1 {
		t.Fatalf("without a yes: got %v", err)
	}
	for _, want := range []string{`"summary","letters":1,"results":{"discarded":1}}`, `"summary","letters":1,"results":{"earlier":1}}`} {
		got, err := r.run(t, yes, (*settling).discardAll)
		if got[1] != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	record, found, _ := r.db.RecordedLetter(t.Context(), 1)
	if !found || record.Action != store.Discarded || record.Code != "panic" || natstest.Count(t, r.js, natsbus.DeadLetterStream) != 0 {
		t.Errorf("got record %+v", record)
	}
	got, err := r.run(t, sequences(1), (*settling).redriveAll)
	if !errors.Is(err, ErrNotRedriven) || !strings.Contains(got[0], "`subscriber replay --from-sequence 1`") {
		t.Errorf("redriving it: got %q, %v", got, err)
	}
	yes.Sequences = []uint64{5}
	if _, err := r.run(t, yes, (*settling).discardAll); !errors.Is(err, ErrNotDiscarded) {
		t.Errorf("one that never was: got %v", err)
	}
}

func TestOnlyAYesIsAYes(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]error{"y\n": nil, "YES\n": nil, "\n": errDeclined, "": errDeclined, "no\n": errDeclined, "yesterday\n": errDeclined} {
		if err := answer(t.Context(), strings.NewReader(typed)); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", typed, err, want)
		}
	}
}

func TestDiscardDoesNotAskAPipe(t *testing.T) {
	t.Parallel()
	err := Discard(t.Context(), config.Subscriber{DeadLetters: sequences(1)}, Console{Stdin: strings.NewReader("y\n")}, slog.New(slog.DiscardHandler))
	if config.ExitCode(err) != 2 || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("got %v", err)
	}
}

func TestLettersAreSelected(t *testing.T) {
	t.Parallel()
	r := newLetterRig(t)
	r.letter(t, durable, "stripe.x", fault.MessageUnreadable, []byte("poison"))
	r.letter(t, durable, "subscription.updated", fault.Panicked, encoded(t, kit.Event("sub_1", "evt_2", "updated", 1, "active")))
	r.letter(t, durable, "stripe.y", fault.Panicked, []byte(`{"id":"evt_3"}`))
	second, err := r.letters.Get(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	at := config.Moment{At: second.At}
	for name, tt := range map[string]struct {
		d    config.DeadLetters
		want []uint64
		more bool
	}{
		"all":        {config.DeadLetters{}, []uint64{1, 2, 3}, false},
		"code":       {config.DeadLetters{Code: "panic"}, []uint64{2, 3}, false},
		"subject":    {config.DeadLetters{Subject: "stripe.*"}, []uint64{1, 3}, false},
		"since":      {config.DeadLetters{Since: at}, []uint64{2, 3}, false},
		"until":      {config.DeadLetters{Until: at}, []uint64{1, 2}, false},
		"the newest": {config.DeadLetters{Limit: 2}, []uint64{2, 3}, true},
		"both":       {config.DeadLetters{Code: "panic", Subject: "stripe.>", Limit: 1}, []uint64{3}, false},
		"none":       {config.DeadLetters{Code: "too_large"}, nil, false},
	} {
		list, more, err := selected(t.Context(), r.letters, tt.d, time.Now())
		var got []uint64
		for _, l := range list {
			got = append(got, l.Sequence)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil || more != tt.more {
			t.Errorf("%s: %v, %v (-want +got):\n%s", name, err, more, diff)
		}
	}
}

func lettersToPrint() []letterLine {
	return []letterLine{
		{Kind: "letter", Sequence: 1, At: kit.At(0), Code: "unreadable", Reason: "no specversion", Subject: "stripe.x", Consumer: durable, Message: 17},
		{Kind: "letter", Sequence: 2, At: kit.At(1), Code: "panic", Reason: "handler panicked with a string", Subject: "subscription.updated", EventID: "evt_1", Consumer: durable, Message: 18},
	}
}

func TestListOfLetters(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := printLetters(term.Printer{Out: &out}, lettersToPrint(), true); err != nil {
		t.Fatal(err)
	}
	expect(t, out.String(), `
 time                  sequence  code        reason                          subject               event  consumer
 2026-01-01T00:00:00Z  1         unreadable  no specversion                  stripe.x                     billbus-subscriber
 2026-01-01T00:00:01Z  2         panic       handler panicked with a string  subscription.updated  evt_1  billbus-subscriber

These are the newest 2 letters; a higher --limit shows older ones.
`)
	out.Reset()
	if err := printLetters(term.Printer{Out: &out, Width: 80}, lettersToPrint(), false); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(out.String(), "\n\nThe consumer is billbus-subscriber.\n") {
		t.Errorf("got\n%s", out.String())
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(line)); n > 81 {
			t.Errorf("got %d columns: %s", n, line)
		}
	}
}

func TestShownLetterHasNoPayloadUnlessAskedFor(t *testing.T) {
	t.Parallel()
	l := shownLetter{letterLine: lettersToPrint()[1], Headers: map[string][]string{"Ce-Note": {"a", "b"}}, bytes: 9}
	data, err := json.Marshal(l)
	if err != nil || strings.Contains(string(data), "payload") {
		t.Errorf("got %s, %v", data, err)
	}
	var out bytes.Buffer
	if err := l.print(term.Printer{Out: &out}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"message   18 of", "payload   9 bytes: --payload prints them\n", "header    Ce-Note: b\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in\n%s", want, out.String())
		}
	}
	if data, _ := json.Marshal(l.with([]byte("\xff"))); !strings.Contains(string(data), `"payload_base64":"/w=="`) {
		t.Errorf("got %s", data)
	}
	for width, want := range map[int]string{0: "{\"a\":[1,\"\u009b\"]}\n", 80: "{\n  \"a\": [\n    1,\n    \"\ufffd\"\n  ]\n}\n"} {
		out.Reset()
		if err := printBody(term.Printer{Out: &out, Width: width}, []byte("{\"a\":[1,\"\u009b\"]}")); err != nil || out.String() != want {
			t.Errorf("width %d: got %q, %v, want %q", width, out.String(), err, want)
		}
	}
}
