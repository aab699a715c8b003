package config_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
)

func TestDoctorRequiresSecretsOnly(t *testing.T) {
	t.Parallel()
	// The doctor ignores what other commands would refuse.
	e := env{"STRIPE_WEBHOOK_SECRETS": "whsec_hunter2", "NATS_URL": "http://a", "STREAM_REPLICAS": "x", "LOG_LEVEL": "loud"}
	for _, tt := range []struct {
		name string
		args []string
		env  env
		want config.Bridge
	}{
		{
			"standard input",
			[]string{"doctor"},
			e,
			config.Bridge{Doctor: config.Doctor{Curl: "-"}, Webhook: config.Webhook{Tolerance: 5 * time.Minute}},
		},
		{
			"a curl command",
			[]string{"doctor", "--curl", "-", "--json"},
			e,
			config.Bridge{Doctor: config.Doctor{Curl: "-", JSON: true}, Webhook: config.Webhook{Tolerance: 5 * time.Minute}},
		},
		{
			"body and headers",
			[]string{"doctor", "--body=no/such/file", "-headers", "-", "--webhook-tolerance=1m"},
			e.with("WEBHOOK_LIVEMODE", "test"),
			config.Bridge{Doctor: config.Doctor{Body: "no/such/file", Headers: "-"}, Webhook: config.Webhook{Tolerance: time.Minute, Livemode: "test"}},
		},
		{
			"body and signature",
			[]string{"--body", "-", "--signature", "t=1,v1=ab", "doctor"},
			e,
			config.Bridge{Doctor: config.Doctor{Body: "-", Signature: "t=1,v1=ab"}, Webhook: config.Webhook{Tolerance: 5 * time.Minute}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := loadBridge(tt.args, tt.env.get)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Webhook.Secrets = named("default", "whsec_hunter2")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("bridge (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDoctorFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"two ways to give the request", []string{"doctor", "--curl=a", "--body=b"}, []string{"--curl: is a whole request: leave out --body, --headers and --signature"}},
		{"two kinds of headers", []string{"doctor", "--body=a", "--headers=b", "--signature=c"}, []string{"--headers, --signature: give one of the two"}},
		{"body alone", []string{"doctor", "--body=a"}, []string{"--body: needs --headers or --signature"}},
		{"headers alone", []string{"doctor", "--headers=a"}, []string{"--headers, --signature: need --body"}},
		{"standard input twice", []string{"doctor", "--body=-", "--headers=-"}, []string{"--body, --headers: cannot both be standard input"}},
		{"no value at the end", []string{"doctor", "--body"}, []string{"--body: needs a value"}},
		{"no value before a flag", []string{"doctor", "--body", "--json"}, []string{"--body: needs a value"}},
		{"empty value", []string{"doctor", "--curl="}, []string{"--curl: needs a value"}},
		{"value of a switch", []string{"doctor", "--json=hunter2"}, []string{"--json: takes no value"}},
		{"option of another command", []string{"doctor", "--dry-run"}, []string{`--dry-run: not taken by "bridge doctor"`}},
		{"its options with another command", []string{"--curl=-", "--json"}, []string{`--curl: not taken by "bridge serve"`, `--json: not taken by "bridge serve"`}},
		{"setting of another command", []string{"doctor", "--nats-url=a"}, []string{`NATS_URL: not taken by "bridge doctor"`}},
		{"wrong mode", []string{"doctor", "--webhook-livemode=both"}, []string{`WEBHOOK_LIVEMODE: must be live or test or any, not "both"`}},
		{"no secrets", []string{"doctor", "--stripe-webhook-secrets="}, []string{"STRIPE_WEBHOOK_SECRETS: required: the endpoint's signing secret, whsec_…"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := loadBridge(tt.args, minimal().get)
			if diff := cmp.Diff(tt.want, faults(t, err)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}
