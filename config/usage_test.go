package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
)

const hidden = "hunter2-never-shown"

func TestUsageFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"unknown command", []string{"provison"}, []string{`unknown command "provison": there is serve, provision, doctor`}},
		{"unknown flags, all of them", []string{"--foo=hunter2", "-bar", "hunter2"}, []string{"--foo: unknown flag", "--bar: unknown flag", "an argument that is neither a command nor a flag"}},
		{"secret as a flag", []string{"--whsec_hunter2"}, []string{"an argument: unknown flag"}},
		{"second command", []string{"serve", "provision"}, []string{"an argument that is neither a command nor a flag"}},
		{"stray argument", []string{"serve", "hunter2"}, []string{"an argument that is neither a command nor a flag"}},
		{"argument after the dashes", []string{"--", "hunter2"}, []string{"an argument that is neither a command nor a flag"}},
		{"no value at the end", []string{"--stream-name"}, []string{"STREAM_NAME: --stream-name needs a value"}},
		{"no value before a flag", []string{"--stream-name", "--log-level=warn"}, []string{"STREAM_NAME: --stream-name needs a value (one that starts with dashes is given in the environment)"}},
		{"value where none belongs", []string{"--dry-run=hunter2", "provision"}, []string{"--dry-run: takes no value"}},
		{"no flag at all", []string{"---hunter2"}, []string{"an argument that is no flag: flags are written --name=value"}},
		{"dry run of serve", []string{"--dry-run"}, []string{`--dry-run: not a flag of "bridge serve"`}},
		{"setting of another command", []string{"provision", "--webhook-path=/x"}, []string{`WEBHOOK_PATH: not a setting of "bridge provision"`}},
		{"setting of another program", []string{"--mongodb-uri=hunter2"}, []string{"--mongodb-uri: unknown flag"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.LoadBridge(tt.args, minimal().get)
			if diff := cmp.Diff(tt.want, faults(t, err)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStandaloneTakesNoCommand(t *testing.T) {
	t.Parallel()
	_, err := config.LoadStandalone([]string{"serve"}, env{}.get)
	want := []string{"an argument that is neither a command nor a flag"}
	if diff := cmp.Diff(want, faults(t, err)); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.LoadBridge(
		[]string{"--no-such-flag", "stray", "--log-level=loud"},
		env{"NATS_URL": "http://bob:hunter2@a", "STREAM_REPLICAS": "x", "WEBHOOK_TOLERANCE": "0", "NATS_PASSWORD": "hunter2"}.get,
	)
	want := `wrong usage or configuration (see bridge --help):
  --no-such-flag: unknown flag
  an argument that is neither a command nor a flag
  NATS_URL: entry 1 must begin with nats://, tls://, ws:// or wss://
  NATS_PASSWORD: set without NATS_USER
  STREAM_REPLICAS: must be a whole number from 1 to 5, not "x"
  LOG_LEVEL: must be debug or info or warn or error, not "loud"
  WEBHOOK_TOLERANCE: must be at least 1s, not "0"
  WEBHOOK_LIVEMODE: required: live, test or any
  STRIPE_WEBHOOK_SECRETS: required: the endpoint's signing secret, whsec_…`
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	secret := minimal().with("NATS_PASSWORD", hidden)
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}, {"provision", "--help"}, {"--no-such-flag", "--help"}} {
		_, err := config.LoadBridge(args, secret.get)
		var help *config.Help
		if !errors.As(err, &help) {
			t.Fatalf("%q: got %v, want help", args, err)
		}
		for _, want := range []string{
			"bridge receives Stripe webhooks", "bridge provision [--dry-run]", "Exit status: 0",
			"  --webhook-tolerance            WEBHOOK_TOLERANCE            5m  ",
			"  --stripe-webhook-secrets-file  STRIPE_WEBHOOK_SECRETS_FILE  none  ",
		} {
			if !strings.Contains(help.Text, want) {
				t.Errorf("%q: got no %q", args, want)
			}
		}
		if strings.Contains(help.Text, "hunter2") || strings.Contains(help.Text, "MONGODB") {
			t.Errorf("%q: want neither secrets nor other programs' settings", args)
		}
	}
}

// TestHelpListsWhatIsRead holds that no program reads a variable that its help does not list.
func TestHelpListsWhatIsRead(t *testing.T) {
	t.Parallel()
	for name, load := range map[string]func(args []string, getenv func(string) string) error{
		"bridge":     func(a []string, e func(string) string) error { _, err := config.LoadBridge(a, e); return err },
		"subscriber": func(a []string, e func(string) string) error { _, err := config.LoadSubscriber(a, e); return err },
		"standalone": func(a []string, e func(string) string) error { _, err := config.LoadStandalone(a, e); return err },
	} {
		help := load([]string{"--help"}, env{}.get).Error()
		read := 0
		_ = load(nil, func(variable string) string {
			read++
			flag := "--" + strings.ReplaceAll(strings.ToLower(variable), "_", "-")
			if !strings.Contains(help, " "+variable+" ") || !strings.Contains(help, "  "+flag+" ") {
				t.Errorf("%s: got no line of %s in the help", name, variable)
			}
			return minimal()[variable]
		})
		if lines := strings.Count(help, "\n  --"); read != lines {
			t.Errorf("%s: got %d settings read and %d listed, want as many", name, read, lines)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	_, err := config.LoadSubscriber([]string{"--version"}, env{}.get)
	got := fmt.Sprint(err)
	if !strings.HasPrefix(got, "subscriber ") || !strings.HasSuffix(got, runtime.Version()+")\n") || got != config.Version("subscriber")+"\n" {
		t.Errorf("got %q, want program, version, commit and Go version", got)
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"success", nil, 0},
		{"help", &config.Help{}, 0},
		{"wrapped faults", fmt.Errorf("start: %w", &config.Faults{}), 2},
		{"anything else", errors.New("x"), 1},
	} {
		if got := config.ExitCode(tt.err); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestSimulationOfStandalone(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	c, err := config.LoadStandalone([]string{"--simulate", "25", "--once"}, none)
	if err != nil || c.Simulate != 25 || !c.Once || c.Log.Level != slog.LevelWarn {
		t.Errorf("got %d, %v, %v, %v", c.Simulate, c.Once, c.Log.Level, err)
	}
	c, err = config.LoadStandalone([]string{"--simulate", "25", "--log-level=info"}, none)
	if err != nil || c.Log.Level != slog.LevelInfo {
		t.Errorf("got %v, %v for a log level that was asked for", c.Log.Level, err)
	}
	for _, args := range [][]string{{"--simulate", "0"}, {"--simulate", "many"}, {"--simulate=2001"}, {"--simulate"}, {"--once"}} {
		_, err := config.LoadStandalone(args, none)
		if config.ExitCode(err) != 2 || !strings.Contains(err.Error(), args[0][:6]) {
			t.Errorf("%v: got %v", args, err)
		}
	}
}
