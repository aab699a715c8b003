package bridge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/bridge"
	whsec "github.com/billbus/billbus/internal/secret"
	"github.com/billbus/billbus/test/kit"
)

const (
	liveSecret = "whsec_live_hunter2"
	testSecret = "whsec_test_hunter2"

	// hunter2 is in the secrets and in the payload, and must not be in any output.
	doctorEvent = `{
  "id": "evt_1Qabc",
  "object": "event",
  "account": "acct_1Qdef",
  "created": 1767225600,
  "data": {
    "object": {
      "customer_email": "hunter2@example.com",
      "url": "https://pay.example/hunter2"
    }
  },
  "livemode": true,
  "type": "customer.subscription.updated"
}`
)

var doctorNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func signBy(key string, at time.Time, body string) string { return kit.Sign([]byte(body), key, at) }

// examine runs the doctor with the body and headers in files.
func examine(t *testing.T, body, headers string, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	bodyFile, headersFile := filepath.Join(dir, "body"), filepath.Join(dir, "headers")
	if err := errors.Join(os.WriteFile(bodyFile, []byte(body), 0o600), os.WriteFile(headersFile, []byte(headers), 0o600)); err != nil {
		t.Fatal(err)
	}
	return doctor(t, "", append([]string{"--body", bodyFile, "--headers", headersFile}, args...)...)
}

func doctor(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	env := map[string]string{"STRIPE_WEBHOOK_SECRETS": "live=" + liveSecret + ",old=whsec_old_hunter2"}
	var cfg config.Bridge
	if err := config.BridgeDoctor(&cfg).Load("bridge doctor", kit.Flags(args...), func(name string) string { return env[name] }); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := bridge.Doctor(cfg, strings.NewReader(stdin), &out, func() time.Time { return doctorNow })
	if all := fmt.Sprint(out.String(), err); strings.Contains(all, "hunter2") {
		t.Errorf("the output contains a secret or the payload: %s", all)
	}
	return out.String(), err
}

