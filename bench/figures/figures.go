// Package figures turns what was measured in several rounds into medians, spreads and
// ratios, and prints them as a table, as JSON Lines and as a plot.
package figures

import (
	"math"
	"slices"
)

// Figure is one measured number, such as 812.5 "events/s".
type Figure struct {
	Name  string
	Value float64
}

// String implements [fmt.Stringer].
func (f Figure) String() string { return Number(f.Value) + " " + f.Name }

// Sample is what was measured of a contestant in one round of a case. The first contestant
// that is added to a case is its floor, to which the others are compared.
type Sample struct {
	Table, Case, Contestant string
	Round                   int
	Figures                 []Figure
	// Failures say why there are no figures, or why they are not to be trusted.
	Failures []string
}

// Row is one figure of a contestant over all rounds.
type Row struct {
	Table      string  `json:"table"`
	Case       string  `json:"case"`
	Contestant string  `json:"contestant"`
	Figure     string  `json:"figure,omitempty"`
	Median     float64 `json:"median"`
	Min        float64 `json:"min"`
	Max        float64 `json:"max"`
	Rounds     int     `json:"rounds"`
	// Ratio is the median of the ratios to the floor of the same round; 0 if there is none.
	Ratio    float64  `json:"ratio,omitempty"`
	Failures []string `json:"failures,omitempty"`
}

// Rows summarizes samples, in the order in which cases, contestants and figures first
// occurred. A failed sample counts for nothing but its failures.
func Rows(samples []Sample) []Row {
	var rows []Row
	for _, group := range grouped(samples, func(s Sample) string { return s.Table + "\x00" + s.Case }) {
		floor := group[0].Contestant
		of := grouped(group, func(s Sample) string { return s.Contestant })
		for _, contestant := range of {
			rows = append(rows, contestantRows(contestant, of[0], contestant[0].Contestant != floor)...)
		}
	}
	return rows
}

func contestantRows(samples, floor []Sample, compared bool) []Row {
	head := Row{Table: samples[0].Table, Case: samples[0].Case, Contestant: samples[0].Contestant}
	var rows []Row
	for _, name := range names(samples) {
		row := head
		row.Figure = name
		values, ratios := valuesOf(samples, floor, name)
		row.Median, row.Min, row.Max, row.Rounds = Median(values), slices.Min(values), slices.Max(values), len(values)
		if compared && len(ratios) > 0 {
			row.Ratio = Median(ratios)
		}
		rows = append(rows, row)
	}
	for _, s := range samples {
		head.Failures = append(head.Failures, s.Failures...)
	}
	if head.Failures != nil {
		rows = append(rows, head)
	}
	return rows
}

// valuesOf also returns the ratios to the floor, of rounds in which both succeeded.
func valuesOf(samples, floor []Sample, name string) (values, ratios []float64) {
	base := map[int]float64{}
	for _, s := range floor {
		if v, ok := s.figure(name); ok {
			base[s.Round] = v
		}
	}
	for _, s := range samples {
		v, ok := s.figure(name)
		if !ok {
			continue
		}
		values = append(values, v)
		if base[s.Round] > 0 {
			ratios = append(ratios, v/base[s.Round])
		}
	}
	return values, ratios
}

func (s Sample) figure(name string) (float64, bool) {
	if s.Failures != nil {
		return 0, false
	}
	for _, f := range s.Figures {
		if f.Name == name {
			return f.Value, true
		}
	}
	return 0, false
}

func names(samples []Sample) []string {
	var all []string
	for _, s := range samples {
		if s.Failures != nil {
			continue
		}
		for _, f := range s.Figures {
			if !slices.Contains(all, f.Name) {
				all = append(all, f.Name)
			}
		}
	}
	return all
}

// grouped keeps the order in which groups first occur.
func grouped(samples []Sample, key func(Sample) string) [][]Sample {
	var groups [][]Sample
	at := map[string]int{}
	for _, s := range samples {
		i, known := at[key(s)]
		if !known {
			i = len(groups)
			at[key(s)] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], s)
	}
	return groups
}

// Median returns the value in the middle, or 0 for no values.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Percentile returns the smallest value that a share p of all values, 0 to 1, does not
// exceed, or 0 for no values.
func Percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(int(math.Ceil(p*float64(len(sorted))))-1, 0)]
}
