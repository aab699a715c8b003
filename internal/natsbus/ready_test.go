package natsbus_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/secret"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// restricted starts a server whose user "program" has these permissions. Anyone else may
// do everything.
func restricted(t *testing.T, denied *server.Permissions) string {
	t.Helper()
	return natstest.Serve(t, &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
		Users:      []*server.User{{Username: "program", Password: "pw", Permissions: denied}, {Username: "other"}},
		NoAuthUser: "other",
	}).ClientURL()
}

func denyPublish(subject string) *server.Permissions {
	return &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{subject}}}
}

func TestReadinessNamesWhatTheServerDenies(t *testing.T) {
	t.Parallel()
	noAnswers := &server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{"_INBOX.>"}}}
	publishing, consuming := (*natsbus.Provisioner).CheckPublish, (*natsbus.Provisioner).CheckConsumer
	for name, tt := range map[string]struct {
		denied *server.Permissions
		check  func(*natsbus.Provisioner, context.Context) error
		want   string
	}{
		"publishing events":        {denyPublish("stripe.>"), publishing, "publish to stripe.>:"},
		"publishing subscriptions": {denyPublish("subscription.*"), publishing, "publish to subscription.probe"},
		"looking up the stream":    {denyPublish("$JS.API.STREAM.INFO.>"), publishing, "publish to $JS.API.STREAM.INFO.BILLBUS"},
		"pulling":                  {denyPublish("$JS.API.CONSUMER.MSG.NEXT.>"), consuming, "publish to $JS.API.CONSUMER.MSG.NEXT.BILLBUS.billbus-subscriber"},
		"acknowledging":            {denyPublish("$JS.ACK.>"), consuming, "publish to $JS.ACK.BILLBUS.billbus-subscriber.>:"},
		"dead letters":             {denyPublish("billbus.dlq.>"), consuming, "publish to billbus.dlq.>:"},
		"answers":                  {noAnswers, consuming, "subscribe to _INBOX.>:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := restricted(t, tt.denied)
			provisioned(t, open(t, url), settings(), natsbus.SubscriberConsumer(consumer))
			log := &kit.Buffer{}
			bus, err := natsbus.Open(natsbus.Auth{URL: url, User: "program", Password: secret.New("pw")}, t.Name(), slog.New(slog.NewTextHandler(log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(bus.Close)
			p := provision(t, bus, natsbus.ProvisionConsumer, settings(), natsbus.SubscriberConsumer(consumer))
			kit.Eventually(t, "not ready because of: "+tt.want, func() bool {
				err := tt.check(p, t.Context())
				return err != nil && strings.Contains(err.Error(), "does not permit this program to "+tt.want)
			})
			if err := bus.Check(t.Context()); err != nil {
				t.Errorf("got %v, want connected", err)
			}
			if got := log.String(); strings.Contains(got, "not reachable") || !strings.Contains(got, strings.TrimSuffix(tt.want, ":")) || strings.Count(got, "does not permit something") > 1 {
				t.Errorf("the log does not name what was denied, or says that NATS is not reachable:\n%s", got)
			}
		})
	}
}

// A webhook that is answered 503 says in the log that the cause is not the server's disk.
func TestPublishNamesWhatTheServerDenies(t *testing.T) {
	t.Parallel()
	url := restricted(t, denyPublish("stripe.>"))
	provisioned(t, open(t, url), settings(), noConsumer)
	program := openAs(t, natsbus.Auth{URL: url, User: "program", Password: secret.New("pw"), InboxPrefix: "_INBOX_program"})
	if err := program.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	pub := publisher(t, program)
	_, err := pub.PublishNew("stripe.x", newMessage("evt_1", "{}"))
	for _, err := range []error{err, pub.Publish("stripe.x", newMessage("evt_1", "{}"))} {
		if err == nil || !strings.Contains(err.Error(), "does not permit this program to publish to stripe.>: add") || fault.KindOf(err) != fault.Transient {
			t.Errorf("got %v, want the right that is missing", err)
		}
	}
	if err := pub.Publish("subscription.updated", newMessage("evt_1", "{}")); err != nil {
		t.Errorf("what is permitted: %v", err)
	}
}

// The call ends when the server has refused, although nothing answers it.
func TestCommandsDoNotWaitForWhatTheServerDenies(t *testing.T) {
	t.Parallel()
	url := restricted(t, denyPublish("$JS.API.STREAM.INFO.>"))
	program := openAs(t, natsbus.Auth{URL: url, User: "program", Password: secret.New("pw")})
	if err := program.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := program.Plan(ctx, settings())
	if err == nil || !strings.Contains(err.Error(), "publish to $JS.API.STREAM.INFO.BILLBUS: add") || ctx.Err() != nil {
		t.Errorf("got %v, %v, want the right that is missing before the time is up", err, ctx.Err())
	}
}

// What deploy/README.md lists is enough, from the start on.
func TestDocumentedPermissionsAreEnough(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		users    []string // whose permissions the program has
		consumer natsbus.Consumer
		mode     natsbus.ProvisionMode
		checks   []func(*natsbus.Provisioner, context.Context) error
	}{
		{
			[]string{"bridge"},
			noConsumer, natsbus.ProvisionCreate,
			[]func(*natsbus.Provisioner, context.Context) error{(*natsbus.Provisioner).CheckStreams, (*natsbus.Provisioner).CheckPublish},
		},
		{
			[]string{"bridge", "bridge with an API key"},
			natsbus.ResolverConsumer(), natsbus.ProvisionCreate,
			[]func(*natsbus.Provisioner, context.Context) error{(*natsbus.Provisioner).CheckPublish, (*natsbus.Provisioner).CheckConsumer},
		},
		{
			[]string{"subscriber"},
			natsbus.SubscriberConsumer(consumer), natsbus.ProvisionConsumer,
			[]func(*natsbus.Provisioner, context.Context) error{(*natsbus.Provisioner).Check},
		},
		{
			[]string{"subscriber", "subscriber, unless `STATE_VIEW=off`"},
			natsbus.SubscriberConsumer(consumer).WithStateView(), natsbus.ProvisionConsumer,
			[]func(*natsbus.Provisioner, context.Context) error{(*natsbus.Provisioner).Check},
		},
	} {
		t.Run(strings.Join(tt.users, " and "), func(t *testing.T) {
			t.Parallel()
			var allowed []string
			for _, user := range tt.users {
				_, row, ok := strings.Cut(string(text), "\n| "+user+" | ")
				row, _, _ = strings.Cut(row, "\n")
				if !ok {
					t.Fatalf("deploy/README.md lists no permissions for: %s", user)
				}
				for i, part := range strings.Split(row, "`") {
					if i%2 == 1 {
						allowed = append(allowed, part)
					}
				}
			}
			url := restricted(t, &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: allowed},
				Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
			})
			if tt.mode == natsbus.ProvisionConsumer {
				provisioned(t, open(t, url), viewed(), noConsumer)
			}
			program := openAs(t, natsbus.Auth{URL: url, User: "program", Password: secret.New("pw")})
			p := provision(t, program, tt.mode, viewed(), tt.consumer)
			kit.Eventually(t, "ready", ready(p))
			for _, check := range tt.checks {
				if err := check(p, t.Context()); err != nil {
					t.Error(err)
				}
			}
			if len(tt.users) == 2 && tt.mode == natsbus.ProvisionConsumer {
				useStateView(t, program)
			}
		})
	}
}

