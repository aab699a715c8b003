package ops

import (
	"errors"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
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

func TestCollectorIsRelaxedWhileTheHeapIsSmall(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	relaxCollector()
	percent := func() uint64 {
		runtime.GC()
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	kit.Eventually(t, "a small heap may grow", func() bool { return percent() > 100 })
	large := make([]byte, 2*smallHeap)
	kit.Eventually(t, "a large heap is collected as usual", func() bool { return percent() == 100 })
	runtime.KeepAlive(large)
	kit.Eventually(t, "a small heap may grow again", func() bool { return percent() > 100 })
}

func TestPercentFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		live, roots uint64
		want        int
	}{
		{0, 1 << 10, 300},
		{6 << 20, 2 << 20, 175},
		{11 << 20, 2 << 20, 100}, // twice what is in use
		{smallHeap, 0, 100},
		{1 << 40, 1 << 40, 100},
	} {
		if got := percentFor(tt.live, tt.roots); got != tt.want {
			t.Errorf("%d bytes in use and %d of roots: got %d, want %d", tt.live, tt.roots, got, tt.want)
		}
	}
}
