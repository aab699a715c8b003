package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Sizes of the timeline, in pixels.
const (
	left        = 200 // where the time begins
	width       = 960 // of the time
	laneHeight  = 20
	chartHeight = 120
	chartGap    = 34 // above each chart, for its title
	axisHeight  = 24
	// narrowest keeps a fault that lasts no time, such as a kill, visible.
	narrowest = 3
)

// timeline has all coordinates of the picture.
type timeline struct {
	Left, Width, Height int
	Lanes               []lane
	Charts              []chart
	Ticks               []tick
	Healed              float64
	Bottom              int // of the charts
}

// lane shows the faults of one kind and target.
type lane struct {
	Name  string
	Y     int
	Spans []span
}

type span struct {
	X, Width float64
	Title    string
}

type chart struct {
	Title       string
	Top, Bottom int
	Most        int
	Lines       []line
	TitleY      int
}

type line struct{ Name, Class, Points string }

type tick struct {
	X    float64
	Text string
}

func newTimeline(d Data) timeline {
	t := timeline{Left: left, Width: left + width + 20}
	x := scale(d)
	for _, f := range d.ByBegin() {
		t.add(f, d, x)
	}
	y := len(t.Lanes) * laneHeight
	for _, c := range []struct {
		title string
		lines []series
	}{
		{"events per second", []series{
			{"sent", func(p Point) int { return p.Sent }}, {"accepted", func(p Point) int { return p.Accepted }}, {"stored", func(p Point) int { return p.Stored }},
		}},
		{"messages not acknowledged", []series{{"lag", func(p Point) int { return p.Lag }}}},
	} {
		t.Charts = append(t.Charts, newChart(c.title, y+chartGap, d.Points, x, c.lines))
		y += chartGap + chartHeight
	}
	t.Bottom, t.Height, t.Healed = y, y+axisHeight, x(d.Healed)
	t.Ticks = ticks(d, x)
	return t
}

// scale returns where a time is.
func scale(d Data) func(time.Time) float64 {
	length := max(d.Ended.Sub(d.Began), time.Second)
	return func(at time.Time) float64 {
		share := float64(at.Sub(d.Began)) / float64(length)
		return left + width*min(max(share, 0), 1)
	}
}

// add puts a fault into its lane.
func (t *timeline) add(f Fault, d Data, x func(time.Time) float64) {
	name := strings.TrimSpace(f.Kind + " " + f.Target)
	i := slices.IndexFunc(t.Lanes, func(l lane) bool { return l.Name == name })
	if i < 0 {
		i = len(t.Lanes)
		t.Lanes = append(t.Lanes, lane{Name: name, Y: i * laneHeight})
	}
	at := x(f.Begin)
	t.Lanes[i].Spans = append(t.Lanes[i].Spans, span{
		X: at, Width: max(x(f.End)-at, narrowest),
		Title: fmt.Sprintf("%s, after %.1f s, for %.1f s", name, d.Since(f.Begin).Seconds(), f.Length().Seconds()),
	})
}

// series is a number that changes with time.
type series struct {
	name string
	of   func(Point) int
}

func newChart(title string, top int, points []Point, x func(time.Time) float64, all []series) chart {
	c := chart{Title: title, Top: top, Bottom: top + chartHeight, Most: 1, TitleY: top - 10}
	for _, p := range points {
		for _, s := range all {
			c.Most = max(c.Most, s.of(p))
		}
	}
	for _, s := range all {
		var path strings.Builder
		for _, p := range points {
			y := float64(c.Bottom) - chartHeight*float64(s.of(p))/float64(c.Most)
			_, _ = fmt.Fprintf(&path, "%.1f,%.1f ", x(p.At), y)
		}
		c.Lines = append(c.Lines, line{s.name, s.name, strings.TrimSpace(path.String())})
	}
	return c
}

// ticks marks about ten round times.
func ticks(d Data, x func(time.Time) float64) []tick {
	steps := []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, time.Hour}
	length := d.Ended.Sub(d.Began)
	step := steps[len(steps)-1]
	for _, s := range slices.Backward(steps) {
		if length/s <= 12 {
			step = s
		}
	}
	var list []tick
	for at := time.Duration(0); at <= length; at += step {
		list = append(list, tick{x(d.Began.Add(at)), at.String()})
	}
	return list
}
