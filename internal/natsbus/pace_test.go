package natsbus

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceDoublesUpToFiveSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pace
		for _, want := range []int64{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
			start := time.Now()
			p.failed()
			p.failed() // in flight together with the first
			if !p.wait(t.Context()) || time.Since(start).Milliseconds() != want {
				t.Fatalf("got a pause of %s, want %d ms", time.Since(start), want)
			}
		}
		p.succeeded()
		start := time.Now()
		if p.failing() || !p.wait(t.Context()) || time.Since(start) != 0 {
			t.Errorf("got a pause of %s after a success, want none", time.Since(start))
		}
	})
}

func TestPaceStopsWaitingWhenClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pace
		p.failed()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		if p.wait(ctx) || time.Since(start) != 0 {
			t.Errorf("got a pause of %s, want none", time.Since(start))
		}
	})
}
