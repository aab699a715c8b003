package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// wrongSettings are settings that ignore the events of testdata/ignored, by the reason
// for which they do. admitting admits all events.
var wrongSettings = map[string][]string{
	"livemode": {"WEBHOOK_LIVEMODE=live", "WEBHOOK_ACCOUNTS=any"},
	"account":  {"WEBHOOK_LIVEMODE=any", "WEBHOOK_ACCOUNTS=acct_other"},
}

var admitting = []string{"WEBHOOK_LIVEMODE=any", "WEBHOOK_ACCOUNTS=any"}

const duplicateWindow = 2 * time.Second

// ignoredCluster has stored two events of a subscription that a setting ignored. Then
// the bridge is restarted with the right settings.
func ignoredCluster(t *testing.T, reason string) *cluster {
	t.Helper()
	c := newCluster(t, append(wrongSettings[reason], "STREAM_DUPLICATE_WINDOW="+duplicateWindow.String())...)
	c.sendIgnored(t, reason)
	c.drained(t)
	if n := len(docs[recordDoc](t, c.database(t).Collection("subscriptions"))); n != 0 {
		t.Fatalf("got %d records of ignored events, want none", n)
	}
	if err := c.bridge.Terminate(t); err != nil {
		t.Fatal(err)
	}
	c.bridge.Env = append(c.bridge.Env, admitting...)
	c.bridge.Start(t)
	ready(t, c.bridgeAdmin)
	return c
}

// sendIgnored sends the events. Each must be answered as ignored for that reason, or as
// admitted if there is none.
func (c *cluster) sendIgnored(t *testing.T, reason string) {
	t.Helper()
	ignored := ""
	if reason != "" {
		ignored = fmt.Sprintf(`,"ignored":%q`, reason)
	}
	for n := 1; n <= 2; n++ {
		body, err := os.ReadFile(filepath.Join("testdata", "ignored", fmt.Sprintf("0%d.json", n)))
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`{"received":true,"id":"evt_c02_%d"%s}`, n, ignored)
		res, err := kit.Post(c.webhookURL, body, kit.Sign(body, secret, time.Now()))
		if err != nil || res.Status != http.StatusOK || strings.TrimSpace(res.Body) != want {
			t.Errorf("got %+v, %v, want %s", res, err, want)
		}
	}
}

// admitted checks that the record is there, and that consumers of the stream have got
// each event once as one that is admitted.
func (c *cluster) admitted(t *testing.T, times int) {
	t.Helper()
	c.drained(t)
	records := docs[bson.M](t, c.database(t).Collection("subscriptions"))
	if len(records) != 1 || records[0]["_id"] != "test:platform:sub_c02" || records[0]["status"] != "past_due" {
		t.Errorf("got records %v, want one of sub_c02 that is past_due", records)
	}
	for _, subject := range []string{"subscription.created", "subscription.updated"} {
		if got := c.published(t, subject); got != times {
			t.Errorf("%s: got %d messages with data.subscription, want %d", subject, got, times)
		}
	}
	if n := len(docs[auditDoc](t, c.database(t).Collection("webhook_events"))); n != 2 {
		t.Errorf("got %d audit documents, want 2", n)
	}
	if code, findings, summary := c.verify(t); code != 0 || len(findings) != 0 {
		t.Errorf("verify: got %d, %v, %v", code, findings, summary)
	}
}

// published counts the messages of a subject that have the subscription.
func (c *cluster) published(t *testing.T, subject string) int {
	t.Helper()
	stream, err := c.jetStream(t).Stream(t.Context(), "BILLBUS")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for seq := uint64(1); ; seq++ {
		raw, err := stream.GetMsg(t.Context(), seq, jetstream.WithGetMsgSubject(subject))
		if err != nil {
			return n
		}
		m, err := events.Decode(raw.Data)
		if err == nil && m.Data.Subscription != nil && m.Data.Subscription.ID == "sub_c02" && bytes.Contains(raw.Data, []byte(`"event":{`)) {
			n++
		}
		seq = raw.Sequence
	}
}

