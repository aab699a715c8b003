package stripehook

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"time"
)

// Watch gives v the keys that read returns, until ctx is done. It reads at the given interval, which must be
// positive, and whenever hup receives. An orchestrator replaces a mounted secret through a symlink, which
// file notifications miss and reading does not.
//
// Watch logs each change with the names of the keys. While read fails or its keys are refused, the old keys
// remain in use, and each different error is logged once: a broken file neither stops webhooks nor fills
// the log. Errors of read are logged and must not quote a secret. After each attempt, loaded is called with
// the keys in use or with the error.
func Watch(
	ctx context.Context, read func() ([]Key, error), v *Verifier, every time.Duration, hup <-chan os.Signal,
	loaded func([]Key, error), log *slog.Logger,
) {
	w := watcher{read: read, verifier: v, loaded: loaded, log: log}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.reload(false)
		case <-hup:
			w.reload(true)
		}
	}
}

type watcher struct {
	read      func() ([]Key, error)
	verifier  *Verifier
	loaded    func([]Key, error)
	log       *slog.Logger
	lastFault string
}

// reload logs its result in any case if a signal asked for it.
func (w *watcher) reload(asked bool) {
	keys, err := w.read()
	changed := !slices.Equal(keys, *w.verifier.keys.Load())
	if err == nil && (changed || asked) {
		err = w.verifier.Replace(keys)
	}
	w.loaded(keys, err)
	if err != nil {
		w.failed(err, asked)
		return
	}
	w.lastFault = ""
	if changed || asked {
		w.log.Info("signing secrets loaded", "secrets", names(keys))
	}
}

func (w *watcher) failed(err error, asked bool) {
	if err.Error() == w.lastFault && !asked {
		return
	}
	w.lastFault = err.Error()
	w.log.Error("signing secrets not loaded, the old ones stay", "error", err)
}

func names(keys []Key) []string {
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = k.Name
	}
	return list
}
