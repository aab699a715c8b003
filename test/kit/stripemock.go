package kit

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const requireStripeMock = "BILLBUS_REQUIRE_STRIPE_MOCK"

// StripeMock starts stripe-mock until the test ends, and returns its address. stripe-mock
// follows Stripe's specification of its API, and refuses what is not in it. It is built in
// the version that tools pins. If that fails, as it does where nothing can be downloaded, the
// test is skipped, or fails if BILLBUS_REQUIRE_STRIPE_MOCK is set.
func StripeMock(t *testing.T) (addr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), buildStripeMock(t), "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the context of the test has killed it
	listening := regexp.MustCompile(`Listening for HTTP at address: (\S+)`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if match := listening.FindStringSubmatch(lines.Text()); match != nil {
			return match[1]
		}
	}
	t.Fatal("stripe-mock did not print its address")
	return ""
}

func buildStripeMock(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "stripe-mock")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-modfile=tools/stripe-mock/go.mod", "-o", binary, "github.com/stripe/stripe-mock")
	cmd.Dir = moduleRoot(t)
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv(requireStripeMock) != "":
		t.Fatalf("building stripe-mock, and %s is set: %v\n%s", requireStripeMock, err, out)
	default:
		t.Skipf("skipped, because building stripe-mock failed (with %s set, the test fails): %v\n%s", requireStripeMock, err, out)
	}
	return binary
}

// moduleRoot returns the folder of go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}
