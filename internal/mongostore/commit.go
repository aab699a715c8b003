package mongostore

import (
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

// maxAttempts bounds how often a state is read and merged again because another
// writer was first. Each attempt means that somebody made progress.
const maxAttempts = 20

// commit records a batch: all audit documents, then all states. results[i] is
// the outcome of batch[i]; one bad entry does not fail the others.
func (s *Store) commit(ctx context.Context, batch []request) []result {
	results := make([]result, len(batch))
	messages := make([]events.Message, len(batch))
	for i, r := range batch {
		messages[i] = r.entry.Message
	}
	for i, outcome := range s.audit(ctx, batch) {
		switch {
		case outcome.err != nil:
			results[i].err = outcome.err
		case outcome.duplicate:
			results[i].effect = events.Duplicate
			messages[i], results[i].err = s.stored(ctx, batch[i].entry.Key())
		default:
			results[i].effect = events.Recorded
		}
	}
	s.advanceAll(ctx, messages, results)
	return results
}

type audited struct {
	duplicate bool
	err       error
}

// audit inserts the audit documents of a batch in one command.
func (s *Store) audit(ctx context.Context, batch []request) []audited {
	outcomes := make([]audited, len(batch))
	var docs []any
	var index []int // docs[k] belongs to batch[index[k]]
	for i, r := range batch {
		raw, err := encodeAudit(r.entry)
		if err != nil {
			outcomes[i].err = err
			continue
		}
		docs, index = append(docs, raw), append(index, i)
	}
	if len(docs) == 0 {
		return outcomes
	}
	_, err := s.events.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
	for k, failure := range perDocument(err, len(docs)) {
		outcome := &outcomes[index[k]]
		if isDuplicate(failure) {
			outcome.duplicate = true
			continue
		}
		outcome.err = explain("inserting audit document", failure)
	}
	return outcomes
}

// stored reads the message that was audited first under a key. Where one event
// came in two renderings the first stored one counts, so a duplicate's own
// message is never looked at.
func (s *Store) stored(ctx context.Context, key string) (events.Message, error) {
	var doc auditDocument
	err := s.events.FindOne(ctx, bson.D{{Key: "_id", Value: key}}).Decode(&doc)
	if err != nil {
		return events.Message{}, explain("reading audit document", err)
	}
	return doc.toMessage()
}

// advanceAll advances the state of every subscription that the messages tell
// of: all events of one subscription in one write.
func (s *Store) advanceAll(ctx context.Context, messages []events.Message, results []result) {
	groups := map[string][]int{}
	for i, m := range messages {
		if _, ok := events.FactOf(m); ok && results[i].err == nil {
			groups[m.SubscriptionKey()] = append(groups[m.SubscriptionKey()], i)
		}
	}
	for attempt := 0; len(groups) > 0; attempt++ {
		if attempt == maxAttempts {
			failAll(groups, results, fault.New(fault.Transient, "mongodb_contention",
				fmt.Errorf("another writer was first %d times", attempt)))
			return
		}
		groups = s.advanceOnce(ctx, groups, messages, results)
	}
}

// advanceOnce reads, merges and replaces the states of the groups, and returns
// the groups for which somebody else was first.
func (s *Store) advanceOnce(ctx context.Context, groups map[string][]int, messages []events.Message, results []result) map[string][]int {
	known, err := s.read(ctx, groups)
	if err != nil {
		failAll(groups, results, err)
		return nil
	}
	var writes []write
	for key, members := range groups {
		w, err := s.decide(ctx, key, known[key], pick(messages, members))
		switch {
		case err != nil:
			failAll(map[string][]int{key: members}, results, err)
		case w.replacement != nil:
			writes = append(writes, w)
		}
	}
	return s.replace(ctx, writes, groups, messages, results)
}

// read returns the states of the groups as the majority has them.
func (s *Store) read(ctx context.Context, groups map[string][]int) (map[string]*stateHead, error) {
	keys := make([]string, 0, len(groups))
	for key := range groups {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	cursor, err := s.subscriptions.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}},
		options.Find().SetProjection(headProjection()))
	if err != nil {
		return nil, explain("reading states", err)
	}
	var heads []stateHead
	if err := cursor.All(ctx, &heads); err != nil {
		return nil, explain("reading states", err)
	}
	found := make(map[string]*stateHead, len(heads))
	for i := range heads {
		found[heads[i].Key] = &heads[i]
	}
	return found, nil
}

// write is one state document to be replaced under its revision.
type write struct {
	key         string
	revision    int64 // the revision that was read, 0 for none
	replacement bson.Raw
	relevant    []string // ids of the events on which the new state rests
}

// decide merges new messages into what is known of a subscription. A write
// without replacement means that nothing has to be written: every event is
// known already, or too old to matter.
func (s *Store) decide(ctx context.Context, key string, head *stateHead, fresh []events.Message) (write, error) {
	if head == nil {
		head = &stateHead{Key: key}
	}
	facts, err := s.facts(ctx, head)
	if err != nil {
		return write{}, err
	}
	verdict := events.Fold(append(facts, factsOf(fresh)...))
	if head.current() && sameFacts(verdict.Relevant, facts) {
		return write{}, nil
	}
	winner, err := s.message(ctx, key, verdict.Winner.EventID, fresh)
	if err != nil {
		return write{}, err
	}
	replacement, err := encodeState(head, winner, verdict, s.cfg.Now())
	return write{key: key, revision: head.Version.N, replacement: replacement, relevant: eventIDs(verdict.Relevant)}, err
}

