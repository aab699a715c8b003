// Package verdict judges a run of the programs by what they left behind: whether everything
// that was answered 200 is there, and whether everything that is there is right.
//
// The truth comes from the simulator's history and from the documented rules, never from the
// path on which the subscriber got to its results. What is ambiguous is not excused: it may
// only be what the history leaves open, and the truth must be among what is possible.
package verdict

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/billbus/billbus/internal/stripesim"
)

// Run is what a run says about itself. It is judged when all events were accepted and every
// message was acknowledged.
type Run struct {
	// Accepted says when each event was first answered 200, by its id. To delete the stream
	// excuses no loss: what was not stored has to be sent again.
	Accepted map[string]time.Time
	// History has the truth, with everything that was sent.
	History stripesim.History
	DB      *mongo.Database
	JS      jetstream.JetStream
	Stream  string
	// Renewed is when the stream was created again: what it held before is gone.
	Renewed []time.Time
	// Disturbed is when the first fault began. The samples before it are normal. If it is zero,
	// those of the first tenth of the time are.
	Disturbed  time.Time
	Samples    []Sample // one per process and second
	CleanStops []CleanStop
}

// Sample is what a process needs.
type Sample struct {
	At time.Time
	// Process is its name. Those whose names differ only in a number at the end, such as
	// bridge1 and bridge2, are of one kind.
	Process    string
	RSS        int64 // in bytes
	Goroutines int
}

// CleanStop is a process that ended by SIGTERM, without force.
type CleanStop struct {
	Process string
	At      time.Time
	// Redelivered is how many messages it had handled and were delivered again afterwards.
	Redelivered int
}

// The rules.
const (
	Lost          = "lost"           // an event that was answered 200 is not in the audit trail
	Twice         = "twice"          // an event is in the audit trail more than once
	Unsent        = "unsent"         // an event in the audit trail was never sent
	State         = "state"          // a record differs from the truth, or is missing
	User          = "user"           // a record has another user
	Access        = "access"         // an access document in the database is wrong or missing
	AccessMessage = "access-message" // messages about a change of access are not exact
	Bucket        = "bucket"         // an entry of the state view is wrong or missing
	DeadLetter    = "dead-letter"    // a message became a dead letter
	Redelivered   = "redelivered"    // work that was done was delivered again after a clean stop
	Memory        = "memory"         // a process needs more memory than before the faults
	Goroutines    = "goroutines"     // a process has more goroutines than before the faults
)

// rules are the rules, what matters most first.
var rules = []string{Lost, Twice, Unsent, State, User, Access, AccessMessage, Bucket, DeadLetter, Redelivered, Memory, Goroutines}

// Finding is something that is wrong.
type Finding struct {
	Rule    string `json:"rule"`
	Subject string `json:"subject"`
	What    string `json:"what"`
}

// String implements [fmt.Stringer].
func (f Finding) String() string { return f.Rule + ": " + f.Subject + ": " + f.What }

// Judge returns everything that is wrong, what matters most first.
func Judge(ctx context.Context, run Run) ([]Finding, error) {
	result, err := Examine(ctx, run)
	return result.Findings, err
}

// Result is what was found, and how much there was to look at.
type Result struct {
	Findings []Finding
	Figures  map[string]float64
}

// Examine is [Judge] with figures.
func Examine(ctx context.Context, run Run) (Result, error) {
	e, err := read(ctx, run)
	if err != nil {
		return Result{}, err
	}
	return judge(run, e), nil
}

// judgment is made from what a run says and from what it left behind.
type judgment struct {
	run Run
	evidence
	Result
	audited map[string]int // how often each event is in the audit trail
	// right are the subscriptions as they should be, by key. Those that lack events in the
	// audit trail are not in it: their states cannot be the last ones.
	right map[string]expected
}

func judge(run Run, e evidence) Result {
	j := &judgment{run: run, evidence: e, audited: map[string]int{}, right: map[string]expected{}}
	j.Figures = map[string]float64{}
	j.judgeAudit()
	j.judgeRecords()
	j.judgeStates()
	j.judgeAccess()
	for _, letter := range j.letters {
		j.find(DeadLetter, letter.subject, "%s (sequence %d)", letter.reason, letter.sequence)
	}
	for _, stop := range run.CleanStops {
		if stop.Redelivered > 0 {
			j.find(Redelivered, stop.Process, "%d messages that it had handled were delivered again after it ended at %s",
				stop.Redelivered, stop.At.UTC().Format(time.TimeOnly))
		}
	}
	j.judgeProcesses()
	slices.SortStableFunc(j.Findings, func(a, b Finding) int {
		return cmp.Or(slices.Index(rules, a.Rule)-slices.Index(rules, b.Rule), cmp.Compare(a.Subject, b.Subject))
	})
	return j.Result
}

func (j *judgment) find(rule, subject, format string, args ...any) {
	j.Findings = append(j.Findings, Finding{rule, subject, fmt.Sprintf(format, args...)})
}

// judgeAudit checks that the audit trail has every accepted event once, and no other than
// those that were sent.
func (j *judgment) judgeAudit() {
	sent := map[string]bool{}
	for _, truth := range j.run.History.Truth {
		for _, e := range truth.Events {
			sent[e.ID] = true
		}
	}
	for _, doc := range j.audit {
		j.audited[doc.EventID]++
		if !sent[doc.EventID] && !doc.isSnapshot() {
			j.find(Unsent, doc.EventID, "is in the audit trail, and was never sent")
		}
	}
	for id, times := range j.audited {
		if times > 1 {
			j.find(Twice, id, "is in the audit trail %d times", times)
		}
	}
	for id, at := range j.run.Accepted {
		if j.audited[id] == 0 {
			j.find(Lost, id, "was answered 200 at %s, and is not in the audit trail", at.UTC().Format(time.TimeOnly))
		}
	}
	j.Figures["events accepted"], j.Figures["events audited"] = float64(len(j.run.Accepted)), float64(len(j.audited))
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
