// Package wire is what the assemblies of bridge and subscriber have in common:
// it turns settings into what natsbus takes, which does not know config, and
// runs handlers on what natsbus hands over.
package wire

import (
	"context"
	"errors"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/natsbus"
)

// Auth is how the settings say to connect to NATS.
func Auth(cfg config.NATS) natsbus.Auth {
	return natsbus.Auth{
		URL: cfg.URL, CredsFile: cfg.CredsFile, NKeySeedFile: cfg.NKeySeedFile,
		User: cfg.User, Password: cfg.Password.Reveal(), Token: cfg.Token.Reveal(),
		CAFile: cfg.CAFile, CertFile: cfg.CertFile, KeyFile: cfg.KeyFile,
	}
}

// Settings is what the settings say of the stream.
func Settings(cfg config.Stream) natsbus.StreamSettings {
	return natsbus.StreamSettings{
		Name: cfg.Name, Replicas: cfg.Replicas, MaxAge: cfg.MaxAge, MaxBytes: cfg.MaxBytes, DuplicateWindow: cfg.DuplicateWindow,
	}
}

// UntilClosed ends the program if the connection is closed for good, which
// nothing is expected to do: better to be started again than to stay silent.
func UntilClosed(ctx context.Context, bus *natsbus.Bus) error {
	select {
	case <-ctx.Done():
		return nil
	case <-bus.Closed():
		return errors.New("the connection to NATS was closed for good")
	}
}
