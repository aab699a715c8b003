package examples_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/kit"
)

// example is a program that keeps the folder that examples/README.md describes.
type example struct {
	name          string
	subscriptions int  // as many as it can process in a few seconds
	ends          bool // ends when no message is left
	command       func(t *testing.T) []string
}

func examples() []example {
	return []example{
		{"go-nats", 40, false, binary("go-nats")},
		{"go-watermill", 40, false, binary("go-watermill")},
		{"node", 40, false, node},
		{"shell", 3, true, shell},
	}
}

func binary(name string) func(*testing.T) []string {
	return func(*testing.T) []string { return []string{filepath.Join(binaries, name)} }
}

func node(t *testing.T) []string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		skip(t, "node is not installed")
	}
	if _, err := os.Stat(filepath.Join("node", "node_modules")); err != nil {
		skip(t, "the packages of examples/node are not installed")
	}
	return []string{path, filepath.Join("node", "consumer.js")}
}

func shell(t *testing.T) []string {
	t.Helper()
	for _, tool := range []string{"jq", "flock", "nats"} {
		if _, err := findTool(tool); err != nil {
			skip(t, tool+" is not installed")
		}
	}
	return []string{filepath.Join("shell", "consume.sh")}
}

func findTool(name string) (string, error) {
	if own, err := filepath.Abs(filepath.Join("..", "bin", name)); err == nil {
		if _, err := os.Stat(own); err == nil {
			return own, nil
		}
	}
	return exec.LookPath(name)
}

// TestEveryMessageHasItsEffectOnce checks what every example promises, with messages that
// are repeated, out of order and unreadable, and an example that is killed.
func TestEveryMessageHasItsEffectOnce(t *testing.T) {
	t.Parallel()
	touch(t)
	for _, e := range examples() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, e)
			r.killWhileOneFails(t)
			r.publishMore(t)
			r.interrupt(t, syscall.SIGTERM)
			r.interrupt(t, syscall.SIGKILL)
			r.finish(t)
			r.check(t)
			r.startOver(t)
			r.check(t)
		})
	}
}

type run struct {
	example
	*stream
	*kit.Process
	story
	folder  string
	failing string           // the subscription whose effect fails at first
	rest    []events.Message // not published yet
}

func newRun(t *testing.T, e example) *run {
	t.Helper()
	r := &run{example: e, stream: newStream(t), story: newStory(t, e.subscriptions), folder: filepath.Join(t.TempDir(), "folder")}
	r.Process = &kit.Process{
		Name: e.name, Command: e.command(t), Log: filepath.Join(t.TempDir(), e.name+".log"),
		Env: append(os.Environ(), "NATS_URL="+r.url, "CONSUMER="+e.name, "FOLDER="+r.folder, "PATIENCE=3s",
			"XDG_CONFIG_HOME="+t.TempDir(), "PATH="+tools(t)+string(filepath.ListSeparator)+os.Getenv("PATH")),
	}
	t.Cleanup(func() {
		if t.Failed() {
			r.printLog(t)
		}
	})
	return r
}

func (r *run) printLog(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(r.Log)
	if err != nil {
		t.Log(err)
	}
	t.Logf("%s:\n%s", r.name, text[max(0, len(text)-100000):])
}

