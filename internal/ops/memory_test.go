package ops

import (
	"errors"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/billbus/billbus/test/kit"
)

// These tests set the limit of the whole process, so they are not parallel.

func TestMemoryLimitIsThatOfTheContainer(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	out := new(kit.Buffer)
	limitMemory(slog.New(slog.NewTextHandler(out, nil)), memlimit.Limit(10<<30))
	if got, want := debug.SetMemoryLimit(-1), int64(9<<30); got != want {
		t.Errorf("got a limit of %d, want %d, nine tenths of the container's", got, want)
	}
	if !strings.Contains(out.String(), "bytes=9663676416") {
		t.Errorf("got log %q, want the limit in it", out)
	}
}

func TestMemoryLimitOfTheEnvironmentWins(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(5 << 30))
	t.Setenv("GOMEMLIMIT", "5GiB") // the runtime read it at the start
	limitMemory(slog.New(slog.DiscardHandler), memlimit.Limit(10<<30))
	if got := debug.SetMemoryLimit(-1); got != 5<<30 {
		t.Errorf("got a limit of %d, want it unchanged", got)
	}
}

func TestNoMemoryLimitWithoutAContainer(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	for _, err := range []error{memlimit.ErrNoLimit, errors.New("no cgroups")} {
		out := new(kit.Buffer)
		limitMemory(slog.New(slog.NewTextHandler(out, nil)), func() (uint64, error) { return 0, err })
		if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 || out.String() != "" {
			t.Errorf("%v: got a limit of %d and log %q, want neither", err, got, out)
		}
	}
}
