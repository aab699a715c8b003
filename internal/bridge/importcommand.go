package bridge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripeapi"
	"github.com/billbus/billbus/internal/term"
)

// ErrNotImported is what Import returns after it has printed how many objects it did not
// publish.
var ErrNotImported = errors.New("some objects could not be read")

const (
	// maxPrintedKeys is how many keys of metadata are printed for a person.
	maxPrintedKeys = 20
	filePage       = 100
)

// Import publishes snapshots of all subscriptions, customers, products and prices. It returns
// nil only if the stream has all of them.
func Import(ctx context.Context, cfg config.Bridge, console Console, now func() time.Time, log *slog.Logger) error {
	c := &importCommand{stripeCommand: stripeCommand{cfg: cfg, console: console, log: log, now: now}}
	return runPlanned(ctx, "bridge import", c)
}

// importCommand is one call of "bridge import".
type importCommand struct {
	stripeCommand
	file   io.Reader // nil to read from Stripe's API
	readAt time.Time // when Stripe answered what is in the file, at the latest
}

// plan decides what to read. Its error is one of usage.
func (c *importCommand) plan() (err error) {
	opts := c.cfg.Import
	if opts.FromFile == "" {
		return c.choose(opts.Account)
	}
	if c.normalizer, err = commandNormalizer(c.cfg); err != nil {
		return err
	}
	c.accounts = []string{fileAccount(c.cfg)}
	if !c.normalizer.Admits(c.accounts[0]) {
		return errors.New("--account: it is not admitted: see WEBHOOK_ACCOUNTS")
	}
	c.file, c.readAt = c.console.Stdin, c.now()
	if opts.FromFile == "-" {
		return nil
	}
	file, changed, err := openFile("--from-file", opts.FromFile)
	if err == nil && changed.Before(c.readAt) {
		c.readAt = changed
	}
	c.file = file
	return err
}

// fileAccount returns the account whose objects are in the file.
func fileAccount(cfg config.Bridge) string {
	switch account := cfg.Import.Account; account {
	case allAccounts:
		return onlyAccount(cfg.Webhook.Secrets)
	case normalize.Platform:
		return ""
	default:
		return account
	}
}

func (c *importCommand) run(ctx context.Context) error {
	if file, ok := c.file.(*os.File); ok {
		defer func() { _ = file.Close() }()
	}
	client := newClientAt(c.cfg, c.cfg.Import.Rate, c.now)
	defer client.Close()
	i := &importer{
		client: client, normalizer: c.normalizer, now: c.now, done: newImported(),
		filter: stripeapi.ObjectFilter{Status: c.cfg.Import.Status, Since: c.cfg.Import.CreatedSince.Time(c.now())},
	}
	if !c.cfg.DryRun {
		bus, publisher, err := openStream(ctx, c.cfg, "billbus-import", c.log)
		if err != nil {
			return err
		}
		defer bus.Close()
		i.publisher, i.maxMessage = publisher, bus.MaxMessage
		i.has, err = readStored(ctx, bus, natsbus.ReplayConfig{Stream: c.cfg.Stream.Name, Consumer: "billbus-import", Subjects: importedSubjects()})
		if err != nil {
			return fmt.Errorf("reading what the stream has: %w", err)
		}
	}
	err := c.read(ctx, i)
	if err == nil && i.done.unreadable() > 0 {
		err = ErrNotImported
	}
	return errors.Join(err, c.print(i.done))
}

func importedSubjects() []string {
	return []string{events.SubjectSnapshot, events.SubjectCustomerSnapshot, events.SubjectProductSnapshot, events.SubjectPriceSnapshot}
}

