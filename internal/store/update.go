package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
)

// maxRefolded bounds how many facts are folded again to find out which events of a
// batch a new state depends on.
const maxRefolded = 4000

// stateMessage is a message that shows the state of a subscription, with its fact if that
// was made before.
type stateMessage struct {
	events.Message
	fact *ordering.Fact
}

func (m stateMessage) contradicts() bool { return contradicts(m.Message) }

// update is a record that is being decided.
type update struct {
	head Head
	// fresh are the messages of the batch that show the state of the subscription. If
	// there are none, only its user may have changed.
	fresh []stateMessage
	// unsure is true if the user has to be resolved again, whatever else changes.
	unsure bool
	// again is true if the record has to be decided from the whole audit trail, and marks
	// if it has to be marked before that.
	again, marks bool
	// before are the facts that the record already knew. all are those that it is
	// decided from.
	before, all []ordering.Fact
	verdict     Verdict
	winner      events.Message

	// renamed is true if the names in the record are not those of the catalog. added are
	// the versions of the listings that the record did not refer to before.
	renamed bool
	added   map[string]int64

	// needed is true if the record has to be written, and repeats if it then knows the
	// same facts as before.
	needed, repeats bool
	// state is what the record says if it is written.
	state *State
	// owner is what the subscription says in the end, and userFacts what events say.
	owner     Owner
	userFacts []ordering.UserFact
	user      ordering.User
	err       error
}

// decide merges new messages into what is known of their subscriptions. Each read is
// one query for all updates.
func (c *Committer) decide(ctx context.Context, updates []*update) {
	for _, u := range updates {
		if u.head.Rule > ordering.Rule {
			u.err = fault.New(fault.Transient, fault.NewerRule, ErrNewerRule)
		}
	}
	c.findCurrent(ctx, updates)
	c.mark(ctx, updates)
	c.readHistories(ctx, updates)
	for _, u := range updates {
		if u.err == nil && !u.marks {
			u.decide()
		}
	}
	c.findWinners(ctx, updates)
	c.resolveUsers(ctx, updates)
}

// findCurrent replaces messages by what the audit trail holds of them now. A record
// whose events were read again may be newer than a message that was found before, and
// must not go back to it. A batch can have several readings of one event.
func (c *Committer) findCurrent(ctx context.Context, updates []*update) {
	affected := filter(updates, func(u *update) bool {
		return u.err == nil && (u.head.Reread || slices.ContainsFunc(u.fresh, stateMessage.contradicts))
	})
	var keys []string
	for _, u := range affected {
		for _, m := range u.fresh {
			keys = append(keys, m.Key())
		}
	}
	stored := c.lookUp(ctx, keys)
	for _, u := range affected {
		for i, m := range u.fresh {
			current, err := stored.message(m.Key())
			if u.fresh[i], u.err = (stateMessage{Message: current}), err; err != nil {
				break
			}
		}
	}
}

// mark finds out which records have to be decided again from the whole audit trail: one
// that an older rule decided, and one that may know an earlier reading of an event. What
// that has left out can matter now.
//
// It marks them, and the next attempt decides them. After that, every writer replaces the
// record, so none can take an event for covered that the audit trail did not have when it
// was read here.
func (c *Committer) mark(ctx context.Context, updates []*update) {
	for _, u := range updates {
		if u.err != nil {
			continue
		}
		u.again = u.head.Revision > 0 && u.head.Rule < ordering.Rule || slices.ContainsFunc(u.fresh, stateMessage.contradicts)
		u.marks = u.again && u.head.Revision > 0 && !u.head.Reread
		if !u.marks {
			continue
		}
		if err := c.db.Mark(ctx, u.head); err != nil && !errors.Is(err, ErrExists) {
			u.err = err
		}
		failpoint.At("store:marked")
	}
}

// readHistories reads all facts of the subscriptions that need them, and whether one of
// these took the place of another reading.
func (c *Committer) readHistories(ctx context.Context, updates []*update) {
	affected := filter(updates, func(u *update) bool { return u.err == nil && u.again && !u.marks })
	if len(affected) == 0 {
		return
	}
	of := make(map[string]*update, len(affected))
	keys := make([]string, len(affected))
	for i, u := range affected {
		u.head.Reread = u.head.Current()
		keys[i], of[u.head.Key] = u.head.Key, u
	}
	for audited, err := range c.db.Histories(ctx, keys) {
		if err != nil {
			for _, u := range affected {
				u.err = err
			}
			return
		}
		u := of[audited.Subscription]
		if fact, ok := ordering.FactOf(audited.Message); ok && u != nil {
			u.all = append(u.all, fact)
			u.head.Reread = u.head.Reread || contradicts(audited.Message)
		}
	}
	for _, u := range affected {
		u.addKnown()
	}
}

// addKnown adds the facts that the record has kept of events whose documents are damaged or missing,
// unless an older rule may have made other facts of them.
func (u *update) addKnown() {
	if !u.head.Current() {
		return
	}
	for _, fact := range u.head.Known {
		if !slices.ContainsFunc(u.all, isFactOf(fact.EventID)) {
			u.all = append(u.all, fact)
		}
	}
}

