package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/term"
)

// printTables prints how many events were sent, and how they were answered.
func printTables(w io.Writer, h stripesim.History, r stripesim.Report) error {
	var sent, answers []term.Row
	types := h.Types()
	for _, kind := range slices.Sorted(maps.Keys(types)) {
		sent = append(sent, term.Row{Cells: []string{kind, strconv.Itoa(types[kind])}})
	}
	sent = append(sent, term.Row{Cells: []string{"sent again on purpose", strconv.Itoa(r.Repeats)}})
	for _, status := range slices.Sorted(maps.Keys(r.Answers)) {
		answers = append(answers, term.Row{Cells: []string{answerName(status), strconv.Itoa(r.Answers[status])}})
	}
	out := term.NewPrinter(w)
	return errors.Join(
		out.Text(""), out.Table([]string{"event", "number"}, sent), out.Text(""), out.Table([]string{"answer", "requests"}, answers), out.Text(""),
		out.Text(fmt.Sprintf("%d of %d events accepted in %s; times do not determine the last event of %d of %d subscriptions",
			r.Done, r.Events+r.Repeats, r.Elapsed.Round(time.Millisecond), h.Tied(), len(h.Truth))),
	)
}

func answerName(status int) string {
	if status == 0 {
		return "none"
	}
	return fmt.Sprintf("%d %s", status, http.StatusText(status))
}

// printJSON prints the report as a line of JSON. Status 0 counts requests that
// were not answered.
func printJSON(w io.Writer, cfg config.Stripesim, h stripesim.History, r stripesim.Report) error {
	return term.JSONLines(w)(map[string]any{
		// A string, since not every JSON parser keeps 64 bits of a number.
		"seed": strconv.FormatUint(h.Seed, 10), "url": cfg.URL, "subscriptions": len(h.Truth), "tied": h.Tied(),
		"events": r.Events, "repeats": r.Repeats, "requests": r.Requests, "accepted": r.Done,
		"types": h.Types(), "answers": r.Answers, "seconds": r.Elapsed.Seconds(),
	})
}
