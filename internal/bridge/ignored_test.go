package bridge

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/ops"
)

func TestIgnoredEventsAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	w := &ignoredWarnings{
		WebhookMetrics: ops.NewMetrics(), log: slog.New(slog.NewTextHandler(&logged, nil)),
		now: func() time.Time { return now }, reasons: fault.Repeats{Every: time.Minute},
	}
	for range 5 {
		w.WebhookIgnored("livemode")
	}
	w.WebhookIgnored("account")
	now = now.Add(time.Minute)
	w.WebhookIgnored("livemode")
	lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
	for i, want := range []string{
		"reason=livemode setting=WEBHOOK_LIVEMODE count=1", "reason=account setting=WEBHOOK_ACCOUNTS count=1", "reason=livemode setting=WEBHOOK_LIVEMODE count=5",
	} {
		if len(lines) != 3 || !strings.Contains(lines[i], want) {
			t.Fatalf("got\n%s\nwant 3 lines, with %s", logged.String(), want)
		}
	}
}
