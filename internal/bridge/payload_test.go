package bridge_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// Of 8,192 bytes, the reserve for headers would leave nothing.
func TestSmallMaxPayloadLeavesTheEventOut(t *testing.T) {
	t.Parallel()
	srv := natstest.StartWith(t, natsserver.Config{Addr: "127.0.0.1:0", Dir: t.TempDir(), MaxPayload: 8192})
	r := startedOn(t, srv.URL())
	kit.Eventually(t, "a warning", func() bool { return strings.Contains(r.log.String(), `"largest_message":4096`) })
	large := bytes.Replace(event("evt_1"), []byte(`"object": "event"`), []byte(`"object": "event", "padding":"`+strings.Repeat("x", 9000)+`"`), 1)
	if got := r.postSigned(t, large); got.Status != http.StatusOK {
		t.Fatalf("got %d %s\n%s", got.Status, got.Body, r.log.String())
	}
	if m, _ := r.message(t, 1); m.Data.EventOmitted != events.OmittedSize || m.Data.Subscription == nil {
		t.Errorf("got %+v, want the subscription without the event", m.Data)
	}
}
