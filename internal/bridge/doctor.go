package bridge

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/doctor"
	"github.com/billbus/billbus/internal/term"
)

// ErrNotVerified is what Doctor returns after it has printed why.
var ErrNotVerified = errors.New("the request does not verify")

// Doctor reads a captured request and prints why it does not verify and what to do. It returns nil only if
// the bridge would accept the signature now.
func Doctor(cfg config.Bridge, stdin io.Reader, out io.Writer, now func() time.Time) error {
	opts := cfg.Doctor
	request, err := doctor.Read(doctor.Input{Body: opts.Body, Headers: opts.Headers, Signature: opts.Signature, Curl: opts.Curl}, doctor.Files(stdin))
	if err != nil {
		return &config.Faults{Program: "bridge", Lines: []string{err.Error()}}
	}
	report, err := doctor.Examine(request, doctor.Settings{
		Keys: keys(cfg.Webhook.Secrets), Tolerance: cfg.Webhook.Tolerance, Livemode: cfg.Webhook.Livemode, Now: now(),
	})
	if err != nil {
		return fmt.Errorf("STRIPE_WEBHOOK_SECRETS: %w", err)
	}
	if opts.JSON {
		err = term.JSONLines(out)(report)
	} else {
		err = report.WriteText(term.NewPrinter(out))
	}
	if err != nil {
		return fmt.Errorf("printing the verdict: %w", err)
	}
	if !report.Verifies {
		return ErrNotVerified
	}
	return nil
}
