package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/secret"
)

func signer() env { return env{"STRIPESIM_SECRET": "whsec_hunter2"} }

func TestStripesimDefaults(t *testing.T) {
	t.Parallel()
	got, err := loadStripesim(nil, signer().get)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Stripesim{
		URL: "http://localhost:8080/webhooks/stripe", Secret: secret.New("whsec_hunter2"), Subscriptions: 25, PerCustomer: 1, Ties: 0.1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stripesim (-want +got):\n%s", diff)
	}
	if all := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(all, "hunter2") {
		t.Errorf("got the secret in %s", all)
	}
}

func TestStripesimValues(t *testing.T) {
	t.Parallel()
	base := config.Stripesim{
		URL: "http://localhost:8080/webhooks/stripe", Secret: secret.New("whsec_hunter2"), Subscriptions: 25, PerCustomer: 1, Ties: 0.1,
	}
	file := write(t, "whsec_hunter2\n")
	for _, tt := range []struct {
		name string
		args []string
		env  env
		want func(*config.Stripesim)
	}{
		{"secret in a file", nil, env{"STRIPESIM_SECRET_FILE": file}, func(*config.Stripesim) {}},
		{"secret as a flag", []string{"--secret", "whsec_hunter2"}, env{"STRIPESIM_SECRET": "whsec_other"}, func(*config.Stripesim) {}},
		{"URL", []string{"--url=https://example.com/x?y=1"}, signer(), func(c *config.Stripesim) { c.URL = "https://example.com/x?y=1" }},
		{"numbers", []string{"--subscriptions", "500", "--per-customer=4", "--rate", "12.5", "--ties=1"}, signer(), func(c *config.Stripesim) {
			c.Subscriptions, c.PerCustomer, c.Rate, c.Ties = 500, 4, 12.5, 1
		}},
		{"duplicates without a value", []string{"--duplicates", "--disorder"}, signer(), func(c *config.Stripesim) { c.Duplicates, c.Disorder = 0.2, true }},
		{"lost events", []string{"--drop"}, signer(), func(c *config.Stripesim) { c.Drop = 0.1 }},
		{"duplicates", []string{"--duplicates=0.5"}, signer(), func(c *config.Stripesim) { c.Duplicates = 0.5 }},
		{"seed", []string{"--seed=18446744073709551615"}, signer(), func(c *config.Stripesim) { c.Seed = new(uint64(18446744073709551615)) }},
		{"seed zero", []string{"--seed", "0"}, signer(), func(c *config.Stripesim) { c.Seed = new(uint64(0)) }},
		{"versions", []string{"--api-version", "2015-10-01, 2026-07-29.dahlia"}, signer(), func(c *config.Stripesim) {
			c.APIVersions = []string{"2015-10-01", "2026-07-29.dahlia"}
		}},
		{"kinds", []string{"--kinds", "circle,mixed"}, signer(), func(c *config.Stripesim) { c.Kinds = []string{"circle", "mixed"} }},
		{"one event", []string{"-file", "event.json", "--json"}, signer(), func(c *config.Stripesim) { c.File, c.JSON = "event.json", true }},
		{"dry run", []string{"--dry-run", "--truth", "out.json"}, signer(), func(c *config.Stripesim) { c.DryRun, c.Truth = true, "out.json" }},
		{"API", []string{"--api", ":0", "--api-rate=100", "--api-error-every=10", "--api-timeout-every=50", "--api-slow-every=5"}, signer(), func(c *config.Stripesim) {
			c.API, c.Faults = ":0", config.StripesimFaults{Rate: 100, ErrorEvery: 10, HangEvery: 50, SlowEvery: 5}
		}},
		{"API alone", []string{"--api", "localhost:12111"}, env{}, func(c *config.Stripesim) { c.API, c.Secret = "localhost:12111", secret.Text{} }},
		{"switch turned off", []string{"--disorder=false"}, signer().with("STRIPESIM_DISORDER", "true"), func(*config.Stripesim) {}},
		{"environment", nil, signer().with("STRIPESIM_DUPLICATES", "1", "STRIPESIM_DRY_RUN", "true"), func(c *config.Stripesim) { c.Duplicates, c.DryRun = 1, true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := loadStripesim(tt.args, tt.env.get)
			if err != nil {
				t.Fatal(err)
			}
			want := base
			tt.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("stripesim (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStripesimFaults(t *testing.T) {
	t.Parallel()
	const versions = "2015-10-01, 2020-08-27, 2023-10-16, 2024-06-20, 2025-01-27.acacia, 2025-03-31.basil, 2025-09-30.clover, 2026-07-29.dahlia"
	for _, tt := range []struct {
		name string
		args []string
		env  env
		want []string
	}{
		{"no secret", nil, env{}, []string{"STRIPESIM_SECRET: required: the receiver's signing secret, whsec_…"}},
		{"no secret in a dry run", []string{"--dry-run"}, env{}, []string{"STRIPESIM_SECRET: required: the receiver's signing secret, whsec_…"}},
		{"no such secret file", nil, env{"STRIPESIM_SECRET_FILE": "/no/hunter2"}, []string{"STRIPESIM_SECRET_FILE: cannot be read: no such file or directory"}},
		{"other secret", nil, env{"STRIPESIM_SECRET": "sk_hunter2"}, []string{"STRIPESIM_SECRET: must be whsec_…"}},
		{"secret twice", nil, signer().with("STRIPESIM_SECRET_FILE", "x"), []string{"STRIPESIM_SECRET: set together with STRIPESIM_SECRET_FILE: set one of the two"}},
		{"URL", []string{"--url=localhost:8080"}, signer(), []string{"STRIPESIM_URL: must be a URL like http://localhost:8080/webhooks/stripe"}},
		{"numbers", []string{"--subscriptions=0", "--rate=-1", "--duplicates=20%", "--ties=NaN", "--seed=x"}, signer(), []string{
			`STRIPESIM_SUBSCRIPTIONS: must be a whole number from 1 to 100000, not "0"`,
			`STRIPESIM_RATE: must be a number from 0 to 1000000, not "-1"`,
			`STRIPESIM_DUPLICATES: must be a number from 0 to 1, not "20%"`,
			`STRIPESIM_SEED: must be a whole number from 0 to 18446744073709551615, not "x"`,
			`STRIPESIM_TIES: must be a number from 0 to 1, not "NaN"`,
		}},
		{"switch", []string{"--disorder=maybe"}, signer(), []string{`STRIPESIM_DISORDER: must be true or false, not "maybe"`}},
		{"version", []string{"--api-version=mixed,2015-10-01"}, signer(), []string{"STRIPESIM_API_VERSION: entry 1 must be one of " + versions + `, not "mixed"`}},
		{"no version", []string{"--api-version="}, signer(), []string{"STRIPESIM_API_VERSION: must not be empty"}},
		{"file and truth", []string{"--file=a", "--truth=b"}, signer(), []string{"STRIPESIM_FILE, STRIPESIM_TRUTH: the true state after one event is not known: set one of the two"}},
		{"dry run and JSON", []string{"--dry-run", "--json"}, signer(), []string{"STRIPESIM_DRY_RUN, STRIPESIM_JSON: there is no report when nothing is sent: set one of the two"}},
		{"API and file", []string{"--api=:1", "--file=a"}, signer(), []string{"STRIPESIM_API: there is no history to serve with STRIPESIM_FILE, and no end with STRIPESIM_DRY_RUN: set one of them"}},
		{"API and dry run", []string{"--api=:1", "--dry-run"}, env{}, []string{"STRIPESIM_API: there is no history to serve with STRIPESIM_FILE, and no end with STRIPESIM_DRY_RUN: set one of them"}},
		{"API without a port", []string{"--api=localhost"}, env{}, []string{`STRIPESIM_API: must be host:port or :port, not "localhost"`}},
		{"unknown flag", []string{"--subscription=hunter2"}, signer(), []string{"--subscription: unknown flag, did you mean --subscriptions?"}},
		{"separate value", []string{"--duplicates", "0.3"}, signer(), []string{unexpected}},
		{"no value at the end", []string{"--seed"}, signer(), []string{"--seed: needs a value"}},
		{"no value before a flag", []string{"--file", "--json"}, signer(), []string{"STRIPESIM_FILE: --file needs a value (set one that starts with dashes in the environment)"}},
		{"argument that is not a flag", []string{"---hunter2"}, signer(), []string{"an argument that is not a flag: flags are written --name=value"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := loadStripesim(tt.args, tt.env.get)
			if diff := cmp.Diff(tt.want, faults(t, err)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), "hunter2") || config.ExitCode(err) != 2 {
				t.Errorf("got %v with exit status %d", err, config.ExitCode(err))
			}
		})
	}
}
