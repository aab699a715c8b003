package bridge_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/bridge"
	"github.com/billbus/billbus/test/kit/natstest"
)

// linking is a server whose stream gets links.
type linking struct {
	running
	now   time.Time
	stdin string
}

func newLinking(t *testing.T) *linking {
	t.Helper()
	url := natstest.Start(t).URL()
	provision(t, url)
	return &linking{running: running{natsURL: url}, now: time.Now()}
}

// link runs "bridge link", and returns what it prints. Arguments like A=b are variables.
func (l *linking) link(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return l.linkWithin(t.Context(), args...)
}

func (l *linking) linkWithin(ctx context.Context, args ...string) (string, error) {
	env := map[string]string{"NATS_URL": l.natsURL, "WEBHOOK_LIVEMODE": "live"}
	return command{"bridge link", config.BridgeLink, bridge.Link, func() time.Time { return l.now }, l.stdin, env, nil}.of(args...).execute(ctx)
}

// all returns the links in the stream, in the order of their customers.
func (l *linking) all(t *testing.T) (texts []string, facts []ordering.UserFact) {
	t.Helper()
	for sequence := range l.stored(t) {
		m, id := l.message(t, sequence+1)
		fact, ok := ordering.UserFactOf(m)
		if !ok || m.Type != events.SubjectUserLinked || id != m.MessageID() || !strings.HasPrefix(m.ID, "link_") {
			t.Errorf("got %+v under %s", m, id)
		}
		texts = append(texts, fmt.Sprintf("%s %s%s=%s", m.Source, fact.CustomerID, fact.CustomerAccountID, fact.UserID))
		facts = append(facts, fact)
	}
	return texts, facts
}