// A check must neither add a message nor take one from the subscriber.
func TestReadinessChangesNothing(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t).URL()
	bus, js := open(t, url), natstest.JetStream(t, url)
	p := provisioned(t, bus, settings(), natsbus.ResolverConsumer())
	if err := publisher(t, bus).Publish("subscription.updated", newMessage("evt_1", "{}")); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		for name, check := range map[string]func(context.Context) error{"streams": p.CheckStreams, "publish": p.CheckPublish, "consumer": p.CheckConsumer} {
			if err := check(t.Context()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	for name, want := range map[string]uint64{"BILLBUS": 1, natsbus.DeadLetterStream: 0, "KV_" + natsbus.ResolvedBucket: 0} {
		if got := natstest.Stream(t, js, name).CachedInfo().State.LastSeq; got != want {
			t.Errorf("%s: got last sequence %d, want %d", name, got, want)
		}
	}
	c, err := js.Consumer(t.Context(), "BILLBUS", natsbus.ResolverConsumer().Name)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.CachedInfo(); got.NumPending != 1 || got.NumAckPending != 0 || got.NumWaiting != 0 || got.Delivered.Consumer != 0 {
		t.Errorf("got pending %d, unacknowledged %d, waiting %d, delivered %d", got.NumPending, got.NumAckPending, got.NumWaiting, got.Delivered.Consumer)
	}
}

func TestFullStreamIsNotReadyWithoutTraffic(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t).URL()
	small := settings()
	small.MaxBytes = 5000
	bus := open(t, url)
	p := provisioned(t, bus, small, noConsumer)
	if err := p.CheckPublish(t.Context()); err != nil {
		t.Fatal(err)
	}
	pub, payload := publisher(t, bus), strings.Repeat("x", 1000)
	for pub.Publish("stripe.x", message.NewMessage("", []byte(payload))) == nil {
	}
	if err := p.CheckPublish(t.Context()); err == nil || !strings.Contains(err.Error(), "stream BILLBUS is full") || !strings.Contains(err.Error(), "STREAM_MAX_BYTES") {
		t.Errorf("got %v, want that the stream is full, and the setting", err)
	}
	// Reading goes on.
	if err := p.CheckStreams(t.Context()); err != nil {
		t.Errorf("streams: %v", err)
	}
}

