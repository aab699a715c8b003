package bridge

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/term"
)

// pairList is what a file says, and which of its lines are faulty.
type pairList struct {
	asOf   time.Time
	links  []normalize.Link
	faults []lineFault
}

// lineFault says what is wrong with a line, without what is in it.
type lineFault struct {
	Kind  string `json:"kind"`
	Line  int    `json:"line"`
	Fault string `json:"fault"`
}

func (p pairList) printFaults(out io.Writer, asJSON bool) error {
	for i, f := range p.faults {
		var err error
		switch {
		case asJSON:
			err = term.JSONLines(out)(f)
		case i == maxFaultyLines:
			_, err = fmt.Fprintf(out, "%d more lines are faulty: --json prints them\n", len(p.faults)-i)
			return err
		default:
			_, err = fmt.Fprintf(out, "line %d: %s\n", f.Line, f.Fault)
		}
		if err != nil {
			return fmt.Errorf("printing faulty lines: %w", err)
		}
	}
	return nil
}

// numbered is a link with its line.
type numbered struct {
	normalize.Link
	line int
}

// parsePairs reads CSV. A faulty line does not keep the others from being read.
func parsePairs(in io.Reader, base normalize.Link) (pairList, error) {
	pairs := pairList{asOf: base.AsOf}
	var found []numbered
	lines := newCSV(in)
	columns := positions
	for first := true; ; first = false {
		row, err := lines.Read()
		var syntax *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			pairs.distinct(found)
			return pairs, nil
		case errors.As(err, &syntax):
			pairs.fault(syntax.StartLine, syntax.Err.Error())
			continue
		case err != nil:
			return pairs, fmt.Errorf("--file: %w", err)
		}
		if header, ok := readHeader(row); first && ok {
			columns = header
			continue
		}
		line, _ := lines.FieldPos(0)
		link, fault := columns.link(row, base)
		if fault == "" {
			fault = checkLink(link)
		}
		if fault != "" {
			pairs.fault(line, fault)
			continue
		}
		found = append(found, numbered{link, line})
	}
}

func newCSV(in io.Reader) *csv.Reader {
	text := bufio.NewReader(in)
	if mark, err := text.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = text.Discard(3)
	}
	lines := csv.NewReader(text)
	lines.FieldsPerRecord, lines.ReuseRecord = -1, true
	return lines
}

func (p *pairList) fault(line int, what string) {
	p.faults = append(p.faults, lineFault{"fault", line, what})
}

// distinct adds each pair once. If two lines give a customer different users, nobody knows
// which of them is right, so neither is published.
func (p *pairList) distinct(found []numbered) {
	first := map[normalize.Link]*numbered{}
	contradicted := map[normalize.Link]bool{}
	for i := range found {
		customer := found[i].Link
		customer.UserID = ""
		other, seen := first[customer]
		switch {
		case !seen:
			first[customer] = &found[i]
		case other.UserID != found[i].UserID:
			p.fault(found[i].line, fmt.Sprintf("the customer has another user in line %d; neither is published", other.line))
			contradicted[customer] = true
		}
	}
	for i := range found {
		customer := found[i].Link
		customer.UserID = ""
		if first[customer] == &found[i] && !contradicted[customer] {
			p.links = append(p.links, found[i].Link)
		}
	}
	slices.SortFunc(p.faults, func(a, b lineFault) int { return cmp.Compare(a.Line, b.Line) })
}

// columns are the positions of the columns; -1 for one that is missing.
type columns struct {
	customer, customerAccount, user, account int
	named                                    bool
}

// positions are the columns of a file without a header.
var positions = columns{customer: 0, user: 1, account: 2, customerAccount: -1}

// readHeader reports false if a row is not a header.
func readHeader(row []string) (columns, bool) {
	c := columns{-1, -1, -1, -1, true}
	for i, name := range row {
		switch strings.TrimSuffix(strings.ToLower(strings.TrimSpace(name)), "_id") {
		case "customer":
			c.customer = i
		case "customer_account":
			c.customerAccount = i
		case "user":
			c.user = i
		case "account":
			c.account = i
		}
	}
	return c, c.user >= 0 && (c.customer >= 0 || c.customerAccount >= 0)
}

// link reads a row. Columns with other names are ignored.
func (c columns) link(row []string, base normalize.Link) (link normalize.Link, fault string) {
	if !c.named && len(row) != 2 && len(row) != 3 {
		return base, fmt.Sprintf("has %d columns, want customer,user or customer,user,account", len(row))
	}
	cell := func(i int) string {
		if i < 0 || i >= len(row) {
			return ""
		}
		return strings.TrimSpace(row[i])
	}
	link = base
	link.CustomerID, link.CustomerAccountID, link.UserID = cell(c.customer), cell(c.customerAccount), cell(c.user)
	switch account := cell(c.account); account {
	case "":
	case normalize.Platform:
		link.Account = ""
	default:
		link.Account = account
	}
	return link, ""
}

// maxUserID is the maximum size of a user id, in bytes.
const maxUserID = 500

var (
	customerForm = regexp.MustCompile(`^[!-~]{1,255}$`)
	accountForm  = regexp.MustCompile(`^acct_[A-Za-z0-9_]{1,250}$`)
)

// checkLink says what is wrong with a link, without its values, or "".
func checkLink(l normalize.Link) string {
	switch {
	case l.CustomerID == "" && l.CustomerAccountID == "":
		return "customer is missing"
	case strings.HasPrefix(l.CustomerID, "acct_"):
		return "customer is an account: if it represents a customer, it belongs in customer_account"
	case l.CustomerID != "" && !customerForm.MatchString(l.CustomerID):
		return "customer is not an id of Stripe's"
	case l.CustomerAccountID != "" && !accountForm.MatchString(l.CustomerAccountID):
		return "customer_account is not acct_…"
	case l.Account != "" && !accountForm.MatchString(l.Account):
		return "account is neither acct_… nor platform"
	case strings.TrimSpace(l.UserID) == "":
		return "user is missing"
	case strings.HasPrefix(l.UserID, "cus_"):
		return "user is a customer of Stripe's: the columns are customer,user"
	case !utf8.ValidString(l.UserID) || strings.ContainsFunc(l.UserID, unicode.IsControl):
		return "user is not UTF-8, or has control characters"
	case len(l.UserID) > maxUserID:
		return fmt.Sprintf("user is longer than %d bytes", maxUserID)
	}
	return ""
}
