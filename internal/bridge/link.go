package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/term"
)

const (
	// maxLinking is how many links are published at once. Each waits for the stream.
	maxLinking = 256
	// maxFaultyLines is how many faulty lines are printed for a person.
	maxFaultyLines = 100
)

// ErrNotLinked is what Link returns after it has printed which lines are faulty.
var ErrNotLinked = errors.New("some lines are faulty and were not published")

// Link publishes pairs of customers and users. It returns nil only if the stream has all of
// them.
func Link(ctx context.Context, cfg config.Bridge, console Console, now func() time.Time, log *slog.Logger) error {
	pairs, err := readPairs(cfg, console.Stdin, now())
	if err != nil {
		return &config.Faults{Program: "bridge link", Lines: []string{err.Error()}}
	}
	if err := pairs.printFaults(console.Stdout, cfg.Link.JSON); err != nil {
		return err
	}
	result := linkResult{Kind: "summary", AsOf: pairs.asOf, Pairs: len(pairs.links), Faulty: len(pairs.faults), DryRun: cfg.DryRun}
	if !cfg.DryRun {
		result.Published, err = publishLinks(ctx, cfg, pairs.links, console.Stderr, now, log)
	}
	if err != nil {
		err = fmt.Errorf("publishing links: %w; run the same command again to continue", err)
	} else if result.Faulty > 0 {
		err = ErrNotLinked
	}
	return errors.Join(result.print(console.Stdout, cfg.Link.JSON), err)
}

// linkResult is the summary, as JSON prints it.
type linkResult struct {
	Kind      string    `json:"kind"`
	AsOf      time.Time `json:"as_of"`
	Pairs     int       `json:"pairs"` // without those in faulty lines
	Published int       `json:"published"`
	Faulty    int       `json:"faulty_lines"`
	DryRun    bool      `json:"dry_run,omitempty"`
}

func (r linkResult) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return term.JSONLines(out)(r)
	}
	did := fmt.Sprintf("published %d of %d pairs", r.Published, r.Pairs)
	if r.DryRun {
		did = fmt.Sprintf("would publish %d pairs", r.Pairs)
	}
	_, err := fmt.Fprintf(out, "%s, as of %s; faulty lines: %d\n", did, r.AsOf.Format(time.RFC3339Nano), r.Faulty)
	return err
}

// publishLinks publishes links in every mode that is set. It returns how many the stream
// has in all of them.
func publishLinks(ctx context.Context, cfg config.Bridge, links []normalize.Link, status io.Writer, now func() time.Time, log *slog.Logger) (int, error) {
	bus, publisher, err := openStream(ctx, cfg, "billbus-link", log)
	if err != nil {
		return 0, err
	}
	defer bus.Close()
	progress := term.NewProgress(status, "publishing links", int64(len(links)))
	defer progress.Stop()
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxLinking)
	for _, link := range links {
		group.Go(func() error {
			err := publishLink(ctx, publisher, link, cfg.Webhook.Livemode, now)
			if err == nil {
				progress.Set(done.Add(1))
			}
			return err
		})
	}
	err = group.Wait()
	return int(done.Load()), err
}

func publishLink(ctx context.Context, to message.Publisher, link normalize.Link, mode string, now func() time.Time) error {
	for _, live := range []bool{true, false} {
		if link.Livemode = live; !inMode(live, mode) {
			continue
		}
		publish := func() error { return handlers.Publish(to, link.Message(now()), 0, "") }
		if err := patiently(ctx, noPause, publish); err != nil {
			return err
		}
		failpoint.At("link:published")
	}
	return nil
}

func inMode(live bool, mode string) bool {
	return mode == normalize.Any || live == (mode == normalize.Live)
}

// readPairs reads the pair of the options, or those of the file. Its error is one of usage.
func readPairs(cfg config.Bridge, stdin io.Reader, now time.Time) (pairList, error) {
	opts := cfg.Link
	base := normalize.Link{Account: linkAccount(cfg), AsOf: now}
	in := stdin
	if opts.File != "" && opts.File != "-" {
		file, changed, err := openFile("--file", opts.File)
		if err != nil {
			return pairList{}, err
		}
		defer func() { _ = file.Close() }()
		if in = file; changed.Before(now) {
			base.AsOf = changed
		}
	}
	if opts.AsOf != (config.Moment{}) {
		base.AsOf = opts.AsOf.Time(now)
	}
	if base.AsOf.After(now) {
		return pairList{}, errors.New("--as-of: is in the future: links of the future would win over all that you publish until then")
	}
	base.AsOf = base.AsOf.UTC().Truncate(time.Millisecond)
	if opts.File != "" {
		return parsePairs(in, base)
	}
	base.CustomerID, base.CustomerAccountID, base.UserID = opts.Customer, opts.CustomerAccount, opts.User
	if fault := checkLink(base); fault != "" {
		return pairList{}, errors.New("--customer, --user: " + fault)
	}
	return pairList{asOf: base.AsOf, links: []normalize.Link{base}}, nil
}

// linkAccount returns the account of customers for which none is given: that to which
// their events belong.
func linkAccount(cfg config.Bridge) string {
	switch cfg.Link.Account {
	case "":
		return onlyAccount(cfg.Webhook.Secrets)
	case normalize.Platform:
		return ""
	}
	return cfg.Link.Account
}

// openFile opens the file of an option, and returns when it was last changed. A file that is
// published again is therefore no news.
func openFile(option, path string) (*os.File, time.Time, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%s: %w", option, err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, time.Time{}, errors.Join(fmt.Errorf("%s: %w", option, err), file.Close())
	}
	return file, info.ModTime(), nil
}