func TestResendAdmitsWhatWasIgnored(t *testing.T) {
	t.Parallel()
	for reason := range wrongSettings {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			c := ignoredCluster(t, reason)
			start := time.Now()
			c.sendIgnored(t, "")
			c.admitted(t, 1)
			// Outside of the duplicate window the stream takes them once more.
			kit.Eventually(t, "the duplicate window is over", func() bool { return time.Since(start) > 2*duplicateWindow })
			before := natstest.Count(t, c.jetStream(t), "BILLBUS")
			c.sendIgnored(t, "")
			if got := natstest.Count(t, c.jetStream(t), "BILLBUS"); got != before+2 {
				t.Errorf("outside of the window: got %d new messages, want 2", got-before)
			}
			c.admitted(t, 2)
		})
	}
}

func TestResendOutsideOfTheWindowAdmitsWhatWasIgnored(t *testing.T) {
	t.Parallel()
	c := ignoredCluster(t, "livemode")
	start := time.Now()
	kit.Eventually(t, "the duplicate window is over", func() bool { return time.Since(start) > 2*duplicateWindow })
	c.sendIgnored(t, "")
	c.admitted(t, 1)
}

func TestRenormalizeAdmitsWhatWasIgnored(t *testing.T) {
	t.Parallel()
	c := ignoredCluster(t, "account")
	args := []string{"replay", "--renormalize", "--json"}
	code, stdout, stderr := execute(t, "subscriber", append(c.env(), admitting...), args...)
	if code != 0 || !strings.Contains(stdout, `{"admitted":2,"kind":"renormalized","omitted":0}`) ||
		!strings.Contains(stdout, `{"kind":"difference","type":"customer.subscription.updated","field":"subscription.status","events":1}`) {
		t.Errorf("got %d\n%s%s", code, stdout, stderr)
	}
	c.admitted(t, 1)
	code, stdout, stderr = execute(t, "subscriber", append(c.env(), admitting...), args...)
	if code != 0 || strings.Contains(stdout, "difference") {
		t.Errorf("a second time: got %d\n%s%s", code, stdout, stderr)
	}
	// Other settings find another user; the record follows.
	code, stdout, stderr = execute(t, "subscriber", append(c.env(), append(admitting, "USER_ID_METADATA_KEYS=none")...), args...)
	if code != 0 || !strings.Contains(stdout, `"field":"subscription.user_id","events":2}`) && !strings.Contains(stdout, `"field":"subscription.user_id","events":1}`) {
		t.Errorf("with other settings: got %d\n%s%s", code, stdout, stderr)
	}
	if records := docs[bson.M](t, c.database(t).Collection("subscriptions")); len(records) != 1 || records[0]["user_id"] != nil {
		t.Errorf("got %v, want a record without a user", records)
	}
}

func TestVerifyAdmitsWhatWasIgnored(t *testing.T) {
	t.Parallel()
	c := ignoredCluster(t, "livemode")
	code, stdout, _ := execute(t, "subscriber", c.env(), "audit", "--ignored")
	if code != 0 || strings.Count(stdout, "ignored: livemode (WEBHOOK_LIVEMODE)") != 2 {
		t.Errorf("audit --ignored: got %d\n%s", code, stdout)
	}
	if code, findings, _ := c.verify(t); code != 0 || len(findings) != 0 {
		t.Errorf("without settings: got %d, %v", code, findings)
	}
	given := []string{"--webhook-livemode=any", "--webhook-accounts=any"}
	if code, findings, summary := c.verify(t, given...); code != 1 || len(findings) != 2 || summary["differing"] != 2.0 {
		t.Errorf("with settings: got %d, %v, %v", code, findings, summary)
	}
	if code, findings, summary := c.verify(t, append(given, "--fix")...); code != 0 || len(findings) != 2 || summary["fixed"] != 2.0 {
		t.Errorf("fixing: got %d, %v, %v", code, findings, summary)
	}
	c.admitted(t, 0)
	c.sendIgnored(t, "")
	c.admitted(t, 1)
}
