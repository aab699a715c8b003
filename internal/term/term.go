// Package term is what the commands print to a person: tables and progress. To
// anything but a terminal it prints plain text, and no progress at all.
package term

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

const refresh = 100 * time.Millisecond

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Table prints rows under a header, in columns.
func Table(w io.Writer, header []string, rows [][]string) error {
	t := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	style.Options = table.OptionsNoBordersAndSeparators
	if IsTerminal(w) {
		style.Color.Header = text.Colors{text.Bold}
	}
	t.SetStyle(style)
	t.AppendHeader(row(header))
	for _, r := range rows {
		t.AppendRow(row(r))
	}
	_, err := io.WriteString(w, t.Render()+"\n")
	return err
}

func row(cells []string) table.Row {
	r := make(table.Row, len(cells))
	for i, cell := range cells {
		r[i] = cell
	}
	return r
}

// Progress shows how far a long work is. The zero value shows nothing.
type Progress struct {
	writer  progress.Writer
	tracker *progress.Tracker
	done    chan struct{}
}

// NewProgress starts to show work of a known size, if w is a terminal.
func NewProgress(w io.Writer, what string, total int64) *Progress {
	if !IsTerminal(w) {
		return &Progress{}
	}
	p := &Progress{writer: progress.NewWriter(), tracker: &progress.Tracker{Message: what, Total: total}, done: make(chan struct{})}
	p.writer.SetOutputWriter(w)
	p.writer.SetUpdateFrequency(refresh)
	p.writer.SetStyle(progress.StyleBlocks)
	p.writer.Style().Visibility.ETA, p.writer.Style().Visibility.Speed = true, true
	p.writer.AppendTracker(p.tracker)
	go func() {
		defer close(p.done)
		p.writer.Render()
	}()
	return p
}

// Set says how much is done.
func (p *Progress) Set(done int64) {
	if p.tracker != nil {
		p.tracker.SetValue(done)
	}
}

// Line prints a line to w, above the progress where both are shown to the same
// person.
func (p *Progress) Line(w io.Writer, text string) error {
	if p.writer != nil && IsTerminal(w) {
		p.writer.Log("%s", text)
		return nil
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// Stop shows the last state and returns when it is written.
func (p *Progress) Stop() {
	if p.writer == nil {
		return
	}
	p.writer.Stop()
	<-p.done
	p.writer, p.tracker = nil, nil
}
