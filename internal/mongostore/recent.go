package mongostore

import (
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/internal/store"
)

// recentHeads are the heads of records that this process has written lately. They are for the
// embedded database, which decodes a whole record to find one, and has one writer: [directory]
// says when another process may write.
type recentHeads struct {
	now   func() time.Time
	mu    sync.Mutex
	used  time.Time
	heads map[string]store.Head
	facts int // in all heads
}

// maxRecentFacts bounds the memory of recent heads: a fact takes less than a kilobyte.
const maxRecentFacts = 20_000

func newRecentHeads(now func() time.Time) *recentHeads {
	return &recentHeads{now: now, heads: map[string]store.Head{}}
}

// get returns the heads that it has.
func (r *recentHeads) get(keys []string) map[string]store.Head {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.use()
	found := map[string]store.Head{}
	for _, key := range keys {
		if head, ok := r.heads[key]; ok {
			found[key] = head
		}
	}
	return found
}

// put is to be called after a record was written, with its document.
func (r *recentHeads) put(record bson.Raw) {
	var doc headDocument
	if bson.Unmarshal(record, &doc) != nil {
		return // reading it will say why
	}
	head := doc.head()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.use()
	if have, ok := r.heads[head.Key]; ok && have.Revision > head.Revision {
		return // a later write has ended earlier
	}
	r.remove(head.Key)
	if r.facts+len(head.Known) > maxRecentFacts {
		r.clear()
	}
	r.heads[head.Key] = head
	r.facts += len(head.Known)
}

// forget is to be called before a record is written.
func (r *recentHeads) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(key)
}

// use forgets everything after a time in which another process may have written.
func (r *recentHeads) use() {
	now := r.now()
	if now.Sub(r.used) >= directoryIdle {
		r.clear()
	}
	r.used = now
}

func (r *recentHeads) remove(key string) {
	r.facts -= len(r.heads[key].Known)
	delete(r.heads, key)
}

func (r *recentHeads) clear() {
	clear(r.heads)
	r.facts = 0
}
