package bridge_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billbus/billbus/internal/bridge"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

const refusal = `{"error":"signature verification failed"}`

func TestWebhookIsStoredBeforeItIsAnswered(t *testing.T) {
	t.Parallel()
	r := started(t)
	got := r.postSigned(t, event("evt_1"))
	if got.Status != http.StatusOK || got.Body != `{"received":true,"id":"evt_1"}` {
		t.Fatalf("got %d %s", got.Status, got.Body)
	}
	msg := r.raw(t, 1)
	if msg.Subject != "subscription.updated" {
		t.Errorf("got subject %s", msg.Subject)
	}
	for header, want := range map[string]string{
		"Nats-Msg-Id": "evt_1", "Content-Type": "application/cloudevents+json", "Billbus-Livemode": "false",
		"Billbus-Endpoint": "main", "Billbus-Account": "",
	} {
		if got := msg.Header.Get(header); got != want {
			t.Errorf("got header %s %q, want %q", header, got, want)
		}
	}
	m, _ := r.message(t, 1)
	if m.Data.Subscription.ID != "sub_1" || m.Data.Subscription.Status != "active" || m.Type != "subscription.updated" {
		t.Errorf("got %+v", m)
	}
}

func TestRepeatedEventIsStoredOnce(t *testing.T) {
	t.Parallel()
	r := started(t)
	var work sync.WaitGroup
	for range 100 {
		work.Go(func() {
			if got := r.postSigned(t, event("evt_1")); got.Status != http.StatusOK {
				t.Errorf("got %d %s", got.Status, got.Body)
			}
		})
	}
	work.Wait()
	if got := r.stored(t); got != 1 {
		t.Errorf("got %d messages, want 1", got)
	}
}

func TestBadSignaturesGetTheSameAnswer(t *testing.T) {
	t.Parallel()
	r := started(t)
	body := event("evt_1")
	now := time.Now()
	good := kit.Sign(body, secret, now)
	var thousand strings.Builder
	fmt.Fprintf(&thousand, "t=%d", now.Unix())
	for i := range 1000 {
		fmt.Fprintf(&thousand, ",v1=%064x", i)
	}
	reasons := map[string]int{}
	for name, c := range map[string]struct{ signature, reason string }{
		"absent":                {"", "missing"},
		"garbage":               {"garbage", "malformed"},
		"only v0":               {strings.Replace(good, "v1=", "v0=", 1), "no_match"},
		"wrong secret":          {kit.Sign(body, "whsec_other_0123456789", now), "no_match"},
		"one byte changed":      {kit.Sign(append(bytes.Clone(body), ' '), secret, now), "no_match"},
		"301 s old":             {kit.Sign(body, secret, now.Add(-301*time.Second)), "stale"},
		"10 minutes ahead":      {kit.Sign(body, secret, now.Add(10*time.Minute)), "future"},
		"signed with empty key": {kit.Sign(body, "", now), "no_match"},
		"1000 v1 entries":       {thousand.String(), "no_match"},
	} {
		got := r.post(t, body, c.signature)
		if got.Status != http.StatusBadRequest || got.Body != refusal {
			t.Errorf("%s: got %d %s", name, got.Status, got.Body)
		}
		reasons[c.reason]++
	}
	for reason, n := range reasons {
		if line := fmt.Sprintf("billbus_webhook_rejections_total{reason=%q} %d", reason, n); !r.metric(t, line) {
			t.Errorf("metric is missing: %s", line)
		}
	}
	if got := r.stored(t); got != 0 {
		t.Errorf("got %d messages, want none", got)
	}
}