// decide decides a record. Nothing needs to be written if every event is known, or too
// old to matter. A record whose events were read again is always written, see
// [Head.Reread].
func (u *update) decide() {
	if len(u.fresh) == 0 && !u.again && !u.renamed {
		return
	}
	known := u.head.Known
	if !u.again { // else the audit trail has said everything
		u.before, u.all = known, slices.Concat(known, factsOf(u.fresh))
	}
	if len(u.all) == 0 {
		u.err = fault.New(fault.Transient, fault.AuditMissing, errors.New("the audit trail has no event of the subscription"))
		return
	}
	u.verdict = Decide(u.all)
	u.needed = u.again || u.renamed || u.head.Reread || !sameEvents(u.verdict.Relevant, known)
	u.repeats = u.again && u.head.Current() && sameFacts(u.verdict.Relevant, known)
}

// findWinners finds the messages of the winners, with all items that are known. Most of
// them are in the batch.
func (c *Committer) findWinners(ctx context.Context, updates []*update) {
	deciding := filter(updates, func(u *update) bool { return u.err == nil && u.needed })
	var keys []string
	for _, u := range deciding {
		for _, id := range []string{u.verdict.Winner.EventID, u.verdict.Items.EventID} {
			if _, ok := u.brought(id); !ok && id != "" {
				keys = append(keys, u.keyOf(id))
			}
		}
	}
	stored := c.lookUp(ctx, keys)
	for _, u := range deciding {
		u.winner, u.err = u.withItems(stored)
	}
}

func (u *update) withItems(stored lookup) (events.Message, error) {
	winner, err := u.message(u.verdict.Winner.EventID, stored)
	if err != nil || u.verdict.Items.EventID == "" {
		return winner, err
	}
	list, err := u.message(u.verdict.Items.EventID, stored)
	if err != nil {
		return events.Message{}, err
	}
	return WithItems(winner, list), nil
}

// message returns the message of an event, from the batch or from the audit trail.
func (u *update) message(eventID string, stored lookup) (events.Message, error) {
	if m, ok := u.brought(eventID); ok {
		return m, nil
	}
	m, err := stored.message(u.keyOf(eventID))
	if err == nil && m.SubscriptionKey() != u.head.Key {
		return events.Message{}, fault.New(fault.Transient, fault.AuditMismatch,
			fmt.Errorf("the audit document of %s is about another subscription", events.SafeID(eventID)))
	}
	return m, err
}

// brought returns the message of an event from the batch.
func (u *update) brought(eventID string) (events.Message, bool) {
	i := slices.IndexFunc(u.fresh, func(m stateMessage) bool { return m.ID == eventID })
	if i < 0 {
		return events.Message{}, false
	}
	return u.fresh[i].Message, true
}

// keyOf returns the key of an event in the mode and account of the subscription.
func (u *update) keyOf(eventID string) string {
	prefix, _ := splitKey(u.head.Key)
	_, id := splitKey(events.Key(false, "", eventID))
	return prefix + id
}

// applied returns the events of the batch without which the record would be decided in
// another way. Only relevant facts can be among them. It tries each one, which takes a
// fold. If that would take too long, the answer is the events that hold the state.
func (u *update) applied() map[string]bool {
	if !u.needed {
		return nil
	}
	applied := map[string]bool{u.verdict.Winner.EventID: true, u.verdict.Items.EventID: true}
	brought, candidates := map[string]bool{}, map[string]bool{}
	for _, m := range u.fresh {
		brought[m.ID] = true
	}
	for _, f := range u.verdict.Relevant {
		if brought[f.EventID] && !applied[f.EventID] {
			candidates[f.EventID] = true
		}
	}
	for _, f := range u.before {
		delete(candidates, f.EventID)
		delete(applied, f.EventID)
	}
	if len(candidates)*len(u.all) > maxRefolded {
		return applied
	}
	for id := range candidates {
		applied[id] = u.dependsOn(id)
	}
	return applied
}

// dependsOn reports whether the verdict would be another one without an event.
func (u *update) dependsOn(eventID string) bool {
	without := Decide(slices.DeleteFunc(slices.Clone(u.all), isFactOf(eventID)))
	return without.Winner.EventID != u.verdict.Winner.EventID || without.Ordering != u.verdict.Ordering ||
		without.Items.EventID != u.verdict.Items.EventID
}

func filter(updates []*update, keep func(*update) bool) []*update {
	var kept []*update
	for _, u := range updates {
		if keep(u) {
			kept = append(kept, u)
		}
	}
	return kept
}

func factsOf(messages []stateMessage) []ordering.Fact {
	facts := make([]ordering.Fact, 0, len(messages))
	for _, m := range messages {
		if m.fact == nil {
			m.fact = FactOf(m.Message)
		}
		if m.fact != nil {
			facts = append(facts, *m.fact)
		}
	}
	return facts
}

func isFactOf(eventID string) func(ordering.Fact) bool {
	return func(f ordering.Fact) bool { return f.EventID == eventID }
}

// sameFacts reports whether two lists of facts, by event id, are equal.
func sameFacts(a, b []ordering.Fact) bool {
	return slices.EqualFunc(a, b, func(f, g ordering.Fact) bool {
		same := f.Moment.Equal(g.Moment)
		f.Moment = g.Moment
		return same && f == g
	})
}

// sameEvents reports whether two sets of facts of one subscription are equal: facts
// with equal ids are.
func sameEvents(a, b []ordering.Fact) bool { return slices.Equal(eventIDs(a), eventIDs(b)) }

func eventIDs(facts []ordering.Fact) []string {
	ids := make([]string, len(facts))
	for i, f := range facts {
		ids[i] = f.EventID
	}
	slices.Sort(ids)
	return ids
}
