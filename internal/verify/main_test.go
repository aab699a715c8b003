package verify_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// memory is a store for verification. Its records are what the test put into it,
// correct or not.
type memory struct {
	store.IdentityTrail // nothing but Identities is called
	identities          []store.Identity
	messages            map[string][]events.Message // by subscription key
	records             map[string]store.StoredRecord
	catalog             map[string]store.Listing
	// beforeRewrite is called first, as another writer.
	beforeRewrite func(key string)
}

func newMemory(messages ...events.Message) *memory {
	m := &memory{messages: map[string][]events.Message{}, records: map[string]store.StoredRecord{}}
	for _, message := range messages {
		m.messages[message.SubscriptionKey()] = append(m.messages[message.SubscriptionKey()], message)
	}
	for key := range m.messages {
		m.decide(key)
	}
	return m
}

// decide writes the record that the messages of a subscription make.
func (m *memory) decide(key string) {
	var facts []ordering.Fact
	for _, message := range m.messages[key] {
		fact, _ := ordering.FactOf(message)
		facts = append(facts, fact)
	}
	verdict := ordering.Fold(facts)
	i := slices.IndexFunc(m.messages[key], func(message events.Message) bool { return message.ID == verdict.Winner.EventID })
	m.put(key, m.messages[key][i], verdict)
}

func (m *memory) put(key string, winner events.Message, verdict ordering.Verdict) {
	fields, _ := m.Fields(key, store.Decision{Winner: winner, Verdict: verdict})
	n, _ := strconv.Atoi(m.records[key].Revision)
	m.records[key] = store.StoredRecord{
		Key: key, Exists: true, Revision: strconv.Itoa(n + 1), Rule: ordering.Rule, EventID: winner.ID, Fields: fields,
	}
}

// damage sets a field of a record.
func (m *memory) damage(key, field, value string) {
	record := m.records[key]
	record.Fields = maps.Clone(record.Fields)
	record.Fields[field] = value
	m.records[key] = record
}

func (m *memory) Audit(ctx context.Context) iter.Seq2[store.Audited, error] {
	return func(yield func(store.Audited, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(m.messages)) {
			for audited, err := range m.Trail(ctx, key) {
				if !yield(audited, err) {
					return
				}
			}
		}
	}
}

func (m *memory) AuditSize(context.Context) (n int64, err error) {
	for _, messages := range m.messages {
		n += int64(len(messages))
	}
	return n, nil
}

func (m *memory) Records(context.Context) iter.Seq2[store.StoredRecord, error] {
	return func(yield func(store.StoredRecord, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(m.records)) {
			if !yield(m.records[key], nil) {
				return
			}
		}
	}
}

func (m *memory) Trail(_ context.Context, key string) iter.Seq2[store.Audited, error] {
	return func(yield func(store.Audited, error) bool) {
		for _, message := range m.messages[key] {
			if !yield(store.Audited{Subscription: key, Entry: store.Entry{Message: message}}, nil) {
				return
			}
		}
	}
}

func (m *memory) Record(_ context.Context, key string) (store.StoredRecord, error) {
	if record, ok := m.records[key]; ok {
		return record, nil
	}
	return store.StoredRecord{Key: key}, nil
}

func (m *memory) Identities(context.Context, store.Owners) ([]store.Identity, error) {
	return m.identities, nil
}

func (m *memory) Claims(context.Context) iter.Seq2[store.Audited, error] { return nil }

func (m *memory) Messages(context.Context, []string) (map[string]store.Audited, error) {
	return nil, nil
}

func (m *memory) Fields(_ string, d store.Decision) (map[string]string, error) {
	winner, verdict := d.Winner, d.Verdict
	ids := make([]string, len(verdict.Relevant))
	for i, f := range verdict.Relevant {
		ids[i] = f.EventID
	}
	var names strings.Builder
	for _, item := range winner.Data.Subscription.Items {
		names.WriteString(item.ProductName + item.Nickname)
	}
	return map[string]string{
		"names": names.String(), "user_id": d.User.ID, "status": winner.Data.Subscription.Status, "version.event_id": winner.ID, "version.known": strings.Join(ids, ","),
		"version.rule": strconv.Itoa(ordering.Rule), "explanation": verdict.Explanation, "ordering": string(verdict.Ordering),
	}, nil
}

func (m *memory) Rewrite(_ context.Context, have store.StoredRecord, d store.Decision) (bool, error) {
	if m.beforeRewrite != nil {
		m.beforeRewrite(have.Key)
	}
	if m.records[have.Key].Revision != have.Revision {
		return false, nil
	}
	m.put(have.Key, d.Winner, d.Verdict)
	return true, nil
}

func (m *memory) Listings(context.Context, []string) (map[string]store.Listing, error) {
	return m.catalog, nil
}

func subject(n int) string { return fmt.Sprintf("sub_%05d", n) }
