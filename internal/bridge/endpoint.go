package bridge

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripeapi"
	"github.com/billbus/billbus/internal/term"
)

// ErrWrongEndpoint is what EndpointCheck returns after it has printed what is wrong.
var ErrWrongEndpoint = errors.New("the webhook endpoints are not as they should be")

// EndpointCheck compares the accounts' webhook endpoints with what the bridge needs. It returns
// nil only if nothing is wrong.
func EndpointCheck(ctx context.Context, cfg config.Bridge, console Console, now func() time.Time) error {
	accounts, err := endpointAccounts(cfg)
	if err != nil {
		return &config.Faults{Program: "bridge endpoint check", Lines: []string{err.Error()}}
	}
	client := newClient(cfg, now)
	defer client.Close()
	var report endpointReport
	for _, account := range accounts {
		all, err := endpoints(ctx, client, account)
		if err != nil {
			return fmt.Errorf("account %s: %w", accountName(account), err)
		}
		check := endpointCheck{url: cfg.Endpoint.URL, path: cfg.Webhook.Path, mode: cfg.Webhook.Livemode, account: accountName(account)}
		report.add(check.account, check.run(all), check.findings)
	}
	if err := report.print(console, cfg.Endpoint.JSON); err != nil {
		return fmt.Errorf("printing the endpoints: %w", err)
	}
	if report.count(wrong) > 0 {
		return ErrWrongEndpoint
	}
	return nil
}

// endpointAccounts returns the accounts whose endpoints are meant. The events of connected
// accounts come through endpoints of their platform. Its error is one of usage.
func endpointAccounts(cfg config.Bridge) ([]string, error) {
	keys, account := apiKeys(cfg), cfg.Endpoint.Account
	if account == allAccounts {
		all := slices.Sorted(maps.Keys(keys.Accounts))
		if keys.Has("") {
			all = append([]string{""}, all...)
		}
		if len(all) == 0 {
			return nil, errors.New("--account: STRIPE_API_KEY is of an organization, which has no endpoints in this list: name one of its accounts")
		}
		return all, nil
	}
	if account == normalize.Platform {
		account = ""
	}
	if !keys.Has(account) {
		return nil, errors.New("--account: there is no key for it: see STRIPE_API_KEY and STRIPE_API_KEYS")
	}
	return []string{account}, nil
}

func endpoints(ctx context.Context, client *stripeapi.Client, account string) (all []stripeapi.Endpoint, err error) {
	err = patiently(ctx, client.Paused, func() error {
		all, err = client.Endpoints(ctx, account)
		return err
	})
	return all, err
}

// endpointReport is what check prints.
type endpointReport struct {
	endpoints []endpointLine
	findings  []endpointFinding
}

// endpointLine is what JSON prints of an endpoint.
type endpointLine struct {
	Kind       string `json:"kind"`
	Account    string `json:"account"`
	ID         string `json:"id"`
	URL        string `json:"url"`
	Status     string `json:"status"`
	APIVersion string `json:"api_version,omitempty"` // absent for the account's default
	Livemode   bool   `json:"livemode"`
	Events     int    `json:"events"`
}

func (r *endpointReport) add(account string, all []stripeapi.Endpoint, findings []endpointFinding) {
	for _, e := range all {
		r.endpoints = append(r.endpoints, endpointLine{"endpoint", account, e.ID, e.URL, e.Status, e.APIVersion, e.Livemode, len(e.EnabledEvents)})
	}
	r.findings = append(r.findings, findings...)
}

func (r *endpointReport) count(severity string) (n int) {
	for _, f := range r.findings {
		if f.Severity == severity {
			n++
		}
	}
	return n
}

func (r *endpointReport) print(console Console, asJSON bool) error {
	if asJSON {
		return r.printJSON(term.JSONLines(console.Stdout))
	}
	var rows []term.Row
	for _, e := range r.endpoints {
		rows = append(rows, term.Row{Cells: []string{
			e.Account, e.ID, e.URL, e.Status, cmp.Or(e.APIVersion, "the account's"), events.Mode(e.Livemode), fmt.Sprint(e.Events),
		}})
	}
	out := term.NewPrinter(console.Stdout)
	if len(rows) > 0 {
		if err := out.Table([]string{"account", "endpoint", "url", "status", "version", "mode", "events"}, rows); err != nil {
			return err
		}
	}
	rows = nil
	for _, f := range r.findings {
		row := term.Row{Text: strings.TrimSpace(f.Endpoint+" "+f.Problem) + ". " + strings.ToUpper(f.Cure[:1]) + f.Cure[1:] + ".", Prefix: "! ", Color: term.Yellow}
		if f.Severity == wrong {
			row.Prefix, row.Color = "✗ ", term.Red
		}
		rows = append(rows, row)
	}
	rows = append(rows, term.Row{Text: fmt.Sprintf("%d endpoints: %d wrong, %d warnings", len(r.endpoints), r.count(wrong), r.count(warning))})
	return out.Table(nil, rows)
}

