package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/billbus/billbus/test/kit"
)

func TestKillingAnyProcessLosesNothing(t *testing.T) {
	t.Parallel()
	for _, victim := range []string{"bridge", "subscriber", "nats", "documents"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t).up(t)
			l := startLoad(t, c.webhookURL, 4, pause)
			l.more(t, 100)
			p := map[string]*process{"bridge": c.bridge, "subscriber": c.subscriber, "nats": c.nats, "documents": c.documents}[victim]
			for range 2 {
				p.kill(t)
				time.Sleep(300 * time.Millisecond) // an outage has a length
				p.start(t)
				l.more(t, 100)
			}
			c.check(t, l.stop(t))
		})
	}
}

// pause makes a load of some hundred events a second.
const pause = 10 * time.Millisecond

// outage is how long the database is away; a longer one can be asked for.
func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("BILLBUS_E2E_OUTAGE")
	if text == "" {
		return 5 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDatabaseAwayUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t).up(t)
	l := startLoad(t, c.webhookURL, 2, pause)
	l.more(t, 50)
	c.documents.kill(t)
	kit.Eventually(t, "subscriber is not ready", func() bool { return status(c.subAdmin+"/readyz") == http.StatusServiceUnavailable })
	if got := status(c.subAdmin + "/healthz"); got != http.StatusOK {
		t.Errorf("healthz is %d while the database is away", got)
	}
	if got := status(c.bridgeAdmin + "/readyz"); got != http.StatusOK {
		t.Errorf("the bridge's readyz is %d while only the database is away", got)
	}
	time.Sleep(outage(t))
	accepted := l.stop(t)
	c.documents.start(t)
	kit.Eventually(t, "subscriber is ready again", func() bool { return status(c.subAdmin+"/readyz") == http.StatusOK })
	c.check(t, accepted)
}

func TestNATSAwayIsBridgedByStripesRetries(t *testing.T) {
	t.Parallel()
	c := newCluster(t).up(t)
	l := startLoad(t, c.webhookURL, 2, pause)
	l.more(t, 50)
	c.nats.kill(t)
	kit.Eventually(t, "bridge is not ready", func() bool { return status(c.bridgeAdmin+"/readyz") == http.StatusServiceUnavailable })
	start := time.Now()
	if got, body := post(c.webhookURL, event("evt_away", "sub_0", 0)); got != http.StatusServiceUnavailable {
		t.Errorf("got %d %s without NATS", got, body)
	}
	if took := time.Since(start); took > 3500*time.Millisecond {
		t.Errorf("the answer took %v", took)
	}
	time.Sleep(outage(t))
	c.nats.start(t)
	kit.Eventually(t, "bridge is ready again", func() bool { return status(c.bridgeAdmin+"/readyz") == http.StatusOK })
	l.more(t, 50)
	c.check(t, l.stop(t))
}

func TestTerminationUnderLoadIsClean(t *testing.T) {
	t.Parallel()
	c := newCluster(t).up(t)
	l := startLoad(t, c.webhookURL, 4, pause)
	for range 3 {
		l.more(t, 100)
		if err := c.subscriber.terminate(t); err != nil {
			t.Errorf("subscriber: %v", err)
		}
		c.subscriber.start(t)
		// Before it is ready it may not have come to the point of minding signals.
		kit.Eventually(t, "subscriber is ready again", func() bool { return status(c.subAdmin+"/readyz") == http.StatusOK })
	}
	l.more(t, 50)
	if err := c.bridge.terminate(t); err != nil {
		t.Errorf("bridge: %v", err)
	}
	c.check(t, l.stop(t))
	storedOnce(t, c.subscriber.log)
}

