package main

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
)

type entry struct {
	jetstream.KeyValueEntry
	key string
}

func (e entry) Key() string                     { return e.key }
func (e entry) Value() []byte                   { return []byte("{}") }
func (e entry) Revision() uint64                { return 1 }
func (e entry) Operation() jetstream.KeyValueOp { return jetstream.KeyValuePut }

func TestOnlySubscriptionsAndAccessAreStored(t *testing.T) {
	for key, want := range map[string]int{"gaps": 0, "live.platform.sub_1": 3, "test.acct_1.sub_1": 3, "access.live.platform.user.u1": 1} {
		var batch pgx.Batch
		queue(&batch, entry{key: key})
		if got := batch.Len(); got != want {
			t.Errorf("%s: got %d statements, want %d", key, got, want)
		}
	}
}
