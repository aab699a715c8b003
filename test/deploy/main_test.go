// Package deploy tests the files that Billbus is deployed with: docker-compose.yml, Dockerfile and
// those in deploy/. Without it, a variable that no program reads, a health check of an endpoint that
// does not exist, or an alert on a metric that was renamed would be noticed in production, or never.
package deploy_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"go.uber.org/goleak"

	"github.com/billbus/billbus/config"
	commands "github.com/billbus/billbus/internal/cli"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// root is where the module is.
const root = "../.."

// compose loads docker-compose.yml as docker compose does, with all profiles, and with only the given
// environment, as NAME=value.
func compose(ctx context.Context, env ...string) (*types.Project, error) {
	return composeFiles(ctx, []string{"docker-compose.yml"}, env...)
}

func composeFiles(ctx context.Context, names []string, env ...string) (*types.Project, error) {
	var files []string
	for _, name := range names {
		files = append(files, filepath.Join(root, name))
	}
	options, err := cli.NewProjectOptions(files,
		cli.WithEnv(env), cli.WithProfiles([]string{"*"}))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(ctx)
}

// load is compose with the variables that the user must set.
func load(t *testing.T) *types.Project {
	t.Helper()
	project, err := compose(t.Context(), "WEBHOOK_LIVEMODE=test")
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// program is one of our programs as docker-compose.yml starts it.
type program struct {
	name     string
	service  types.ServiceConfig
	help     string
	err      error // what the program reports about its settings
	admin    string
	webhook  string // where webhooks are received; "" if they are not
	shutdown time.Duration
	urls     []string                         // of the servers that it connects to
	health   func() (asked string, err error) // runs its health check, and returns which address that asks
}

// programs reads the settings as the programs do.
func programs(t *testing.T) []program {
	t.Helper()
	project := load(t)
	b := program{name: "bridge", service: project.Services["bridge"]}
	var bridge config.Bridge
	nothing := func(context.Context) error { return nil }
	define := commands.Bridge(&bridge, commands.BridgeRuns{Serve: nothing, Provision: nothing, Doctor: nothing, Health: nothing})
	b.help, b.err = execute(t, define, b.service)
	b.admin, b.webhook, b.shutdown = bridge.Admin.Addr, bridge.Webhook.Addr, bridge.ShutdownTimeout
	b.urls = strings.Split(bridge.NATS.URL, ",")
	b.health = func() (string, error) {
		var cfg config.Bridge
		err := commands.Execute(t.Context(), commands.Bridge(&cfg, commands.BridgeRuns{Health: nothing}), b.service.HealthCheck.Test[2:], getenv(t, b.service), io.Discard, io.Discard)
		return cfg.Admin.Addr, err
	}

	s := program{name: "subscriber", service: project.Services["subscriber"]}
	var subscriber config.Subscriber
	define = commands.Subscriber(&subscriber, commands.SubscriberRuns{Run: nothing, Audit: nothing, Verify: nothing, Replay: nothing, Health: nothing})
	s.help, s.err = execute(t, define, s.service)
	s.admin, s.shutdown = subscriber.Admin.Addr, subscriber.ShutdownTimeout
	s.urls = append(strings.Split(subscriber.NATS.URL, ","), subscriber.Mongo.URI.Reveal())
	s.health = func() (string, error) {
		var cfg config.Subscriber
		err := commands.Execute(t.Context(), commands.Subscriber(&cfg, commands.SubscriberRuns{Health: nothing}), s.service.HealthCheck.Test[2:], getenv(t, s.service), io.Discard, io.Discard)
		return cfg.Admin.Addr, err
	}
	return []program{b, s}
}

// execute returns the help of a program, and what it would report about the settings of a service.
func execute(t *testing.T, define commands.Command, service types.ServiceConfig) (help string, err error) {
	t.Helper()
	var out bytes.Buffer
	if err := commands.Execute(t.Context(), define, []string{"--help"}, os.Getenv, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	return out.String(), commands.Execute(t.Context(), define, service.Command, getenv(t, service), io.Discard, io.Discard)
}

// getenv returns variables as in the container, where each secret is in a file.
func getenv(t *testing.T, service types.ServiceConfig) func(string) string {
	t.Helper()
	files := map[string]string{}
	for _, secret := range service.Secrets {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte("main=whsec_test\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		files[target(secret)] = file
	}
	return func(name string) string {
		value := service.Environment[name]
		if value == nil {
			return ""
		}
		if file, ok := files[*value]; ok {
			return file
		}
		return *value
	}
}

// target is the path of a secret in the container.
func target(secret types.ServiceSecretConfig) string {
	switch {
	case secret.Target == "":
		return "/run/secrets/" + secret.Source
	case !strings.HasPrefix(secret.Target, "/"):
		return "/run/secrets/" + secret.Target
	default:
		return secret.Target
	}
}

// mounted returns the file of this repository that is mounted at the path.
func mounted(t *testing.T, service types.ServiceConfig, path string) string {
	t.Helper()
	for _, volume := range service.Volumes {
		if volume.Type == types.VolumeTypeBind && volume.Target == path {
			return volume.Source
		}
	}
	t.Fatalf("%s: nothing is mounted at %s", service.Name, path)
	return ""
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func itoa(n int) string { return strconv.Itoa(n) }
