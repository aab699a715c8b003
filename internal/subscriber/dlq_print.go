package subscriber

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/billbus/billbus/internal/term"
)

// printLettersJSON prints a line for each letter, and a summary as the last line.
func printLettersJSON(out io.Writer, list []letterLine, more bool) error {
	line := term.JSONLines(out)
	for _, l := range list {
		if err := line(l); err != nil {
			return err
		}
	}
	return line(struct {
		Kind    string `json:"kind"`
		Letters int    `json:"letters"`
		More    bool   `json:"more"`
	}{"summary", len(list), more})
}

func printLetters(out term.Printer, list []letterLine, more bool) error {
	if len(list) == 0 {
		return out.Text(errNoLetters.Error())
	}
	var notes []string
	if more {
		notes = append(notes, fmt.Sprintf("These are the newest %d letters; a higher --limit shows older ones.", len(list)))
	}
	columns := 7
	// On a terminal, a column whose cells are all the same leaves no room for the others.
	if out.Width > 0 && !slices.ContainsFunc(list, func(l letterLine) bool { return l.Consumer != list[0].Consumer }) {
		columns, notes = 6, append(notes, "The consumer is "+list[0].Consumer+".")
	}
	rows := make([]term.Row, len(list))
	for i, l := range list {
		cells := []string{l.At.Format(time.RFC3339), strconv.FormatUint(l.Sequence, 10), l.Code, l.Reason, l.Subject, l.EventID, l.Consumer}
		rows[i] = term.Row{Cells: cells[:columns]}
	}
	err := out.Table([]string{"time", "sequence", "code", "reason", "subject", "event", "consumer"}[:columns], rows)
	if notes == nil {
		return err
	}
	return errors.Join(err, out.Text(""), out.Text(strings.Join(notes, " ")))
}

// shownLetter is a letter with the headers of its message and, on request, the payload.
type shownLetter struct {
	letterLine
	Headers map[string][]string `json:"headers,omitempty"`
	Payload *string             `json:"payload,omitempty"`
	Binary  []byte              `json:"payload_base64,omitempty"` // if it is not UTF-8

	bytes   int // of the payload in the letter
	payload []byte
}

func (l shownLetter) with(payload []byte) shownLetter {
	l.payload, l.EventID = payload, eventID(payload)
	if text := string(payload); utf8.ValidString(text) {
		l.Payload = &text
	} else {
		l.Binary = payload
	}
	return l
}

func (l shownLetter) print(out term.Printer) error {
	payload := fmt.Sprintf("%d bytes: --payload prints them", l.bytes)
	if l.Omitted {
		payload = "too large for the letter: --payload reads it from the stream"
	}
	rows := []term.Row{
		field("letter", strconv.FormatUint(l.Sequence, 10)+", stored "+l.At.Format(time.RFC3339)),
		field("code", l.Code),
		field("reason", l.Reason),
		field("consumer", fmt.Sprintf("%s, after %d deliveries", l.Consumer, l.Deliveries)),
		field("message", fmt.Sprintf("%d of %s, stored %s", l.Message, l.Stream, l.StoredAt.Format(time.RFC3339))),
		field("subject", l.Subject),
		field("event", l.EventID),
		field("payload", payload),
	}
	for _, name := range slices.Sorted(maps.Keys(l.Headers)) {
		for _, value := range l.Headers[name] {
			rows = append(rows, field("header", name+": "+value))
		}
	}
	return out.Table(nil, rows)
}

// field is a row whose text is wrapped after its name.
func field(name, text string) term.Row {
	return term.Row{Prefix: fmt.Sprintf("%-10s", name), Text: text}
}

// printBody prints a payload. On a terminal it indents JSON, and leaves out what could
// control the terminal.
func printBody(out term.Printer, payload []byte) error {
	if out.Width == 0 {
		_, err := fmt.Fprintln(out.Out, string(payload))
		return err
	}
	var indented bytes.Buffer
	if json.Indent(&indented, payload, "", "  ") == nil {
		payload = indented.Bytes()
	}
	var rows []term.Row
	for line := range strings.Lines(string(payload)) {
		text := strings.TrimLeft(strings.TrimSuffix(line, "\n"), " ")
		rows = append(rows, term.Row{Prefix: strings.Repeat(" ", len(line)-len(strings.TrimLeft(line, " "))), Text: text})
	}
	return out.Table(nil, rows)
}
