package term

import (
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

const (
	// padding is what a column takes in addition to its cells.
	padding = 2
	// minColumn is how far a column is narrowed.
	minColumn = 4
)

// Row is a row of a table. A row without cells is a text between the rows.
type Row struct {
	Cells []string
	Text  string
	// Indent is how far Text is indented.
	Indent int
	Color  Color
}

// Table prints rows under a header, in columns.
func Table(w io.Writer, header []string, rows [][]string) error {
	table := make([]Row, len(rows))
	for i, cells := range rows {
		table[i].Cells = cells
	}
	return NewPrinter(w).Table(header, table)
}

// Table prints rows under a header, in columns. Where it would be wider than p, the
// widest columns are shortened.
func (p Printer) Table(header []string, rows []Row) error {
	lines := p.align(header, rows)
	var out strings.Builder
	out.WriteString(p.paint(lines[0], Bold))
	lines = lines[1:]
	for _, row := range rows {
		if row.Cells == nil {
			out.WriteString(p.lines(row.Text, row.Indent, row.Color))
			continue
		}
		out.WriteString(p.paint(lines[0], row.Color))
		lines = lines[1:]
	}
	_, err := io.WriteString(p.Out, out.String())
	return err
}

// Fits reports whether Table prints the rows without shortening a cell.
func (p Printer) Fits(header []string, rows []Row) bool {
	return p.Width == 0 || total(widths(header, rows)) <= p.Width
}

// align returns the header and the rows that have cells, a line for each.
func (p Printer) align(header []string, rows []Row) []string {
	t := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Size.WidthMax = p.Width
	t.SetStyle(style)
	limits := p.narrow(widths(header, rows))
	t.AppendHeader(cells(header, limits))
	for _, row := range rows {
		if row.Cells != nil {
			t.AppendRow(cells(row.Cells, limits))
		}
	}
	return strings.Split(t.Render(), "\n")
}

func widths(header []string, rows []Row) []int {
	widths := make([]int, len(header))
	for _, row := range append([]Row{{Cells: header}}, rows...) {
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

// narrow takes from the widest columns what is too much.
func (p Printer) narrow(widths []int) []int {
	for p.Width > 0 && total(widths) > p.Width {
		widest := slices.Max(widths)
		if widest <= minColumn {
			break
		}
		widths[slices.Index(widths, widest)]--
	}
	return widths
}

func cells(texts []string, limits []int) table.Row {
	row := make(table.Row, len(texts))
	for i, s := range texts {
		row[i] = text.Snip(printable(s), limits[i], "…")
	}
	return row
}
