package bridge_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

func TestFullStreamIsNotReadyBeforeTheFirstWebhook(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t).URL()
	first := startedOn(t, url, "STREAM_MAX_BYTES=6000")
	for i := 0; ; i++ {
		if first.postSigned(t, event(fmt.Sprintf("evt_%d", i))).Status == http.StatusServiceUnavailable {
			break
		}
	}
	r := run(t, settings(t, url, "STREAM_MAX_BYTES=6000"))
	kit.Eventually(t, "only publishing is not ready, and says why", func() bool {
		checks := r.health.Ready(t.Context()).Checks
		return checks["streams"].OK && strings.Contains(checks["publish"].Error, "stream BILLBUS is full")
	})
}
