package verdict

import (
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/stripesim"
)

// expected is a subscription as its record should be.
type expected struct {
	events.Subscription
	truth events.Subscription
	// uncertain is true if the record is ambiguous, and may be. Then the Subscription is what
	// the record says.
	uncertain bool
}

// judgeRecords compares the records with the truth.
func (j *judgment) judgeRecords() {
	for key, truth := range j.run.History.Truth {
		if slices.ContainsFunc(truth.Events, func(e stripesim.EventRef) bool { return e.ID != "" && j.audited[e.ID] == 0 }) {
			j.Figures["records not judged, because events are missing"]++
			continue
		}
		want, problem := expect(truth, j.records[key])
		if problem == nil {
			problem = difference(want, j.records[key])
		}
		if problem != nil {
			j.find(problem.Rule, key, "%s", problem.What)
		}
		if want.uncertain {
			j.Figures["records that are ambiguous"]++
		}
		j.right[key] = want
	}
	for key := range j.records {
		if _, ok := j.run.History.Truth[key]; !ok {
			j.find(State, key, "there is a record, and there was no such subscription")
		}
	}
	j.Figures["records"] = float64(len(j.records))
}

// judgeStates compares the entries of the state view with the same truth, and with the
// revisions of the records.
func (j *judgment) judgeStates() {
	for key, want := range j.right {
		have, record := j.states[key], j.records[key]
		problem := difference(want, have)
		if problem == nil && record.ID != "" && have.Version.N != record.Version.N {
			problem = &Finding{What: "it is another revision than the record"}
		}
		if problem != nil {
			j.find(Bucket, key, "%s", problem.What)
		}
	}
	for key := range j.states {
		if _, ok := j.run.History.Truth[key]; !ok {
			j.find(Bucket, key, "there is an entry, and there was no such subscription")
		}
	}
}

// expect returns what a record should say. It finds fault with a record that is ambiguous
// though the events are not, and with one that rules out the truth.
func expect(truth stripesim.Truth, record events.Record) (expected, *Finding) {
	states := truth.Recorded()
	want := expected{Subscription: states[0], truth: states[0]}
	for _, state := range states {
		if len(differing(state, record.Subscription)) == 0 {
			want.Subscription, want.truth = state, state
		}
	}
	if record.Ordering != string(ordering.Ambiguous) {
		return want, nil
	}
	switch {
	case !truth.Open && !truth.Kind.MayBeAmbiguous():
		return want, &Finding{State, "", "it is ambiguous, and the events are not: " + record.Explanation}
	case !isPossible(truth, record):
		return want, &Finding{State, "", "it is ambiguous, and rules out the last event " + truth.LastEventID}
	}
	want.uncertain, want.Subscription = true, record.Subscription
	want.UserID = states[0].UserID
	return want, nil
}

// isPossible reports whether the last event, or another one that led to the same state, is
// among those that may be the last one.
func isPossible(truth stripesim.Truth, record events.Record) bool {
	var last []ordering.Digest
	for _, sub := range []*events.Subscription{&truth.Subscription, truth.Also} {
		if sub != nil {
			fact, _ := ordering.FactOf(events.Message{Data: events.Data{Subscription: sub}})
			last = append(last, fact.After)
		}
	}
	return slices.ContainsFunc(store.Decide(facts(record)).Candidates, func(f ordering.Fact) bool {
		return f.EventID == truth.LastEventID ||
			slices.ContainsFunc(last, func(d ordering.Digest) bool { return d.Full == f.After.Full || d.Core == f.After.Core })
	})
}

func facts(record events.Record) []ordering.Fact {
	var list []ordering.Fact
	for _, k := range record.Version.Known {
		list = append(list, ordering.Fact{
			EventID: k.EventID, Type: k.Type, APIVersion: k.APIVersion, Moment: k.Moment, Terminal: k.Terminal, Request: k.Request,
			First: k.First, Because: k.Because, ItemsTruncated: k.ItemsTruncated, Access: k.Access, Products: k.Products,
			Before: ordering.Digest(k.Before), After: ordering.Digest(k.After),
		})
	}
	return list
}

// difference returns how a record, or an entry of the state view, differs from what it should
// be; nil if it does not. The user has a rule of its own.
func difference(want expected, have events.Record) *Finding {
	if have.ID == "" {
		return &Finding{State, "", "there is none"}
	}
	if diff := differing(want.Subscription, have.Subscription); diff != "" {
		return &Finding{State, "", "it differs (-want +got):\n" + diff}
	}
	if have.UserID != want.UserID {
		return &Finding{User, "", "its user is " + nameOf(have.UserID) + ", want " + nameOf(want.UserID)}
	}
	return nil
}

func nameOf(user string) string {
	if user == "" {
		return "not known"
	}
	return user
}

// differing returns how two subscriptions differ in something else than the user. Only an
// import learns the names of products.
func differing(want, have events.Subscription) string {
	have.UserID = want.UserID
	have.Items = slices.Clone(have.Items)
	for i, item := range have.Items {
		if item.ProductName == strings.TrimPrefix(item.ProductID, "prod_") {
			have.Items[i].ProductName = ""
		}
	}
	return cmp.Diff(want, have, cmpopts.EquateEmpty())
}
