package config

import (
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/billbus/billbus/internal/secret"
)

// StripesimSend returns the settings of stripesim, bound to c. Their variables begin with the
// program's name, since they may be set next to those of the programs that it sends to; their flags
// do not.
func StripesimSend(c *Stripesim) Settings {
	versions := []string{
		"2015-10-01", "2020-08-27", "2023-10-16", "2024-06-20", "2025-01-27.acacia", "2025-03-31.basil", "2025-09-30.clover", "2026-07-29.dahlia",
	}
	kinds := []string{
		"chain", "created", "toggle", "circle", "open-circle", "beginning", "marker", "ended", "silent", "sparse", "mixed",
		"renderings", "test-clock", "doubled", "announced", "late", "two-versions",
	}
	all := Settings{
		{Env: "STRIPESIM_URL", Default: "http://localhost:8080/webhooks/stripe", Meaning: "webhook endpoint to send to", convert: endpointURL(&c.URL)},
		{Env: "STRIPESIM_SECRET", Meaning: "signing secret, whsec_…; required unless the API alone is served", convert: senderSecret(&c.Secret), check: c.target},
		{Env: "STRIPESIM_SECRET_FILE", Value: "FILE", Meaning: "file with the signing secret"},
		{Env: "STRIPESIM_SUBSCRIPTIONS", Default: "25", Meaning: "subscriptions to simulate", convert: number(&c.Subscriptions, 1, 100_000)},
		{Env: "STRIPESIM_PER_CUSTOMER", Default: "1", Meaning: "subscriptions of one customer, at most", convert: number(&c.PerCustomer, 1, 100)},
		{Env: "STRIPESIM_RATE", Default: "0", Meaning: "events a second, 0 for no limit", convert: fraction(&c.Rate, 1_000_000)},
		{Env: "STRIPESIM_DUPLICATES", Default: "0", NoValue: "0.2", Meaning: "share of events sent more than once, 0 to 1; --duplicates alone means 0.2", convert: fraction(&c.Duplicates, 1)},
		{Env: "STRIPESIM_DROP", Default: "0", NoValue: "0.1", Meaning: "share of events that are never sent, 0 to 1; --drop alone means 0.1; the API has them all the same", convert: fraction(&c.Drop, 1)},
		{Env: "STRIPESIM_DISORDER", Default: "false", NoValue: "true", Meaning: "send events out of order", convert: onOff(&c.Disorder)},
		{Env: "STRIPESIM_SEED", Shown: "random", Meaning: "seed of all random choices: the same seed makes the same events", convert: seed(&c.Seed)},
		{Env: "STRIPESIM_TIES", Default: "0.1", Meaning: "probability that several changes of a subscription have the same second, 0 to 1", convert: fraction(&c.Ties, 1)},
		{
			Env: "STRIPESIM_KINDS", Words: kinds, convert: words(&c.Kinds, "all", kinds),
			Meaning: "how subscriptions with ties end, comma-separated, or all: " + strings.Join(kinds, ", "),
		},
		{Env: "STRIPESIM_API_VERSION", Default: "mixed", Words: versions, Meaning: "API versions of the events, comma-separated, or mixed: " + strings.Join(versions, ", "), convert: func(v value) {
			if words(&c.APIVersions, "mixed", nil)(v); split(v.text) == nil {
				v.fault("must not be empty")
			}
		}},
		{Env: "STRIPESIM_FILE", Value: "FILE", Meaning: "send the one event in this file, once, and print the answer", convert: text(&c.File)},
		{Env: "STRIPESIM_DRY_RUN", Default: "false", NoValue: "true", Meaning: "send nothing, print signed curl commands", convert: onOff(&c.DryRun), check: c.together},
		{Env: "STRIPESIM_TRUTH", Value: "FILE", Meaning: "file to write the true final states to, as JSON", convert: text(&c.Truth)},
		{Env: "STRIPESIM_JSON", Default: "false", NoValue: "true", Meaning: "print the report as a line of JSON", convert: onOff(&c.JSON)},
	}
	all = append(all, c.api()...)
	for i := range all {
		all[i].Flag = strings.TrimPrefix(all[i].Name(), "stripesim-")
	}
	return all
}

// api returns the settings of the fake of Stripe's API.
func (c *Stripesim) api() Settings {
	return Settings{
		{Env: "STRIPESIM_API", Meaning: "address to serve a fake of Stripe's API on, host:port, until the program is stopped; without a secret, nothing is sent", convert: addr(&c.API), check: c.noAPI},
		{Env: "STRIPESIM_API_RATE", Default: "0", Meaning: "requests a second that the API answers, before it answers 429; 0 for no limit", convert: number(&c.Faults.Rate, 0, 1_000_000)},
		{Env: "STRIPESIM_API_ERROR_EVERY", Default: "0", Meaning: "the API answers every n-th request with 500; 0 for none", convert: number(&c.Faults.ErrorEvery, 0, 1_000_000)},
		{Env: "STRIPESIM_API_TIMEOUT_EVERY", Default: "0", Meaning: "the API does not answer every n-th request; 0 for none", convert: number(&c.Faults.HangEvery, 0, 1_000_000)},
		{Env: "STRIPESIM_API_SLOW_EVERY", Default: "0", Meaning: "the API answers every n-th request after 3 s; 0 for none", convert: number(&c.Faults.SlowEvery, 0, 1_000_000)},
	}
}

// together reports settings that contradict each other.
func (c *Stripesim) together(r *reader) {
	if c.File != "" && c.Truth != "" {
		r.fault("STRIPESIM_FILE, STRIPESIM_TRUTH", "the true state after one event is not known: set one of the two")
	}
	if c.DryRun && c.JSON {
		r.fault("STRIPESIM_DRY_RUN, STRIPESIM_JSON", "there is no report when nothing is sent: set one of the two")
	}
}

// target reports that nothing can be sent.
func (c *Stripesim) target(r *reader) {
	if r.text["STRIPESIM_SECRET"]+r.text["STRIPESIM_SECRET_FILE"] == "" && c.API == "" {
		r.fault("STRIPESIM_SECRET", "required: the receiver's signing secret, whsec_…")
	}
}

// noAPI reports what cannot be done while the API is served.
func (c *Stripesim) noAPI(r *reader) {
	if c.API != "" && (c.File != "" || c.DryRun) {
		r.fault("STRIPESIM_API", "there is no history to serve with STRIPESIM_FILE, and no end with STRIPESIM_DRY_RUN: set one of them")
	}
}

func senderSecret(field *secret.Text) func(value) {
	return func(v value) {
		if *field = secret.New(v.text); !matches(`whsec_[!-~]+`, v.text) {
			v.fault("must be whsec_…")
		}
	}
}

func endpointURL(field *string) func(value) {
	return func(v value) {
		*field = v.text
		u, err := url.Parse(v.text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			v.fault("must be a URL like http://localhost:8080/webhooks/stripe")
		}
	}
}

func seed(field **uint64) func(value) {
	return func(v value) {
		n, err := strconv.ParseUint(v.text, 10, 64)
		if *field = &n; err != nil {
			v.fault("must be a whole number from 0 to %d, not %s", uint64(math.MaxUint64), quote(v.text))
		}
	}
}