func TestTerminationDoesNotWaitForADatabaseThatHangs(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "SHUTDOWN_TIMEOUT=4s").up(t)
	l := startLoad(t, c.webhookURL, 4, pause)
	l.more(t, 50)
	c.documents.signal(t, syscall.SIGSTOP)
	l.more(t, 50)
	start := time.Now()
	if err := c.subscriber.terminate(t); err != nil {
		t.Errorf("subscriber: %v", err)
	}
	took := time.Since(start)
	c.documents.signal(t, syscall.SIGCONT)
	if took > 15*time.Second {
		t.Errorf("stopping took %v with a shutdown timeout of 4 s", took)
	}
	c.subscriber.start(t)
	c.check(t, l.stop(t))
}

// storedOnce reads the subscriber's log: no message that was stored may have
// been delivered again.
func storedOnce(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	stored := map[uint64]int{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var line struct {
			Msg      string `json:"msg"`
			Outcome  string `json:"outcome"`
			Sequence uint64 `json:"sequence"`
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "message" {
			continue
		}
		if line.Outcome == "applied" || line.Outcome == "recorded" || line.Outcome == "duplicate" {
			stored[line.Sequence]++
		}
	}
	if len(stored) < 300 {
		t.Fatalf("the log tells of %d messages only", len(stored))
	}
	for sequence, n := range stored {
		if n > 1 {
			t.Errorf("message %d was stored and delivered again %d times", sequence, n-1)
		}
	}
}

func TestSecondSubscriberGoesOnWhenTheFirstStops(t *testing.T) {
	t.Parallel()
	c := newCluster(t).up(t)
	second := *c.subscriber
	second.name, second.log, second.cmd = "second", c.subscriber.log+".second", nil
	admin := freeAddr(t)
	second.env = append(strings.Split(strings.Join(c.subscriber.env, "\x00"), "\x00"), "ADMIN_ADDR="+admin)
	second.start(t)
	kit.Eventually(t, "second is ready", func() bool { return status("http://"+admin+"/readyz") == http.StatusOK })
	if err := c.subscriber.terminate(t); err != nil {
		t.Errorf("first: %v", err)
	}
	l := startLoad(t, c.webhookURL, 2, pause)
	l.more(t, 50)
	c.check(t, l.stop(t))
}

func TestLogsHoldNothingPrivate(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "LOG_LEVEL=debug").up(t)
	l := startLoad(t, c.webhookURL, 2, pause)
	l.more(t, 30)
	c.documents.kill(t)
	l.more(t, 30)
	c.documents.start(t)
	accepted := l.stop(t)
	if status, _ := post(c.webhookURL, []byte(`{"email":"private@example.com"`)); status != http.StatusBadRequest {
		t.Errorf("got %d for a body that is no event", status)
	}
	c.check(t, accepted)
	for _, p := range []*process{c.bridge, c.subscriber} {
		text, err := os.ReadFile(p.log)
		if err != nil {
			t.Fatal(err)
		}
		for _, private := range []string{"private@example.com", secret, "user_1", "price_1", "idempotency_key", `"metadata"`} {
			if strings.Contains(string(text), private) {
				t.Errorf("the log of %s contains %q", p.name, private)
			}
		}
		if !strings.Contains(string(text), "evt_0_1") {
			t.Errorf("the log of %s names no event", p.name)
		}
	}
}

func TestRepetitionChangesNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "STREAM_DUPLICATE_WINDOW=1s").up(t)
	body := event("evt_again", "sub_again", 5)
	done := make(chan int, 100)
	for range 100 {
		go func() { status, _ := post(c.webhookURL, body); done <- status }()
	}
	for range 100 {
		if got := <-done; got != http.StatusOK {
			t.Errorf("got %d", got)
		}
	}
	js := jetStream(t, c.natsURL)
	drained(t, js)
	db := database(t, c.mongoURI)
	before := rows[map[string]any](t, db.Collection("subscriptions"))
	kit.Eventually(t, "the duplicate window has passed", func() bool {
		post(c.webhookURL, body)
		return count(t, js, "BILLBUS") > 1
	})
	c.check(t, map[string]bool{"evt_again": true})
	after := rows[map[string]any](t, db.Collection("subscriptions"))
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("the state changed:\n%v\n%v", before, after)
	}
}
