// Package deploy compares docker-compose.yml, the Dockerfile and the files in deploy/ with the
// programs that they deploy. Otherwise a variable that no program reads or a health check of an
// endpoint that does not exist would be noticed only in production, and an alert on a metric that was
// renamed never.
//
// It has tests only.
package deploy_test

import (
	"context"
	"errors"
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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// root is where the module is.
const root = "../.."

// compose loads docker-compose.yml as docker compose does, with all profiles. The environment has
// only what is given as NAME=value.
func compose(ctx context.Context, env ...string) (*types.Project, error) {
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithEnv(env), cli.WithProfiles([]string{"*"}))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(ctx)
}

// load is compose with the one required variable.
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
	err      error // what the program would report about its settings
	admin    string
	webhook  string // address for webhooks, if any
	shutdown time.Duration
	urls     []string // of the servers it connects to
}

// programs reads the settings of our programs as the programs would.
func programs(t *testing.T) []program {
	t.Helper()
	project := load(t)
	b := program{name: "bridge", service: project.Services["bridge"]}
	bridge, err := config.LoadBridge(b.service.Command, getenv(t, b.service))
	b.err, b.admin, b.webhook, b.shutdown = err, bridge.AdminAddr, bridge.Webhook.Addr, bridge.ShutdownTimeout
	b.urls = strings.Split(bridge.NATS.URL, ",")
	_, err = config.LoadBridge([]string{"--help"}, os.Getenv)
	b.help = helpText(t, err)

	s := program{name: "subscriber", service: project.Services["subscriber"]}
	subscriber, err := config.LoadSubscriber(s.service.Command, getenv(t, s.service))
	s.err, s.admin, s.shutdown = err, subscriber.AdminAddr, subscriber.ShutdownTimeout
	s.urls = append(strings.Split(subscriber.NATS.URL, ","), subscriber.Mongo.URI.Reveal())
	_, err = config.LoadSubscriber([]string{"--help"}, os.Getenv)
	s.help = helpText(t, err)
	return []program{b, s}
}

func helpText(t *testing.T, err error) string {
	t.Helper()
	var help *config.Help
	if !errors.As(err, &help) {
		t.Fatalf("got %v, want help", err)
	}
	return help.Text
}

// getenv answers as in the container, where each secret is in a file.
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

// target is the file of a secret in the container.
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

// mounted returns the file of this repository that a service sees under that path.
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
