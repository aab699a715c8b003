package subscriber_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/secret"
	"github.com/billbus/billbus/internal/subscriber"
)

func withURI(uri string) config.Subscriber {
	return config.Subscriber{Mongo: config.Mongo{URI: secret.New(uri), Database: "billbus"}, MaxInFlight: 2}
}

func TestStartWaitsForANameThatDoesNotResolve(t *testing.T) {
	t.Parallel()
	deps := ops.NewDeps(slog.New(slog.DiscardHandler))
	run, err := subscriber.Start(withURI("mongodb+srv://user:SECRET@db.example.invalid/"), deps)
	if err != nil {
		t.Fatalf("got %v, want that it is tried again", err)
	}
	check := deps.Health.Ready(t.Context()).Checks["mongodb"]
	if check.OK || !strings.Contains(check.Error, "MONGODB_URI has no SRV record") || strings.Contains(check.Error, "SECRET") {
		t.Errorf("readiness: got %+v", check)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestAURIThatCannotWorkIsAFaultOfTheConfiguration(t *testing.T) {
	t.Parallel()
	cfg := withURI("mongodb://user:SECRET@db/?retrywrite=true")
	log := slog.New(slog.DiscardHandler)
	_, startErr := subscriber.Start(cfg, ops.NewDeps(log))
	for name, err := range map[string]error{
		"start":  startErr,
		"verify": subscriber.Verify(t.Context(), cfg, nil, nil, log),
	} {
		if config.ExitCode(err) != 2 || !strings.Contains(err.Error(), "MONGODB_URI: the driver does not know the option retrywrite") || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
