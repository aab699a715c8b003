package cli_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/cli"
)

// settle runs a command of "subscriber dlq" and returns what it would work on.
func settle(t *testing.T, line string) (config.DeadLetters, error) {
	t.Helper()
	var c config.Subscriber
	_, err := executeCommand(t, cli.Subscriber(&c, cli.SubscriberRuns{
		Run: nothing, DLQList: nothing, DLQShow: nothing, Redrive: nothing, Discard: func(context.Context) error { return nil },
	}), strings.Fields("dlq "+line)...)
	return c.DeadLetters, err
}

func TestArgumentsOfACommand(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]config.DeadLetters{
		"redrive 17 18":           {Sequences: []uint64{17, 18}},
		"redrive 18,17 --by=ann":  {Sequences: []uint64{18, 17}, By: "ann"},
		"redrive 17 --json 17":    {Sequences: []uint64{17}, JSON: true},
		"redrive --all":           {All: true},
		"redrive --all --limit 5": {All: true, Limit: 5},
		"discard --yes 3":         {Sequences: []uint64{3}, Yes: true},
		"show 3 --payload":        {Sequences: []uint64{3}, Payload: true},
		"list --subject stripe.>": {Subject: "stripe.>", Limit: 100},
	} {
		got, err := settle(t, line)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", line, err, diff)
		}
	}
}

func TestFaultsOfArguments(t *testing.T) {
	t.Parallel()
	const whole = "must be sequences of letters, as dlq list shows them: whole numbers from 1"
	for line, want := range map[string][]string{
		"redrive":                {"SEQ…: required, or --all: the sequences of letters, as dlq list shows them"},
		"redrive hunter2":        {"SEQ…: " + whole},
		"redrive 0":              {"SEQ…: " + whole},
		"redrive 1 --all":        {"SEQ…, --all: give one of the two"},
		"redrive 1 --code panic": {"--code, --subject, --since, --until, --limit: need --all"},
		"redrive 1 --alll":       {"--alll: unknown flag, did you mean --all?"},
		"discard":                {"SEQ…: required: the sequence of a letter, as dlq list shows it"},
		"discard 1 --all":        {`--all: not taken by "subscriber dlq discard"`},
		"show 1 2":               {"SEQ: give one"},
		"list 1":                 {"an argument that is neither a command nor a flag; flags are written --name=value"},
		"list --subject a..b":    {"--subject: must be words between dots; * is any word, and > at the end any words"},
		"lst":                    {`unknown command "lst": did you mean list?`},
	} {
		_, err := settle(t, line)
		var got *config.Faults
		if !errors.As(err, &got) {
			t.Errorf("%s: got %v, want faults", line, err)
			continue
		}
		if diff := cmp.Diff(want, got.Lines); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}

func TestHelpNamesTheArgument(t *testing.T) {
	t.Parallel()
	help, err := execute(t, "subscriber", "dlq", "discard", "--help")
	if err != nil || !strings.Contains(help, "\n  subscriber dlq discard SEQ… [flags]\n") || !strings.Contains(help, "\n  SEQ…\n        sequences of letters") {
		t.Errorf("got %v and\n%s", err, help)
	}
	group, err := execute(t, "subscriber", "dlq")
	if err != nil || !strings.Contains(group, "subscriber dlq <command>") || !strings.Contains(group, "\n  redrive      Apply dead letters again\n") {
		t.Errorf("got %v and\n%s", err, group)
	}
}
