package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// Kind is the kind of a finding.
type Kind string

// The kinds of findings.
const (
	Difference   Kind = "difference"   // a record differs from what the audit trail says
	Unverifiable Kind = "unverifiable" // the audit trail no longer determines the record
	Gap          Kind = "gap"          // events are missing from the audit trail
)

// Finding is one thing that a verification found to be wrong.
type Finding struct {
	Kind Kind   `json:"kind"`
	Key  string `json:"key"`
	// Field is the field of the record that differs. It is "record" if there is no
	// record, and "audit" if there are no audit documents. Have and Want are "" if
	// there is no value.
	Field string `json:"field,omitempty"`
	Have  string `json:"have,omitempty"`
	Want  string `json:"want,omitempty"`
	Fixed bool   `json:"fixed,omitempty"`
	// Reason says why a record is unverifiable.
	Reason string `json:"reason,omitempty"`
	// The gap is between these events.
	After  string `json:"after,omitempty"`
	Before string `json:"before,omitempty"`
	Since  string `json:"since,omitempty"`
	Until  string `json:"until,omitempty"`
}

// comparison is the result of comparing one record with its events.
type comparison struct {
	key      string
	findings []Finding
	// older is true if an older rule decided the record.
	older bool
	// decided is true if the audit trail says what the record should be.
	decided bool
}

func (c comparison) differs() bool { return len(c.findings) > 0 }
func (c comparison) fixable() bool { return c.decided && (c.differs() || c.older) }

func (c *comparison) markFixed(fixed bool) {
	for i := range c.findings {
		c.findings[i].Fixed = fixed
	}
	c.older = c.older && !fixed
}

func (c comparison) count(s *Summary) {
	switch {
	case !c.differs() && c.older:
		s.Older++
	case !c.differs():
	case c.findings[0].Kind == Unverifiable:
		s.Unverifiable++
	case c.findings[0].Fixed:
		s.Fixed++
	default:
		s.Differing++
	}
}

// compare compares a record with what its events and the catalog say. Of a record that an older rule
// decided, it leaves out the fields that the rule keeps for itself. If latest is
// true, the names are read again.
func (r *run) compare(ctx context.Context, t *trail, record store.StoredRecord, latest bool) (comparison, error) {
	c := comparison{key: record.Key, older: record.Exists && record.Rule < ordering.Rule}
	if t.size() == 0 {
		c.findings = []Finding{{Kind: Difference, Key: c.key, Field: "audit", Want: record.EventID}}
		return c, nil
	}
	if reason := unverifiable(t, record); reason != "" {
		c.findings = []Finding{{Kind: Unverifiable, Key: c.key, Reason: reason}}
		return c, nil
	}
	c.decided = true
	if !record.Exists {
		c.findings = []Finding{{Kind: Difference, Key: c.key, Field: "record", Want: t.verdict.Winner.EventID}}
		return c, nil
	}
	decision, err := r.decision(ctx, t, latest)
	if err != nil {
		return c, err
	}
	want, err := r.Store.Fields(c.key, decision)
	if err != nil {
		return c, err
	}
	c.findings = compareFields(c.key, record.Fields, want, c.older)
	return c, nil
}

func unverifiable(t *trail, record store.StoredRecord) string {
	switch {
	case record.Rule > ordering.Rule:
		return store.ErrNewerRule.Error()
	case len(t.unreadable) > 0:
		return fmt.Sprintf("the audit document of %s does not hold a message", events.SafeID(t.unreadable[0]))
	case record.Exists && !hasFact(t.facts, record.EventID):
		return fmt.Sprintf("the audit document of %s, which holds its state, is missing", events.SafeID(record.EventID))
	}
	return ""
}

// ruleFields are the fields of a record that depend on the version of the rule.
var ruleFields = []string{"version.rule", "version.known", "explanation", "ordering"}

func compareFields(key string, have, want map[string]string, older bool) []Finding {
	names := maps.Clone(have)
	maps.Copy(names, want)
	var findings []Finding
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if have[name] == want[name] || older && slices.Contains(ruleFields, name) {
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
			Since: g.Since.UTC().Format(time.RFC3339), Until: g.Until.UTC().Format(time.RFC3339),
		}
	}
	return findings
}
