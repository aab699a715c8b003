package view

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billbus/billbus/internal/store"
)

func revision(n int64, since int) *store.State {
	return &store.State{Head: store.Head{Revision: n, FirstSeenAt: time.Unix(int64(since), 0)}}
}

func updatedLater(s *store.State) *store.State {
	s.UpdatedAt = time.Unix(1, 0)
	return s
}

// Those who share a run have written the record one after the other, so it goes by the last
// one; and it reads the record if someone has not written it.
func TestThoseWhoShareARunGoByTheNewestState(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		written []*store.State
		want    *store.State
	}{
		"alone":           {[]*store.State{revision(1, 0)}, revision(1, 0)},
		"the newest":      {[]*store.State{revision(5, 0), revision(7, 0), revision(6, 0)}, revision(7, 0)},
		"one has to read": {[]*store.State{revision(5, 0), nil, revision(6, 0)}, nil},
		"the first one":   {[]*store.State{nil, revision(6, 0)}, nil},
		"another record":  {[]*store.State{revision(5, 0), revision(6, 1)}, nil},
		"restored":        {[]*store.State{revision(6, 0), updatedLater(revision(5, 0))}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { checkShared(t, tt.written, tt.want) })
		})
	}
}

func checkShared(t *testing.T, written []*store.State, want *store.State) {
	t.Helper()
	f := flights{running: map[string]*flight{}}
	var work sync.WaitGroup
	release := make(chan struct{})
	errFirst := errors.New("the first run")
	work.Go(func() {
		err := f.do(t.Context(), "key", nil, func(*store.State) error { <-release; return errFirst })
		if !errors.Is(err, errFirst) {
			t.Errorf("the first run: got %v", err)
		}
	})
	synctest.Wait()
	var ran []*store.State
	for _, state := range written {
		work.Go(func() {
			err := f.do(t.Context(), "key", state, func(s *store.State) error { ran = append(ran, s); return nil })
			if err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
	}
	close(release)
	work.Wait()
	switch {
	case len(ran) != 1:
		t.Errorf("it ran %d times, want once", len(ran))
	case (ran[0] == nil) != (want == nil), want != nil && ran[0].Revision != want.Revision:
		t.Errorf("got %+v, want %+v", ran[0], want)
	}
}
