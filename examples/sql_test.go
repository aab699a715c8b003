package examples_test

import (
	"cmp"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/kit"
)

// TestTablesEqualTheTruth kills the consumer, PostgreSQL and Billbus, and deletes the
// bucket. In the end the tables say what the simulator knows.
func TestTablesEqualTheTruth(t *testing.T) {
	t.Parallel()
	touch(t)
	db := newPostgres(t)
	s := newSite(t)
	consumer := newSQLConsumer(t, s, db)
	consumer.Start(t)
	s.put(t, "access.test.platform.user.unreadable", "not JSON")
	s.send(t, 0, 0.3)
	db.waitFor(t, "some rows", `select count(*) >= 5 from billbus.subscriptions`)
	consumer.Kill(t)
	s.send(t, 0.3, 0.5)
	consumer.Start(t)
	db.waitFor(t, "the position moves on", `select revision > (select max(revision) from billbus.subscriptions) - 50 from billbus.position`)
	db.Kill(t)
	s.send(t, 0.5, 0.7)
	db.Start(t)
	s.Kill(t)
	s.start(t)
	s.send(t, 0.7, 1)
	db.checkTables(t, s)
	db.checkDeletion(t, s, consumer)
	db.checkNewBucket(t, s)
	db.checkQueries(t, s)
	if err := consumer.Terminate(t); err != nil {
		t.Errorf("the consumer ended with %v, want no error", err)
	}
	checkResumed(t, consumer.Log)
}

// checkResumed reads in the log where the consumer began: it was started twice while
// nothing had been read, and otherwise went on.
func checkResumed(t *testing.T, log string) {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if all, first := strings.Count(string(text), "watching from"), strings.Count(string(text), "watching from revision 1\n"); first != 2 || all < 4 {
		t.Errorf("the consumer began %d times, %d of them with revision 1; want 2, for the first bucket and the second", all, first)
	}
}

func newSQLConsumer(t *testing.T, s *site, db *postgres) *kit.Process {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "sql", "-o", filepath.Join(dir, "sql"), ".")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building examples/sql: %v\n%s", err, text)
	}
	p := &kit.Process{
		Name: "sql", Command: []string{filepath.Join(dir, "sql")}, Log: filepath.Join(dir, "log"),
		Env: append(os.Environ(), "NATS_URL="+s.nats, "DATABASE_URL=host="+db.Dir+" user=postgres dbname=postgres"),
	}
	t.Cleanup(func() {
		if t.Failed() {
			text, err := os.ReadFile(p.Log)
			t.Logf("sql: %s %v", text, err)
		}
	})
	return p
}

// postgres is a server with helpers that fail the test.
type postgres struct{ *kit.Postgres }

func newPostgres(t *testing.T) *postgres {
	t.Helper()
	db, err := kit.NewPostgres(t, "fsync=off")
	if err != nil {
		skip(t, err.Error())
	}
	db.Start(t)
	return &postgres{db}
}

func (db *postgres) waitFor(t *testing.T, what, condition string) {
	t.Helper()
	kit.Eventually(t, what, func() bool { got, err := db.Query(t, condition); return err == nil && got == "t" })
}

// rows returns the rows of a query, each as JSON.
func rows[T any](t *testing.T, db *postgres, query string) []T {
	t.Helper()
	text, err := db.Query(t, "select coalesce(json_agg(q), '[]') from ("+query+") q")
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	var list []T
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%s: %v\n%s", query, err, text)
	}
	return list
}

// sqlSubscription is a row of a subscription, in its own columns.
type sqlSubscription struct {
	Key        string
	CustomerID string    `json:"customer_id"`
	UserID     string    `json:"user_id"`
	Status     string    `json:"status"`
	Access     string    `json:"access"`
	PeriodEnd  time.Time `json:"current_period_end"`
	EndsAt     time.Time `json:"ends_at"`
	Items      []sqlItem
}

type sqlItem struct {
	PriceID    string `json:"price_id"`
	Quantity   *int64 `json:"quantity"`
	UnitAmount *int64 `json:"unit_amount"`
	Interval   string `json:"interval"`
}

type sqlAccess struct {
	Key            string
	Access         string    `json:"access"`
	UserID         string    `json:"user_id"`
	SubscriptionID string    `json:"subscription_id"`
	Until          time.Time `json:"until"`
}

func (db *postgres) checkTables(t *testing.T, s *site) {
	t.Helper()
	var subscriptions []sqlSubscription
	for key, sub := range s.records() {
		row := sqlSubscription{key, sub.CustomerID, sub.UserID, sub.Status, sub.Access, sub.CurrentPeriodEnd, sub.EndsAt, nil}
		for _, it := range sub.Items {
			row.Items = append(row.Items, sqlItem{it.PriceID, it.Quantity, it.UnitAmount, it.Interval})
		}
		subscriptions = append(subscriptions, row)
	}
	var access []sqlAccess
	for key, doc := range s.documents() {
		access = append(access, sqlAccess{key, doc.Access, doc.UserID, doc.SubscriptionID, doc.Until})
	}
	equate := gocmp.Options{
		cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0),
		cmpopts.SortSlices(func(a, b sqlSubscription) bool { return a.Key < b.Key }), cmpopts.SortSlices(func(a, b sqlAccess) bool { return a.Key < b.Key }),
	}
	eventually(t, "the subscriptions equal the truth", func() string {
		return gocmp.Diff(subscriptions, rows[sqlSubscription](t, db, `
			select s.*, (select json_agg(i order by number) from billbus.items i where i.key = s.key) as items from billbus.subscriptions s`), equate)
	})
	eventually(t, "the access equals the truth", func() string {
		return gocmp.Diff(access, rows[sqlAccess](t, db, `select * from billbus.access`), equate)
	})
}

