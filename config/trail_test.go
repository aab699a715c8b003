package config_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/secret"
)

// reading is how events would be read again by default.
func reading() config.Webhook {
	return config.Webhook{Accounts: []string{"platform"}, UserIDKeys: []string{"user_id", "userId", "userid", "uid"}, ClientReference: "api"}
}

func TestVerifyTakesTheDatabaseAndTheStateView(t *testing.T) {
	t.Parallel()
	got, err := loadSubscriber([]string{"verify", "--fix", "--json"}, env{"PROVISION": "x", "MAX_IN_FLIGHT": "x"}.get)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Subscriber{
		Verify: config.Verify{Fix: true, JSON: true}, Reading: reading(),
		Mongo: config.Mongo{URI: secret.New("mongodb://127.0.0.1:27017"), Database: "billbus"},
		NATS:  config.NATS{URL: "nats://127.0.0.1:4222"}, Stream: config.Stream{Name: "BILLBUS", StateView: true},
		Log: config.Log{Level: slog.LevelInfo},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subscriber (-want +got):\n%s", diff)
	}
}

func TestSubscriberUsageFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"options of another command", []string{"--fix"}, []string{`--fix: not taken by "subscriber run"`}},
		{"two starting points, and invalid values", []string{"replay", "--from-sequence=0", "--from-time=soon", "--rate=x"}, []string{
			"--from-sequence: must be a whole number from 1 to 4611686018427387904, not \"0\"",
			"--from-time: must be a time like 2026-01-31 or 2026-01-31T12:00:00Z, or how long ago, like 36h or 7d, not \"soon\"",
			"--rate: must be a whole number from 1 to 1000000, not \"x\"",
			"--from-sequence, --from-time: give one of the two",
		}},
		{"two sources, and a name that is none", []string{"replay", "--from-audit", "--from-sequence=3", "--into=a.b"}, []string{
			`--into: must be 1 to 64 letters, digits, _ or -, and begin with a letter, not "a.b"`, "--from-audit, --from-sequence: give one of the two",
		}},
		{"two things to do with a shadow", []string{"replay", "--diff=a", "--apply=a"}, []string{"--diff, --apply, --drop: give one of them, and no other option but --json"}},
		{"a shadow that is removed and built", []string{"replay", "--drop=a", "--rate=5"}, []string{"--diff, --apply, --drop: give one of them, and no other option but --json"}},
		{"an account that is none", []string{"replay", "--account=all"}, []string{`--account: must be acct_… or platform, not "all"`}},
		{"reading again by unknown settings", []string{"replay", "--renormalize"}, []string{"--renormalize: needs WEBHOOK_LIVEMODE, as it is set for the bridge"}},
		{"payload with a search", []string{"audit", "--payload=evt_1", "--limit=5"}, []string{"--payload: cannot be combined with other options"}},
		{"settings of another command", []string{"verify", "--max-in-flight=a", "--mongodb-uri=hunter2"}, []string{`MAX_IN_FLIGHT: not taken by "subscriber verify"`, "MONGODB_URI: must begin with mongodb:// or mongodb+srv://"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := loadSubscriber(tt.args, env{}.get)
			if diff := cmp.Diff(tt.want, faults(t, err)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReplayDefaultsAndOptions(t *testing.T) {
	t.Parallel()
	want := config.Subscriber{
		Reading: reading(),
		NATS:    config.NATS{URL: "nats://127.0.0.1:4222"}, Stream: config.Stream{Name: "BILLBUS", StateView: true}, Provision: "create",
		Mongo:        config.Mongo{URI: secret.New("mongodb://127.0.0.1:27017"), Database: "billbus"},
		ConsumerName: "billbus-subscriber", MaxInFlight: 1024, MaxBytes: 32 << 20, Log: config.Log{Level: slog.LevelInfo},
	}
	for _, tt := range []struct {
		args []string
		want config.Replay
	}{
		{nil, config.Replay{}},
		{[]string{"--from-sequence=7", "--rate=100", "--json"}, config.Replay{FromSequence: 7, Rate: 100, JSON: true}},
		{[]string{"--from-time=2d", "--restart"}, config.Replay{FromTime: config.Moment{Ago: 48 * time.Hour, Text: "2d"}, Restart: true}},
		{[]string{"--subscription=sub_1", "--subscription", "sub_2,sub_3", "--account=acct_1"}, config.Replay{Subscriptions: []string{"sub_1", "sub_2", "sub_3"}, Account: "acct_1"}},
		{[]string{"--diff=shadow", "--json"}, config.Replay{Diff: "shadow", JSON: true}},
		{[]string{"--from-time=2026-01-31"}, config.Replay{FromTime: config.Moment{At: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC), Text: "2026-01-31"}}},
	} {
		got, err := loadSubscriber(append([]string{"replay"}, tt.args...), env{}.get)
		want.Replay = tt.want
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v: %v (-want +got):\n%s", tt.args, err, diff)
		}
	}
}

func TestAuditDefaultsAndOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want config.Audit
	}{
		{nil, config.Audit{Limit: 100}},
		{[]string{"--payload", "evt_1"}, config.Audit{Payload: "evt_1", Limit: 100}},
		{
			[]string{"--subscription=sub_1", "--customer=cus_1", "--user=u", "--event=evt_1", "--type=invoice.paid", "--since=2h", "--until=2026-01-31T12:00:00+01:00", "--limit=5", "--json"},
			config.Audit{
				Subscription: "sub_1", Customer: "cus_1", User: "u", Event: "evt_1", Type: "invoice.paid", Limit: 5, JSON: true,
				Since: config.Moment{Ago: 2 * time.Hour, Text: "2h"},
				Until: config.Moment{At: time.Date(2026, 1, 31, 11, 0, 0, 0, time.UTC), Text: "2026-01-31T12:00:00+01:00"},
			},
		},
	} {
		got, err := loadSubscriber(append([]string{"audit"}, tt.args...), env{}.get)
		if diff := cmp.Diff(tt.want, got.Audit); diff != "" || err != nil {
			t.Errorf("%v: %v (-want +got):\n%s", tt.args, err, diff)
		}
	}
}

func TestAuditRetention(t *testing.T) {
	t.Parallel()
	const refused = "AUDIT_RETENTION: must be 0 (keep) or at least 34d: Stripe may send an event again for 30 days and retry it for 3"
	for value, want := range map[string]string{"": "", "0": "", "34d": "", "9000h": "", "33d": refused, "1s": refused, "-1d": "AUDIT_RETENTION: must be"} {
		_, err := loadSubscriber(nil, env{"AUDIT_RETENTION": value}.get)
		_, alone := loadStandalone(nil, env{"AUDIT_RETENTION": value}.get)
		for _, err := range []error{err, alone} {
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v, want %q", value, err, want)
			}
		}
	}
	c, err := loadSubscriber(nil, env{"AUDIT_RETENTION": "40d"}.get)
	if c.AuditRetention != 40*24*time.Hour || err != nil {
		t.Errorf("got %v, %v", c.AuditRetention, err)
	}
}