func (r *endpointReport) printJSON(line func(any) error) error {
	for _, e := range r.endpoints {
		if err := line(e); err != nil {
			return err
		}
	}
	for _, f := range r.findings {
		if err := line(f); err != nil {
			return err
		}
	}
	return line(struct {
		Kind      string `json:"kind"`
		Endpoints int    `json:"endpoints"`
		Wrong     int    `json:"wrong"`
		Warnings  int    `json:"warnings"`
	}{"summary", len(r.endpoints), r.count(wrong), r.count(warning)})
}

// EndpointCreate creates a webhook endpoint, and writes its signing secret to a new file. The
// file is created first: Stripe tells the secret only once.
func EndpointCreate(ctx context.Context, cfg config.Bridge, console Console, now func() time.Time) error {
	accounts, err := endpointAccounts(cfg)
	if err != nil {
		return &config.Faults{Program: "bridge endpoint create", Lines: []string{err.Error()}}
	}
	client := newClient(cfg, now)
	defer client.Close()
	c := endpointCreation{client: client, account: accounts[0], want: newEndpoint(cfg.Endpoint), path: cfg.Endpoint.SecretFile}
	if err := c.mustBeNew(ctx); err != nil {
		return err
	}
	created, err := c.run(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(console.Stdout, "created %s for %s with %d types of events; its signing secret is in %s: set STRIPE_WEBHOOK_SECRETS_FILE to it, or add it to yours\n",
		created.ID, created.URL, len(created.EnabledEvents), c.path)
	return err
}

func newEndpoint(e config.Endpoint) stripeapi.NewEndpoint {
	want := stripeapi.NewEndpoint{URL: e.URL, Events: e.Events, APIVersion: e.Version, Connect: e.Connect}
	if want.Events == nil {
		want.Events = allEndpointEvents()
	}
	return want
}

// endpointCreation is one call of "bridge endpoint create".
type endpointCreation struct {
	client  *stripeapi.Client
	account string
	want    stripeapi.NewEndpoint
	path    string // of the file for the secret
}

// existing returns the endpoint for the address, if there is one.
func (c *endpointCreation) existing(ctx context.Context) (e stripeapi.Endpoint, ok bool, err error) {
	all, err := endpoints(ctx, c.client, c.account)
	i := slices.IndexFunc(all, func(e stripeapi.Endpoint) bool { return sameURL(e.URL, c.want.URL) })
	if err != nil || i < 0 {
		return e, false, err
	}
	return all[i], true, nil
}

func (c *endpointCreation) mustBeNew(ctx context.Context) error {
	e, ok, err := c.existing(ctx)
	if err != nil || !ok {
		return err
	}
	return fmt.Errorf("there is an endpoint for this address, %s (%s), so none was created: its signing secret is in the Dashboard; "+
		"bridge endpoint check says whether it is as it should be; for connected accounts as well, give another address, like %s?connect",
		e.ID, quoted(e.Status), c.want.URL)
}

func (c *endpointCreation) run(ctx context.Context) (created stripeapi.Endpoint, err error) {
	file, err := os.OpenFile(c.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return created, fmt.Errorf("--secret-file: %w; nothing was created: give a file that does not exist", err)
	}
	key := rand.Text()
	var text string
	err = patiently(ctx, c.client.Paused, func() error {
		e, secret, err := c.client.CreateEndpoint(ctx, c.account, c.want, key)
		created, text = e, secret.Reveal()
		return err
	})
	if err != nil {
		return created, errors.Join(c.notCreated(ctx, err), file.Close(), os.Remove(c.path))
	}
	_, err = file.WriteString(text + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return created, fmt.Errorf("--secret-file: %w: endpoint %s was created, and its signing secret is in the Dashboard", err, created.ID)
	}
	return created, nil
}

// notCreated finds out whether an endpoint was created although the answer is lost.
func (c *endpointCreation) notCreated(ctx context.Context, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	e, ok, err := c.existing(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%w; it is not known whether the endpoint was created: run bridge endpoint check", failed)
	case ok:
		return fmt.Errorf("%w; but endpoint %s was created, and its signing secret is in the Dashboard", failed, e.ID)
	}
	return fmt.Errorf("%w; nothing was created: run the same command again", failed)
}
