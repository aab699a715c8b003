package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/judge"
	"github.com/billbus/billbus/test/kit/natstest"
)

// A crash is a point between two durable writes at which a program dies.
type crash struct {
	point string
	times int // how often the point is reached until then
	// program is the one that dies: bridge or subscriber.
	program string
	// traffic sends what makes the program reach the point. It goes on after the crash, until all
	// of it is accepted. What it returns checks the result of this crash, in addition to [site.judge].
	traffic func(t *testing.T, s *site) (check func())
}

// crashes are all crashes of programs that serve, by the deployment in which they happen, one
// after the other. Those of commands have tests of their own, and are in commandCrashes.
func crashes() map[string][]crash {
	return map[string][]crash{
		"store": {
			{"store:audited", 1, "subscriber", histories},
			{"store:identified", 1, "subscriber", histories},
			{"store:replaced", 1, "subscriber", histories},
			{"store:owned", 1, "subscriber", claimed},
		},
		"view": {
			{"subscriber:stored", 3, "subscriber", histories},
			{"view:state", 5, "subscriber", histories},
			{"view:access", 3, "subscriber", histories},
			{"view:published", 3, "subscriber", histories},
		},
		"message": {
			{"view:stored", 3, "subscriber", histories},
			{"message:handled", 5, "subscriber", histories},
			{"message:acknowledged", 5, "subscriber", histories},
			{"webhook:published", 5, "bridge", histories},
		},
		"catalog": {
			{"store:listed", 1, "subscriber", renamed},
			{"sweep:taken", 1, "subscriber", renamed},
			{"sweep:refreshed", 1, "subscriber", renamed},
			{"sweep:followed", 1, "subscriber", renamed},
		},
		"facts": {
			{"store:entitled", 1, "subscriber", entitled},
			{"store:preferred", 1, "subscriber", inTwoVersions},
			{"store:marked", 1, "subscriber", inTwoVersions},
			{"letter:kept", 1, "subscriber", unreadable},
			{"message:acknowledged", 1, "subscriber", unreadable},
			{"view:filled", 1, "subscriber", bucketDeleted},
		},
		"resolver": {
			{"snapshot:kept", 1, "bridge", cutOff},
			{"snapshot:published", 1, "bridge", cutOff},
			{"message:handled", 1, "bridge", cutOff},
			{"list:kept", 1, "bridge", entitlementsCutOff},
			{"list:published", 1, "bridge", entitlementsCutOff},
		},
	}
}

// commandCrashes are the points with tests of their own.
var commandCrashes = []string{
	"backfill:filled", "backfill:leased", "backfill:looked", "backfill:published", "gaps:reported", "import:published",
	"letter:applied", "letter:recorded", "link:published",
}

// TestCrashes lets programs die at each point, starts them again as they are shipped, and
// judges the result.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for where, list := range crashes() {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			ofSubscriber := false
			for _, c := range list {
				s.survives(t, c)
				ofSubscriber = ofSubscriber || c.program == "subscriber"
			}
			if ofSubscriber && s.handled == 0 {
				t.Error("no log has a message, so it is not known whether any was handled again")
			}
		})
	}
}

// TestEachPointHasACrash compares the points in the code with those of the tests.
func TestEachPointHasACrash(t *testing.T) {
	t.Parallel()
	tested := slices.Clone(commandCrashes)
	for _, list := range crashes() {
		for _, c := range list {
			tested = append(tested, c.point)
		}
	}
	slices.Sort(tested)
	if points := points(t); !slices.Equal(points, slices.Compact(tested)) {
		t.Errorf("the code has the points\n%v\nthe tests have crashes at\n%v", points, tested)
	}
}

// A program that is built as usual has no trace of the points.
func TestProgramsCannotBeMadeToDie(t *testing.T) {
	t.Parallel()
	traces := append(points(t), "BILLBUS_FAILPOINT")
	for dir, want := range map[string]bool{binaries: false, fragile(t): true} {
		var found []string
		for _, program := range []string{"bridge", "subscriber"} {
			code, err := os.ReadFile(filepath.Join(dir, program))
			if err != nil {
				t.Fatal(err)
			}
			for _, trace := range traces {
				if bytes.Contains(code, []byte(trace)) {
					found = append(found, trace)
				}
			}
		}
		slices.Sort(found)
		if !want && len(found) > 0 || want && len(slices.Compact(found)) != len(traces) {
			t.Errorf("%s: found %v of %v", dir, found, traces)
		}
	}
}

