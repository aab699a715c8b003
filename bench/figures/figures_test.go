package figures_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/bench/figures"
	"github.com/billbus/billbus/internal/term"
)

func sample(of, contestant string, round int, rate float64, failures ...string) figures.Sample {
	return figures.Sample{
		Table: "t", Case: of, Contestant: contestant, Round: round, Failures: failures,
		Figures: []figures.Figure{{Name: "events/s", Value: rate}},
	}
}

// The machine is twice as fast in one round: the ratio is that within the rounds.
func samples() []figures.Sample {
	return []figures.Sample{
		sample("a", "floor", 0, 100), sample("a", "ours", 0, 50),
		sample("a", "ours", 1, 120), sample("a", "floor", 1, 200),
		sample("a", "floor", 2, 110), sample("a", "ours", 2, 99, "incomplete <&>"),
		sample("b", "ours", 0, 7),
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	want := []figures.Row{
		{Table: "t", Case: "a", Contestant: "floor", Figure: "events/s", Median: 110, Min: 100, Max: 200, Rounds: 3},
		{Table: "t", Case: "a", Contestant: "ours", Figure: "events/s", Median: 85, Min: 50, Max: 120, Rounds: 2, Ratio: 0.55},
		{Table: "t", Case: "a", Contestant: "ours", Failures: []string{"incomplete <&>"}},
		{Table: "t", Case: "b", Contestant: "ours", Figure: "events/s", Median: 7, Min: 7, Max: 7, Rounds: 1},
	}
	if diff := cmp.Diff(want, figures.Rows(samples())); diff != "" {
		t.Error(diff)
	}
}

func TestMedianAndPercentile(t *testing.T) {
	t.Parallel()
	values := []float64{9, 1, 5, 3}
	if got := figures.Median(values); got != 4 {
		t.Errorf("got median %v, want 4", got)
	}
	for p, want := range map[float64]float64{0: 1, 0.5: 3, 0.75: 5, 0.99: 9, 1: 9} {
		if got := figures.Percentile(values, p); got != want {
			t.Errorf("got percentile %v = %v, want %v", p, got, want)
		}
	}
	if figures.Median(nil) != 0 || figures.Percentile(nil, 0.5) != 0 {
		t.Error("no values have a median")
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := figures.Print(term.Printer{Out: &out}, figures.Rows(samples())); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		" case  contestant  figure    median  spread      to floor",
		" a     floor       events/s  110     100 to 200",
		"       ours        events/s  85.0    50.0 to 120  0.55",
		"  ours failed: incomplete <&>",
		" b     ours        events/s  7.00    7.00 to 7.00",
	}, "\n")
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if diff := cmp.Diff(squeeze(want), squeeze(out.String())); diff != "" {
		t.Error(diff)
	}
}

func TestPlotIsWellFormed(t *testing.T) {
	t.Parallel()
	rows := figures.Rows(append(samples(), sample("<b> & more", "floor", 0, 1)))
	var out bytes.Buffer
	if err := figures.Plot(&out, "A & B", "events/s", rows); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	decoder := xml.NewDecoder(&out)
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	for _, want := range []string{"A &amp; B: events/s", "&lt;b&gt; &amp; more", "85.0 (0.55 of the floor)", `<rect width="324"`, "prefers-color-scheme: dark"} {
		if !strings.Contains(text, want) {
			t.Errorf("the plot lacks %q:\n%s", want, text)
		}
	}
	if got := strings.Count(text, "<rect width"); got != 4 {
		t.Errorf("got %d bars, want 4", got)
	}
}