func TestLastOfAThousandSignaturesIsFound(t *testing.T) {
	t.Parallel()
	r := started(t)
	body, now := event("evt_1"), time.Now()
	var header strings.Builder
	fmt.Fprintf(&header, "t=%d", now.Unix())
	for i := range 999 {
		fmt.Fprintf(&header, ",v1=%064x", i)
	}
	header.WriteString(",v1=" + kit.MAC(body, secret, now))
	if got := r.post(t, body, header.String()); got.Status != http.StatusOK {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}

func TestBodyThatIsNotAnEventIsRefused(t *testing.T) {
	t.Parallel()
	r := started(t)
	for _, body := range []string{
		`null`, `{}`, `[]`, `"x"`, `1`, ``, `{"id":"evt_1","object":"event","type":"a.b","created":1`,
		`{"object":"event","type":"a.b","created":1760000000}`,
		`{"id":"evt_1","object":"event","type":"a.b","created":"yesterday"}`,
		`{"id":"evt_1","object":"charge","type":"a.b","created":1760000000}`,
	} {
		got := r.post(t, []byte(body), sign([]byte(body), secret))
		if got.Status != http.StatusBadRequest || got.Body != `{"error":"not a Stripe event"}` {
			t.Errorf("%s: got %d %s", body, got.Status, got.Body)
		}
	}
	if got := r.stored(t); got != 0 {
		t.Errorf("got %d messages, want none", got)
	}
}

func TestLargeBodyIsRefusedWithoutBeingRead(t *testing.T) {
	r := started(t)
	const size = 200 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, length := range map[string]int64{"with Content-Length": size, "without Content-Length": -1} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, io.LimitReader(zeros{}, size))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		req.Header.Set("Stripe-Signature", sign(nil, secret))
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: got %d", name, resp.StatusCode)
		}
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 50<<20 {
		t.Errorf("allocated %d MB for refused bodies, want less than 50", used>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestRequestThatIsNotAWebhookIsRefused(t *testing.T) {
	t.Parallel()
	r := started(t)
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"GET":          {func(q *http.Request) { q.Method = http.MethodGet }, http.StatusMethodNotAllowed},
		"gzip":         {func(q *http.Request) { q.Header.Set("Content-Encoding", "gzip") }, http.StatusUnsupportedMediaType},
		"other path":   {func(q *http.Request) { q.URL.Path = "/" }, http.StatusNotFound},
		"unclean path": {func(q *http.Request) { q.URL.Path = "//webhooks/../webhooks/stripe" }, http.StatusNotFound},
		"query string": {func(q *http.Request) { q.URL.RawQuery = "a=b" }, http.StatusOK},
	} {
		body := event("evt_1")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Stripe-Signature", sign(body, secret))
		c.change(req)
		got, err := kit.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != c.status {
			t.Errorf("%s: got %d %s, want %d", name, got.Status, got.Body, c.status)
		}
	}
}

func TestEventOfAnotherModeOrAccountIsIgnored(t *testing.T) {
	t.Parallel()
	r := started(t)
	live := bytes.Replace(event("evt_live"), []byte(`"livemode": false`), []byte(`"livemode": true`), 1)
	connected := bytes.Replace(event("evt_conn"), []byte(`"object": "event"`), []byte(`"object": "event", "account": "acct_1"`), 1)
	for reason, body := range map[string][]byte{"livemode": live, "account": connected} {
		got := r.postSigned(t, body)
		if got.Status != http.StatusOK || !strings.Contains(got.Body, `"ignored":"`+reason+`"`) {
			t.Errorf("%s: got %d %s", reason, got.Status, got.Body)
		}
	}
	for seq := uint64(1); seq <= 2; seq++ {
		m, _ := r.message(t, seq)
		if m.Type != "stripe.customer.subscription.updated" || m.Data.Ignored == "" {
			t.Errorf("got %s with ignored %q", m.Type, m.Data.Ignored)
		}
	}
}

func TestTwoSecretsAreAccepted(t *testing.T) {
	t.Parallel()
	r := started(t, "STRIPE_WEBHOOK_SECRETS=old=whsec_old_0123456789,new=whsec_new_0123456789")
	for i, key := range []string{"whsec_old_0123456789", "whsec_new_0123456789"} {
		body := event(fmt.Sprintf("evt_%d", i))
		if got := r.post(t, body, sign(body, key)); got.Status != http.StatusOK {
			t.Errorf("got %d %s", got.Status, got.Body)
		}
	}
	for _, name := range []string{"old", "new"} {
		if line := fmt.Sprintf(`billbus_secret_verifications_total{secret=%q} 1`, name); !r.metric(t, line) {
			t.Errorf("metric is missing: %s", line)
		}
	}
}

func TestSecretFileIsReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets")
	write := func(text string) {
		next := file + ".next"
		if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, file); err != nil {
			t.Fatal(err)
		}
	}
	const first, second = "whsec_first_0123456789", "whsec_second_0123456789"
	write("first=" + first)
	r := started(t, "STRIPE_WEBHOOK_SECRETS_FILE="+file)
	var signer atomic.Value
	signer.Store(first)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var sent atomic.Int64
	for worker := range 4 {
		load.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				body := event(fmt.Sprintf("evt_%d_%d", worker, i))
				if got := r.post(t, body, sign(body, signer.Load().(string))); got.Status != http.StatusOK {
					t.Errorf("got %d %s", got.Status, got.Body)
					return
				}
				sent.Add(1)
			}
		})
	}
	waitForMore := func() {
		before := sent.Load()
		kit.Eventually(t, "more webhooks are accepted", func() bool { return sent.Load() > before+50 || t.Failed() })
	}
	reload := func(text string, key string) {
		write(text)
		r.hangup <- os.Interrupt
		probe := event("evt_probe_" + hex.EncodeToString([]byte(key)))
		kit.Eventually(t, "the new secret is accepted", func() bool {
			return r.post(t, probe, sign(probe, key)).Status == http.StatusOK
		})
		waitForMore()
	}
	reload("first="+first+"\nsecond="+second, second)
	signer.Store(second)
	waitForMore() // until no webhook with the first secret is in flight
	reload("second="+second, second)
	stop()
	load.Wait()
	probe := event("evt_late")
	kit.Eventually(t, "the old secret is refused", func() bool {
		return r.post(t, probe, sign(probe, first)).Status == http.StatusBadRequest
	})
}

