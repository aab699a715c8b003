package ops

import (
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// LimitMemory makes the garbage collector work harder before the process reaches the memory limit of
// its container. Otherwise a process is killed whose garbage was not collected yet. GOMEMLIMIT
// in the environment wins.
//
// Where there is room it makes the collector work less; GOGC wins.
func LimitMemory(log *slog.Logger) {
	limitMemory(log, memlimit.FromCgroup)
	if os.Getenv("GOGC") == "" {
		relaxCollector()
	}
}

func limitMemory(log *slog.Logger, container memlimit.Provider) {
	limit, err := memlimit.Set(memlimit.WithProvider(container))
	switch {
	case err != nil: // there are no cgroups
		log.Debug("no memory limit", "error", err)
	case limit < math.MaxInt64:
		log.Info("memory limit", "bytes", limit)
	}
}

// smallHeap is the size up to which a heap may grow before garbage is collected. Go starts at
// 4 MiB, and then at twice what is in use. The programs use little and have much garbage:
// they would spend a sixth of their time on collecting it.
const smallHeap = 20 << 20

// relaxCollector sets, after each collection, the size of the heap at which the next begins.
func relaxCollector() {
	live, roots := inUse()
	debug.SetGCPercent(percentFor(live, roots))
	type mark struct{ _ *int } // the collector finds that nobody uses it
	runtime.AddCleanup(new(mark), func(struct{}) { relaxCollector() }, struct{}{})
}

// percentFor returns the GOGC with which a heap grows to smallHeap, if live bytes of it and
// some roots are in use: see https://go.dev/doc/gc-guide#GOGC. It is at most 300, because
// more can be in use by the time of the next collection.
func percentFor(live, roots uint64) int {
	if live >= smallHeap {
		return 100
	}
	return int(min(max(100, 100*(smallHeap-live)/(live+roots)), 300))
}

// inUse returns how much of the heap was in use at the last collection, and the size of
// stacks and globals.
func inUse() (live, roots uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64() + samples[2].Value.Uint64()
}
