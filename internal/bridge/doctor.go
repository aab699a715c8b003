package bridge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/stripehook"
)

// ErrNotVerified is what Doctor returns after it has said why.
var ErrNotVerified = errors.New("the request does not verify")

// mostRead is the largest file that is read: far more than any webhook.
const mostRead = 64 << 20

// Doctor reads a captured request, prints why it does not verify and what to do,
// and returns nil only if the bridge would accept its signature now. It prints
// no secret, and of the payload only what names the event.
func Doctor(cfg config.Bridge, stdin io.Reader, out io.Writer, now func() time.Time) error {
	capture, err := readCapture(cfg.Doctor, files{stdin})
	if err != nil {
		return &config.Faults{Program: "bridge", Lines: []string{err.Error()}}
	}
	d, err := stripehook.Diagnose(capture.Body, capture.Header, keys(cfg.Webhook.Secrets), cfg.Webhook.Tolerance, now())
	if err != nil {
		return fmt.Errorf("STRIPE_WEBHOOK_SECRETS: %w", err)
	}
	report := newReport(d, cfg.Webhook.Livemode, capture.Notes)
	write := report.writeText
	if cfg.Doctor.JSON {
		write = report.writeJSON
	}
	if err := write(out); err != nil {
		return fmt.Errorf("printing the verdict: %w", err)
	}
	if !report.Verifies {
		return ErrNotVerified
	}
	return nil
}

// readCapture puts the request together. Its errors begin with the option that
// they are about.
func readCapture(opts config.Doctor, in files) (stripehook.Capture, error) {
	if opts.Curl != "" {
		return readCurl(opts.Curl, in)
	}
	body, err := in.read(opts.Body)
	if err != nil {
		return stripehook.Capture{}, fmt.Errorf("--body: cannot be read: %w", err)
	}
	if opts.Signature != "" {
		h := http.Header{}
		h.Set("Stripe-Signature", opts.Signature)
		return stripehook.Capture{Body: body, Header: h}, nil
	}
	headers, err := in.read(opts.Headers)
	if err != nil {
		return stripehook.Capture{}, fmt.Errorf("--headers: cannot be read: %w", err)
	}
	return stripehook.Capture{Body: body, Header: stripehook.ParseHeaders(string(headers))}, nil
}

func readCurl(name string, in files) (stripehook.Capture, error) {
	text, err := in.read(name)
	if err != nil {
		return stripehook.Capture{}, fmt.Errorf("--curl: cannot be read: %w", err)
	}
	capture, err := stripehook.ParseCurl(string(text), in.read)
	if err != nil {
		return stripehook.Capture{}, fmt.Errorf("--curl: %w; --body and --headers take the request apart", err)
	}
	return capture, nil
}

// files reads what options name, and what a curl command names.
type files struct{ stdin io.Reader }

// read does not name the file in its errors: a secret is easily put in its place.
func (f files) read(name string) ([]byte, error) {
	in := f.stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, bare(err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, mostRead+1))
	if err != nil {
		return nil, bare(err)
	}
	if len(data) > mostRead {
		return nil, fmt.Errorf("it is larger than %d MB", mostRead>>20)
	}
	return data, nil
}

// bare strips an error of the path in it.
func bare(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}
