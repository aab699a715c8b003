package figures

import (
	"fmt"
	"io"
	"slices"
	"text/template"
)

// Sizes of a plot, in pixels.
const (
	barHeight  = 16
	barGap     = 4
	groupGap   = 14
	titleSpace = 34
	labelWidth = 130
	barWidth   = 420
	plotWidth  = labelWidth + barWidth + 170
)

type bar struct {
	Y, Width          int
	Color             string
	Contestant, Value string
}

type caption struct {
	Y    int
	Text string
}

type plot struct {
	Title         string
	Width, Height int
	LabelWidth    int
	Captions      []caption
	Bars          []bar
}

// A plot has a page of its own, because a site can be dark where the reader's system is light.
// The colors of bars suit both pages.
var svg = template.Must(template.New("svg").Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" role="img">
<title>{{html .Title}}</title>
<style>
.page { fill: #fff }
text { font: 12px system-ui, sans-serif; fill: #222 }
.title { font-size: 15px; font-weight: 600 }
.case { font-weight: 600 }
@media (prefers-color-scheme: dark) { .page { fill: #15181d } text { fill: #ddd } }
</style>
<rect class="page" width="{{.Width}}" height="{{.Height}}"/>
<text class="title" x="4" y="20">{{html .Title}}</text>
{{- range .Captions}}
<text class="case" x="4" y="{{.Y}}">{{html .Text}}</text>
{{- end}}
{{- $x := .LabelWidth}}
{{- range .Bars}}
<g transform="translate({{$x}} {{.Y}})"><text x="-8" y="12" text-anchor="end">{{html .Contestant}}</text>
<rect width="{{.Width}}" height="16" rx="2" fill="{{.Color}}"/>
<text x="{{.Width}}" dx="6" y="12">{{html .Value}}</text></g>
{{- end}}
</svg>
`))

// colors are of contestants, in their order: readable on white and on black.
func colors() []string {
	return []string{"#8a8f98", "#2f81f7", "#d29922", "#3fb950", "#a371f7", "#db6d28", "#f778ba"}
}

// Plot draws the medians of one figure as bars, grouped by case, as SVG.
func Plot(w io.Writer, title, figure string, rows []Row) error {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return r.Figure != figure })
	p := plot{Title: title + ": " + figure, Width: plotWidth, LabelWidth: labelWidth}
	var contestants []string
	y, last := titleSpace, ""
	for _, r := range rows {
		if r.Case != last {
			y += groupGap
			p.Captions = append(p.Captions, caption{y, r.Case})
			y, last = y+barGap*2, r.Case
		}
		if !slices.Contains(contestants, r.Contestant) {
			contestants = append(contestants, r.Contestant)
		}
		color := colors()[slices.Index(contestants, r.Contestant)%len(colors())]
		p.Bars = append(p.Bars, bar{y, width(r, rows), color, r.Contestant, label(r)})
		y += barHeight + barGap
	}
	p.Height = y + barGap
	return svg.Execute(w, p)
}

// width is in proportion to the longest bar of the same case: cases can be far apart.
func width(r Row, rows []Row) int {
	longest := 0.0
	for _, other := range rows {
		if other.Case == r.Case {
			longest = max(longest, other.Median)
		}
	}
	if longest == 0 {
		return 0
	}
	return int(barWidth * r.Median / longest)
}

func label(r Row) string {
	text := Number(r.Median)
	if r.Ratio != 0 {
		text += fmt.Sprintf(" (%s of the floor)", ratio(r.Ratio))
	}
	return text
}
