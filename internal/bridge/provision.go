package bridge

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/natsbus"
)

const provisionTimeout = 30 * time.Second

// Provision prints how the streams differ from the settings, and creates and alters
// them, unless it is a dry run. No other command alters streams.
func Provision(ctx context.Context, cfg config.Bridge, out io.Writer, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, provisionTimeout)
	defer cancel()
	bus, err := natsbus.Open(natsbus.Auth(cfg.NATS), "billbus-provision", log)
	if err != nil {
		return err
	}
	defer bus.Close()
	if err := bus.WaitConnected(ctx); err != nil {
		return err
	}
	settings, consumers := natsbus.StreamSettings(cfg.Stream), consumersOf(cfg.Consumers)
	drifts, err := bus.Plan(ctx, settings, consumers...)
	if err != nil {
		return err
	}
	if err := printPlan(out, drifts); err != nil || len(drifts) == 0 || cfg.DryRun {
		return err
	}
	if err := bus.Alter(ctx, settings, consumers...); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "applied")
	return err
}

func consumersOf(cfg config.Consumers) []natsbus.Consumer {
	if !cfg.Create {
		return nil
	}
	return []natsbus.Consumer{natsbus.SubscriberConsumer(cfg.Subscriber), natsbus.ResolverConsumer()}
}

func printPlan(out io.Writer, drifts []natsbus.Drift) error {
	if len(drifts) == 0 {
		_, err := fmt.Fprintln(out, "nothing to do: the streams match the settings")
		return err
	}
	for _, d := range drifts {
		line := fmt.Sprintf("~ %s: %s: %s -> %s", d.Object, d.Field, d.Have, d.Want)
		if d.Field == "" {
			line = "+ " + d.Object
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
