package store_test

import (
	"testing"

	"github.com/billbus/billbus/test/storetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) storetest.Backend {
		server := storetest.NewMemory()
		return storetest.Backend{
			Connect:      func() storetest.Store { return server.Connect(storetest.Hooks{}) },
			DamageAudit:  server.DamageAudit,
			DamageRecord: server.DamageRecord,
			RemoveRecord: func(key string) { server.Delete("", key) },
			Histories:    100,
		}
	})
}
