package natsbus

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// reset is the error of a connection, with a port of its own.
func reset(port int) error {
	return &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: port}, Err: errors.New("connection reset by peer")}
}

func TestPassesThatFindTheSameAreLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := &Provisioner{bus: &Bus{inbox: "_INBOX", log: slog.New(slog.NewTextHandler(&log, nil))}}
	for port := range 3 {
		_ = p.finish(fmt.Errorf("not connected to NATS: %w", reset(port)), nil, nil)
	}
	_ = p.finish(errors.New("stream BILLBUS does not exist"), nil, nil)
	_ = p.finish(nil, nil, nil)
	_ = p.finish(nil, nil, nil)
	_ = p.finish(reset(4), nil, nil)
	if warnings, ready := strings.Count(log.String(), "level=WARN"), strings.Count(log.String(), "streams are ready"); warnings != 3 || ready != 1 {
		t.Errorf("got %d warnings and %d times ready, want 3 and 1:\n%s", warnings, ready, log.String())
	}
}

func TestRepeatedErrorsAreOfOneKind(t *testing.T) {
	t.Parallel()
	bus := &Bus{inbox: "own"}
	denied := func(subject string) error {
		return fmt.Errorf("%w: Permissions Violation for Publish to %q", nats.ErrPermissionViolation, subject)
	}
	// Go's text of an expired certificate has the present time.
	invalid := func(reason x509.InvalidReason, now string) error {
		return &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: reason, Detail: "current time " + now + " is after 2026-01-01T00:00:00Z"}}
	}
	for name, tt := range map[string]struct {
		a, b error
		same bool
	}{
		"a second later":          {invalid(x509.Expired, "2026-01-31T12:00:00Z"), invalid(x509.Expired, "2026-01-31T12:00:01Z"), true},
		"another fault":           {invalid(x509.Expired, ""), invalid(x509.NotAuthorizedToSign, ""), false},
		"another port":            {reset(1), reset(2), true},
		"another acknowledgement": {denied("$JS.ACK.BILLBUS.c.1.2.3"), denied("$JS.ACK.BILLBUS.c.1.4.5"), true},
		"another inbox":           {denied("own.abc"), denied("own.def"), true},
		"another subject":         {denied("stripe.x"), denied("$JS.API.CONSUMER.MSG.NEXT.BILLBUS.c"), false},
		"another error":           {nats.ErrAuthorization, nats.ErrAuthExpired, false},
	} {
		if same := bus.kind(tt.a) == bus.kind(tt.b); same != tt.same {
			t.Errorf("%s: got one kind %v, want %v", name, same, tt.same)
		}
	}
}
