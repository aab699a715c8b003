package config_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/cli"
	"github.com/billbus/billbus/internal/secret"
)

// env is an environment.
type env map[string]string

func (e env) get(name string) string { return e[name] }

// with returns the environment with more variables, as pairs of name and value.
func (e env) with(pairs ...string) env {
	more := env{}
	maps.Copy(more, e)
	for i := 0; i < len(pairs); i += 2 {
		more[pairs[i]] = pairs[i+1]
	}
	return more
}

// minimal has the settings that the bridge requires.
func minimal() env {
	return env{"STRIPE_WEBHOOK_SECRETS": "whsec_hunter2", "WEBHOOK_LIVEMODE": "live"}
}

func write(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// execute loads settings with a program's whole command line, and returns what it printed.
func execute(def cli.Command, args []string, getenv func(string) string) (string, error) {
	var out bytes.Buffer
	err := cli.Execute(context.Background(), def, args, getenv, &out, io.Discard)
	return out.String(), err
}

func nothing(context.Context) error { return nil }

func loadBridge(args []string, getenv func(string) string) (c config.Bridge, err error) {
	_, err = execute(cli.Bridge(&c, cli.BridgeRuns{Serve: nothing, Provision: nothing, Doctor: nothing}), args, getenv)
	return c, err
}

func loadSubscriber(args []string, getenv func(string) string) (c config.Subscriber, err error) {
	_, err = execute(cli.Subscriber(&c, cli.SubscriberRuns{Run: nothing, Audit: nothing, Verify: nothing, Replay: nothing}), args, getenv)
	return c, err
}

func loadStandalone(args []string, getenv func(string) string) (c config.Standalone, err error) {
	_, err = execute(cli.Standalone(&c, nothing), args, getenv)
	return c, err
}

func loadStripesim(args []string, getenv func(string) string) (c config.Stripesim, err error) {
	_, err = execute(cli.Stripesim(&c, nothing), args, getenv)
	return c, err
}

// faults returns the lines of the error without its heading.
func faults(t *testing.T, err error) []string {
	t.Helper()
	var all *config.Faults
	if !errors.As(err, &all) {
		t.Fatalf("got %v, want faults", err)
	}
	return all.Lines
}

func TestBridgeDefaults(t *testing.T) {
	t.Parallel()
	got, err := loadBridge(nil, minimal().get)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Bridge{
		Webhook: config.Webhook{
			Addr: ":8080", Path: "/webhooks/stripe", Secrets: named("default", "whsec_hunter2"),
			Tolerance: 5 * time.Minute, MaxBytes: 1_000_000, BodyBudget: 64 << 20, MaxConnections: 2000, Livemode: "live", Accounts: []string{"platform"},
			RedactKeys: []string{"hosted_invoice_url", "invoice_pdf", "receipt_url"},
			UserIDKeys: []string{"user_id", "userId", "userid", "uid"}, ClientReference: "api", PublishTimeout: 3 * time.Second,
		},
		StripeAPI: config.StripeAPI{Base: "https://api.stripe.com"},
		NATS:      config.NATS{URL: "nats://127.0.0.1:4222"},
		Stream:    config.Stream{Name: "BILLBUS", Replicas: 1, MaxBytes: -1, DuplicateWindow: 72 * time.Hour, StateView: true}, Provision: "create",
		Admin:           config.Admin{Addr: "127.0.0.1:9090"},
		Log:             config.Log{Level: slog.LevelInfo},
		ShutdownTimeout: 20 * time.Second,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bridge (-want +got):\n%s", diff)
	}
}

func TestSubscriberDefaults(t *testing.T) {
	t.Parallel()
	got, err := loadSubscriber([]string{"run"}, env{}.get)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Subscriber{
		NATS:   config.NATS{URL: "nats://127.0.0.1:4222"},
		Stream: config.Stream{Name: "BILLBUS", Replicas: 1, MaxBytes: -1, DuplicateWindow: 72 * time.Hour, StateView: true}, Provision: "create",
		Mongo:        config.Mongo{URI: secret.New("mongodb://127.0.0.1:27017"), Database: "billbus"},
		ConsumerName: "billbus-subscriber", MaxInFlight: 1024, MaxBytes: 32 << 20, Admin: config.Admin{Addr: "127.0.0.1:9091"},
		Log: config.Log{Level: slog.LevelInfo}, ShutdownTimeout: 20 * time.Second,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subscriber (-want +got):\n%s", diff)
	}
}

func TestStandaloneDefaults(t *testing.T) {
	t.Parallel()
	// The environment may have settings of another program.
	got, err := loadStandalone(nil, env{"STREAM_REPLICAS": "3", "PROVISION": "check", "NATS_URL": "x:y:z"}.get)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Standalone{
		Bridge: config.Bridge{
			Webhook: config.Webhook{
				Addr: ":8080", Path: "/webhooks/stripe",
				Tolerance: 5 * time.Minute, MaxBytes: 1_000_000, BodyBudget: 64 << 20, MaxConnections: 2000, Livemode: "any", Accounts: []string{"platform"},
				RedactKeys: []string{"hosted_invoice_url", "invoice_pdf", "receipt_url"},
				UserIDKeys: []string{"user_id", "userId", "userid", "uid"}, ClientReference: "api", PublishTimeout: 3 * time.Second,
			},
			StripeAPI: config.StripeAPI{Base: "https://api.stripe.com"},
			Stream:    config.Stream{Name: "BILLBUS", Replicas: 1, MaxBytes: -1, DuplicateWindow: 72 * time.Hour, StateView: true}, Provision: "create",
			Admin: config.Admin{Addr: "127.0.0.1:9090"}, Log: config.Log{Level: slog.LevelInfo}, ShutdownTimeout: 20 * time.Second,
		},
		Database: "billbus", ConsumerName: "billbus-subscriber", MaxInFlight: 1024, MaxBytes: 32 << 20, DataDir: "./data",
		NATSAddr: "127.0.0.1:4222", MongoAddr: "127.0.0.1:27017",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("standalone (-want +got):\n%s", diff)
	}
}

func TestProvisionNeedsNeitherSecretsNorLivemode(t *testing.T) {
	t.Parallel()
	got, err := loadBridge([]string{"provision", "--dry-run", "--stream-replicas", "3"}, env{}.get)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Bridge{
		DryRun: true, Consumers: config.Consumers{Subscriber: "billbus-subscriber"}, NATS: config.NATS{URL: "nats://127.0.0.1:4222"},
		Stream: config.Stream{Name: "BILLBUS", Replicas: 3, MaxBytes: -1, DuplicateWindow: 72 * time.Hour, StateView: true},
		Log:    config.Log{Level: slog.LevelInfo},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bridge (-want +got):\n%s", diff)
	}
}

// TestNoConfigurationPrintsASecret prints every configuration in every way.
func TestNoConfigurationPrintsASecret(t *testing.T) {
	t.Parallel()
	e := minimal().with("NATS_URL", "nats://bob:hunter2@a", "MONGODB_URI", "mongodb://bob:hunter2@a",
		"STRIPE_API_KEY", "sk_live_hunter2")
	b, err1 := loadBridge(nil, e.get)
	s, err2 := loadSubscriber(nil, e.get)
	a, err3 := loadStandalone(nil, e.get)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for _, c := range []any{b, s, a, &b, &s, &a} {
		encoded, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		all := fmt.Sprintf("%v %+v %#v %s", c, c, c, encoded)
		if strings.Contains(all, "hunter2") {
			t.Errorf("got a secret in %s", all)
		}
	}
}
