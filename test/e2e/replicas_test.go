package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
	"github.com/billbus/billbus/test/kit/servers"
)

// truthful is how long /readyz may say what is no longer true.
const truthful = 10 * time.Second

// replicated is a cluster on three NATS servers, with three replicas of everything.
type replicated struct {
	*cluster
	nodes map[string]*kit.Process
	js    jetstream.JetStream
}

func newReplicated(t *testing.T) *replicated {
	t.Helper()
	nodes, clients := servers.Nodes(t, servers.Cluster{Binaries: binaries, Dir: t.TempDir(), Nodes: 3})
	url := servers.URL(clients)
	for _, node := range nodes {
		node.Start(t)
	}
	c := assemble(t, url, "", "STREAM_REPLICAS=3")
	c.launch(t)
	r := &replicated{cluster: c, nodes: nodes, js: natstest.JetStream(t, url)}
	r.healed(t)
	return r
}

// leader returns the name of the node that leads the stream.
func (r *replicated) leader(t *testing.T) string {
	t.Helper()
	var leader string
	kit.Eventually(t, "the stream has a leader", func() bool {
		stream, err := r.js.Stream(t.Context(), "BILLBUS")
		if err == nil {
			leader = stream.CachedInfo().Cluster.Leader
		}
		return leader != ""
	})
	return leader
}

// healed waits until every replica of the streams has everything.
func (r *replicated) healed(t *testing.T) {
	t.Helper()
	for _, name := range []string{"BILLBUS", "BILLBUS_DLQ"} {
		kit.Eventually(t, "all replicas of "+name+" are current", func() bool {
			stream, err := r.js.Stream(t.Context(), name)
			if err != nil {
				return false
			}
			cluster := stream.CachedInfo().Cluster
			for _, replica := range cluster.Replicas {
				if !replica.Current || replica.Offline {
					return false
				}
			}
			return cluster.Leader != "" && len(cluster.Replicas) == 2
		})
	}
}

// bridgeNode returns the name of the node to which the bridge is connected.
func (r *replicated) bridgeNode(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(r.bridge.Log)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text[strings.LastIndex(string(text), `onnected to NATS"`):]), `"server":"`)
	name, _, _ := strings.Cut(rest, `"`)
	if r.nodes[name] == nil {
		t.Fatalf("the bridge's log names no node: %q", name)
	}
	return name
}

// another returns a node that has none of these names.
func (r *replicated) another(names ...string) string {
	for name := range r.nodes {
		if strings.Contains(strings.Join(names, " "), name) {
			continue
		}
		return name
	}
	return ""
}

// says waits until /readyz of a program says that it is ready, or that it is not, and
// returns for how long it was wrong. That must not be longer than truthful.
func says(t *testing.T, admin string, want int) time.Duration {
	t.Helper()
	start := time.Now()
	for kit.Get(admin+"/readyz").Status != want {
		if time.Since(start) > truthful {
			t.Fatalf("%s/readyz is not %d after %s: %s", admin, want, truthful, kit.Get(admin+"/readyz").Body)
		}
		<-time.After(50 * time.Millisecond)
	}
	return time.Since(start).Round(10 * time.Millisecond)
}

// answered waits until a new event is answered with a status, and returns how long
// that took.
func (r *replicated) answered(t *testing.T, id string, want int, accepted map[string]bool) time.Duration {
	t.Helper()
	start := time.Now()
	kit.Eventually(t, fmt.Sprintf("%s is answered %d", id, want), func() bool {
		status, _ := post(r.webhookURL, event(id, "sub_"+id, 0))
		if status == http.StatusOK {
			accepted[id] = true
		}
		return status == want
	})
	return time.Since(start).Round(10 * time.Millisecond)
}

// bothSay is says for both programs.
func (r *replicated) bothSay(t *testing.T, what string, want int) {
	t.Helper()
	t.Logf("%s: /readyz of the bridge is %d after %s, that of the subscriber then after %s", what, want, says(t, r.bridgeAdmin, want), says(t, r.subAdmin, want))
}

func TestReplicasLoseNothingAndReadinessTellsTheTruth(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	l := startLoad(r.webhookURL, 2, 5*pause)
	l.more(t, 20)

	killed := r.leader(t)
	r.nodes[killed].Kill(t)
	start := time.Now()
	l.more(t, 2) // one may have been answered before
	t.Logf("leader killed: the next webhook is answered 200 after %s", time.Since(start).Round(10*time.Millisecond))
	l.more(t, 20)
	r.bothSay(t, "leader killed, another elected", http.StatusOK)
	r.nodes[killed].Start(t)
	r.healed(t)

	frozen := r.another(r.leader(t), r.bridgeNode(t))
	r.nodes[frozen].Signal(t, syscall.SIGSTOP)
	start = time.Now()
	l.more(t, 20)
	t.Logf("follower frozen: 20 webhooks are answered 200 after %s", time.Since(start).Round(10*time.Millisecond))
	says(t, r.bridgeAdmin, http.StatusOK)
	r.nodes[frozen].Signal(t, syscall.SIGCONT)

	for name, node := range r.nodes {
		start := time.Now()
		if err := node.Terminate(t); err != nil {
			t.Logf("%s: %v", name, err)
		}
		l.more(t, 10)
		node.Start(t)
		r.healed(t)
		t.Logf("%s restarted under load, and current again after %s", name, time.Since(start).Round(10*time.Millisecond))
	}
	r.bothSay(t, "after the rolling restart", http.StatusOK)

	accepted := l.stop(t)
	r.loseTwo(t, accepted)
	r.check(t, accepted)
}

func TestSubscriberThatStartsFirstWaitsForTheBridge(t *testing.T) {
	t.Parallel()
	addr := kit.FreeAddr(t)
	servers.Process(t, t.TempDir(), servers.NATS, addr).Start(t)
	c := assemble(t, "nats://"+addr, "")
	c.documents.Start(t)
	c.subscriber.Start(t)
	kit.Eventually(t, "the subscriber waits, and says for what", func() bool {
		return strings.Contains(kit.Get(c.subAdmin+"/readyz").Body, "stream BILLBUS does not exist: start the bridge")
	})
	c.bridge.Start(t)
	ready(t, c.subAdmin)
	ready(t, c.bridgeAdmin)
	accept(t, c.webhookURL, event("evt_first", "sub_first", 0))
	c.check(t, map[string]bool{"evt_first": true})
}

// loseTwo kills two nodes without traffic, and starts one of them again. The one that is
// left was the leader, and takes itself for one for some seconds.
func (r *replicated) loseTwo(t *testing.T, accepted map[string]bool) {
	t.Helper()
	leader := r.leader(t)
	var dead []*kit.Process
	for name, node := range r.nodes {
		if name != leader {
			node.Kill(t)
			dead = append(dead, node)
		}
	}
	r.bothSay(t, "two nodes dead", http.StatusServiceUnavailable)
	r.answered(t, "evt_two_dead", http.StatusServiceUnavailable, accepted)
	dead[0].Start(t)
	t.Logf("one of two dead nodes is back: a webhook is answered 200 after %s", r.answered(t, "evt_one_back", http.StatusOK, accepted))
	r.bothSay(t, "one of two dead nodes is back", http.StatusOK)
}