// facts returns what is known of a subscription. A state that was decided by an
// older rule is decided anew from the whole audit trail.
func (s *Store) facts(ctx context.Context, head *stateHead) ([]events.Fact, error) {
	switch {
	case head.Version.Rule > events.Rule:
		return nil, fault.New(fault.Transient, "newer_rule", events.ErrNewerRule)
	case head.Version.N > 0 && head.Version.Rule < events.Rule:
		return s.factsFromAudit(ctx, head.Key)
	}
	return head.facts(), nil
}

func (s *Store) factsFromAudit(ctx context.Context, key string) ([]events.Fact, error) {
	cursor, err := s.events.Find(ctx, bson.D{{Key: "subscription_key", Value: key}})
	if err != nil {
		return nil, explain("reading audit trail", err)
	}
	defer func() { _ = cursor.Close(ctx) }()
	var facts []events.Fact
	for cursor.Next(ctx) {
		var doc auditDocument
		if err := cursor.Decode(&doc); err != nil {
			return nil, explain("reading audit trail", err)
		}
		m, err := doc.toMessage()
		if err != nil {
			return nil, err
		}
		if fact, ok := events.FactOf(m); ok {
			facts = append(facts, fact)
		}
	}
	return facts, explain("reading audit trail", cursor.Err())
}

// message returns the winner's message: one of the batch, else from the audit.
func (s *Store) message(ctx context.Context, subscription, eventID string, fresh []events.Message) (events.Message, error) {
	for _, m := range fresh {
		if m.ID == eventID {
			return m, nil
		}
	}
	first := fresh[0]
	m, err := s.stored(ctx, events.Key(first.Livemode, first.StripeAccount, eventID))
	if err == nil && m.SubscriptionKey() != subscription {
		return events.Message{}, fault.New(fault.Transient, "audit_mismatch",
			fmt.Errorf("audit document of %s tells of another subscription", events.SafeID(eventID)))
	}
	return m, err
}

// replace writes the states and returns the groups whose revision had moved.
func (s *Store) replace(ctx context.Context, writes []write, groups map[string][]int, messages []events.Message, results []result) map[string][]int {
	again := map[string][]int{}
	for i, failure := range s.replaceEach(ctx, writes) {
		members := groups[writes[i].key]
		switch {
		case failure == nil:
			markApplied(writes[i], members, messages, results)
		case isDuplicate(failure):
			again[writes[i].key] = members
		default:
			failAll(map[string][]int{writes[i].key: members}, results, explain("replacing state", failure))
		}
	}
	return again
}

// replaceEach sends each replacement as a command of its own, one after the
// other. In one command for all the embedded database stops at the first failure
// without a word about the rest, and with many documents it never answers; and
// its updates are not atomic across connections.
func (s *Store) replaceEach(ctx context.Context, writes []write) []error {
	failures := make([]error, len(writes))
	for i, w := range writes {
		failures[i] = s.replaceOne(ctx, w)
	}
	return failures
}

// replaceOne replaces the revision that was read. If that is no longer there,
// the upsert collides with what is, which is a duplicate key.
func (s *Store) replaceOne(ctx context.Context, w write) error {
	filter := bson.D{{Key: "_id", Value: w.key}, {Key: "version.n", Value: w.revision}}
	_, err := s.subscriptions.ReplaceOne(ctx, filter, w.replacement, options.Replace().SetUpsert(true))
	return single(err)
}

// markApplied leaves out events that came in the same batch as what supersedes
// them.
func markApplied(w write, members []int, messages []events.Message, results []result) {
	for _, i := range members {
		if slices.Contains(w.relevant, messages[i].ID) {
			results[i].effect = events.Applied
		}
	}
}

func failAll(groups map[string][]int, results []result, err error) {
	for _, members := range groups {
		for _, i := range members {
			results[i].err = err
		}
	}
}

func pick(messages []events.Message, members []int) []events.Message {
	picked := make([]events.Message, len(members))
	for k, i := range members {
		picked[k] = messages[i]
	}
	return picked
}

func factsOf(messages []events.Message) []events.Fact {
	facts := make([]events.Fact, 0, len(messages))
	for _, m := range messages {
		if fact, ok := events.FactOf(m); ok {
			facts = append(facts, fact)
		}
	}
	return facts
}

func sameFacts(a, b []events.Fact) bool { return slices.Equal(eventIDs(a), eventIDs(b)) }

// eventIDs are the ids of facts in order: two sets of facts of one subscription
// with equal ids are equal.
func eventIDs(facts []events.Fact) []string {
	ids := make([]string, len(facts))
	for i, f := range facts {
		ids[i] = f.EventID
	}
	slices.Sort(ids)
	return ids
}
