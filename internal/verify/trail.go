package verify

import (
	"slices"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// trail are the events of one subscription, folded while they are read. It keeps all
// facts, but only the messages that the verdict can still depend on.
type trail struct {
	facts      []ordering.Fact
	messages   map[string]events.Message
	verdict    store.Verdict
	unreadable []string // event ids of damaged documents
	user       ordering.User
}

func newTrail() *trail { return &trail{messages: map[string]events.Message{}} }

func (t *trail) add(a store.Audited) {
	if a.Unreadable {
		t.unreadable = append(t.unreadable, a.ID)
		return
	}
	fact, ok := ordering.FactOf(a.Message)
	if !ok {
		return
	}
	t.facts = append(t.facts, fact)
	t.messages[fact.EventID] = a.Message
	t.verdict = store.Decide(append(slices.Clone(t.verdict.Relevant), fact))
	for id := range t.messages {
		if !hasFact(t.verdict.Relevant, id) {
			delete(t.messages, id)
		}
	}
}

// winner returns the message that holds the state, with all items that are known.
func (t *trail) winner() events.Message {
	winner := t.messages[t.verdict.Winner.EventID]
	if list, ok := t.messages[t.verdict.Items.EventID]; ok {
		return store.WithItems(winner, list)
	}
	return winner
}

// decision is what the record should say.
func (t *trail) decision() store.Decision {
	return store.Decision{Winner: t.winner(), Verdict: t.verdict.Verdict, User: t.user}
}

// size is the number of documents that were read.
func (t *trail) size() int { return len(t.facts) + len(t.unreadable) }

func hasFact(facts []ordering.Fact, id string) bool {
	return slices.ContainsFunc(facts, func(f ordering.Fact) bool { return f.EventID == id })
}
