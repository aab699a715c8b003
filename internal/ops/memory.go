package ops

import (
	"log/slog"
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// LimitMemory makes the garbage collector work harder before the process reaches the memory limit of
// its container. Otherwise a process is killed whose garbage was not collected yet. GOMEMLIMIT
// in the environment wins.
func LimitMemory(log *slog.Logger) { limitMemory(log, memlimit.FromCgroup) }

func limitMemory(log *slog.Logger, container memlimit.Provider) {
	limit, err := memlimit.Set(memlimit.WithProvider(container))
	switch {
	case err != nil: // there are no cgroups
		log.Debug("no memory limit", "error", err)
	case limit < math.MaxInt64:
		log.Info("memory limit", "bytes", limit)
	}
}
