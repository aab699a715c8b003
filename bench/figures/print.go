package figures

import (
	"fmt"
	"strings"

	"github.com/billbus/billbus/internal/term"
)

// Print prints rows as a table.
func Print(p term.Printer, rows []Row) error {
	header := []string{"case", "contestant", "figure", "median", "spread", "to floor"}
	var lines []term.Row
	for i, r := range rows {
		line := term.Row{Cells: []string{r.Case, r.Contestant, r.Figure, Number(r.Median), Number(r.Min) + " to " + Number(r.Max), ratio(r.Ratio)}}
		if i > 0 && r.Case == rows[i-1].Case {
			line.Cells[0] = ""
			if r.Contestant == rows[i-1].Contestant {
				line.Cells[1] = ""
			}
		}
		if r.Failures != nil {
			line = term.Row{Text: r.Contestant + " failed: " + strings.Join(r.Failures, "; "), Prefix: "  ", Color: term.Red}
		}
		lines = append(lines, line)
	}
	return p.Table(header, lines)
}

func ratio(r float64) string {
	if r == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", r)
}

// Number prints a number with three digits, or all digits before the point.
func Number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
