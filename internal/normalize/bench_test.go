package normalize_test

import (
	"testing"

	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/test/corpus"
)

// BenchmarkEvent normalizes events from testdata.
func BenchmarkEvent(b *testing.B) {
	n := normalizer(b, options())
	files := fixtures(b)
	for _, name := range []string{"2026-06-24.dahlia-paused", "2020-08-27-created-expanded", "2023-10-16-checkout-session"} {
		benchmarkEvent(b, n, name, files[name])
	}
}

// BenchmarkRecordedEvent normalizes large recorded updates, for which the
// previous state is read too.
func BenchmarkRecordedEvent(b *testing.B) {
	n := normalizer(b, options())
	for _, file := range corpus.Load(b) {
		if m, err := n.Event(file.Raw, receipt()); err == nil && m.Type == "subscription.updated" && len(m.Data.Event) > 4<<10 {
			benchmarkEvent(b, n, file.Name, m.Data.Event)
		}
	}
}

func benchmarkEvent(b *testing.B, n *normalize.Normalizer, name string, raw []byte) {
	b.Run(name, func(b *testing.B) {
		r := receipt()
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := n.Event(raw, r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
