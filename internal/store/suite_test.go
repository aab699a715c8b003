package store_test

import (
	"testing"

	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) storetest.Backend {
		server := storetest.NewMemory()
		return storetest.Backend{
			Connect: func() store.Database { return server.Connect(storetest.Hooks{}) },
			Record: func(key string) storetest.Record {
				state, _ := server.State(key)
				return storetest.RecordOf(state)
			},
			Histories: 100,
		}
	})
}