func TestDoctorNamesTheCause(t *testing.T) {
	t.Parallel()
	good := signBy(liveSecret, doctorNow, doctorEvent)
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(doctorEvent)); err != nil {
		t.Fatal(err)
	}
	old := signBy(liveSecret, doctorNow.Add(-10*time.Minute), doctorEvent)
	sandbox := strings.Replace(doctorEvent, "true", "false", 1)
	for name, tt := range map[string]struct {
		body, headers string
		args          []string
		cause         string
		want          []string
	}{
		"verifies":                  {doctorEvent, "Stripe-Signature: " + good, nil, "verified", []string{"The request verifies", "secret live", "within WEBHOOK_TOLERANCE", "evt_1Qabc"}},
		"name in small letters":     {doctorEvent, "stripe-signature: " + good, nil, "verified", nil},
		"wrong secret":              {doctorEvent, "Stripe-Signature: " + signBy("whsec_else", doctorNow, doctorEvent), nil, "no_match", []string{"no configured secret signed it (live, old).", "its own secret", "as Stripe writes it", "acct_1Qdef"}},
		"test secret, live event":   {doctorEvent, "Stripe-Signature: " + good, []string{"--stripe-webhook-secrets=test=" + testSecret}, "no_match", []string{"live mode, and all secrets are named for test mode", "secrets tried  test\n", "live mode"}},
		"live secret, test event":   {sandbox, "Stripe-Signature: " + signBy(testSecret, doctorNow, sandbox), []string{"--stripe-webhook-secrets=live=" + liveSecret, "--webhook-livemode=live"}, "no_match", []string{"test mode, and all secrets are named for live mode", "WEBHOOK_LIVEMODE is live", "stripe listen"}},
		"live event, test mode":     {doctorEvent, "Stripe-Signature: " + signBy("whsec_else", doctorNow, doctorEvent), []string{"--webhook-livemode=test"}, "no_match", []string{"WEBHOOK_LIVEMODE is test"}},
		"re-encoded":                {compact.String(), "Stripe-Signature: " + good, nil, "altered", []string{"changed on its way", "re-encoded as compact JSON", "secret live", "express.raw"}},
		"re-encoded, unknown key":   {compact.String(), "Stripe-Signature: " + signBy("whsec_else", doctorNow, doctorEvent), nil, "no_match", []string{"in a way that is not recognized: it is compact JSON", "probably re-encoded"}},
		"10 minutes old":            {doctorEvent, "Stripe-Signature: " + old, nil, "stale", []string{"10m0s ago, 5m0s more than", "date -u", "secret live"}},
		"10 minutes in the future":  {doctorEvent, "Stripe-Signature: " + signBy(liveSecret, doctorNow.Add(10*time.Minute), doctorEvent), nil, "future", []string{"10m0s in the future, 5m0s more than", "is behind"}},
		"10 minutes allowed":        {doctorEvent, "Stripe-Signature: " + old, []string{"--webhook-tolerance=10m"}, "verified", nil},
		"re-encoded and old":        {compact.String(), "Stripe-Signature: " + old, nil, "altered", []string{"10m0s ago", "date -u"}},
		"header lost":               {doctorEvent, "Host: a\nUser-Agent: Stripe/1.0 (x)\nAuthorization: Bearer hunter2", nil, "missing", []string{"no Stripe-Signature header", "Authorization, Host, User-Agent", "CDN"}},
		"header lost, not Stripe's": {doctorEvent, "Host: a\nUser-Agent: curl", nil, "missing", []string{"user agent is not Stripe's"}},
		"header by another name":    {doctorEvent, "HTTP_STRIPE_SIGNATURE: " + good, nil, "missing", []string{"There is a header HTTP_STRIPE_SIGNATURE", "--signature"}},
		"malformed":                 {doctorEvent, "Stripe-Signature: " + good[:20], nil, "malformed", []string{"64 hexadecimal digits"}},
		"header twice":              {doctorEvent, "Stripe-Signature: t=1,v1=" + strings.Repeat("0", 64) + "\nStripe-Signature: " + good, nil, "no_match", []string{"only the first counts"}},
		"compressed":                {doctorEvent, "Content-Encoding: gzip\nStripe-Signature: " + good, nil, "verified", []string{"with 415"}},
		"empty body":                {"", "Stripe-Signature: " + good, nil, "no_match", []string{"it is empty", "none found in the body"}},
		"cut off":                   {doctorEvent[:100], "Stripe-Signature: " + good, nil, "no_match", []string{"cut off"}},
		"not JSON":                  {"hunter2", "Stripe-Signature: " + good, nil, "no_match", []string{"not JSON"}},
		"no event":                  {`{"id":"hunter2"}`, "Stripe-Signature: " + good, nil, "no_match", []string{"not a Stripe event"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := examine(t, tt.body, tt.headers, tt.args...)
			encoded, errJSON := examine(t, tt.body, tt.headers, append(tt.args, "--json")...)
			var got struct {
				Verifies bool
				Cause    string
				Advice   []string
			}
			if err := json.Unmarshal([]byte(encoded), &got); err != nil {
				t.Fatal(err)
			}
			verified := tt.cause == "verified"
			if got.Cause != tt.cause || got.Verifies != verified || (err == nil) != verified || (errJSON == nil) != verified {
				t.Errorf("got %s, %v, %v, want %s in\n%s", got.Cause, err, errJSON, tt.cause, text)
			}
			if err != nil && (!errors.Is(err, bridge.ErrNotVerified) || config.ExitCode(err) != 1) {
				t.Errorf("got %v, want ErrNotVerified and status 1", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("got no %q in\n%s", want, text)
				}
			}
			if !verified && len(got.Advice) == 0 {
				t.Error("got no advice")
			}
		})
	}
}