func TestBridgeStartsBeforeNATS(t *testing.T) {
	t.Parallel()
	addr := kit.FreeAddr(t)
	r := run(t, settings(t, "nats://"+addr))
	if r.ready() {
		t.Fatal("ready without NATS")
	}
	start := time.Now()
	got := r.postSigned(t, event("evt_1"))
	if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %s with Retry-After %q", got.Status, got.Body, got.Header.Get("Retry-After"))
	}
	if took := time.Since(start); took > 3500*time.Millisecond {
		t.Errorf("the answer took %v", took)
	}
	if !strings.Contains(r.log.String(), `"reason":"nats_unreachable"`) {
		t.Errorf("the log does not contain the reason:\n%s", r.log)
	}
	dir := t.TempDir()
	srv := natstest.StartAt(t, addr, dir)
	kit.Eventually(t, "stored after NATS has started", func() bool { return r.postSigned(t, event("evt_1")).Status == http.StatusOK })
	kit.Eventually(t, "ready", r.ready)
	srv.Close()
	kit.Eventually(t, "not ready", func() bool { return !r.ready() })
	if got := r.postSigned(t, event("evt_2")); got.Status != http.StatusServiceUnavailable {
		t.Errorf("got %d while NATS is down", got.Status)
	}
	natstest.StartAt(t, addr, dir)
	kit.Eventually(t, "stored after NATS has restarted", func() bool { return r.postSigned(t, event("evt_2")).Status == http.StatusOK })
	if got := r.stored(t); got != 2 {
		t.Errorf("got %d messages, want 2", got)
	}
}

func TestFullStreamLosesNothing(t *testing.T) {
	t.Parallel()
	r := started(t, "STREAM_MAX_BYTES=20000")
	var accepted uint64
	status := http.StatusOK
	for i := 0; status == http.StatusOK && i < 100; i++ {
		if status = r.postSigned(t, event(fmt.Sprintf("evt_%d", i))).Status; status == http.StatusOK {
			accepted++
		}
	}
	if status != http.StatusServiceUnavailable || r.ready() {
		t.Errorf("got status %d, ready %v from a full stream", status, r.ready())
	}
	if got := r.stored(t); got != accepted || accepted == 0 {
		t.Errorf("answered 200 for %d events, stored %d", accepted, got)
	}
}

func TestDeletedStreamIsCreatedAgain(t *testing.T) {
	t.Parallel()
	r := started(t)
	r.postSigned(t, event("evt_1"))
	if err := natstest.JetStream(t, r.natsURL).DeleteStream(t.Context(), "BILLBUS"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	kit.Eventually(t, "stored again", func() bool { return r.postSigned(t, event("evt_2")).Status == http.StatusOK })
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v: only the periodic check has noticed", took)
	}
}

func TestShutdownUnderLoadStoresEveryAcceptedEvent(t *testing.T) {
	t.Parallel()
	r := started(t)
	accepted := make(chan string, 100000)
	var load sync.WaitGroup
	for worker := range 8 {
		load.Go(func() {
			for i := range 10000 {
				id := fmt.Sprintf("evt_%d_%d", worker, i)
				body := event(id)
				resp, err := kit.Post(r.url, body, sign(body, secret))
				if err != nil {
					return // the listener is closed
				}
				if resp.Status == http.StatusOK {
					accepted <- id
				}
			}
		})
	}
	kit.Eventually(t, "some are accepted", func() bool { return len(accepted) > 200 })
	if err := r.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	load.Wait()
	close(accepted)
	want := map[string]bool{}
	for id := range accepted {
		want[id] = true
	}
	stream := r.stream(t)
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		delete(want, msg.Header.Get("Nats-Msg-Id"))
	}
	if len(want) > 0 {
		t.Errorf("%d events were answered 200 and are not in the stream", len(want))
	}
}