// tools returns the folder of the nats tool that the Makefile builds.
func tools(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "bin"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// killWhileOneFails publishes the first half. The effect on one subscription fails, so
// its messages must not be acknowledged.
func (r *run) killWhileOneFails(t *testing.T) {
	t.Helper()
	r.chooseFailing(t)
	blocked := r.block(t)
	r.rest = r.messages
	r.publishSome(t, len(r.messages)/2)
	r.Start(t)
	kit.Eventually(t, "some messages are processed", func() bool { return r.settled(t, r.name) >= 5 || r.Ended() })
	r.Kill(t)
	if r.settled(t, r.name) < 2 {
		t.Fatal("the first messages are not processed")
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	r.hurry(t, r.name)
}

// chooseFailing chooses a subscription that was canceled, and puts its last event third,
// after two messages about others.
func (r *run) chooseFailing(t *testing.T) {
	t.Helper()
	i := slices.IndexFunc(r.messages, func(m events.Message) bool {
		return m.Type == "subscription.canceled" && r.truth[m.SubscriptionKey()].LastEventID == m.ID
	})
	if i < 0 {
		t.Fatal("no history ends with a cancellation")
	}
	last := r.messages[i]
	r.failing = last.SubscriptionKey()
	first := []events.Message{last}
	others := slices.DeleteFunc(r.messages, func(m events.Message) bool {
		before := len(first) < 3 && m.SubscriptionKey() != r.failing
		if before {
			first = slices.Insert(first, 0, m)
		}
		return before || m.ID == last.ID
	})
	r.messages = append(first, others...)
}

// block creates a folder at the path of the subscription's file.
func (r *run) block(t *testing.T) string {
	t.Helper()
	path := filepath.Join(r.folder, "entitlements", url.QueryEscape(r.failing)+".json")
	if err := os.MkdirAll(path, 0o750); err != nil {
		t.Fatal(err)
	}
	return path
}

// publishMore publishes most of the second half, unreadable messages, and a part of the
// first half again.
func (r *run) publishMore(t *testing.T) {
	t.Helper()
	r.publishRaw(t, "subscription.updated", []byte("not JSON"))
	r.publishRaw(t, "subscription.updated", []byte(`{"specversion":"1.0"}`))
	r.publishSome(t, len(r.rest)-3)
	r.publish(t, r.again()...)
}

// interrupt ends the example after some more messages.
func (r *run) interrupt(t *testing.T, sig os.Signal) {
	t.Helper()
	before := r.settled(t, r.name)
	r.Start(t)
	kit.Eventually(t, "more messages are processed", func() bool { return r.settled(t, r.name) >= before+5 || r.Ended() })
	r.Signal(t, sig)
	kit.Eventually(t, "the example ends", r.Ended)
}

// again returns a part of the first half that was processed before any interruption. It
// leaves out the subscription that failed: a message that was lost must not be published
// again.
func (r *run) again() []events.Message {
	quarter := len(r.messages) / 4
	return slices.DeleteFunc(slices.Clone(r.messages[quarter:2*quarter]), func(m events.Message) bool {
		return m.SubscriptionKey() == r.failing
	})
}

func (r *run) publishSome(t *testing.T, n int) {
	t.Helper()
	r.publish(t, r.rest[:n]...)
	r.rest = r.rest[n:]
}

// finish publishes the last messages and runs the example until no message is left. An
// example that ends before is started again, as its operator would do.
func (r *run) finish(t *testing.T) {
	t.Helper()
	r.publishSome(t, len(r.rest))
	r.Start(t)
	kit.Eventually(t, "all messages are processed", func() bool {
		if r.settled(t, r.name) == r.sent {
			return true
		}
		if r.Ended() {
			r.Start(t)
		}
		return false
	})
	if !r.ends {
		r.Signal(t, syscall.SIGTERM)
	}
	if err := r.Err(t); err != nil {
		t.Errorf("the example ended with %v, want no error", err)
	}
}

// startOver deletes the durable consumer, so everything is delivered again.
func (r *run) startOver(t *testing.T) {
	t.Helper()
	if err := r.js.DeleteConsumer(t.Context(), "BILLBUS", r.name); err != nil {
		t.Fatal(err)
	}
	r.finish(t)
}

// entitlement is what all examples store for a subscription.
type entitlement struct {
	Subscription string `json:"subscription"`
	UserID       string `json:"user_id"`
	Status       string `json:"status"`
	Access       string `json:"access"`
	EventID      string `json:"event_id"`
}

func (r *run) check(t *testing.T) {
	t.Helper()
	r.checkProcessed(t)
	want := map[string]entitlement{}
	for key, truth := range r.truth {
		sub := truth.Subscription
		want[key] = entitlement{key, sub.UserID, sub.Status, sub.Access, truth.LastEventID}
	}
	got := map[string]entitlement{}
	for _, text := range r.read(t, "entitlements") {
		var e entitlement
		decode(t, text, &e)
		got[e.Subscription] = e
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entitlements (-want +got):\n%s", diff)
	}
	r.checkNotices(t)
}

// checkProcessed looks for every message in the log, where an example names it after its
// effect. The loss of a message may not show in the entitlements.
func (r *run) checkProcessed(t *testing.T) {
	t.Helper()
	log, err := os.ReadFile(r.Log)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range r.messages {
		if !bytes.Contains(log, []byte(m.ID+" "+m.Type)) {
			t.Errorf("%s %s was not processed", m.ID, m.Type)
		}
	}
}

func (r *run) checkNotices(t *testing.T) {
	t.Helper()
	want, got := map[string]int{}, map[string]int{}
	for _, m := range r.messages {
		if m.Type == "subscription.canceled" {
			want[m.Source+" "+m.ID] = 1
		}
	}
	for _, text := range r.notices(t) {
		var notice struct{ Event string }
		decode(t, text, &notice)
		got[notice.Event]++
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
		t.Errorf("%d notices (-want +got):\n%s", len(want), diff)
	}
}

// notices reads the notices, which are lines of a file or files.
func (r *run) notices(t *testing.T) [][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.folder, "notices.jsonl"))
	if err != nil {
		return r.read(t, "notices")
	}
	return bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
}

// read reads the files of a folder.
func (r *run) read(t *testing.T, folder string) [][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(r.folder, folder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	return all
}

func decode(t *testing.T, text []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		t.Errorf("%s: %v", text, err)
	}
}
