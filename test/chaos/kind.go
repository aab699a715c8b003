package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// kind is a kind of faults.
type kind struct {
	name, about string
	weight      int           // how often it comes, compared with others
	least, most time.Duration // how long it lasts, if it does
	// targets returns what can be hit.
	targets func(shape) []string
	// touches returns everything that no other fault may touch at the same time.
	touches func(s shape, target string) []string
	// pauses is true if it is interesting for how long no webhook is answered 200.
	pauses bool
	// forgets is true if NATS may forget acknowledgements, so what a subscriber has
	// acknowledged may come again.
	forgets func(target string) bool
	// do brings the fault about, and ends it.
	do func(*run, Fault) error
}

// kinds returns all kinds for a deployment.
func kinds(s shape) []kind {
	all := slices.Concat(processKinds(), networkKinds(), streamKinds(), dutyKinds())
	if s.servers > 1 {
		all = append(all, clusterKinds()...)
	}
	return all
}

func processKinds() []kind {
	return []kind{
		{
			name: "kill", about: "SIGKILL of a process, which is started again", weight: 4, least: 100 * time.Millisecond, most: 3 * time.Second,
			targets: shape.lasting, touches: itself, forgets: isNode, do: (*run).kill,
		},
		{
			name: "freeze", about: "SIGSTOP of a process, and SIGCONT", weight: 3, least: time.Second, most: 20 * time.Second,
			targets: shape.processes, touches: itself, forgets: isNode, do: (*run).freeze,
		},
		{
			name: "term", about: "SIGTERM of a process, which is started again", weight: 3, least: 100 * time.Millisecond, most: 2 * time.Second,
			targets: shape.lasting, touches: itself, forgets: isNode, do: (*run).term,
		},
	}
}

func networkKinds() []kind {
	link := func(name, about string, most time.Duration, do func(*run, Fault) error) kind {
		return kind{name: name, about: about, weight: 2, least: time.Second, most: most, targets: shape.links, touches: bothEnds, forgets: never, do: do}
	}
	return []kind{
		link("cut", "connections between two processes are closed, and refused", 10*time.Second, (*run).cut),
		link("delay", "what one process sends to another arrives up to a second later", 15*time.Second, (*run).delay),
		link("blackhole", "connections between two processes stay open, and nothing gets through", 15*time.Second, (*run).blackhole),
	}
}

func streamKinds() []kind {
	return []kind{
		{
			name: "stream-full", about: "the stream takes no more bytes", weight: 1, least: 2 * time.Second, most: 10 * time.Second,
			targets: nobody, touches: theStream, forgets: never, pauses: true, do: (*run).fillStream,
		},
		{
			name: "disk-full", about: "the disk of the NATS servers is full (as root; otherwise JetStream's limit is reached)",
			weight: 1, least: 2 * time.Second, most: 10 * time.Second,
			targets: nobody, touches: theServers, forgets: always, pauses: true, do: (*run).fillDisk,
		},
		{
			name: "consumer-deleted", about: "the subscribers' consumer is deleted", weight: 1,
			targets: nobody, touches: theStream, forgets: always, do: (*run).deleteConsumer,
		},
		{
			name: "stream-deleted", about: "the stream is deleted; what it had is sent again at the end", weight: 1,
			targets: nobody, touches: theStream, forgets: always, do: (*run).deleteStream,
		},
	}
}

// dutyKinds are not faults, but what operators do while everything runs.
func dutyKinds() []kind {
	duty := func(name, about string, weight int, do func(*run, Fault) error) kind {
		return kind{
			name: name, about: about, weight: weight, least: 2 * time.Second, most: 10 * time.Second,
			targets: nobody, touches: func(shape, string) []string { return []string{name} }, forgets: never, do: do,
		}
	}
	replay := duty("replay", "subscriber replay", 1, (*run).replay)
	replay.touches = replaying
	rolling := duty("rolling-restart", "every process is stopped and started, one after the other", 1, (*run).restartAll)
	rolling.touches = func(s shape, _ string) []string { return s.lasting() }
	rolling.forgets, rolling.pauses = always, true
	return []kind{
		duty("resend", "Stripe sends events again after the duplicate window", 2, (*run).resend),
		duty("rotate", "the signing secret is replaced, with both valid for a while", 1, (*run).rotate),
		duty("import", "bridge import", 1, (*run).importObjects),
		replay, rolling,
	}
}

func clusterKinds() []kind {
	node := func(name, about string, least, most time.Duration, do func(*run, Fault) error) kind {
		return kind{
			name: name, about: about, weight: 2, least: least, most: most, pauses: true,
			targets: leaderOrFollower, touches: theServers, forgets: always, do: do,
		}
	}
	rolling := node("node-rolling", "the NATS servers are restarted, one after the other", time.Second, time.Second, (*run).restartNodes)
	rolling.targets = nobody
	return []kind{
		node("node-killed", "SIGKILL of the NATS server that leads the stream, or of another", time.Second, 5*time.Second, onNode((*run).kill)),
		node("node-frozen", "SIGSTOP of one of them for 20 s", 20*time.Second, 20*time.Second, onNode((*run).freeze)),
		node("node-cut", "connections between one of them and all other processes are cut", 5*time.Second, 15*time.Second, onNode((*run).cutNode)),
		rolling,
	}
}

// leaderOrFollower are not names of servers: which leads is known only when the fault begins.
func leaderOrFollower(shape) []string { return []string{"leader", "follower"} }

// onNode finds the server.
func onNode(do func(*run, Fault) error) func(*run, Fault) error {
	return func(r *run, f Fault) error {
		leader, err := r.knownLeader()
		if err != nil {
			return err
		}
		name := leader
		for _, other := range r.shape.nodes() {
			if f.Target == "follower" && other != leader {
				name = other
			}
		}
		r.log.Info("the fault is that of a NATS server", "process", name)
		f.Target = name
		return do(r, f)
	}
}

func nobody(shape) []string { return []string{""} }

func itself(_ shape, target string) []string { return []string{target} }

// bothEnds returns the link. On the way to the embedded database, which allows one writer, it
// is also the subscriber: what it had sent before it was killed must not arrive later.
func bothEnds(s shape, link string) []string {
	if subscriber, ok := strings.CutSuffix(link, "-database"); ok && s.database == embedded {
		return []string{link, subscriber}
	}
	return []string{link}
}

func replaying(s shape, _ string) []string {
	touched := []string{"replay"}
	if s.database == embedded {
		touched = append(touched, names("subscriber", s.subscribers)...)
	}
	return touched
}

func theStream(shape, string) []string { return []string{"stream"} }

func theServers(s shape, _ string) []string {
	all := append(s.nodes(), "stream")
	for _, link := range s.links() {
		if strings.HasSuffix(link, "-nats") {
			all = append(all, link)
		}
	}
	return all
}

func always(string) bool { return true }

func never(string) bool { return false }

func isNode(target string) bool { return strings.HasPrefix(target, "node") }

// choose returns the kinds of these names, or all.
func choose(all []kind, list string) ([]kind, error) {
	if list == "" {
		return all, nil
	}
	var chosen []kind
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(k kind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("--faults: there is no %q with these servers; see --help", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