func TestPortInUseNamesItsSetting(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	cfg := settings(t, "nats://127.0.0.1:1", "LISTEN_ADDR="+taken.Addr().String())
	_, err = bridge.Open(cfg, bridge.Deps{Deps: ops.NewDeps(nil)})
	if err == nil || !strings.Contains(err.Error(), "LISTEN_ADDR") {
		t.Errorf("got %v, want an error that names LISTEN_ADDR", err)
	}
}

func TestLogContainsNoPayloadAndNoSecret(t *testing.T) {
	t.Parallel()
	r := started(t)
	r.postSigned(t, event("evt_1"))
	r.post(t, event("evt_2"), "t=1,v1=00")
	bad := []byte(`{"id":"evt_3","email":"private@example.com"`)
	r.postSigned(t, bad)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{"private@example.com", secret, "cus_1", "metadata"} {
		if strings.Contains(r.log.String(), private) {
			t.Errorf("the log contains %q", private)
		}
	}
	if !strings.Contains(r.log.String(), `"event_id":"evt_1"`) {
		t.Error("the log does not contain the event's id, so the test proves nothing")
	}
}

func TestGaugesOfTheBridge(t *testing.T) {
	t.Parallel()
	r := run(t, settings(t, "nats://127.0.0.1:1"))
	for _, line := range []string{
		"billbus_nats_connected 0", "billbus_stream_bytes NaN", "billbus_stream_limit_bytes NaN",
		`billbus_secret_verifications_total{secret="main"} 0`, "billbus_secret_file_ignored 0",
	} {
		if !r.metric(t, line) {
			t.Errorf("got no line %q", line)
		}
	}
	connected := started(t, "STREAM_MAX_BYTES=1048576")
	kit.Eventually(t, "the stream is measured", func() bool {
		return connected.metric(t, "billbus_nats_connected 1") && connected.metric(t, "billbus_stream_bytes 0") &&
			connected.metric(t, "billbus_stream_limit_bytes 1.048576e+06")
	})
}

func TestAWrongFileOfSecretsIsMeasured(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(file, []byte("main="+secret), 0o600); err != nil {
		t.Fatal(err)
	}
	r := started(t, "STRIPE_WEBHOOK_SECRETS_FILE="+file)
	if err := os.WriteFile(file, []byte("main=typo"), 0o600); err != nil {
		t.Fatal(err)
	}
	kit.Eventually(t, "it is ignored", func() bool { return r.metric(t, "billbus_secret_file_ignored 1") })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	r.hangup <- os.Interrupt
	if !r.metric(t, `billbus_secret_verifications_total{secret="main"} 0`) {
		t.Error("the secret in use has no series")
	}
	if err := os.WriteFile(file, []byte("next="+secret), 0o600); err != nil {
		t.Fatal(err)
	}
	kit.Eventually(t, "the new secret has a series", func() bool {
		return r.metric(t, "billbus_secret_file_ignored 0") && r.metric(t, `billbus_secret_verifications_total{secret="next"} 0`)
	})
}

// One event through two endpoints: both renderings reach the stream, under one id, and
// repetitions of neither.
func TestBothRenderingsReachTheStream(t *testing.T) {
	t.Parallel()
	const old, newer = "whsec_old_0123456789", "whsec_new_0123456789"
	older := bytes.Replace(event("evt_1"), []byte("2025-09-30.clover"), []byte("2018-11-08"), 1)
	r := started(t, "STRIPE_WEBHOOK_SECRETS=old="+old+",new="+newer)
	for _, c := range []struct {
		secret string
		body   []byte
		stored uint64
	}{{newer, event("evt_1"), 1}, {old, older, 2}, {newer, event("evt_1"), 2}, {old, older, 2}} {
		if got := r.post(t, c.body, sign(c.body, c.secret)); got.Status != http.StatusOK {
			t.Fatalf("got %d %s", got.Status, got.Body)
		}
		if got := r.stored(t); got != c.stored {
			t.Errorf("got %d messages, want %d", got, c.stored)
		}
	}
	for i, want := range []string{"evt_1@new", "evt_1"} { // the order of the secrets decides
		m, id := r.message(t, uint64(i+1))
		if id != want || m.ID != "evt_1" || m.Key() != "test:platform:evt_1" {
			t.Errorf("got %s under %s, want evt_1 under %s", m.Key(), id, want)
		}
	}
}
