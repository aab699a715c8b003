package term

import (
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

const refresh = 100 * time.Millisecond

// Progress shows how far a long task is. The zero value shows nothing.
type Progress struct {
	writer  progress.Writer
	tracker *progress.Tracker
	done    chan struct{}
}

// NewProgress shows the progress of a task of a known size, if w is a terminal.
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

// Set sets how much is done.
func (p *Progress) Set(done int64) {
	if p.tracker != nil {
		p.tracker.SetValue(done)
	}
}

// Describe says what is being done.
func (p *Progress) Describe(what string) {
	if p.tracker != nil {
		p.tracker.UpdateMessage(what)
	}
}

// Line prints a line to w, above the progress if w is a terminal.
func (p *Progress) Line(w io.Writer, text string) error {
	if p.writer != nil && IsTerminal(w) {
		p.writer.Log("%s", text)
		return nil
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// Stop prints the final progress and returns after it is written.
func (p *Progress) Stop() {
	if p.writer == nil {
		return
	}
	// The writer ignores Stop until it has begun to render.
	for stopped := false; !stopped; {
		p.writer.Stop()
		select {
		case <-p.done:
			stopped = true
		case <-time.After(time.Millisecond):
		}
	}
	p.writer, p.tracker = nil, nil
}