func (c *importCommand) read(ctx context.Context, i *importer) error {
	progress := term.NewProgress(c.console.Stderr, "importing objects", 0) // Stripe does not say how many there are
	defer progress.Stop()
	i.progress = func(found int) { progress.Set(int64(found)) }
	i.reached = func(kind stripeapi.Kind, created time.Time) {
		progress.Describe(fmt.Sprintf("importing %s, newest first, back to %s", kind, created.Format(time.DateOnly)))
	}
	if c.file != nil {
		return c.readFile(ctx, i)
	}
	var failed error
	for _, account := range c.accounts {
		if err := i.account(ctx, account); err != nil {
			failed = errors.Join(failed, fmt.Errorf("account %s: %w; run the same command again to continue", accountName(account), err))
		}
	}
	return failed
}

// readFile publishes the objects in a file as they are: items that are not in it would be
// newer than the rest.
func (c *importCommand) readFile(ctx context.Context, i *importer) error {
	asIs := func(_ context.Context, raw json.RawMessage) (json.RawMessage, error) { return raw, nil }
	values := json.NewDecoder(c.file)
	for {
		var value json.RawMessage
		switch err := values.Decode(&value); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errors.New("--from-file: it is not JSON, or ends within an object")
		}
		for page := range slices.Chunk(objectsIn(value), filePage) {
			if err := i.objects(ctx, page, i.reading(c.accounts[0], c.readAt), asIs); err != nil {
				return err
			}
		}
	}
}

// objectsIn returns the objects of a list, of an array, or the one object that it is.
func objectsIn(value json.RawMessage) []json.RawMessage {
	var list struct {
		Object string            `json:"object"`
		Data   []json.RawMessage `json:"data"`
	}
	var array []json.RawMessage
	switch {
	case json.Unmarshal(value, &array) == nil:
		return array
	case json.Unmarshal(value, &list) == nil && list.Object == "list":
		return list.Data
	}
	return []json.RawMessage{value}
}

func (d imported) unreadable() (n int) {
	for _, kind := range d.kinds {
		n += kind.Unreadable
	}
	return n
}

// importLine is what JSON prints: the counts of a kind of objects, of a status, or of a key of
// metadata.
type importLine struct {
	Kind   string `json:"kind"`
	Object string `json:"object"`
	Status string `json:"status,omitempty"`
	Key    string `json:"key,omitempty"`
	Count  int    `json:"count,omitempty"`
	*importedKind
}

func (l importLine) text() string {
	switch l.Kind {
	case "status":
		return fmt.Sprintf("  status %s: %d", l.Status, l.Count)
	case "metadata_key":
		return fmt.Sprintf("  metadata key %q: %d", l.Key, l.Count)
	}
	return fmt.Sprintf("%s: found %d, published %d, already there %d, ignored %d, unreadable %d",
		l.Object, l.Found, l.Published, l.AlreadyThere, l.Ignored, l.Unreadable)
}

// lines returns the counts, the most frequent keys of metadata first.
func (d imported) lines(most int) (all []importLine) {
	for _, object := range slices.Sorted(maps.Keys(d.kinds)) {
		all = append(all, importLine{Kind: "objects", Object: object, importedKind: d.kinds[object]})
		if object == "subscription" {
			for _, status := range slices.Sorted(maps.Keys(d.statuses)) {
				all = append(all, importLine{Kind: "status", Object: object, Status: status, Count: d.statuses[status]})
			}
		}
		keys := slices.SortedFunc(maps.Keys(d.keys[object]), func(a, b string) int {
			return cmp.Or(cmp.Compare(d.keys[object][b], d.keys[object][a]), cmp.Compare(a, b))
		})
		for _, key := range keys[:min(len(keys), most)] {
			all = append(all, importLine{Kind: "metadata_key", Object: object, Key: key, Count: d.keys[object][key]})
		}
	}
	return all
}

func (c *importCommand) print(d imported) error {
	most := maxPrintedKeys
	if c.cfg.Import.JSON {
		most = maxKeys
	}
	for _, line := range d.lines(most) {
		var err error
		if c.cfg.Import.JSON {
			err = term.JSONLines(c.console.Stdout)(line)
		} else {
			_, err = fmt.Fprintln(c.console.Stdout, line.text())
		}
		if err != nil {
			return fmt.Errorf("printing the counts: %w", err)
		}
	}
	return nil
}
