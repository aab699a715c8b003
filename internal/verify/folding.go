package verify

import (
	"slices"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// folding decides the state of one subscription while its events go by. Of the
// messages it keeps only those on which the state can still rest.
type folding struct {
	facts      []ordering.Fact
	messages   map[string]events.Message
	verdict    ordering.Verdict
	unreadable []string
}

func newFolding() *folding { return &folding{messages: map[string]events.Message{}} }

func (f *folding) add(a store.Audited) {
	if a.Unreadable != "" {
		f.unreadable = append(f.unreadable, a.Unreadable)
		return
	}
	fact, ok := ordering.FactOf(a.Message)
	if !ok {
		return
	}
	f.facts = append(f.facts, fact)
	f.messages[fact.EventID] = a.Message
	f.verdict = ordering.Fold(append(slices.Clone(f.verdict.Relevant), fact))
	for id := range f.messages {
		if !hasFact(f.verdict.Relevant, id) {
			delete(f.messages, id)
		}
	}
}

func (f *folding) winner() events.Message { return f.messages[f.verdict.Winner.EventID] }

func hasFact(facts []ordering.Fact, id string) bool {
	return slices.ContainsFunc(facts, func(f ordering.Fact) bool { return f.EventID == id })
}
