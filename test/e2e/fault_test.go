package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

func TestKillingAnyProcessLosesNothing(t *testing.T) {
	t.Parallel()
	for _, victim := range []string{"bridge", "subscriber", "nats", "documents"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			c := newFragileCluster(t)
			l := startLoad(c.webhookURL, 4, pause)
			l.more(t, 100)
			p := map[string]*kit.Process{"bridge": c.bridge, "subscriber": c.subscriber, "nats": c.nats, "documents": c.documents}[victim]
			for range 2 {
				p.Kill(t)
				<-time.After(300 * time.Millisecond) // the outage
				p.Start(t)
				l.more(t, 100)
			}
			c.check(t, l.stop(t))
		})
	}
}

// pause makes a load of some hundred events a second.
const pause = 10 * time.Millisecond

// waitOutage waits for the length of an outage, which BILLBUS_E2E_OUTAGE can change.
func waitOutage(t *testing.T) {
	t.Helper()
	d, err := time.ParseDuration(setting("BILLBUS_E2E_OUTAGE", "5s"))
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(d)
}

func TestDatabaseOutageUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	c := newFragileCluster(t)
	l := startLoad(c.webhookURL, 2, pause)
	l.more(t, 50)
	c.documents.Kill(t)
	notReady(t, c.subAdmin)
	if got := kit.Get(c.subAdmin + "/healthz").Status; got != http.StatusOK {
		t.Errorf("healthz is %d while the database is down", got)
	}
	if got := kit.Get(c.bridgeAdmin + "/readyz").Status; got != http.StatusOK {
		t.Errorf("the bridge's readyz is %d while only the database is down", got)
	}
	waitOutage(t)
	accepted := l.stop(t)
	c.documents.Start(t)
	ready(t, c.subAdmin)
	c.check(t, accepted)
}

func TestNATSOutageUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	l := startLoad(c.webhookURL, 2, pause)
	l.more(t, 50)
	c.nats.Kill(t)
	notReady(t, c.bridgeAdmin)
	start := time.Now()
	if got, body := post(c.webhookURL, event("evt_down", "sub_0", 0)); got != http.StatusServiceUnavailable {
		t.Errorf("got %d %s without NATS", got, body)
	}
	if took := time.Since(start); took > 3500*time.Millisecond {
		t.Errorf("the answer took %v", took)
	}
	waitOutage(t)
	c.nats.Start(t)
	ready(t, c.bridgeAdmin)
	l.more(t, 50)
	c.check(t, l.stop(t))
}

func TestTerminationUnderLoadIsClean(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	l := startLoad(c.webhookURL, 4, pause)
	for range 3 {
		l.more(t, 100)
		if err := c.subscriber.Terminate(t); err != nil {
			t.Errorf("subscriber: %v", err)
		}
		c.subscriber.Start(t)
		ready(t, c.subAdmin) // before, it may not handle signals yet
	}
	l.more(t, 50)
	if err := c.bridge.Terminate(t); err != nil {
		t.Errorf("bridge: %v", err)
	}
	c.check(t, l.stop(t))
	checkStoredOnce(t, c.subscriber.Log)
}

func TestTerminationDoesNotWaitForADatabaseThatHangs(t *testing.T) {
	t.Parallel()
	c := newFragileCluster(t, "SHUTDOWN_TIMEOUT=4s")
	l := startLoad(c.webhookURL, 4, pause)
	l.more(t, 50)
	c.documents.Signal(t, syscall.SIGSTOP)
	l.more(t, 50)
	start := time.Now()
	if err := c.subscriber.Terminate(t); err != nil {
		t.Errorf("subscriber: %v", err)
	}
	took := time.Since(start)
	c.documents.Signal(t, syscall.SIGCONT)
	if took > 15*time.Second {
		t.Errorf("stopping took %v with a shutdown timeout of 4 s", took)
	}
	c.subscriber.Start(t)
	c.check(t, l.stop(t))
}

// checkStoredOnce reads the subscriber's log: no message that was stored may have been
// delivered again.
func checkStoredOnce(t *testing.T, path string) {
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
		t.Fatalf("got %d messages in the log, want at least 300", len(stored))
	}
	for sequence, n := range stored {
		if n > 1 {
			t.Errorf("message %d was stored and delivered again %d times", sequence, n-1)
		}
	}
}

func TestSecondSubscriberContinuesWhenTheFirstStops(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.startSecond(t)
	if err := c.subscriber.Terminate(t); err != nil {
		t.Errorf("first: %v", err)
	}
	l := startLoad(c.webhookURL, 2, pause)
	l.more(t, 50)
	c.check(t, l.stop(t))
}

// startSecond starts a second subscriber.
func (c *cluster) startSecond(t *testing.T) {
	t.Helper()
	admin := kit.FreeAddr(t)
	second := &kit.Process{
		Name: "second subscriber", Command: c.subscriber.Command, Log: c.subscriber.Log + ".second",
		Env: append(slices.Clone(c.subscriber.Env), "ADMIN_ADDR="+admin),
	}
	second.Start(t)
	ready(t, "http://"+admin)
}

func TestLogsContainNothingPrivate(t *testing.T) {
	t.Parallel()
	c := newFragileCluster(t, "LOG_LEVEL=debug")
	l := startLoad(c.webhookURL, 2, pause)
	l.more(t, 30)
	c.documents.Kill(t)
	l.more(t, 30)
	c.documents.Start(t)
	accepted := l.stop(t)
	if status, _ := post(c.webhookURL, []byte(`{"email":"private@example.com"`)); status != http.StatusBadRequest {
		t.Errorf("got %d for a body that is not an event", status)
	}
	c.check(t, accepted)
	for _, p := range []*kit.Process{c.bridge, c.subscriber} {
		text, err := os.ReadFile(p.Log)
		if err != nil {
			t.Fatal(err)
		}
		for _, private := range []string{"private@example.com", secret, "user_1", "price_1", "idempotency_key", `"metadata"`} {
			if strings.Contains(string(text), private) {
				t.Errorf("the log of %s contains %q", p.Name, private)
			}
		}
		if !strings.Contains(string(text), "evt_0_1") {
			t.Errorf("the log of %s contains no event id", p.Name)
		}
	}
}

func TestRepeatedEventChangesNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "STREAM_DUPLICATE_WINDOW=1s")
	body := event("evt_again", "sub_again", 5)
	statuses := make(chan int, 100)
	for range 100 {
		go func() { status, _ := post(c.webhookURL, body); statuses <- status }()
	}
	for range 100 {
		if got := <-statuses; got != http.StatusOK {
			t.Errorf("got %d", got)
		}
	}
	c.drained(t)
	db, js := c.database(t), c.jetStream(t)
	before := records[map[string]any](t, db)
	kit.Eventually(t, "the duplicate window has passed", func() bool {
		post(c.webhookURL, body)
		return natstest.Count(t, js, "BILLBUS") > 1
	})
	c.check(t, map[string]bool{"evt_again": true})
	after := records[map[string]any](t, db)
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("the record changed:\n%v\n%v", before, after)
	}
}
