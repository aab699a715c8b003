package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/test/kit"
)

// auditLine is a line of "subscriber audit --json".
type auditLine struct {
	Kind, ID, Type, Outcome, Why string
	Changes                      []string
	By                           string `json:"superseded_by"`
	After, Before                string
}

// audit returns the lines of the command, without the summary.
func (c *cluster) audit(t *testing.T, args ...string) []auditLine {
	t.Helper()
	var all []auditLine
	for text := range strings.Lines(c.auditText(t, append([]string{"--json"}, args...)...)) {
		var line auditLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		all = append(all, line)
	}
	last := len(all) - 1
	if all[last].Kind != "summary" {
		t.Errorf("got %+v as the last line, want the summary", all[last])
	}
	return all[:last]
}

func (c *cluster) auditText(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := execute(t, "subscriber", c.env(), append([]string{"audit"}, args...)...)
	if code != 0 {
		t.Fatalf("exit status %d\n%s%s", code, stdout, stderr)
	}
	return stdout
}

func TestAuditShowsTheOutcomeOfEachEvent(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	start := time.Now().Add(-time.Hour).Unix()
	send := func(id, stripeType string, second int64, object, previous string) {
		t.Helper()
		body := fmt.Sprintf(`{"id":%q,"object":"event","api_version":"2023-10-16","created":%d,"livemode":false,"type":%q,"data":{"object":%s%s}}`,
			id, start+second, stripeType, object, previous)
		accept(t, c.webhookURL, []byte(body))
	}
	sub := func(status string) string {
		return fmt.Sprintf(`{"id":"sub_1","object":"subscription","customer":"cus_1","status":%q,"created":%d,"livemode":false,"metadata":{"user_id":"42"},"items":{"object":"list","data":[]}}`, status, start)
	}
	send("evt_3", "customer.subscription.updated", 90, sub("past_due"), `,"previous_attributes":{"status":"active"}`)
	send("evt_1", "customer.subscription.created", 0, sub("incomplete"), "")
	send("evt_5", "customer.subscription.updated", 500, sub("active"), `,"previous_attributes":{"status":"unpaid"}`)
	send("evt_4", "invoice.payment_failed", 91, `{"id":"in_1","object":"invoice","customer":"cus_1","subscription":"sub_1","status":"open"}`, "")
	send("evt_2", "customer.subscription.updated", 9, sub("active"), `,"previous_attributes":{"status":"incomplete"}`)
	c.drained(t)
	var got []string
	for _, e := range c.audit(t, "--subscription", "sub_1") {
		got = append(got, strings.Join(strings.Fields(strings.Join([]string{e.Kind, e.ID, e.Outcome, e.By, e.After, e.Before, strings.Join(e.Changes, ",")}, " ")), " "))
	}
	want := []string{
		"event evt_1 superseded evt_2", "event evt_2 superseded evt_3 activated", "event evt_3 superseded evt_5 past_due", "event evt_4 recorded",
		"gap evt_3 evt_5", "event evt_5 won recovered",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	for args, want := range map[string][]string{
		"--user 42": {"evt_1", "evt_2", "evt_3", "evt_4", "evt_5"}, "--customer cus_1 --limit 1": {"evt_5"}, "--type invoice.payment_failed": {"evt_4"},
		"--since 55m --until 1m": {"evt_5"}, "--event evt_3": {"evt_3"}, "--user nobody": nil,
	} {
		var got []string
		for _, e := range c.audit(t, strings.Fields(args)...) {
			if e.Kind == "event" {
				got = append(got, e.ID)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", args, diff)
		}
	}
	text := c.auditText(t)
	t.Log("\n" + text)
	for _, want := range []string{"superseded by evt_2", "gap: events are missing between evt_3 and evt_5", "past_due: past_due", "in_1 open"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table does not contain %q:\n%s", want, text)
		}
	}
	kit.Eventually(t, "gaps are counted", func() bool { return strings.Contains(kit.Get(c.subAdmin+"/metrics").Body, "\nbillbus_gaps 0\n") })
	if payload := c.auditText(t, "--payload", "evt_4"); !strings.Contains(payload, `"id":"in_1"`) {
		t.Errorf("payload: got %s", payload)
	}
}
