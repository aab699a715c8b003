package events_test

import (
	"testing"
	"time"

	"github.com/billbus/billbus/events"
)

func TestAccessAndTerminal(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		access   string
		terminal bool
	}{
		"active":             {"granted", false},
		"trialing":           {"granted", false},
		"past_due":           {"grace", false},
		"incomplete":         {"none", false},
		"incomplete_expired": {"none", true},
		"unpaid":             {"none", false},
		"paused":             {"none", false},
		"canceled":           {"none", true},
		"a later status":     {"", false},
		"":                   {"", false},
		"Active":             {"", false},
	}
	for status, want := range cases {
		if got := events.Access(status); got != want.access {
			t.Errorf("Access(%q): got %q, want %q", status, got, want.access)
		}
		sub := events.Subscription{Status: status}
		if got := sub.Terminal(); got != want.terminal {
			t.Errorf("Terminal of %q: got %v, want %v", status, got, want.terminal)
		}
	}
}

func TestEndsAt(t *testing.T) {
	t.Parallel()
	ended, cancelAt, periodEnd, canceled := at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"), at("2026-03-01T00:00:00Z"), at("2025-12-01T00:00:00Z")
	cases := map[string]struct {
		sub  events.Subscription
		want time.Time
	}{
		"it has ended":                 {events.Subscription{EndedAt: ended, CancelAt: cancelAt, CancelAtPeriodEnd: new(true), CurrentPeriodEnd: periodEnd}, ended},
		"a date is set":                {events.Subscription{CancelAt: cancelAt, CancelAtPeriodEnd: new(true), CurrentPeriodEnd: periodEnd}, cancelAt},
		"at the period's end":          {events.Subscription{CancelAtPeriodEnd: new(true), CurrentPeriodEnd: periodEnd}, periodEnd},
		"it goes on":                   {events.Subscription{CancelAtPeriodEnd: new(false), CurrentPeriodEnd: periodEnd}, time.Time{}},
		"unknown whether it goes on":   {events.Subscription{CurrentPeriodEnd: periodEnd}, time.Time{}},
		"asked for, but then took off": {events.Subscription{CanceledAt: canceled, CurrentPeriodEnd: periodEnd}, time.Time{}},
	}
	for name, tt := range cases {
		if got := events.EndsAt(&tt.sub); !got.Equal(tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}