// soon is well below the interval between two passes of a provisioner.
const soon = 15 * time.Second

func TestDeletedConsumerIsCreatedAgainAtOnce(t *testing.T) {
	t.Parallel()
	for name, notice := range map[string]func(*testing.T, *rig, *natsbus.Provisioner){
		"by the subscriber": func(t *testing.T, r *rig, p *natsbus.Provisioner) {
			t.Helper()
			sub := r.bus.NewSubscriber(natsbus.SubscriberConfig{Stream: "BILLBUS", Consumer: consumer, MaxInFlight: 1, CloseTimeout: time.Second, Missing: p.Wake})
			if _, err := sub.Subscribe(t.Context(), ">"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = sub.Close() })
		},
		"by the readiness check": func(t *testing.T, r *rig, p *natsbus.Provisioner) {
			t.Helper()
			kit.Eventually(t, "not ready because of the consumer", func() bool {
				if err := p.Check(t.Context()); err != nil {
					return strings.Contains(err.Error(), consumer)
				}
				_ = r.js.DeleteConsumer(t.Context(), "BILLBUS", consumer) // a pass that was due has created it again
				return false
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := natstest.Start(t).URL()
			bus := open(t, url)
			r := &rig{url: url, bus: bus, js: natstest.JetStream(t, url)}
			p := provisioned(t, bus, settings(), natsbus.SubscriberConsumer(consumer))
			if err := r.js.DeleteConsumer(t.Context(), "BILLBUS", consumer); err != nil {
				t.Fatal(err)
			}
			notice(t, r, p)
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			defer cancel()
			for {
				if _, err := r.js.Consumer(ctx, "BILLBUS", consumer); err == nil {
					return
				} else if ctx.Err() != nil {
					t.Fatalf("not created again within %s: %v", soon, err)
				}
			}
		})
	}
}

func TestConsumersProgramWaitsForTheStreams(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t).URL()
	js := natstest.JetStream(t, url)
	p := provision(t, open(t, url), natsbus.ProvisionCreate.WithoutStreams(), settings(), natsbus.SubscriberConsumer(consumer))
	refused(t, p, "stream BILLBUS does not exist: start the bridge with PROVISION=create, or run `bridge provision`")
	if names := js.StreamNames(t.Context()); len(names.Name()) != 0 {
		t.Error("a stream was created")
	}
	provisioned(t, open(t, url), settings(), noConsumer)
	kit.Eventually(t, "ready", ready(p))
	if _, err := js.Consumer(t.Context(), "BILLBUS", consumer); err != nil {
		t.Error(err)
	}
	if got := natsbus.ProvisionCheck.WithoutStreams(); got != natsbus.ProvisionCheck {
		t.Errorf("got %s", got)
	}
}

// recreations counts what a provisioner reports.
type recreations struct {
	mu      sync.Mutex
	streams []string
}

func (r *recreations) note(stream string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.streams = append(r.streams, stream)
}

func (r *recreations) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.streams, " ")
}

