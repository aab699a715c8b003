// Package report shows a run of the programs under faults on one page: what was found, and a
// timeline of the faults over throughput and lag, which says where it hurt.
package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/billbus/billbus/test/chaos/verdict"
)

// Fault is a fault that was injected.
type Fault struct {
	Kind, Target string
	Begin, End   time.Time
}

// Point is what happened in one second.
type Point struct {
	At                     time.Time
	Sent, Accepted, Stored int
	Lag                    int // messages that are not acknowledged
}

// Pause is a time in which something did not answer.
type Pause struct {
	What   string        `json:"what"`
	Begin  time.Time     `json:"begin"`
	Length time.Duration `json:"length"`
}

// Data is what there is to say about a run.
type Data struct {
	Seed                 int64
	Command              string // repeats the run
	Began, Healed, Ended time.Time
	Faults               []Fault
	Points               []Point
	Findings             []verdict.Finding
	Failures             []string // what kept the run from its end
	Pauses               []Pause
	Versions             map[string]string
	Figures              map[string]float64
}

//go:embed report.html
var text string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"seconds": func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) },
	"number":  func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) },
}).Parse(text))

// Write writes the page, which needs no other file.
func Write(w io.Writer, d Data) error {
	err := page.Execute(w, struct {
		Data
		Timeline timeline
	}{d, newTimeline(d)})
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// Since returns how long after the beginning something happened.
func (d Data) Since(at time.Time) time.Duration { return at.Sub(d.Began) }

// ByBegin returns the faults in the order in which they began.
func (d Data) ByBegin() []Fault {
	return slices.SortedStableFunc(slices.Values(d.Faults), func(a, b Fault) int { return a.Begin.Compare(b.Begin) })
}

// Length returns how long a fault lasted.
func (f Fault) Length() time.Duration { return f.End.Sub(f.Begin) }
