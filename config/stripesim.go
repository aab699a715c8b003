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
		{Env: "STRIPESIM_SECRET", Required: "the receiver's signing secret, whsec_…", Meaning: "signing secret, whsec_…", convert: senderSecret(&c.Secret)},
		{Env: "STRIPESIM_SECRET_FILE", Value: "FILE", Meaning: "file with the signing secret"},
		{Env: "STRIPESIM_SUBSCRIPTIONS", Default: "25", Meaning: "subscriptions to simulate", convert: number(&c.Subscriptions, 1, 100_000)},
		{Env: "STRIPESIM_RATE", Default: "0", Meaning: "events a second, 0 for no limit", convert: fraction(&c.Rate, 1_000_000)},
		{Env: "STRIPESIM_DUPLICATES", Default: "0", NoValue: "0.2", Meaning: "share of events sent more than once, 0 to 1; --duplicates alone means 0.2", convert: fraction(&c.Duplicates, 1)},
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
	for i := range all {
		all[i].Flag = strings.TrimPrefix(all[i].Name(), "stripesim-")
	}
	return all
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