func watched(t *testing.T, url string, mode natsbus.ProvisionMode, c natsbus.Consumer) (*natsbus.Provisioner, *recreations) {
	t.Helper()
	seen := &recreations{}
	p := open(t, url).NewProvisioner(mode, settings(), c)
	p.Recreated = seen.note
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return p, seen
}

func TestRecreatedStreamIsReported(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t).URL()
	js := natstest.JetStream(t, url)
	owner, ownerSaw := watched(t, url, natsbus.ProvisionCreate, noConsumer)
	second, secondSaw := watched(t, url, natsbus.ProvisionCreate, noConsumer)
	guest, guestSaw := watched(t, url, natsbus.ProvisionConsumer, natsbus.SubscriberConsumer(consumer))
	all := []*natsbus.Provisioner{owner, second, guest}
	for _, p := range all {
		kit.Eventually(t, "ready", ready(p))
	}
	if got := ownerSaw.String() + secondSaw.String() + guestSaw.String(); got != "" {
		t.Errorf("after the first start: got %q, want nothing", got)
	}
	if err := js.DeleteStream(t.Context(), "BILLBUS"); err != nil {
		t.Fatal(err)
	}
	kit.Eventually(t, "each program has seen it once", func() bool {
		for _, p := range all {
			p.Wake()
		}
		return ownerSaw.String() == "BILLBUS" && secondSaw.String() == "BILLBUS" && guestSaw.String() == "BILLBUS"
	})
}

func TestStreamDeletedBeforeTheStartIsReported(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t).URL()
	// It ends with its test, and does not create the stream again.
	t.Run("first", func(t *testing.T) { provisioned(t, open(t, url), settings(), noConsumer) })
	if err := natstest.JetStream(t, url).DeleteStream(t.Context(), "BILLBUS"); err != nil {
		t.Fatal(err)
	}
	p, saw := watched(t, url, natsbus.ProvisionCreate, noConsumer)
	kit.Eventually(t, "ready", ready(p))
	if got := saw.String(); got != "BILLBUS" {
		t.Errorf("got %q, want BILLBUS", got)
	}
}

func TestDriftIsCounted(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t).URL()
	provisioned(t, open(t, url), settings(), noConsumer)
	other := settings()
	other.DuplicateWindow, other.Replicas = time.Hour, 3
	p := open(t, url).NewProvisioner(natsbus.ProvisionCheck, other, noConsumer)
	var got atomic.Int64
	p.Drifted = func(n int) { got.Store(int64(n)) }
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	defer func() { stop(); <-done }()
	refused(t, p, "stream BILLBUS: num_replicas is 1, want 3: run `bridge provision`")
	if got.Load() != 3 { // the window, and the replicas of both streams
		t.Errorf("got %d differences, want 3", got.Load())
	}
}

func TestQuorumCountsTheReplicasThatWereHeard(t *testing.T) {
	t.Parallel()
	heard := func(ago ...time.Duration) *jetstream.ClusterInfo {
		c := &jetstream.ClusterInfo{Leader: "a"}
		for _, active := range ago {
			c.Replicas = append(c.Replicas, &jetstream.PeerInfo{Active: active})
		}
		return c
	}
	const never = 0
	leaderless, offline := heard(1, 1), heard(1, time.Minute)
	leaderless.Leader, offline.Replicas[0].Offline = "", true
	for name, tt := range map[string]struct {
		cluster *jetstream.ClusterInfo
		want    string
	}{
		"a single server":       {nil, ""},
		"one replica":           {heard(), ""},
		"all":                   {heard(time.Microsecond, time.Second), ""},
		"one of three is quiet": {heard(time.Minute, time.Second), ""},
		"one of three is new":   {heard(never, time.Second), ""},
		"two of three":          {heard(time.Minute, time.Minute), "1 of 3 replicas are up"},
		"two died at the start": {heard(never, time.Minute), "1 of 3 replicas are up"},
		"three of five":         {heard(1, time.Minute, time.Minute, time.Minute), "2 of 5 replicas are up"},
		"one of two":            {heard(time.Minute), "1 of 2 replicas are up"},
		"offline":               {offline, "1 of 3 replicas are up"},
		"no leader":             {leaderless, "has no leader"},
	} {
		got := natsbus.Quorum("stream X", tt.cluster)
		if (got == nil) != (tt.want == "") || got != nil && !strings.Contains(got.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, got, tt.want)
		}
	}
}
