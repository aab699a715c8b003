package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/test/chaos/report"
	"github.com/billbus/billbus/test/chaos/verdict"
)

func run() report.Data {
	began := time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)
	after := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	d := report.Data{
		Seed: 7, Command: "go run ./cmd/chaos --seed 7", Began: began, Healed: after(50), Ended: after(60),
		Faults: []report.Fault{
			{Kind: "freeze", Target: "nats", Begin: after(20), End: after(30)},
			{Kind: "kill", Target: "bridge1", Begin: after(10), End: after(10)},
			{Kind: "kill", Target: "bridge1", Begin: after(40), End: after(41)},
		},
		Pauses:   []report.Pause{{What: "answers of bridge1", Begin: after(20), Length: 10500 * time.Millisecond}},
		Versions: map[string]string{"nats-server": "2.14.0"}, Figures: map[string]float64{"records": 40, "events per second": 12.5},
	}
	for second := range 61 {
		d.Points = append(d.Points, report.Point{At: after(second), Sent: 100, Accepted: 80, Stored: 60, Lag: 10 * second})
	}
	return d
}

func write(t *testing.T, d report.Data) string {
	t.Helper()
	var buf bytes.Buffer
	if err := report.Write(&buf, d); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func contains(t *testing.T, page string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(page, part) {
			t.Errorf("the page does not contain %q", part)
		}
	}
}

func TestFindingsComeFirst(t *testing.T) {
	t.Parallel()
	d := run()
	good := write(t, d)
	contains(t, good, "nothing is wrong", "go run ./cmd/chaos --seed 7")
	d.Findings = []verdict.Finding{{Rule: verdict.Lost, Subject: "evt_1", What: "<script>alert(1)</script>"}}
	bad := write(t, d)
	contains(t, bad, "1 finding<", "evt_1", "&lt;script&gt;alert")
	d.Findings, d.Failures = nil, []string{"interrupted <early>"}
	if failed := write(t, d); strings.Contains(failed, "nothing is wrong") || !strings.Contains(failed, "interrupted &lt;early&gt;") {
		t.Error("the page of a run that failed says that nothing is wrong, or not why")
	}
	if strings.Contains(good, "<h2>Findings") || strings.Contains(bad, "nothing is wrong") || strings.Contains(bad, "<script") {
		t.Error("the page says both, or does not escape what it quotes")
	}
	if strings.Index(bad, "evt_1") > strings.Index(bad, "<svg") {
		t.Error("the findings come after the timeline")
	}
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	page := write(t, run())
	// One lane for each kind and target. A minute is 960 pixels, from 200 on; a kill lasts no
	// time, and can be seen.
	contains(t, page, `<rect class="fault" x="360" y="4" width="3"`, `<rect class="fault" x="840" y="4" width="16"`, `<rect class="fault" x="520" y="4" width="160"`)
	if strings.Count(page, ">kill bridge1</text>") != 1 || strings.Index(page, ">kill bridge1</text>") > strings.Index(page, ">freeze nats</text>") {
		t.Error("the lanes are not those of the faults, in their order")
	}
	// Of the first chart, whose top is 40 + 34, 100 is the highest value, and 60 is below.
	contains(t, page, `points="200.0,74.0 `, `points="200.0,122.0 `, `class="healed" x1="1000"`, ">5s</text>", ">1m0s</text>")
	contains(t, page, "prefers-color-scheme: dark", "10.5 s", "12.5", "2.14.0")
}

// The page is opened from a file, without a server.
func TestThePageNeedsNoOtherFile(t *testing.T) {
	t.Parallel()
	for _, d := range []report.Data{run(), {}} {
		page := write(t, d)
		for _, part := range []string{"src=", "href=", "url(", "@import", "NaN", "Inf"} {
			if strings.Contains(page, part) {
				t.Errorf("the page contains %q", part)
			}
		}
		picture := page[strings.Index(page, "<svg"):strings.Index(page, "</svg>")] + "</svg>"
		decoder := xml.NewDecoder(strings.NewReader(picture))
		for {
			_, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAFailedWriteIsAnError(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	_ = r.Close()
	if err := report.Write(w, run()); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}
