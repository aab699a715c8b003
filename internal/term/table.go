package term

import (
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

const (
	// padding is the space around a cell.
	padding = 2
	// minColumn is how far a column is narrowed.
	minColumn = 4
)

// Row is a row of a table. A row without cells is a text between the rows.
type Row struct {
	Cells []string
	Text  string
	// Prefix is before Text. Further lines are indented as far.
	Prefix string
	Color  Color
}

// Table prints rows under a header, in columns. If they do not fit, it shortens the
// widest columns. Rows without cells need no header.
func (p Printer) Table(header []string, rows []Row) error {
	if header != nil {
		rows = append([]Row{{Cells: header, Color: Bold}}, rows...)
	}
	widths := columns(rows)
	for p.Width > 0 && total(widths) > p.Width && slices.Max(widths) > minColumn {
		widths[slices.Index(widths, slices.Max(widths))]--
	}
	var out strings.Builder
	for _, row := range rows {
		if row.Cells == nil {
			out.WriteString(p.lines(row))
			continue
		}
		out.WriteString(p.paint(text.Snip(aligned(row.Cells, widths), p.Width, "…"), row.Color))
	}
	_, err := io.WriteString(p.Out, out.String())
	return err
}

// Fits reports whether Table prints the rows without shortening them.
func (p Printer) Fits(header []string, rows []Row) bool {
	return p.Width == 0 || total(columns(append([]Row{{Cells: header}}, rows...))) <= p.Width
}

// columns returns the width of each column.
func columns(rows []Row) []int {
	if len(rows) == 0 {
		return nil
	}
	widths := make([]int, len(rows[0].Cells))
	for _, row := range rows {
		for i, cell := range row.Cells {
			widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(printable(cell)))
		}
	}
	return widths
}

func total(widths []int) int {
	sum := padding * len(widths)
	for _, width := range widths {
		sum += width
	}
	return sum
}

func aligned(cells []string, widths []int) string {
	var line strings.Builder
	for i, cell := range cells {
		line.WriteString(" " + text.Pad(text.Snip(printable(cell), widths[i], "…"), widths[i], ' ') + " ")
	}
	return strings.TrimRight(line.String(), " ")
}
