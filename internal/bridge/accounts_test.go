package bridge_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/kit"
)

const (
	secretOne = "whsec_one_0123456789"
	secretTwo = "whsec_two_0123456789"
	secretOrg = "whsec_org_0123456789"
)

// acceptBy posts a body, signed with a secret, that must be accepted.
func (r *running) acceptBy(t *testing.T, secret string, body []byte) string {
	t.Helper()
	got := r.post(t, body, sign(body, secret))
	if got.Status != http.StatusOK {
		t.Fatalf("got %d %s", got.Status, got.Body)
	}
	return got.Body
}

// with adds members to an event.
func with(body []byte, members string) []byte {
	return bytes.Replace(body, []byte(`"object": "event"`), []byte(`"object": "event", `+members), 1)
}

func TestEventsBelongToTheAccountOfTheirSecret(t *testing.T) {
	t.Parallel()
	r := started(t, "STRIPE_WEBHOOK_SECRETS=one@acct_1="+secretOne+",two@acct_2="+secretTwo+",main="+secret)
	// Ids of two accounts can be equal.
	for i, c := range []struct{ secret, account, source string }{
		{secretOne, "acct_1", "/stripe/acct_1/test"}, {secretTwo, "acct_2", "/stripe/acct_2/test"}, {secret, "", "/stripe/platform/test"},
	} {
		if got := r.acceptBy(t, c.secret, event("evt_1")); strings.Contains(got, "ignored") {
			t.Errorf("%s: got %s", c.account, got)
		}
		m, id := r.message(t, uint64(i+1))
		if m.Type != "subscription.updated" || m.StripeAccount != c.account || m.Source != c.source || m.Data.Subscription.AccountID != c.account ||
			id != events.MessageID(c.account, "evt_1") || m.SubscriptionKey() != events.Key(false, c.account, "sub_1") {
			t.Errorf("got %+v under %s", m, id)
		}
		if got := r.raw(t, uint64(i+1)).Header.Get("Billbus-Account"); got != c.account {
			t.Errorf("got account %q in the header, want %q", got, c.account)
		}
	}
}

// One subscription has one record, whichever endpoint delivers its events: their keys
// are equal.
func TestEndpointsOfOneAccountShareItsSubscriptions(t *testing.T) {
	t.Parallel()
	r := started(t, "STRIPE_WEBHOOK_SECRETS=own@acct_1="+secretOne+",organization="+secretOrg+",connect="+secretTwo)
	for i, c := range []struct {
		secret string
		body   []byte
	}{
		{secretOne, event("evt_1")},
		{secretOrg, with(event("evt_2"), `"context": "acct_1"`)},
		{secretOrg, with(event("evt_3"), `"context": "org_1/acct_1"`)},
		{secretTwo, with(event("evt_4"), `"context": "acct_1", "account": "acct_1"`)},
	} {
		r.acceptBy(t, c.secret, c.body)
		m, _ := r.message(t, uint64(i+1))
		if got := m.SubscriptionKey(); got != "test:acct_1:sub_1" {
			t.Errorf("message %d on %s: got key %q", i+1, m.Type, got)
		}
	}
	// The same event through two endpoints of one version is one message.
	r.acceptBy(t, secretOrg, with(event("evt_1"), `"context": "acct_1"`))
	if got := r.stored(t); got != 4 {
		t.Errorf("got %d messages, want 4", got)
	}
}

// An organization's events are those of its members, and the members are admitted like
// connected accounts.
func TestEventsOfAnOrganizationAreIgnoredUntilTheyAreAdmitted(t *testing.T) {
	t.Parallel()
	body := with(event("evt_c20_1"), `"context": "acct_1Member"`)
	for accounts, ignored := range map[string]bool{"platform": true, "platform,acct_1Member": false, "any": false} {
		r := started(t, "WEBHOOK_ACCOUNTS="+accounts)
		got := r.acceptBy(t, secret, body)
		m, _ := r.message(t, 1)
		if strings.Contains(got, `"ignored":"account"`) != ignored || (m.Data.Ignored == "account") != ignored || m.StripeAccount != "acct_1Member" {
			t.Errorf("%s: got %s and %s of %s, ignored %q", accounts, got, m.Type, m.StripeAccount, m.Data.Ignored)
		}
		if r.metric(t, `billbus_webhooks_total{outcome="ignored"} 1`) != ignored {
			t.Errorf("%s: the metric is wrong", accounts)
		}
	}
}

func TestAccountOfASecretFollowsItsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("main=" + secret)
	r := started(t, "STRIPE_WEBHOOK_SECRETS_FILE="+file)
	member := func(id string) []byte { return with(event(id), `"context": "acct_1"`) }
	if got := r.acceptBy(t, secret, member("evt_0")); !strings.Contains(got, `"ignored":"account"`) {
		t.Errorf("got %s for an account that nothing names", got)
	}
	write("main@acct_1=" + secret)
	n := 0
	kit.Eventually(t, "the new account", func() bool {
		n++
		r.accept(t, event(fmt.Sprintf("evt_%d", n)))
		m, _ := r.message(t, uint64(n+1))
		return m.StripeAccount == "acct_1"
	})
	if got := r.acceptBy(t, secret, member("evt_last")); strings.Contains(got, "ignored") {
		t.Errorf("got %s for an account that a secret names", got)
	}
}

// ask returns the path and the key of every request, sorted.
func ask(a *kit.StripeAPI) []string {
	var asked []string
	for _, q := range a.Requests() {
		asked = append(asked, q.URL.Path+" "+strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")+" "+q.Header.Get("Stripe-Account")+q.Header.Get("Stripe-Context"))
	}
	slices.Sort(asked)
	return asked
}

// byKey answers with another subscription for each key.
func byKey(answers map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		body, ok := answers[strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")]
		if !ok {
			kit.StripeError(http.StatusForbidden, "")(w, q)
			return
		}
		kit.StripeObject(body)(w, q)
	}
}

// Two accounts that have nothing to do with each other share ids and a bridge, and
// neither what their thin events name nor their items meet.
func TestAccountsSideBySideDoNotMeet(t *testing.T) {
	t.Parallel()
	const keyOne, keyTwo = "rk_test_hunter_one", "rk_test_hunter_two"
	a := kit.NewStripeAPI(t)
	truncated := func(status string) string {
		return `{"id":"sub_1","object":"subscription","livemode":false,"status":"` + status + `","items":{"object":"list","data":[],"has_more":true}}`
	}
	item := func(id string) string { return `{"object":"list","data":[{"id":"` + id + `"}],"has_more":false}` }
	a.On("/v1/events/evt_full", byKey(map[string]string{keyOne: string(event("evt_full")), keyTwo: string(event("evt_full"))}))
	a.On("/v1/subscriptions/sub_1", byKey(map[string]string{keyOne: truncated("active"), keyTwo: truncated("past_due")}))
	a.On("/v1/subscription_items?limit=100&subscription=sub_1", byKey(map[string]string{keyOne: item("si_one"), keyTwo: item("si_two")}))
	r := started(t, "STRIPE_API_BASE="+a.URL, "STRIPE_API_KEYS=acct_1="+keyOne+",acct_2="+keyTwo,
		"STRIPE_WEBHOOK_SECRETS=one@acct_1="+secretOne+",two@acct_2="+secretTwo+",three@acct_3="+secret)
	for _, key := range []string{secretOne, secretTwo} {
		r.acceptBy(t, key, thin("evt_thin", "sub_1", `,"snapshot_event":"evt_full"`))
		r.acceptBy(t, key, thin("evt_plain", "sub_1", ""))
	}
	for i := range 3 { // has no key
		r.acceptBy(t, secret, thin(fmt.Sprintf("evt_%d", i), "sub_1", ""))
	}
	r.resolved(t, "event", 2)
	r.resolved(t, "snapshot", 2)
	r.resolved(t, "no_key", 3)
	r.settled(t)
	items := map[string]string{}
	for sequence := uint64(1); sequence <= r.stored(t); sequence++ {
		m, id := r.message(t, sequence)
		if m.ID == "evt_full" && (m.Type != "subscription.updated" || id != m.StripeAccount+":evt_full" || m.Data.Ignored != "") {
			t.Errorf("got %+v under %s", m, id)
		}
		if m.Type == events.SubjectSnapshot {
			items[m.StripeAccount] += m.Data.Subscription.Status + " " + m.Data.Subscription.Items[0].ID
		}
	}
	if got := r.stored(t); got != 11 || items["acct_1"] != "active si_one" || items["acct_2"] != "past_due si_two" {
		t.Errorf("got %d messages and %v, want those of each account", got, items)
	}
	want := []string{"/v1/events/evt_full ", "/v1/subscription_items ", "/v1/subscriptions/sub_1 "}
	asked := ask(a)
	if len(asked) != 6 {
		t.Fatalf("asked %q", asked)
	}
	for i, got := range asked {
		if expected := want[i/2] + []string{keyOne, keyTwo}[i%2] + " "; got != expected {
			t.Errorf("asked %q, want %q", got, expected)
		}
	}
	if got := strings.Count(r.log.String(), "STRIPE_API_KEYS"); got != 1 || strings.Contains(r.log.String(), "hunter") {
		t.Errorf("got %d warnings about the account without a key, want one, and no key:\n%s", got, r.log)
	}
}

// The only account that is named is the one that the key belongs to, so no header has
// to name it.
func TestOneAccountNeedsOneKey(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	a.On("/v1/subscriptions/sub_1", kit.StripeObject(`{"id":"sub_1","object":"subscription","livemode":false}`))
	r := resolving(t, a, "STRIPE_WEBHOOK_SECRETS=old@acct_1="+secretOne+",new@acct_1="+secret)
	r.accept(t, thin("evt_1", "sub_1", ""))
	r.resolved(t, "snapshot", 1)
	if got := ask(a); len(got) != 1 || got[0] != "/v1/subscriptions/sub_1 "+apiKey+" " {
		t.Errorf("asked %q", got)
	}
	if m, _ := r.message(t, 2); m.StripeAccount != "acct_1" {
		t.Errorf("got a snapshot of %q", m.StripeAccount)
	}
}

func TestKeyOfAnOrganizationReadsItsMembers(t *testing.T) {
	t.Parallel()
	const key = "sk_org_test_hunter2"
	a := kit.NewStripeAPI(t)
	a.On("/v1/subscriptions/sub_1", kit.StripeObject(`{"id":"sub_1","object":"subscription","livemode":false}`))
	r := started(t, "STRIPE_API_BASE="+a.URL, "STRIPE_API_KEY="+key, "STRIPE_API_VERSION=2025-09-30.clover", "WEBHOOK_ACCOUNTS=any")
	r.accept(t, thin("evt_1", "sub_1", `,"context":"acct_1"`))
	r.accept(t, thin("evt_2", "sub_1", `,"context":"acct_1/acct_2"`))
	r.accept(t, thin("evt_3", "sub_1", ""))
	r.resolved(t, "snapshot", 2)
	r.resolved(t, "no_key", 1)
	want := []string{"/v1/subscriptions/sub_1 " + key + " acct_1", "/v1/subscriptions/sub_1 " + key + " acct_1/acct_2"}
	if got := ask(a); !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
	for _, q := range a.Requests() {
		if q.Header.Get("Stripe-Version") != "2025-09-30.clover" || q.Header.Get("Stripe-Account") != "" {
			t.Errorf("got %v", q.Header)
		}
	}
}

// During a rotation, one endpoint signs with two secrets.
func TestRotatedSecretDoesNotDoubleEvents(t *testing.T) {
	t.Parallel()
	r := started(t, "STRIPE_WEBHOOK_SECRETS=old="+secretOne+",new="+secretTwo)
	body := event("evt_1")
	both := sign(body, secretOne) + ",v1=" + strings.SplitN(sign(body, secretTwo), "v1=", 2)[1]
	for _, signature := range []string{both, sign(body, secretTwo), sign(body, secretOne)} {
		if got := r.post(t, body, signature); got.Status != http.StatusOK {
			t.Errorf("got %d %s", got.Status, got.Body)
		}
	}
	if got := r.stored(t); got != 1 {
		t.Errorf("got %d messages, want one", got)
	}
}
