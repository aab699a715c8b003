package subscriber

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/term"
)

// anonymousPage is how many records without a user are looked into at a time.
const anonymousPage = 500

// seenKey is a key of metadata that was seen, by which a user might be found. Its value
// is never kept.
type seenKey struct {
	Kind string `json:"kind"`
	// In is where it was seen: subscription, customer or checkout_session.
	In      string `json:"in"`
	Key     string `json:"key"`
	Records int    `json:"records"`
}

type anonymousRecord struct {
	Kind            string `json:"kind"`
	Key             string `json:"key"`
	Subscription    string `json:"subscription_id"`
	Customer        string `json:"customer_id,omitempty"`
	CustomerAccount string `json:"customer_account_id,omitempty"`
}

// withoutUser lists the records without a user, and the keys of metadata that were seen
// in the events of their subscriptions, customers and sessions.
type withoutUser struct {
	records []anonymousRecord // not more than the limit
	total   int
	counts  map[[2]string]int // by where a key was seen, and the key
}

// findWithoutUser reads all records without a user, page by page.
func findWithoutUser(ctx context.Context, db store.Anonymity, limit int) (withoutUser, error) {
	found := withoutUser{counts: map[[2]string]int{}}
	var page []store.Anonymous
	for record, err := range db.Anonymous(ctx) {
		if err != nil {
			return found, err
		}
		if found.total++; found.total <= limit {
			found.records = append(found.records, anonymousRecord{"record", record.Key, record.SubscriptionID, record.CustomerID, record.CustomerAccountID})
		}
		if page = append(page, record); len(page) == anonymousPage {
			if err := found.count(ctx, db, page); err != nil {
				return found, err
			}
			page = nil
		}
	}
	return found, found.count(ctx, db, page)
}

// count counts for each key in how many of the records it was seen.
func (w *withoutUser) count(ctx context.Context, db store.Anonymity, page []store.Anonymous) error {
	seen := map[string]map[[2]string]bool{} // by id
	see := func(id, in, key string) {
		if id != "" && seen[id] == nil {
			seen[id] = map[[2]string]bool{}
		}
		if id != "" {
			seen[id][[2]string{in, key}] = true
		}
	}
	var owners store.Owners
	for _, r := range page {
		owners.Add(r.SubscriptionID, r.CustomerID, r.CustomerAccountID)
	}
	for a, err := range db.ClaimsOf(ctx, owners) {
		if err != nil {
			return err
		}
		in, metadata := metadataOf(a)
		for key := range metadata {
			for _, id := range []string{a.SubscriptionID, a.CustomerID, a.CustomerAccountID} {
				see(id, in, key)
			}
		}
	}
	for _, r := range page {
		keys := map[[2]string]bool{}
		for _, key := range r.Metadata {
			keys[[2]string{"subscription", key}] = true
		}
		for _, id := range []string{r.SubscriptionID, r.CustomerID, r.CustomerAccountID} {
			maps.Copy(keys, seen[id])
		}
		for key := range keys {
			w.counts[key]++
		}
	}
	return nil
}

// metadataOf returns the metadata of a customer or a session. The client_reference_id of a
// session is among them: a setting decides whether it names a user.
func metadataOf(a store.Audited) (in string, metadata map[string]string) {
	switch d := a.Data; {
	case d.Customer != nil:
		return "customer", d.Customer.Metadata
	case d.CheckoutSession != nil:
		metadata = maps.Clone(d.CheckoutSession.Metadata)
		if metadata == nil {
			metadata = map[string]string{}
		}
		if d.CheckoutSession.ClientReferenceID != "" {
			metadata["client_reference_id"] = ""
		}
		return "checkout_session", metadata
	}
	return "", nil
}

// keys returns the keys, those of the most records first.
func (w *withoutUser) keys() []seenKey {
	var list []seenKey
	for key, n := range w.counts {
		list = append(list, seenKey{"metadata_key", key[0], key[1], n})
	}
	slices.SortFunc(list, func(a, b seenKey) int {
		return cmp.Or(cmp.Compare(b.Records, a.Records), strings.Compare(a.In, b.In), strings.Compare(a.Key, b.Key))
	})
	return list
}

func printWithoutUser(ctx context.Context, db store.Anonymity, a config.Audit, out term.Printer) error {
	found, err := findWithoutUser(ctx, db, a.Limit)
	switch {
	case err != nil:
		return err
	case a.JSON:
		return found.printJSON(out.Out)
	case found.total == 0:
		return out.Text("every record has a user")
	}
	return found.print(out)
}

func (w *withoutUser) printJSON(out io.Writer) error {
	line := term.JSONLines(out)
	for _, r := range w.records {
		if err := line(r); err != nil {
			return err
		}
	}
	for _, key := range w.keys() {
		if err := line(key); err != nil {
			return err
		}
	}
	return line(struct {
		Kind    string `json:"kind"`
		Records int    `json:"records"`
		More    bool   `json:"more"`
	}{"summary", w.total, w.total > len(w.records)})
}

func (w *withoutUser) print(out term.Printer) error {
	var records, keys []term.Row
	for _, r := range w.records {
		records = append(records, term.Row{Cells: []string{r.Key, cmp.Or(r.Customer, r.CustomerAccount)}})
	}
	for _, k := range w.keys() {
		keys = append(keys, term.Row{Cells: []string{k.Key, k.In, strconv.Itoa(k.Records)}})
	}
	text := fmt.Sprintf("%d records without a user", w.total)
	if w.total > len(w.records) {
		text += fmt.Sprintf("; %d are shown, a higher --limit shows more", len(w.records))
	}
	err := errors.Join(out.Table([]string{"record", "customer"}, records), out.Text(""), out.Text(text))
	if len(keys) == 0 {
		return err
	}
	return errors.Join(err, out.Text(""), out.Table([]string{"metadata key", "seen in", "records"}, keys))
}
