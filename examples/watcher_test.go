package examples_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// TestWatcherAnswersLikeTheTruth kills the watcher in Node.js, and Billbus with its NATS
// server. Meanwhile the watcher still answers. In the end it answers what the simulator
// knows.
func TestWatcherAnswersLikeTheTruth(t *testing.T) {
	t.Parallel()
	touch(t)
	command := nodeWatcher(t)
	s := newSite(t)
	w := newWatcher(t, command, s)
	w.Start(t)
	kit.Eventually(t, "the watcher of an empty bucket is ready", func() bool { return kit.Get(w.url+"/readyz").Status == 200 })
	s.put(t, "access.test.platform.user.unreadable", "not JSON")
	s.send(t, 0, 0.4)
	kit.Eventually(t, "somebody has access", func() bool { return len(w.granted(t, s)) > 0 })
	w.Kill(t)
	s.send(t, 0.4, 0.6)
	w.Start(t)
	kit.Eventually(t, "somebody has access", func() bool { return len(w.granted(t, s)) > 0 })
	kit.Drained(t, "all records are stored", func() (uint64, error) { return natstest.Unsettled(t, s.js, "BILLBUS", "billbus-subscriber") })
	var before map[string]bool
	kit.Eventually(t, "the watcher has what the bucket has", func() bool {
		before = w.granted(t, s)
		return maps.Equal(before, s.granted(t))
	})
	s.Kill(t)
	if diff := gocmp.Diff(before, w.granted(t, s)); diff != "" {
		t.Errorf("without NATS, other users have access (-before +after):\n%s", diff)
	}
	s.start(t)
	s.send(t, 0.6, 1)
	w.check(t, s)
	w.checkKeys(t, s)
	w.checkNewBucket(t, s)
}

type watcher struct {
	*kit.Process
	url string
}

func nodeWatcher(t *testing.T) []string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		skip(t, "node is not installed")
	}
	program := filepath.Join("node-watcher", "dist", "watcher.js")
	if _, err := os.Stat(program); err != nil {
		skip(t, "examples/node-watcher is not built")
	}
	return []string{path, program}
}

func newWatcher(t *testing.T, command []string, s *site) *watcher {
	t.Helper()
	addr := kit.FreeAddr(t)
	_, port, _ := strings.Cut(addr, ":")
	w := &watcher{url: "http://" + addr, Process: &kit.Process{
		Name: "watcher", Command: command, Log: filepath.Join(t.TempDir(), "log"),
		Env: append(os.Environ(), "NATS_URL="+s.nats, "PORT="+port, "STATES=1"),
	}}
	t.Cleanup(func() {
		if t.Failed() {
			text, err := os.ReadFile(w.Log)
			t.Logf("watcher: %s %v", text[max(0, len(text)-20000):], err)
		}
	})
	return w
}

// get asks for a key of the bucket.
func (w *watcher) get(t *testing.T, key string, into any) (status int) {
	t.Helper()
	path := "/" + strings.ReplaceAll(strings.TrimPrefix(key, "access."), ".", "/")
	response := kit.Get(w.url + path)
	if response.Status == 200 {
		if err := json.Unmarshal([]byte(response.Body), into); err != nil {
			t.Errorf("%s: %v", response.Body, err)
		}
	}
	return response.Status
}

// granted returns the keys of those who have access.
func (w *watcher) granted(t *testing.T, s *site) (keys map[string]bool) {
	t.Helper()
	keys = map[string]bool{}
	for key := range s.documents() {
		var doc events.AccessDocument
		if w.get(t, key, &doc) == 200 && doc.Access != events.AccessNone {
			keys[key] = true
		}
	}
	return keys
}

// granted returns the keys of those who have access by the bucket.
func (s *site) granted(t *testing.T) (keys map[string]bool) {
	t.Helper()
	keys = map[string]bool{}
	kv := s.bucket(t)
	for key := range s.documents() {
		var doc events.AccessDocument
		entry, err := kv.Get(t.Context(), key)
		if err == nil && json.Unmarshal(entry.Value(), &doc) == nil && doc.Access != events.AccessNone {
			keys[key] = true
		}
	}
	return keys
}

func (w *watcher) check(t *testing.T, s *site) {
	t.Helper()
	ignored := cmpopts.IgnoreFields(events.AccessDocument{}, "Revision", "UpdatedAt", "Features", "Explanation")
	eventually(t, "the access equals the truth", func() string {
		got := map[string]events.AccessDocument{}
		for key := range s.documents() {
			var doc events.AccessDocument
			w.get(t, key, &doc)
			got[key] = doc
		}
		return gocmp.Diff(s.documents(), got, ignored)
	})
	eventually(t, "the records equal the truth", func() string {
		got := map[string]events.Subscription{}
		for key := range s.records() {
			var record events.Record
			w.get(t, key, &record)
			got[key] = record.Subscription
		}
		return gocmp.Diff(s.records(), got, cmpopts.EquateEmpty())
	})
}

// checkKeys asks for ids that are not valid in keys, for what does not exist, and for what
// is deleted.
func (w *watcher) checkKeys(t *testing.T, s *site) {
	t.Helper()
	user := "jörg.o'neill/1@example.com"
	key := events.UserAccessKey(false, "", user)
	path := w.url + "/test/platform/user/" + url.PathEscape(user)
	s.put(t, key, `{"access":"grace","explanation":"","revision":1}`)
	kit.Eventually(t, "the document of "+user, func() bool { return strings.Contains(kit.Get(path).Body, "grace") })
	if got := kit.Get(path + "?product=prod_1"); !strings.Contains(got.Body, "grace") {
		t.Errorf("with a query it answers %s", got.Body)
	}
	if err := s.bucket(t).Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	kit.Eventually(t, "the document is gone", func() bool { return kit.Get(path).Body == `{"access":"none"}`+"\n" })
	for path, want := range map[string]int{
		"/test/platform/user/nobody": 200, "/test/platform/sub_unknown": 404, "/test/platform/group/1": 404, "/test/platform/user/%ff": 400, "/": 404,
	} {
		if got := kit.Get(w.url + path); got.Status != want {
			t.Errorf("%s: got %d %s, want %d", path, got.Status, got.Body, want)
		}
	}
}

// checkNewBucket loses the bucket, which Billbus then fills again.
func (w *watcher) checkNewBucket(t *testing.T, s *site) {
	t.Helper()
	key := events.UserAccessKey(false, "", "late")
	s.renewBucket(t, key)
	kit.Eventually(t, "the new bucket is followed", func() bool {
		var doc events.AccessDocument
		return w.get(t, key, &doc) == 200 && doc.Explanation == "new"
	})
	w.check(t, s)
}

// TestPythonCompiles compiles the example in Python. It does not run it: its client for
// NATS is not among Debian's packages.
func TestPythonCompiles(t *testing.T) {
	t.Parallel()
	touch(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		skip(t, "python3 is not installed")
	}
	compile := exec.CommandContext(t.Context(), python, "-c", "import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])", filepath.Join("python", "watcher.py"))
	if text, err := compile.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}
