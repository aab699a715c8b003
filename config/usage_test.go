package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
)

const (
	hidden     = "hunter2-never-shown"
	unexpected = "an argument that is neither a command nor a flag; flags are written --name=value"
)

func TestUsageFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"misspelt command", []string{"servee"}, []string{`unknown command "servee": did you mean serve?`}},
		{"unknown command without a similar one", []string{"xyz"}, []string{`unknown command "xyz": there is backfill, completion, doctor, endpoint, health, help, import, link, provision, reconcile, serve`}},
		{"flag of one letter", []string{"-v"}, []string{unexpected}},
		{"misspelt flag", []string{"--log-leve=x"}, []string{"--log-leve: unknown flag, did you mean --log-level?"}},
		{"beginning of flags", []string{"--log=x"}, []string{"--log: unknown flag, did you mean --log-format or --log-level?"}},
		{"misspelt help topic", []string{"help", "setings"}, []string{`unknown command or topic "setings": did you mean settings?`}},
		{"another misspelt command", []string{"provison"}, []string{`unknown command "provison": did you mean provision?`}},
		{"unknown flags, all of them", []string{"--foo=hunter2", "-bar", "hunter2"}, []string{"--foo: unknown flag", "--bar: unknown flag", unexpected}},
		{"secret as a flag", []string{"--whsec_hunter2"}, []string{"unknown flag"}},
		{"second command", []string{"serve", "provision"}, []string{unexpected}},
		{"unexpected argument", []string{"serve", "hunter2"}, []string{unexpected}},
		{"argument after the dashes", []string{"--", "hunter2"}, []string{unexpected}},
		{"no value at the end", []string{"--stream-name"}, []string{"--stream-name: needs a value"}},
		{"no value before a flag", []string{"--stream-name", "--log-level=warn"}, []string{"STREAM_NAME: --stream-name needs a value (set one that starts with dashes in the environment)"}},
		{"value for a flag without one", []string{"--dry-run=hunter2", "provision"}, []string{"--dry-run: takes no value"}},
		{"argument that is not a flag", []string{"---hunter2"}, []string{"an argument that is not a flag: flags are written --name=value"}},
		{"option of another command", []string{"--dry-run"}, []string{`--dry-run: not taken by "bridge serve"`}},
		{"setting of another command", []string{"provision", "--webhook-path=/x"}, []string{`WEBHOOK_PATH: not taken by "bridge provision"`}},
		{"setting of another program", []string{"--mongodb-uri=hunter2"}, []string{"--mongodb-uri: unknown flag"}},
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

func TestStandaloneTakesNoCommand(t *testing.T) {
	t.Parallel()
	_, err := loadStandalone([]string{"serve"}, env{}.get)
	want := []string{`unknown command "serve": there is completion, help`}
	if diff := cmp.Diff(want, faults(t, err)); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := loadBridge(
		[]string{"--no-such-flag", "extra", "--log-level=loud"},
		env{"NATS_URL": "http://bob:hunter2@a", "STREAM_REPLICAS": "x", "WEBHOOK_TOLERANCE": "0", "NATS_PASSWORD": "hunter2"}.get,
	)
	want := `wrong usage or configuration (see bridge --help):
  --no-such-flag: unknown flag
  an argument that is neither a command nor a flag; flags are written --name=value
  STRIPE_WEBHOOK_SECRETS: required: the endpoint's signing secret, whsec_…
  WEBHOOK_LIVEMODE: required: live, test or any
  WEBHOOK_TOLERANCE: must be at least 1s, not "0"
  NATS_URL: entry 1 must begin with nats://, tls://, ws:// or wss://
  STREAM_REPLICAS: must be a whole number from 1 to 5, not "x"
  LOG_LEVEL: must be debug or info or warn or error, not "loud"
  NATS_PASSWORD: set without NATS_USER`
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
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
	c, err := loadStandalone([]string{"--simulate", "25", "--once"}, none)
	if err != nil || c.Simulate != 25 || !c.Once || c.Log.Level != slog.LevelWarn {
		t.Errorf("got %d, %v, %v, %v", c.Simulate, c.Once, c.Log.Level, err)
	}
	c, err = loadStandalone([]string{"--simulate", "25", "--log-level=info"}, none)
	if err != nil || c.Log.Level != slog.LevelInfo {
		t.Errorf("got %v, %v for a log level that was asked for", c.Log.Level, err)
	}
	for _, args := range [][]string{{"--simulate", "0"}, {"--simulate", "many"}, {"--simulate=2001"}, {"--simulate"}, {"--once"}} {
		_, err := loadStandalone(args, none)
		if config.ExitCode(err) != 2 || !strings.Contains(err.Error(), args[0][:6]) {
			t.Errorf("%v: got %v", args, err)
		}
	}
}