var pointInCode = regexp.MustCompile(`failpoint\.At\("([^"]+)"\)`)

// points returns the points in the code.
func points(t *testing.T) (list []string) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range pointInCode.FindAllStringSubmatch(string(text), -1) {
			list = append(list, found[1])
		}
		return err
	})
	if err != nil || len(list) == 0 {
		t.Fatalf("%d points, %v", len(list), err)
	}
	slices.Sort(list)
	return list
}

var buildFragile = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(binaries, "failpoints")
	const cmd = "github.com/billbus/billbus/cmd/"
	build := exec.CommandContext(context.Background(), "go", "build", "-tags", "failpoints", "-o", dir+"/", cmd+"bridge", cmd+"subscriber")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the programs with failpoints: %w\n%s", err, out)
	}
	return dir, nil
})

// fragile returns the folder of the programs that can be made to die.
func fragile(t *testing.T) string {
	t.Helper()
	dir, err := buildFragile()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// site is a deployment whose programs die, and what was sent to it.
type site struct {
	*cluster
	api   *kit.StripeAPI
	seed  uint64
	truth map[string]stripesim.Truth
	turn  int // counts the crashes
	// handled counts the messages that subscribers handled after they had died.
	handled int

	mu       sync.Mutex
	accepted map[string]bool
	letters  uint64 // how many dead letters there have to be
}

// Two endpoints deliver each event in two API versions.
const (
	oldSecret   = secret
	newerSecret = "whsec_e2e_newer_0123456789"
)

func newSite(t *testing.T) *site {
	t.Helper()
	seed, err := strconv.ParseUint(setting("BILLBUS_E2E_SEED", strconv.FormatUint(rand.Uint64(), 10)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("BILLBUS_E2E_SEED=%d", seed)
	s := &site{api: kit.NewStripeAPI(t), seed: seed, truth: map[string]stripesim.Truth{}, accepted: map[string]bool{}}
	s.cluster = newFragileCluster(t)
	settings := []string{"STRIPE_WEBHOOK_SECRETS=old=" + oldSecret + ",newer=" + newerSecret, "STRIPE_API_BASE=" + s.api.URL, "STRIPE_API_KEY=" + apiKey}
	s.bridge.Kill(t)
	s.bridge.Env = append(slices.DeleteFunc(s.bridge.Env, func(v string) bool { return strings.HasPrefix(v, "STRIPE_WEBHOOK_SECRETS=") }), settings...)
	s.bridge.Start(t)
	ready(t, s.bridgeAdmin)
	return s
}

// survives lets a program die, starts it again, and judges the result.
func (s *site) survives(t *testing.T, c crash) {
	t.Helper()
	s.turn++
	p := map[string]*kit.Process{"bridge": s.bridge, "subscriber": s.subscriber}[c.program]
	if err := p.Terminate(t); err != nil {
		t.Errorf("%s: %v", c.program, err)
	}
	disarm := arm(t, p, c.point, c.times)
	p.Start(t)
	var check func()
	done := make(chan struct{})
	go func() {
		defer close(done)
		check = c.traffic(t, s)
	}()
	died(t, p, c.point)
	s.endTurns(t)
	floor := s.floor(t)
	disarm()
	p.Log += "." + c.point
	p.Start(t)
	<-done
	s.judge(t, c.point)
	if check != nil {
		check()
	}
	if c.program == "subscriber" {
		s.handled += notAgain(t, p.Log, floor)
	}
	if t.Failed() {
		t.Fatalf("after the crash at %s", c.point)
	}
}

// arm makes a process one that dies when it has reached a point so many times. disarm makes it
// what it was before.
func arm(t *testing.T, p *kit.Process, point string, times int) (disarm func()) {
	t.Helper()
	command, env := p.Command, p.Env
	p.Command = append([]string{filepath.Join(fragile(t), filepath.Base(p.Command[0]))}, p.Command[1:]...)
	p.Env = append(slices.Clone(p.Env), fmt.Sprintf("BILLBUS_FAILPOINT=%s=%d", point, times))
	return func() { p.Command, p.Env = command, env }
}

// died waits until a process has died at a point.
func died(t *testing.T, p *kit.Process, point string) {
	t.Helper()
	kit.Eventually(t, "the program dies at "+point, p.Ended)
	var exit *exec.ExitError
	if err := p.Err(t); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL { //nolint:forcetypeassert // so it is on Linux
		t.Errorf("%s: %v, want a death by SIGKILL", point, err)
	}
	log, err := os.ReadFile(p.Log)
	if err != nil || !bytes.Contains(log, []byte("failpoint "+point+"\n")) {
		t.Errorf("%s: the log does not say that the point was reached: %v", point, err)
	}
}

// floor returns up to which message the subscriber has acknowledged all.
func (s *site) floor(t *testing.T) uint64 {
	t.Helper()
	consumer, err := s.jetStream(t).Consumer(t.Context(), "BILLBUS", durable)
	if err != nil {
		t.Fatal(err)
	}
	return consumer.CachedInfo().AckFloor.Stream
}

// notAgain checks that no message up to a sequence was handled since a log begins. It returns
// how many were handled.
func notAgain(t *testing.T, path string, floor uint64) (handled int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for raw := range bytes.Lines(text) {
		var line struct {
			Msg      string `json:"msg"`
			Sequence uint64 `json:"sequence"`
		}
		if json.Unmarshal(raw, &line) != nil || line.Msg != "message" {
			continue
		}
		handled++
		if line.Sequence <= floor {
			t.Errorf("message %d was acknowledged, and delivered again", line.Sequence)
		}
	}
	t.Logf("%d messages handled after the crash", handled)
	return handled
}

// judge waits until everything is handled, and checks the result of all that was sent.
func (s *site) judge(t *testing.T, point string) {
	t.Helper()
	ready(t, s.bridgeAdmin)
	ready(t, s.subAdmin)
	s.settled(t)
	db := s.database(t)
	checkAudit(t, audit[auditDoc](t, db), s.accepted)
	s.checkRecords(t)
	checkView(t, s.cluster)
	if code, findings, summary := s.verify(t); code != 0 {
		t.Errorf("verify: got %d, %v, %v", code, summary, findings)
	}
	if n := natstest.Count(t, s.jetStream(t), "BILLBUS_DLQ"); n != s.letters {
		t.Errorf("got %d dead letters, want %d", n, s.letters)
	}
	t.Logf("%s: %d events, %d records", point, len(s.accepted), len(s.truth))
}

// settled waits until both programs have acknowledged every message, and no records have
// other names than the catalog.
func (s *site) settled(t *testing.T) {
	t.Helper()
	js, db := s.jetStream(t), s.database(t)
	s.drained(t)
	kit.Drained(t, "the bridge has acknowledged every message", func() (uint64, error) {
		consumer, err := js.Consumer(t.Context(), "BILLBUS", "billbus-resolver")
		if err != nil {
			return 0, err
		}
		info := consumer.CachedInfo()
		return info.NumPending + uint64(info.NumAckPending), nil
	})
	s.drained(t) // what the bridge has published
	kit.Eventually(t, "all records have the names of the catalog", func() bool {
		n, err := db.Collection("catalog").CountDocuments(t.Context(), bson.D{{Key: "sweep.unfinished", Value: true}})
		return n == 0 && err == nil
	})
}

// endTurns ends the turn of a process that has died, for which another one waits two minutes.
func (s *site) endTurns(t *testing.T) {
	t.Helper()
	_, err := s.database(t).Collection("catalog").UpdateMany(t.Context(), bson.D{{Key: "sweep.unfinished", Value: true}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "sweep.until", Value: time.Unix(epoch, 0)}}}})
	if err != nil {
		t.Error(err)
	}
}

// checkRecords compares the records of simulated subscriptions with the truth. What follows
// from records is compared with these.
func (s *site) checkRecords(t *testing.T) {
	t.Helper()
	all := byKey(records[bson.M](t, s.database(t)))
	for key, history := range s.truth {
		if all[key]["ordering"] != "determined" {
			t.Errorf("%s: the record is %v: %v", key, all[key]["ordering"], all[key]["explanation"])
		}
		if diff, err := judge.Difference(all[key], history.Recorded()[0]); err != nil || diff != "" {
			t.Errorf("%s: %v, record (-want +got):\n%s", key, err, diff)
		}
	}
}
