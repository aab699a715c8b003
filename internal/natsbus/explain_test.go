package natsbus

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/nats-io/nats.go"
)

func TestRepeatedErrorsAreOfOneKind(t *testing.T) {
	t.Parallel()
	denied := func(subject string) error {
		return fmt.Errorf("%w: Permissions Violation for Publish to %q", nats.ErrPermissionViolation, subject)
	}
	reset := func(port int) error {
		return &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: port}, Err: errors.New("connection reset by peer")}
	}
	for name, tt := range map[string]struct {
		a, b error
		same bool
	}{
		"another port":            {reset(1), reset(2), true},
		"another acknowledgement": {denied("$JS.ACK.BILLBUS.c.1.2.3"), denied("$JS.ACK.BILLBUS.c.1.4.5"), true},
		"another inbox":           {denied("_INBOX.abc"), denied("_INBOX.def"), true},
		"another subject":         {denied("stripe.x"), denied("$JS.API.CONSUMER.MSG.NEXT.BILLBUS.c"), false},
		"another error":           {nats.ErrAuthorization, nats.ErrAuthExpired, false},
	} {
		if same := kind(tt.a) == kind(tt.b); same != tt.same {
			t.Errorf("%s: got one kind %v, want %v", name, same, tt.same)
		}
	}
}