// checkDeletion deletes a key while the consumer does not run.
func (db *postgres) checkDeletion(t *testing.T, s *site, consumer *kit.Process) {
	t.Helper()
	gone := "test.platform.sub_gone"
	s.put(t, gone, `{"subscription_id":"sub_gone","livemode":false,"ordering":"determined","description":"\u0000 \\u0000","items":[{"id":"si_1"}]}`)
	db.waitFor(t, "the row is there", `select exists (select from billbus.items where key = '`+gone+`')`)
	consumer.Kill(t)
	if err := s.bucket(t).Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	consumer.Start(t)
	db.checkTables(t, s)
}

// checkNewBucket loses the bucket, which Billbus then fills again.
func (db *postgres) checkNewBucket(t *testing.T, s *site) {
	t.Helper()
	key := events.UserAccessKey(false, "", "late")
	s.renewBucket(t, key)
	db.waitFor(t, "the new bucket is followed", `select exists (select from billbus.access where key = '`+key+`')`)
	if err := s.bucket(t).Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	db.checkTables(t, s)
}

func (db *postgres) checkQueries(t *testing.T, s *site) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("sql", "queries.sql"))
	if err != nil {
		t.Fatal(err)
	}
	queries := map[string]string{}
	for part := range strings.SplitSeq(string(text), "-- name: ") {
		name, query, _ := strings.Cut(part, "\n")
		queries[name] = strings.TrimSuffix(strings.TrimSpace(query), ";")
	}
	wantRevenue(t, s, rows[revenue](t, db, queries["revenue"]))
	// No history ends with an overdue payment.
	overdue := events.CustomerAccessKey(false, "", "cus_overdue")
	s.put(t, overdue, `{"access":"grace","customer_ids":["cus_overdue"],"subscription_id":"sub_overdue","explanation":"","revision":1}`)
	db.waitFor(t, "the overdue payment", `select exists (select from billbus.access where key = '`+overdue+`')`)
	var ending []string
	day := busiestMonth(s)
	for _, sub := range s.records() {
		if sub.EndsAt.Format("2006-01") == day.Format("2006-01") {
			ending = append(ending, sub.ID)
		}
	}
	queries["ending"] = strings.ReplaceAll(queries["ending"], "current_date", "date '"+day.Format(time.DateOnly)+"'")
	for name, want := range map[string][]string{"grace": {"sub_overdue"}, "ending": ending} {
		var got []string
		for _, row := range rows[sqlAccess](t, db, queries[name]) {
			got = append(got, row.SubscriptionID)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := gocmp.Diff(want, got); diff != "" || len(want) == 0 {
			t.Errorf("%s, %d rows (-want +got):\n%s", name, len(want), diff)
		}
	}
}

// busiestMonth returns a day in the month in which most subscriptions end.
func busiestMonth(s *site) time.Time {
	ends := map[string][]time.Time{}
	var most []time.Time
	for _, sub := range s.records() {
		month := sub.EndsAt.Format("2006-01")
		ends[month] = append(ends[month], sub.EndsAt)
		if !sub.EndsAt.IsZero() && len(ends[month]) > len(most) {
			most = ends[month]
		}
	}
	return most[0]
}

type revenue struct {
	Currency      string  `json:"currency"`
	Interval      string  `json:"interval"`
	IntervalCount int64   `json:"interval_count"`
	Amount        float64 `json:"amount"`
	PerMonth      float64 `json:"per_month"`
}

func wantRevenue(t *testing.T, s *site, got []revenue) {
	t.Helper()
	sums := map[string]*revenue{}
	for _, sub := range s.records() {
		if sub.Status != "active" && sub.Status != "past_due" || sub.PauseCollection != nil {
			continue
		}
		for _, it := range sub.Items {
			if it.UsageType == "metered" || it.Quantity == nil || it.Currency != sub.Currency {
				continue
			}
			amount, err := strconv.ParseFloat(it.UnitAmountDecimal, 64)
			if err != nil && it.UnitAmount != nil {
				amount = float64(*it.UnitAmount)
			}
			sum := sums[it.Interval]
			if sum == nil {
				sum = &revenue{Currency: it.Currency, Interval: it.Interval, IntervalCount: *it.IntervalCount}
				sums[it.Interval] = sum
			}
			sum.Amount += amount * float64(*it.Quantity)
		}
	}
	var want []revenue
	for interval, sum := range sums {
		sum.PerMonth = math.Round(sum.Amount * map[string]float64{"month": 12, "year": 1}[interval] / 12)
		want = append(want, *sum)
	}
	slices.SortFunc(want, func(a, b revenue) int { return cmp.Compare(a.Interval, b.Interval) })
	if diff := gocmp.Diff(want, got, cmpopts.EquateApprox(0, 0.001)); diff != "" || len(want) < 2 {
		t.Errorf("revenue, %d rows (-want +got):\n%s", len(want), diff)
	}
}
