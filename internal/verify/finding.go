package verify

import (
	"fmt"
	"maps"
	"slices"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// Kind is what a finding is.
type Kind string

// The kinds of a finding.
const (
	Difference   Kind = "difference"   // a record does not say what the audit trail does
	Unverifiable Kind = "unverifiable" // the audit trail cannot tell any more
	Gap          Kind = "gap"          // events are missing in the audit trail
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Kind Kind   `json:"kind"`
	Key  string `json:"key"`
	// Field is what differs: one of the record, or record or audit, where the
	// whole of it is missing. Have and Want are "" where there is none.
	Field string `json:"field,omitempty"`
	Have  string `json:"have,omitempty"`
	Want  string `json:"want,omitempty"`
	Fixed bool   `json:"fixed,omitempty"`
	// Reason says why a record is unverifiable.
	Reason string `json:"reason,omitempty"`
	// Gap lies between these events.
	After  string `json:"after,omitempty"`
	Before string `json:"before,omitempty"`
	Since  string `json:"since,omitempty"`
	Until  string `json:"until,omitempty"`
}

// examination is what a look at one subscription found.
type examination struct {
	key      string
	findings []Finding
	older    bool
	// decided is true if the audit trail says what the record should be.
	decided bool
}

func (x examination) doubtful() bool { return len(x.findings) > 0 }
func (x examination) fixable() bool  { return x.decided && (x.doubtful() || x.older) }

func (x *examination) fix(written bool) {
	for i := range x.findings {
		x.findings[i].Fixed = written
	}
	x.older = x.older && !written
}

func (x examination) count(s *Summary) {
	switch {
	case len(x.findings) == 0:
	case x.findings[0].Kind == Unverifiable:
		s.Unverifiable++
		return
	case x.findings[0].Fixed:
		s.Fixed++
		return
	default:
		s.Differing++
		return
	}
	if x.older {
		s.Older++
	}
}

// examine compares a record with what its events say. A record of older rules is
// compared by what it says, and not by what it keeps for the rules.
func (r *run) examine(f *folding, record store.StoredRecord) (examination, error) {
	x := examination{key: record.Key, older: record.Exists && record.Rule < ordering.Rule}
	if len(f.facts) == 0 && len(f.unreadable) == 0 {
		x.findings = []Finding{{Kind: Difference, Key: x.key, Field: "audit", Want: record.EventID}}
		return x, nil
	}
	if why := unverifiable(f, record); why != "" {
		x.findings = []Finding{{Kind: Unverifiable, Key: x.key, Reason: why}}
		return x, nil
	}
	x.decided = true
	if !record.Exists {
		x.findings = []Finding{{Kind: Difference, Key: x.key, Field: "record", Want: f.verdict.Winner.EventID}}
		return x, nil
	}
	want, err := r.Store.Render(x.key, f.winner(), f.verdict)
	if err != nil {
		return x, err
	}
	x.findings = compare(x.key, record.Fields, want, x.older)
	return x, nil
}

func unverifiable(f *folding, record store.StoredRecord) string {
	switch {
	case record.Rule > ordering.Rule:
		return store.ErrNewerRule.Error()
	case len(f.unreadable) > 0:
		return fmt.Sprintf("the audit document of %s does not hold a message", events.SafeID(f.unreadable[0]))
	case record.Exists && !hasFact(f.facts, record.EventID):
		return fmt.Sprintf("the audit document of %s, on which it rests, is not there", events.SafeID(record.EventID))
	}
	return ""
}

// forRules are the fields that the rules keep for themselves.
var forRules = []string{"version.rule", "version.known", "explanation", "ordering"}

func compare(key string, have, want map[string]string, older bool) []Finding {
	names := maps.Clone(have)
	maps.Copy(names, want)
	var findings []Finding
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if have[name] == want[name] || older && slices.Contains(forRules, name) {
			continue
		}
		findings = append(findings, Finding{Kind: Difference, Key: key, Field: name, Have: have[name], Want: want[name]})
	}
	return findings
}

func gapFindings(key string, gaps []ordering.Gap) []Finding {
	findings := make([]Finding, len(gaps))
	for i, g := range gaps {
		findings[i] = Finding{
			Kind: Gap, Key: key, After: g.After, Before: g.Before,
			Since: g.Since.UTC().Format(timeForm), Until: g.Until.UTC().Format(timeForm),
		}
	}
	return findings
}

const timeForm = "2006-01-02T15:04:05Z07:00"
