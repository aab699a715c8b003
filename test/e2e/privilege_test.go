package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// privileged is a deployment whose programs have the rights in deploy/nats/users.conf, and no
// others.
type privileged struct {
	*cluster
	account
	addr string // of the NATS server
}

// as returns how a program logs in.
func (p *privileged) as(user string) []string {
	return []string{"NATS_URL=nats://" + p.addr, "NATS_USER=" + user, "NATS_PASSWORD=pw-" + user, "NATS_INBOX_PREFIX=_INBOX_" + user, "STREAM_DUPLICATE_WINDOW=1s"}
}

// newPrivileged starts the NATS server. In addition to the users that are shipped there is one
// for the test, which may do everything.
func newPrivileged(t *testing.T) *privileged {
	t.Helper()
	dir, addr := t.TempDir(), kit.FreeAddr(t)
	shipped, err := os.ReadFile("../../deploy/nats/users.conf")
	if err != nil {
		t.Fatal(err)
	}
	var passwords strings.Builder
	for _, user := range regexp.MustCompile(`\$(\w+)_password`).FindAllStringSubmatch(string(shipped), -1) {
		fmt.Fprintf(&passwords, "%s_password: pw-%s\n", user[1], user[1])
	}
	files := map[string]string{
		"users.conf":     strings.Replace(string(shipped), "users: [", "users: [ {user: test, password: test}", 1),
		"passwords.conf": passwords.String(),
		"server.conf":    fmt.Sprintf("listen: %q\nmax_payload: 4MB\njetstream { store_dir: %q }\ninclude ./users.conf\n", addr, filepath.Join(dir, "data")),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &privileged{account: newAccount(t, recentHistory(t, 20), api.Faults{}), addr: addr}
	p.cluster = assemble(t, "nats://test:test@"+addr, "")
	p.bridge.Env = append(append(append(p.bridge.Env, p.as("bridge")...), p.account.env...), "PROVISION=check")
	p.subscriber.Env = append(p.subscriber.Env, p.as("subscriber")...)
	p.nats = &kit.Process{
		Name: "nats", Command: []string{filepath.Join(binaries, "nats-server"), "--config", filepath.Join(dir, "server.conf")}, Log: filepath.Join(dir, "log"),
	}
	p.nats.Start(t)
	return p
}

// command runs a command as a user, which must succeed.
func (p *privileged) command(t *testing.T, user, program string, args ...string) string {
	t.Helper()
	code, stdout, stderr := p.run(t, user, program, args...)
	if code != 0 {
		t.Errorf("%s %s: exit status %d\n%s%s", program, strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

func (p *privileged) run(t *testing.T, user, program string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return execute(t, program, append(append(p.cluster.env(), p.account.env...), p.as(user)...), args...)
}

// violations returns what the server has refused.
func (p *privileged) violations(t *testing.T) (refused []string) {
	t.Helper()
	log, err := os.ReadFile(p.nats.Log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "Violation") {
			refused = append(refused, line)
		}
	}
	return refused
}

// TestProgramsNeedNoFurtherRights runs everything that a program does, often or rarely. The log of the
// server must not say that it has refused anything.
func TestProgramsNeedNoFurtherRights(t *testing.T) {
	t.Parallel()
	p := newPrivileged(t)
	p.command(t, "provisioner", "bridge", "provision", "--consumers", "--dry-run")
	if out := p.command(t, "provisioner", "bridge", "provision", "--consumers"); !strings.Contains(out, "+ consumer billbus-resolver\n") || !strings.HasSuffix(out, "applied\n") {
		t.Errorf("provision: got %s", out)
	}
	if out := p.command(t, "provisioner", "bridge", "provision", "--consumers"); !strings.Contains(out, "nothing to do") {
		t.Errorf("provision again: got %s", out)
	}
	p.launch(t)
	report, err := stripesim.Send(t.Context(), p.History, stripesim.SendConfig{URL: p.webhookURL, Secret: secret, Drop: 0.1, Duplicates: 0.1, Disorder: true})
	if err != nil || report.Events == 0 {
		t.Fatalf("got %+v, %v", report, err)
	}
	p.drained(t)
	p.outages(t)
	p.completesLists(t)
	p.deadLetters(t)
	p.commands(t)
	p.rebuildsTheBucket(t)
	if refused := p.violations(t); len(refused) > 0 {
		t.Errorf("the server has refused:\n%s", strings.Join(refused, ""))
	}
}

// outages restarts the database and the NATS server under load. Messages are delivered again.
func (p *privileged) outages(t *testing.T) {
	t.Helper()
	l := startLoad(p.webhookURL, 2, pause)
	l.more(t, 30)
	p.documents.Kill(t)
	l.more(t, 30)
	p.documents.Start(t)
	p.nats.Kill(t)
	p.nats.Start(t)
	l.more(t, 30)
	l.stop(t)
	p.drained(t)
}

// completesLists has the resolver read what an event leaves out. Stripe does not have the subscription.
func (p *privileged) completesLists(t *testing.T) {
	t.Helper()
	accept(t, p.webhookURL, listEvent("evt_list", "created", time.Now(), 10))
	kit.Eventually(t, "the resolver has read the subscription", func() bool {
		return strings.Contains(kit.Get(p.bridgeAdmin+"/metrics").Body, `billbus_resolutions_total{outcome="missing"} 1`)
	})
	p.drained(t)
}

func (p *privileged) deadLetters(t *testing.T) {
	t.Helper()
	if _, err := p.jetStream(t).Publish(t.Context(), "subscription.updated", []byte("poison")); err != nil {
		t.Fatal(err)
	}
	p.drained(t)
	p.command(t, "operator", "subscriber", "dlq", "list")
	p.command(t, "operator", "subscriber", "dlq", "show", "1", "--payload")
	if code, _, _ := p.run(t, "operator", "subscriber", "dlq", "redrive", "1"); code != 1 { // it is still poison
		t.Errorf("redrive: exit status %d, want 1", code)
	}
	p.command(t, "operator", "subscriber", "dlq", "discard", "--yes", "1")
}

func (p *privileged) commands(t *testing.T) {
	t.Helper()
	p.command(t, "operator", "bridge", "link", "--customer", "cus_1", "--user", "42")
	p.command(t, "operator", "bridge", "backfill")
	p.drained(t)
	p.command(t, "operator", "bridge", "backfill", "--gaps")
	p.command(t, "operator", "bridge", "import")
	p.drained(t)
	// Stripe does not have the subscriptions of the load.
	if code, stdout, stderr := p.run(t, "operator", "bridge", "reconcile", "--settle", "0s", "--publish"); code != 1 || !strings.Contains(stdout, "not at Stripe") {
		t.Errorf("reconcile: exit status %d\n%s%s", code, stdout, stderr)
	}
	p.command(t, "operator", "subscriber", "replay")
	p.command(t, "operator", "subscriber", "replay", "--renormalize", "--webhook-livemode", "test")
	if _, err := p.database(t).Collection("subscriptions").DeleteMany(t.Context(), map[string]any{}); err != nil {
		t.Fatal(err)
	}
	p.command(t, "operator", "subscriber", "verify", "--fix")
}

// rebuildsTheBucket deletes the state view. The subscriber fills it again, and looks up in the stream
// which changes of access were published.
func (p *privileged) rebuildsTheBucket(t *testing.T) {
	t.Helper()
	js := p.jetStream(t)
	if err := js.DeleteKeyValue(t.Context(), events.StateBucket); err != nil {
		t.Fatal(err)
	}
	notReady(t, p.subAdmin)
	p.command(t, "provisioner", "bridge", "provision")
	ready(t, p.subAdmin)
	kit.Eventually(t, "the bucket has all records", func() bool {
		info, err := natstest.Stream(t, js, "KV_"+events.StateBucket).Info(t.Context())
		return err == nil && int(info.State.Msgs) > len(p.Truth)
	})
	p.drained(t)
}

// TestMissingRightIsNamed runs commands as users who may not do what they need.
func TestMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	p := newPrivileged(t)
	p.command(t, "provisioner", "bridge", "provision")
	for name, tt := range map[string]struct {
		user, program string
		args          []string
		want          string
	}{
		"creating a consumer":    {"bridge", "bridge", []string{"provision", "--consumers"}, "$JS.API.CONSUMER.INFO.BILLBUS.billbus-subscriber"},
		"reading dead letters":   {"bridge", "subscriber", []string{"dlq", "list"}, "$JS.API.STREAM.MSG.GET.BILLBUS_DLQ"},
		"reading the stream":     {"bridge", "bridge", []string{"backfill"}, "$JS.API.CONSUMER.INFO.BILLBUS.billbus-backfill-once"},
		"the inboxes of another": {"operator", "subscriber", []string{"dlq", "list", "--nats-inbox-prefix", "_INBOX_bridge"}, "subscribe to _INBOX_bridge.>"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := p.run(t, tt.user, tt.program, tt.args...)
			if code != 1 || !strings.Contains(stderr, "does not permit this program to ") || !strings.Contains(stderr, tt.want) || !strings.Contains(stderr, "permissions of its user") {
				t.Errorf("got %d, %s%s, want 1 and %s", code, stdout, stderr, tt.want)
			}
		})
	}
}
