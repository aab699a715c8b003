package store_test

import (
	"fmt"
	"testing"

	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

// BenchmarkCommit commits batches of new events of 50 subscriptions to the database in
// memory.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			committer := committer(storetest.NewMemory(), storetest.Hooks{})
			n := 0
			for b.Loop() {
				batch := make([]store.Entry, size)
				for i := range batch {
					batch[i] = storetest.Entry(fmt.Sprintf("sub_%d", n%50), fmt.Sprintf("evt_%d", n), "updated", n/50, "active")
					n++
				}
				for _, result := range committer.Commit(b.Context(), batch) {
					if result.Err != nil {
						b.Fatal(result.Err)
					}
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