func TestDoctorPrintsJSON(t *testing.T) {
	t.Parallel()
	out, err := examine(t, doctorEvent+"\n", "Stripe-Signature: "+signBy(liveSecret, doctorNow.Add(-time.Minute), doctorEvent), "--json")
	if !errors.Is(err, bridge.ErrNotVerified) {
		t.Errorf("got %v, want ErrNotVerified", err)
	}
	if strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "}\n") {
		t.Errorf("got %q, want one line", out)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "advice")
	delete(got, "verdict")
	encoded, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"age_seconds":60,"alterations":[{"kind":"newline_added","text":"given a newline at its end"}],"body":{"bytes":` + fmt.Sprint(len(doctorEvent)+1) +
		`,"layout":"indent_2"},"cause":"altered","clock":"verified","event":{"account":"acct_1Qdef","id":"evt_1Qabc","livemode":true,"object":"event",` +
		`"type":"customer.subscription.updated"},"headers":["Stripe-Signature"],"secret":"live","secrets_tried":["live","old"],"signed_at":"2026-03-01T11:59:00Z","verifies":false}`
	if string(encoded) != want {
		t.Errorf("got  %s\nwant %s", encoded, want)
	}
}

func TestDoctorReadsCurl(t *testing.T) {
	t.Parallel()
	command := "curl -X POST 'http://a/webhooks/stripe?token=hunter2' \\\n  -H 'Stripe-Signature: " + signBy(liveSecret, doctorNow, doctorEvent) +
		"' \\\n  --data-raw '" + doctorEvent + "'\n"
	for _, args := range [][]string{nil, {"--curl=-"}} {
		if out, err := doctor(t, command, args...); err != nil {
			t.Errorf("got %v and\n%s", err, out)
		}
	}
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte(doctorEvent), 0o600); err != nil {
		t.Fatal(err)
	}
	command = "curl a -H 'Stripe-Signature: " + signBy(liveSecret, doctorNow, doctorEvent) + "' -d @" + file
	out, err := doctor(t, command)
	if !errors.Is(err, bridge.ErrNotVerified) || !strings.Contains(out, "stripped of all its newlines") || !strings.Contains(out, "--data-binary") {
		t.Errorf("-d of a file: got %v and\n%s", err, out)
	}
}

func TestDoctorReadsTheSignatureFromAnOption(t *testing.T) {
	t.Parallel()
	if out, err := doctor(t, doctorEvent, "--body=-", "--signature", signBy(liveSecret, doctorNow, doctorEvent)); err != nil {
		t.Errorf("got %v and\n%s", err, out)
	}
}

func TestDoctorReportsUnusableInput(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "hunter2")
	for name, tt := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"no body file":    {"", []string{"--body", missing, "--headers=-"}, "--body: cannot be read: no such file"},
		"no headers file": {"", []string{"--body=-", "--headers", missing}, "--headers: cannot be read: no such file"},
		"no curl file":    {"", []string{"--curl", missing}, "--curl: cannot be read: no such file"},
		"no curl command": {"hunter2", nil, "--curl: there is no curl command in it"},
		"open quote":      {"curl 'hunter2", nil, "--curl: a quotation mark or bracket in it is not closed"},
		"missing @file":   {"curl a -d @" + missing, nil, "--curl: the file of --data cannot be read: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := doctor(t, tt.stdin, tt.args...)
			if config.ExitCode(err) != 2 || out != "" || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got status %d, %v and %q, want 2 and %q", config.ExitCode(err), err, out, tt.want)
			}
		})
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestDoctorReportsThatItCannotPrint(t *testing.T) {
	t.Parallel()
	for _, asJSON := range []bool{false, true} {
		cfg := config.Bridge{
			Doctor:  config.Doctor{Body: "-", Signature: signBy(liveSecret, doctorNow, doctorEvent), JSON: asJSON},
			Webhook: config.Webhook{Tolerance: time.Minute, Secrets: []config.NamedSecret{{Name: "live", Value: whsec.New(liveSecret)}}},
		}
		err := bridge.Doctor(cfg, strings.NewReader(doctorEvent), fullDisk{}, func() time.Time { return doctorNow })
		if config.ExitCode(err) != 1 || !strings.Contains(fmt.Sprint(err), "no space left") {
			t.Errorf("got %v, want the failure", err)
		}
	}
}
