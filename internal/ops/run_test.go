package ops_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/test/kit"
)

func TestEveryCallsAtOnceAndAtEachInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		start := time.Now()
		var calls []time.Duration
		ops.Every(ctx, 10*time.Second, func() { calls = append(calls, time.Since(start)) })
		if diff := cmp.Diff([]time.Duration{0, 10 * time.Second, 20 * time.Second}, calls); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

// A program that hangs must be noticed although nobody asks for /readyz.
func TestReadinessIsMeasuredWithoutBeingAsked(t *testing.T) {
	t.Parallel()
	deps := ops.NewDeps(discard())
	deps.Health.Check("nats", fine)
	deps.Health.Check("mongodb", func(context.Context) error { return errors.New("no primary") })
	ln, err := ops.Listen("ADMIN_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	err = ops.WithAdmin(t.Context(), ln, ops.Admin{}, deps, func(context.Context) error {
		kit.Eventually(t, "readiness is measured", func() bool {
			got := scrape(t, deps.Metrics)
			return strings.Contains(got, "\nbillbus_ready{check=\"nats\"} 1\n") && strings.Contains(got, "\nbillbus_ready{check=\"mongodb\"} 0\n")
		})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
