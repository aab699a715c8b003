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

// recorded is a program whose commands note that they ran.
func recorded(ran *[]string) cli.Command {
	run := func(name string) cli.Run {
		return func(context.Context) error {
			*ran = append(*ran, name)
			return nil
		}
	}
	examples := []cli.Example{{Why: "One", Line: "one"}, {Why: "Two", Line: "two"}}
	c := config.Bridge{}
	return cli.Command{Name: "bridge", Short: "Program", Examples: examples, Commands: []cli.Command{
		{Name: "serve", Short: "Serve", Examples: examples, Settings: config.BridgeServe(&c), Run: run("serve")},
		{Name: "provision", Short: "Provision", Examples: examples, Settings: config.BridgeProvision(&c), Run: run("provision")},
		{Name: "endpoint", Short: "Work on endpoints", Examples: examples, Commands: []cli.Command{
			{Name: "check", Short: "Check", Examples: examples, Settings: config.BridgeProvision(&c), Run: run("endpoint check")},
			{Name: "create", Short: "Create", Examples: examples, Run: run("endpoint create")},
		}},
	}}
}

func TestCommandsRun(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		line string
		want string
	}{
		{"", "serve"},
		{"--log-level warn", "serve"},
		{"serve", "serve"},
		{"provision --dry-run", "provision"},
		{"--dry-run provision", "provision"},
		{"--log-level warn provision", "provision"},
		{"-log-level=warn provision", "provision"},
		{"--stream-name serve provision", "provision"},
		{"endpoint check", "endpoint check"},
		{"endpoint --dry-run check --log-level=warn", "endpoint check"},
		{"endpoint create", "endpoint create"},
	} {
		var ran []string
		out, err := executeCommand(t, recorded(&ran), strings.Fields(tt.line)...)
		if diff := cmp.Diff([]string{tt.want}, ran); diff != "" || err != nil || out != "" {
			t.Errorf("%q: got %q, %v (-want +got):\n%s", tt.line, out, err, diff)
		}
	}
}

func TestGroupOfCommandsPrintsItsHelp(t *testing.T) {
	t.Parallel()
	var ran []string
	out, err := executeCommand(t, recorded(&ran), "endpoint")
	if err != nil || ran != nil || !strings.Contains(out, "bridge endpoint <command>") || !strings.Contains(out, "\n  check        Check\n") {
		t.Errorf("got %v, %v and\n%s", err, ran, out)
	}
}

func TestNestedUsageFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		line, program string
		want          []string
	}{
		{"endpoint chek", "bridge endpoint", []string{`unknown command "chek": did you mean check?`}},
		{"endpoint destroy", "bridge endpoint", []string{`unknown command "destroy": there is check, create`}},
		{"endpoint --json", "bridge endpoint", []string{"--json: unknown flag"}},
		{"endpoint create --dry-run", "bridge endpoint create", []string{`--dry-run: not taken by "bridge endpoint create"`}},
		{"endpoint check --webhook-path=/x --log-level=x", "bridge endpoint check", []string{
			`WEBHOOK_PATH: not taken by "bridge endpoint check"`, `LOG_LEVEL: must be debug or info or warn or error, not "x"`,
		}},
		{"help endpoint chek", "bridge help", []string{`unknown command or topic "chek": did you mean check?`}},
		{"help hunter2", "bridge help", []string{"unknown command or topic"}},
	} {
		var ran []string
		_, err := executeCommand(t, recorded(&ran), strings.Fields(tt.line)...)
		var got *config.Faults
		if !errors.As(err, &got) || ran != nil {
			t.Errorf("%q: got %v, want faults", tt.line, err)
			continue
		}
		if diff := cmp.Diff(&config.Faults{Program: tt.program, Lines: tt.want}, got); diff != "" {
			t.Errorf("%q: faults (-want +got):\n%s", tt.line, diff)
		}
	}
}

func TestErrorOfACommandIsReturned(t *testing.T) {
	t.Parallel()
	want := errors.New("failed")
	c := config.Stripesim{}
	_, err := executeCommand(t, cli.Stripesim(&c, func(context.Context) error { return want }))
	if !errors.Is(err, want) || config.ExitCode(err) != 1 {
		t.Errorf("got %v", err)
	}
}
