package verdict

import (
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/access"
)

// answer is what an access document should say.
type answer struct {
	events.AccessDocument
	truth events.AccessDocument
	// uncertain is true if a record on which it depends is ambiguous. Then the AccessDocument
	// follows from what the records say.
	uncertain bool
}

// judgeAccess compares the access documents, in the database and in the state view, and the
// messages about their changes with what follows from the subscriptions.
func (j *judgment) judgeAccess() {
	wanted := j.answers()
	for _, key := range sortedKeys(wanted) {
		want := wanted[key]
		doc, stored := j.access[key]
		entry, held := j.entries[key]
		if problem := want.difference(doc, stored); problem != "" {
			j.find(Access, key, "%s", problem)
		}
		problem := want.difference(entry.AccessDocument, held)
		if problem == "" && stored && entry.Revision != doc.Revision {
			problem = "it is another revision than the document in the database"
		}
		if problem != "" {
			j.find(Bucket, key, "%s", problem)
		}
	}
	j.Figures["access documents"], j.Figures["access messages"] = float64(len(j.access)), float64(len(j.messages))
	j.judgeMessages(wanted)
}

// answers returns what each access document should say, without those that depend on a record
// that is not judged. One of a former owner has no subscriptions.
func (j *judgment) answers() map[string]answer {
	have, truth, unknown, uncertain := map[string][]access.Record{}, map[string][]access.Record{}, map[string]bool{}, map[string]bool{}
	for key, t := range j.run.History.Truth {
		want, judged := j.right[key]
		for _, owner := range ownersOf(t.Recorded()[0]) {
			unknown[owner] = unknown[owner] || !judged
			uncertain[owner] = uncertain[owner] || want.uncertain
			have[owner] = append(have[owner], access.Record{Subscription: want.Subscription})
			truth[owner] = append(truth[owner], access.Record{Subscription: want.truth})
		}
	}
	for _, key := range slices.Concat(sortedKeys(j.access), sortedKeys(j.entries)) {
		if have[key] == nil {
			have[key] = nil
		}
	}
	answers := map[string]answer{}
	for owner := range have {
		if !unknown[owner] {
			answers[owner] = answer{access.Of(have[owner], nil), access.Of(truth[owner], nil), uncertain[owner]}
		}
	}
	return answers
}

// ownersOf returns the keys of the access documents to which a subscription belongs.
func ownersOf(sub events.Subscription) []string {
	owners := []string{databaseKey(events.CustomerAccessKey(sub.Livemode, sub.AccountID, sub.CustomerID))}
	if sub.UserID != "" {
		owners = append(owners, databaseKey(events.UserAccessKey(sub.Livemode, sub.AccountID, sub.UserID)))
	}
	return owners
}

func databaseKey(key string) string { return strings.ReplaceAll(key, ".", ":") }

// difference returns what is wrong with a document; "" if nothing is.
func (a answer) difference(have events.AccessDocument, found bool) string {
	if !found {
		return "there is none"
	}
	want, got := a.WithoutNames(), have.WithoutNames()
	if a.uncertain {
		want.Ambiguous = got.Ambiguous
	}
	if !got.SameDocument(want) {
		return "it differs (-want +got):\n" + cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(want, "Revision", "UpdatedAt"))
	}
	if a.uncertain && !got.Ambiguous && !sameUse(a.truth, got) {
		return "it is not ambiguous, and the truth is " + a.truth.Access + " of other products, or in other quantities"
	}
	return ""
}

// sameUse reports whether two documents allow the same use.
func sameUse(a, b events.AccessDocument) bool {
	return a.Access == b.Access && cmp.Equal(a.WithoutNames().Products, b.WithoutNames().Products, cmpopts.EquateEmpty())
}

// judgeMessages checks that the messages of each document are in the stream once, follow one
// another without a gap, and lead to what is right. A stream that was created again has only
// the last part of each chain: it may begin anywhere, and be empty if the document has not
// changed since.
func (j *judgment) judgeMessages(wanted map[string]answer) {
	last := map[string]events.AccessDocument{}
	for _, m := range j.messages {
		key := databaseKey(m.Subject)
		after, before := m.Data.Access, m.Data.PreviousAccess
		if after == nil {
			j.find(AccessMessage, key, "%s has no document", m.ID)
			continue
		}
		if before == nil {
			before = &events.AccessDocument{}
		}
		known, ok := last[key]
		switch {
		case ok && after.Revision <= known.Revision:
			j.find(AccessMessage, key, "%s is about revision %d, after one about revision %d", m.ID, after.Revision, known.Revision)
			continue
		case !agree(*before, known) && (ok || len(j.run.Renewed) == 0):
			j.find(AccessMessage, key, "%s says that access was %s by subscription %q; the message before says %s by %q",
				m.ID, accessOf(*before), before.SubscriptionID, accessOf(known), known.SubscriptionID)
		case m.Type != events.AccessSubject(*before, *after):
			j.find(AccessMessage, key, "%s is %s, want %s", m.ID, m.Type, events.AccessSubject(*before, *after))
		}
		last[key] = *after
	}
	for _, key := range sortedKeys(wanted) {
		j.judgeLast(key, wanted[key], last)
	}
}

// judgeLast checks that the last message of a document agrees with what is right.
func (j *judgment) judgeLast(key string, want answer, last map[string]events.AccessDocument) {
	said, ok := last[key]
	if !ok && j.isOlderThanTheStream(key) {
		return
	}
	if want.uncertain {
		want.Ambiguous = said.Ambiguous
	}
	if !agree(said, want.AccessDocument) {
		j.find(AccessMessage, key, "the last message says %s by subscription %q, want %s by %q",
			accessOf(said), said.SubscriptionID, want.Access, want.SubscriptionID)
	}
}

// isOlderThanTheStream reports whether the last change of a document that has a message may
// have been before the first message of a stream that was created again. The message of such
// a change is not published again, see docs/adr/0014.
func (j *judgment) isOlderThanTheStream(key string) bool {
	if len(j.run.Renewed) == 0 {
		return false
	}
	entry := j.entries[key]
	return j.begins.IsZero() || entry.UpdatedAt.Before(j.begins) || events.AccessSubject(entry.Previous, entry.AccessDocument) == ""
}

// agree reports whether two documents give the same answer, or both give no access, about
// which nothing is published.
func agree(a, b events.AccessDocument) bool {
	return a.SameAnswer(b) || accessOf(a) == events.AccessNone && accessOf(b) == events.AccessNone
}

func accessOf(d events.AccessDocument) string {
	if d.Access == "" {
		return events.AccessNone
	}
	return d.Access
}
