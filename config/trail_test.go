package config_test

import (
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
)

func TestVerifyNeedsTheDatabaseOnly(t *testing.T) {
	t.Parallel()
	got, err := config.LoadSubscriber([]string{"verify", "--fix", "--json"}, env{"NATS_URL": "x:y:z", "MAX_IN_FLIGHT": "x"}.get)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Subscriber{
		Command: "verify", Verify: config.Verify{Fix: true, JSON: true},
		Mongo: config.Mongo{URI: config.NewSecret("mongodb://127.0.0.1:27017"), Database: "billbus"},
		Log:   config.Log{Level: slog.LevelInfo},
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
		{"options of another command", []string{"--fix"}, []string{`--fix: not a flag of "subscriber run"`}},
		{"settings of another command", []string{"verify", "--nats-url=a", "--mongodb-uri=hunter2"}, []string{`NATS_URL: not a setting of "subscriber verify"`, "MONGODB_URI: must begin with mongodb:// or mongodb+srv://"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.LoadSubscriber(tt.args, env{}.get)
			if diff := cmp.Diff(tt.want, faults(t, err)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}
