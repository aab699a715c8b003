package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/cli"
)

// programVar names the program that the test binary is started as, by the tests that need a process.
const programVar = "BILLBUS_TEST_PROGRAM"

func TestMain(m *testing.M) {
	name := os.Getenv(programVar)
	if name == "" {
		goleak.VerifyTestMain(m)
		return
	}
	err := cli.Execute(context.Background(), programs()[name], os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(config.ExitCode(err))
}

func nothing(context.Context) error { return nil }

// programs returns the definitions of all programs, without their code.
func programs() map[string]cli.Command {
	return map[string]cli.Command{
		"bridge": cli.Bridge(&config.Bridge{}, cli.BridgeRuns{Serve: nothing, Provision: nothing, Link: nothing, Import: nothing, Backfill: nothing, Reconcile: nothing, EndpointCheck: nothing, EndpointCreate: nothing, Doctor: nothing, Health: nothing}),
		"subscriber": cli.Subscriber(&config.Subscriber{}, cli.SubscriberRuns{
			Run: nothing, Audit: nothing, Verify: nothing, Replay: nothing, Health: nothing,
			DLQList: nothing, DLQShow: nothing, Redrive: nothing, Discard: nothing,
		}),
		"standalone": cli.Standalone(&config.Standalone{}, nothing),
		"stripesim":  cli.Stripesim(&config.Stripesim{}, nothing),
	}
}

// environment has what the programs require.
func environment(name string) string {
	return map[string]string{
		"STRIPE_WEBHOOK_SECRETS": "whsec_hunter2", "WEBHOOK_LIVEMODE": "test", "STRIPESIM_SECRET": "whsec_hunter2", "NATS_TOKEN": "hunter2",
	}[name]
}

// execute returns what a program prints.
func execute(t *testing.T, program string, args ...string) (stdout string, err error) {
	t.Helper()
	return executeCommand(t, programs()[program], args...)
}

func executeCommand(t *testing.T, c cli.Command, args ...string) (stdout string, err error) {
	t.Helper()
	var out, complaints bytes.Buffer
	err = cli.Execute(t.Context(), c, args, environment, &out, &complaints)
	if complaints.Len() > 0 {
		t.Errorf("%q: got %q on standard error, which is the caller's to write", args, complaints.String())
	}
	if bytes.Contains(out.Bytes(), []byte("hunter2")) {
		t.Errorf("%q: got a secret in the output", args)
	}
	return out.String(), err
}

func executeTo(t *testing.T, stdout, stderr io.Writer, program string, args ...string) error {
	t.Helper()
	return cli.Execute(t.Context(), programs()[program], args, environment, stdout, stderr)
}
