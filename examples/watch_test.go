package examples_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// board is a bucket whose access documents a test sets.
type board struct {
	server *natsserver.Server
	js     jetstream.JetStream
	kv     jetstream.KeyValue
}

func (b *board) create(t *testing.T) {
	t.Helper()
	kv, err := b.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: events.StateBucket})
	if err != nil {
		t.Fatal(err)
	}
	b.kv = kv
}

func (b *board) put(t *testing.T, user, access string) {
	t.Helper()
	value, err := json.Marshal(events.AccessDocument{Access: access, UserID: user})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.kv.Put(t.Context(), events.UserAccessKey(false, "", user), value); err != nil {
		t.Fatal(err)
	}
}

// change changes a document while the service cannot reach the server.
func (b *board) change(t *testing.T, dir, user, access string) {
	t.Helper()
	server := natstest.StartAt(t, "127.0.0.1:0", dir)
	defer server.Close()
	elsewhere := &board{js: natstest.JetStream(t, server.URL())}
	elsewhere.create(t) // it exists, so this opens it
	elsewhere.put(t, user, access)
}

func (s *service) shows(t *testing.T, user, access string, current bool) {
	t.Helper()
	var a answer
	defer func() {
		if t.Failed() {
			t.Logf("the last answer is %+v", a)
		}
	}()
	kit.Eventually(t, "user "+user+" has "+access, func() bool {
		a = s.ask(t, "/users/"+user)
		return a.Access == access && a.Allowed == (access != "none") && a.StaleSince.IsZero() == current
	})
}

// TestEntitlementsSurviveNATS takes the server away, and then the bucket.
func TestEntitlementsSurviveNATS(t *testing.T) {
	t.Parallel()
	touch(t)
	addr, dir := kit.FreeAddr(t), t.TempDir()
	b := &board{server: natstest.StartAt(t, addr, dir)}
	b.js = natstest.JetStream(t, "nats://"+addr)
	s := newService(t, "entitlements", "nats://"+addr)
	s.Start(t)
	s.answersOnlyWhenReady(t)
	b.create(t)
	s.shows(t, "1", "none", true)
	b.put(t, "1", "granted")
	b.put(t, "2", "grace")
	s.shows(t, "1", "granted", true)
	b.put(t, "1", "none")
	s.shows(t, "1", "none", true)
	b.put(t, "1", "granted")
	s.shows(t, "1", "granted", true)

	b.server.Close()
	s.shows(t, "1", "granted", false)
	b.change(t, dir, "1", "grace")
	b.server = natstest.StartAt(t, addr, dir)
	kit.Eventually(t, "the service is current", func() bool { got := s.ask(t, "/users/1"); return got.Access != "" && got.StaleSince.IsZero() })
	if got := s.ask(t, "/users/1"); got.Access != "grace" {
		t.Errorf("got %s when the service was current again, want grace", got.Access)
	}
	kit.Eventually(t, "the test is connected again", func() bool { _, err := b.kv.Status(t.Context()); return err == nil })

	b.deleteBucket(t)
	b.create(t) // before anyone notices
	b.put(t, "1", "none")
	s.shows(t, "1", "none", true)
	s.shows(t, "2", "grace", true)
	b.put(t, "2", "none")
	s.shows(t, "2", "none", true)

	b.deleteBucket(t)
	s.shows(t, "1", "none", false)
	b.create(t)
	b.put(t, "1", "granted")
	s.shows(t, "1", "granted", true)
	b.put(t, "2", "granted")
	s.Kill(t)
	b.put(t, "1", "none")
	s.Start(t)
	s.shows(t, "2", "granted", true)
	s.shows(t, "1", "none", true)
}

func (b *board) deleteBucket(t *testing.T) {
	t.Helper()
	if err := b.js.DeleteKeyValue(t.Context(), events.StateBucket); err != nil {
		t.Fatal(err)
	}
}

// answersOnlyWhenReady expects that a service that has loaded nothing denies nobody.
func (s *service) answersOnlyWhenReady(t *testing.T) {
	t.Helper()
	kit.Eventually(t, "the service listens", func() bool { return kit.Get(s.url+"/readyz").Status != 0 })
	for _, path := range []string{"/readyz", "/users/1", "/customers/1"} {
		if got := kit.Get(s.url + path); got.Status != 503 {
			t.Errorf("%s: got %d %s, want 503", path, got.Status, got.Body)
		}
	}
}

// TestNotifierFinishesWhatItClaimed starts a notifier after one that was killed between the
// claim and the notice, and sends an event that another message has claimed.
func TestNotifierFinishesWhatItClaimed(t *testing.T) {
	t.Parallel()
	touch(t)
	stream := newStream(t)
	s := newService(t, "notifier", stream.url)
	s.Start(t)
	kit.Eventually(t, "the notifier has its consumer", func() bool { _, ok := stream.consumer(t, s.name); return ok })
	s.Kill(t)
	claims, err := stream.js.KeyValue(t.Context(), "notifier")
	if err != nil {
		t.Fatal(err)
	}
	for key, sequence := range map[string]string{"evt_1": "1", "evt_2": "1"} {
		if _, err := claims.Create(t.Context(), "test.platform."+key, []byte(sequence)); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"evt_1", "evt_2", "evt_3"} {
		stream.publish(t, kit.Event("sub_1", id, "deleted", 1, "canceled"))
	}
	s.Start(t)
	kit.Eventually(t, "all are processed", func() bool { return stream.settled(t, s.name) == 3 })
	for id, want := range map[string]bool{"evt_1": true, "evt_2": false, "evt_3": true} {
		if got := bytes.Contains(s.printed(t), []byte("notice test.platform."+id+" ended")); got != want {
			t.Errorf("%s: got a notice %v, want %v", id, got, want)
		}
	}
}

// TestProvisionerKeepsTheOrder lets the first of two effects fail: the second message must
// wait for it.
func TestProvisionerKeepsTheOrder(t *testing.T) {
	t.Parallel()
	touch(t)
	stream := newStream(t)
	s := newService(t, "provisioner", stream.url)
	path := filepath.Join(s.folder, events.UserAccessKey(false, "", "1")+".json")
	if err := os.MkdirAll(path+".draft", 0o750); err != nil { // where it writes a file
		t.Fatal(err)
	}
	for i, access := range []string{"granted", "none"} {
		stream.publish(t, accessMessage(access, i+1))
	}
	s.Start(t)
	kit.Eventually(t, "the first effect fails", func() bool { return len(s.printed(t)) > 0 })
	s.Kill(t)
	s.Start(t)
	if err := os.Remove(path + ".draft"); err != nil {
		t.Fatal(err)
	}
	stream.hurry(t, s.name)
	kit.Eventually(t, "both are processed", func() bool { return stream.settled(t, s.name) == 2 })
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a user without access has a file: %v", err)
	}
}

func accessMessage(access string, revision int) events.Message {
	at := time.Date(2026, 1, 1, 0, 0, revision, 0, time.UTC)
	doc := events.AccessDocument{Access: access, UserID: "1", Revision: int64(revision)}
	subject := events.SubjectAccessGranted
	if access == events.AccessNone {
		subject = events.SubjectAccessRevoked
	}
	return events.Message{
		SpecVersion: events.SpecVersion, ID: "access_" + access, Source: events.Source(false, ""), Type: subject,
		Subject: events.UserAccessKey(false, "", "1"), Time: at, DataContentType: events.DataContentType,
		Data: events.Data{SchemaVersion: events.SchemaVersion, Access: &doc, Origin: events.OriginRecord, ReceivedAt: at},
	}
}