func TestLinkOfOnePair(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"platform":          {[]string{"--customer=cus_1", "--user=u 1"}, []string{"/stripe/platform/live cus_1=u 1"}},
		"test mode":         {[]string{"--customer=cus_1", "--user=u1", "WEBHOOK_LIVEMODE=test"}, []string{"/stripe/platform/test cus_1=u1"}},
		"both modes":        {[]string{"--customer=cus_1", "--user=u1", "WEBHOOK_LIVEMODE=any"}, []string{"/stripe/platform/live cus_1=u1", "/stripe/platform/test cus_1=u1"}},
		"connected account": {[]string{"--customer=cus_1", "--user=u1", "--account=acct_1"}, []string{"/stripe/acct_1/live cus_1=u1"}},
		"Accounts v2":       {[]string{"--customer-account=acct_9", "--user=u1"}, []string{"/stripe/platform/live acct_9=u1"}},
		"account of the secrets": {
			[]string{"--customer=cus_1", "--user=u1", "STRIPE_WEBHOOK_SECRETS=a@acct_1=whsec_1,b@acct_1=whsec_2"},
			[]string{"/stripe/acct_1/live cus_1=u1"},
		},
		"not the account of the secrets": {
			[]string{"--customer=cus_1", "--user=u1", "--account=platform", "STRIPE_WEBHOOK_SECRETS=a@acct_1=whsec_1"},
			[]string{"/stripe/platform/live cus_1=u1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLinking(t)
			out, err := l.link(t, tt.args...)
			if err != nil || !strings.HasPrefix(out, "published 1 of 1 pairs, as of 2") {
				t.Errorf("got %q, %v", out, err)
			}
			if got, _ := l.all(t); cmp.Diff(tt.want, got) != "" {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWrongUsageOfLink(t *testing.T) {
	t.Parallel()
	l := &linking{running: running{natsURL: "nats://127.0.0.1:1"}, now: time.Now()}
	for name, args := range map[string][]string{
		"nothing":            nil,
		"no user":            {"--customer=cus_1"},
		"no customer":        {"--user=u1"},
		"pair and file":      {"--customer=cus_1", "--user=u1", "--file=-"},
		"account":            {"--customer=cus_1", "--user=u1", "--account=cus_2"},
		"customer account":   {"--customer-account=cus_1", "--user=u1"},
		"swapped":            {"--customer=u1", "--user=cus_1"},
		"future":             {"--customer=cus_1", "--user=u1", "--as-of=2999-01-01"},
		"missing file":       {"--file=" + filepath.Join(t.TempDir(), "missing")},
		"one of many owners": {"--customer=cus_1", "--user=u1", "STRIPE_WEBHOOK_SECRETS=a@acct_1=whsec_1,b@acct_2=whsec_2"},
	} {
		if out, err := l.link(t, args...); config.ExitCode(err) != 2 || out != "" {
			t.Errorf("%s: got %q, %v, want wrong usage", name, out, err)
		}
	}
}

func TestFileWithFaultyLines(t *testing.T) {
	t.Parallel()
	l := newLinking(t)
	l.stdin = "\ufeffuser_id,name,customer,account,customer_account\r\n" +
		"u1,\"Ada, the first\",cus_1,,\r\n" + // 2
		"u2,,cus_2,acct_1,\r\n" + // 3
		"u3,,,,acct_9\r\n" +
		",,cus_4,,\r\n" + // 5
		"secret,,,,\r\n" +
		"secret\u0007,,cus_6,,\r\n" + // 7
		"secret,,cus 7,,\r\n" +
		"secret,,cus_8,cus_9,\r\n" + // 9
		"se\"cret,,cus_9,,\r\n" +
		"u1,,cus_1,platform,\r\n" + // 11, as line 2
		"u2,,cus_2,,\r\n" + // another account
		"u8,,cus_10,,\r\n" + // 13
		"u9,,cus_10,,\r\n"
	out, err := l.link(t, "--file=-")
	want := `line 5: user is missing
line 6: customer is missing
line 7: user is not UTF-8, or has control characters
line 8: customer is not an id of Stripe's
line 9: account is neither acct_… nor platform
line 10: bare " in non-quoted-field
line 14: the customer has another user in line 13; neither is published
published 4 of 4 pairs, as of `
	if !strings.HasPrefix(out, want) || !strings.HasSuffix(out, "; faulty lines: 7\n") || config.ExitCode(err) != 1 {
		t.Errorf("got %v (-want +got):\n%s", err, cmp.Diff(want, out))
	}
	if strings.Contains(out+err.Error(), "secret") {
		t.Errorf("%q quotes a value", out)
	}
	got, _ := l.all(t)
	if want := map[string]bool{
		"/stripe/platform/live cus_1=u1": true, "/stripe/acct_1/live cus_2=u2": true, "/stripe/platform/live acct_9=u3": true, "/stripe/platform/live cus_2=u2": true,
	}; cmp.Diff(want, set(got)) != "" {
		t.Errorf("(-want +got):\n%s", cmp.Diff(want, set(got)))
	}
}

func set(list []string) map[string]bool {
	found := map[string]bool{}
	for _, s := range list {
		found[s] = true
	}
	return found
}

func TestFilesOfManyForms(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, want string }{
		"no header":         {"cus_1,u1\n\ncus_2,\"u,2\",acct_1", `{"kind":"summary","as_of":"2026-01-02T00:00:00Z","pairs":2,"published":0,"faulty_lines":0,"dry_run":true}`},
		"empty":             {"", `"pairs":0,"published":0,"faulty_lines":0`},
		"header only":       {"Customer, User\n", `"pairs":0,"published":0,"faulty_lines":0`},
		"other separator":   {"cus_1;u1\ncus_2;u2\n", `{"kind":"fault","line":2,"fault":"has 1 columns, want customer,user or customer,user,account"}`},
		"unfinished quote":  {"cus_1,u1\ncus_2,\"u2\ncus_3,u3\n", `{"kind":"fault","line":2,"fault":"extraneous or missing \" in quoted-field"}`},
		"UTF-16":            {"\xff\xfec\x00u\x00s\x00,\x00u\x00", `"faulty_lines":1`},
		"short row":         {"customer,user\ncus_1\n", `{"kind":"fault","line":2,"fault":"user is missing"}`},
		"row with a header": {"customer,user\ncustomer,user\n", `"pairs":1`},
	} {
		l := &linking{running: running{natsURL: "nats://127.0.0.1:1"}, now: time.Now(), stdin: tt.file}
		out, _ := l.link(t, "--file=-", "--json", "--dry-run", "--as-of=2026-01-02")
		if !strings.Contains(out, tt.want) {
			t.Errorf("%s: got %s, want %s", name, out, tt.want)
		}
	}
}

func TestManyFaultyLinesArePrintedAsAFew(t *testing.T) {
	t.Parallel()
	l := &linking{now: time.Now(), stdin: strings.Repeat("cus_1\n", 250)}
	out, err := l.link(t, "--file=-", "--dry-run")
	if n := strings.Count(out, "\n"); n != 102 || !strings.Contains(out, "\n150 more lines are faulty") || config.ExitCode(err) != 1 {
		t.Errorf("got %d lines, %v", n, err)
	}
}

// Publishing a file again changes nothing, even after a link that is newer than the file,
// and after the stream has forgotten the ids.
func TestFileThatIsPublishedAgain(t *testing.T) {
	t.Parallel()
	l := newLinking(t)
	path := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(path, []byte("cus_1,old\ncus_2,two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	changed := l.now.Add(-time.Hour)
	if err := os.Chtimes(path, changed, changed); err != nil {
		t.Fatal(err)
	}
	user := func(want string) {
		t.Helper()
		_, facts := l.all(t)
		facts = append(facts, facts...) // as if the stream had forgotten the ids
		got := ordering.ResolveUser(&events.Subscription{ID: "sub_1", CustomerID: "cus_1"}, facts)
		if got.ID != want || got.Conflict {
			t.Errorf("got user %+v, want %s", got, want)
		}
	}
	for _, step := range []struct {
		args   []string
		stored uint64
		user   string
	}{
		{[]string{"--file=" + path}, 2, "old"},
		{[]string{"--file=" + path}, 2, "old"},
		{[]string{"--customer=cus_1", "--user=new"}, 3, "new"},
		{[]string{"--file=" + path}, 3, "new"},
		{[]string{"--customer=cus_1", "--user=newest", "--as-of=30m"}, 4, "new"},
	} {
		if _, err := l.link(t, step.args...); err != nil {
			t.Fatal(err)
		}
		if got := l.stored(t); got != step.stored {
			t.Errorf("%v: got %d messages, want %d", step.args, got, step.stored)
		}
		user(step.user)
	}
}

func TestLinkWithoutAStream(t *testing.T) {
	t.Parallel()
	l := &linking{running: running{natsURL: natstest.Start(t).URL()}, now: time.Now()}
	out, err := l.link(t, "--customer=cus_1", "--user=u1")
	if config.ExitCode(err) != 1 || !strings.Contains(fmt.Sprint(err), "bridge provision") || !strings.HasPrefix(out, "published 0 of 1") {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestLinkThatIsInterrupted(t *testing.T) {
	t.Parallel()
	l := newLinking(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out, err := l.linkWithin(ctx, "--customer=cus_1", "--user=u1")
	if config.ExitCode(err) != 1 || !strings.Contains(fmt.Sprint(err), "run the same command again") || !strings.HasPrefix(out, "published 0 of 1") {
		t.Errorf("got %q, %v", out, err)
	}
}
