package natsbus_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/secret"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// refused waits until p is not ready for a reason whose text contains want.
func refused(t *testing.T, p *natsbus.Provisioner, want string) {
	t.Helper()
	kit.Eventually(t, "not ready because of "+want, func() bool {
		err := p.Check(t.Context())
		return err != nil && strings.Contains(err.Error(), want)
	})
}

func TestProvisionCreatesWhatIsMissing(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	provisioned(t, open(t, srv.URL()), settings(), natsbus.SubscriberConsumer(consumer))
	js := natstest.JetStream(t, srv.URL())
	stream, err := js.Stream(t.Context(), "BILLBUS")
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	if cfg.Storage != jetstream.FileStorage || cfg.Retention != jetstream.LimitsPolicy || cfg.Discard != jetstream.DiscardNew {
		t.Errorf("got storage %v, retention %v, discard %v", cfg.Storage, cfg.Retention, cfg.Discard)
	}
	if got, want := strings.Join(cfg.Subjects, " "), "subscription.* stripe.> billbus.user.linked"; got != want {
		t.Errorf("got subjects %q, want %q", got, want)
	}
	if cfg.Duplicates != 72*time.Hour {
		t.Errorf("got duplicate window %v, want 72h", cfg.Duplicates)
	}
	c, err := js.Consumer(t.Context(), "BILLBUS", consumer)
	if err != nil {
		t.Fatal(err)
	}
	got := c.CachedInfo().Config
	if got.AckPolicy != jetstream.AckExplicitPolicy || got.MaxAckPending != -1 || got.MaxDeliver != -1 || got.DeliverPolicy != jetstream.DeliverAllPolicy {
		t.Errorf("got consumer %+v", got)
	}
	if _, err := js.Stream(t.Context(), natsbus.DeadLetterStream); err != nil {
		t.Errorf("dead letter stream: %v", err)
	}
}

func TestProvisionCreatesADeletedStreamAgain(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	p := provisioned(t, open(t, srv.URL()), settings(), natsbus.SubscriberConsumer(consumer))
	js := natstest.JetStream(t, srv.URL())
	if err := js.DeleteStream(t.Context(), "BILLBUS"); err != nil {
		t.Fatal(err)
	}
	p.Wake()
	kit.Eventually(t, "stream and consumer are back", func() bool {
		_, err := js.Consumer(t.Context(), "BILLBUS", consumer)
		return err == nil
	})
}

func TestProvisionCheckCreatesNothing(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	p := provision(t, open(t, srv.URL()), natsbus.ProvisionCheck, settings(), natsbus.SubscriberConsumer(consumer))
	refused(t, p, "stream BILLBUS does not exist")
	refused(t, p, "bridge provision")
	if _, err := natstest.JetStream(t, srv.URL()).Stream(t.Context(), "BILLBUS"); err == nil {
		t.Error("stream was created")
	}
}

func TestProvisionIsNotReadyWhenDriftCanLoseMessages(t *testing.T) {
	t.Parallel()
	for name, alter := range map[string]func(*jetstream.StreamConfig){
		"subjects":             func(c *jetstream.StreamConfig) { c.Subjects = []string{"subscription.*"} },
		"storage":              func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"retention":            func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy },
		"discard":              func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld },
		"max_msgs_per_subject": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 10 },
		"no_ack":               func(c *jetstream.StreamConfig) { c.NoAck = true },
		"max_age":              func(c *jetstream.StreamConfig) { c.MaxAge = 100 * 24 * time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			srv := natstest.Start(t)
			cfg := jetstream.StreamConfig{
				Name: "BILLBUS", Subjects: []string{"subscription.*", "stripe.>", "billbus.user.linked"},
				Discard: jetstream.DiscardNew, Duplicates: 72 * time.Hour,
			}
			alter(&cfg)
			if _, err := natstest.JetStream(t, srv.URL()).CreateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			refused(t, provision(t, open(t, srv.URL()), natsbus.ProvisionCreate, settings(), noConsumer), name)
		})
	}
}

func TestProvisionIsReadyOnOtherDrift(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	provisioned(t, open(t, srv.URL()), settings(), noConsumer)
	other := settings()
	other.MaxAge, other.DuplicateWindow = 40*24*time.Hour, time.Hour
	provisioned(t, open(t, srv.URL()), other, noConsumer)
	stream, err := natstest.JetStream(t, srv.URL()).Stream(t.Context(), "BILLBUS")
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().Config.MaxAge; got != 0 {
		t.Errorf("max age was altered to %v", got)
	}
}

func TestProvisionIsNotReadyOnConsumerDrift(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	provisioned(t, open(t, srv.URL()), settings(), noConsumer)
	_, err := natstest.JetStream(t, srv.URL()).CreateConsumer(t.Context(), "BILLBUS", jetstream.ConsumerConfig{
		Durable: consumer, AckPolicy: jetstream.AckNonePolicy, FilterSubject: "stripe.>",
	})
	if err != nil {
		t.Fatal(err)
	}
	p := provision(t, open(t, srv.URL()), natsbus.ProvisionCreate, settings(), natsbus.SubscriberConsumer(consumer))
	refused(t, p, "ack_policy")
	refused(t, p, "filter")
	refused(t, p, "delete the consumer")
}

func TestProvisionCheckSaysHowToCreateTheConsumer(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	provisioned(t, open(t, srv.URL()), settings(), noConsumer)
	refused(t, provision(t, open(t, srv.URL()), natsbus.ProvisionCheck, settings(), natsbus.SubscriberConsumer(consumer)), "PROVISION=create")
}

func TestProvisionCreatesTheResolversConsumer(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	provisioned(t, open(t, srv.URL()), settings(), natsbus.ResolverConsumer())
	c, err := natstest.JetStream(t, srv.URL()).Consumer(t.Context(), "BILLBUS", "billbus-resolver")
	if err != nil {
		t.Fatal(err)
	}
	got := c.CachedInfo().Config
	want := []string{"subscription.*", "stripe.v1.customer.subscription.>", "stripe.entitlements.active_entitlement_summary.updated"}
	if diff := cmp.Diff(want, got.FilterSubjects); diff != "" {
		t.Errorf("filter (-want +got):\n%s", diff)
	}
	if got.DeliverPolicy != jetstream.DeliverAllPolicy || got.AckPolicy != jetstream.AckExplicitPolicy || got.MaxDeliver != -1 || got.MaxAckPending != -1 {
		t.Errorf("got %+v", got)
	}
}

// An earlier release made the consumer without the summaries of entitlements. What it has
// read already is not read again, and new summaries arrive.
func TestProvisionAddsSubjectsToTheResolversConsumer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		have    []string
		mode    natsbus.ProvisionMode
		altered bool
	}{
		"earlier release": {[]string{"subscription.*", "stripe.v1.customer.subscription.>"}, natsbus.ProvisionCreate, true},
		"check":           {[]string{"subscription.*", "stripe.v1.customer.subscription.>"}, natsbus.ProvisionCheck, false},
		"not ours":        {[]string{"subscription.*", "stripe.invoice.>"}, natsbus.ProvisionCreate, false},
	} {
		t.Run(name, func(t *testing.T) {
			srv := natstest.Start(t)
			js := natstest.JetStream(t, srv.URL())
			created(t, srv.URL(), natsbus.ResolverConsumer())
			old, err := js.Consumer(t.Context(), "BILLBUS", "billbus-resolver")
			if err != nil {
				t.Fatal(err)
			}
			cfg := old.CachedInfo().Config
			cfg.FilterSubjects = tt.have
			if _, err := js.UpdateConsumer(t.Context(), "BILLBUS", cfg); err != nil {
				t.Fatal(err)
			}
			p := provision(t, open(t, srv.URL()), tt.mode, settings(), natsbus.ResolverConsumer())
			if !tt.altered {
				refused(t, p, "filter")
				return
			}
			kit.Eventually(t, "ready", ready(p))
			if _, err := js.Publish(t.Context(), "stripe.entitlements.active_entitlement_summary.updated", nil); err != nil {
				t.Fatal(err)
			}
			if _, err := old.Next(); err != nil {
				t.Errorf("the summary does not arrive: %v", err)
			}
		})
	}
}

// Messages of a subscriber that was killed waited for 30 s with an earlier release.
func TestProvisionShortensTheAckWaitOfAnEarlierRelease(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	js := natstest.JetStream(t, srv.URL())
	created(t, srv.URL(), natsbus.SubscriberConsumer(consumer))
	for _, step := range []struct {
		have time.Duration
		mode natsbus.ProvisionMode
		want time.Duration
	}{
		{30 * time.Second, natsbus.ProvisionCheck, 30 * time.Second},
		{time.Minute, natsbus.ProvisionCreate, time.Minute}, // an operator's choice
		{30 * time.Second, natsbus.ProvisionCreate, 10 * time.Second},
	} {
		c, err := js.Consumer(t.Context(), "BILLBUS", consumer)
		if err != nil {
			t.Fatal(err)
		}
		cfg := c.CachedInfo().Config
		cfg.AckWait = step.have
		if c, err = js.UpdateConsumer(t.Context(), "BILLBUS", cfg); err != nil {
			t.Fatal(err)
		}
		bus := connected(t, srv.URL())
		p := provision(t, bus, step.mode, settings(), natsbus.SubscriberConsumer(consumer))
		p.WaitFirst(t.Context())
		kit.Eventually(t, "ready", ready(p))
		info, err := c.Info(t.Context())
		if err != nil || info.Config.AckWait != step.want || len(info.Config.FilterSubjects) != len(events.FactSubjects()) {
			t.Errorf("%s, %v: got %v, %v, want %v", step.mode, step.have, info.Config.AckWait, err, step.want)
		}
	}
}

// A bridge without the resolver's consumer still accepts webhooks, so the streams have
// a check of their own.
func TestProvisionChecksStreamsAndConsumerSeparately(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	provisioned(t, open(t, srv.URL()), settings(), noConsumer)
	p := provision(t, open(t, srv.URL()), natsbus.ProvisionCheck, settings(), natsbus.ResolverConsumer())
	refused(t, p, "start a bridge that has STRIPE_API_KEY or STRIPE_API_KEYS with PROVISION=create")
	if err := p.CheckStreams(t.Context()); err != nil {
		t.Errorf("streams: got %v, want ready", err)
	}
	if err := p.CheckConsumer(t.Context()); err == nil || strings.Contains(err.Error(), "stream ") {
		t.Errorf("consumer: got %v, want missing, and nothing about streams", err)
	}
}

func TestProvisionReportsMissingStreamsOnce(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	p := provision(t, open(t, srv.URL()), natsbus.ProvisionCheck, settings(), natsbus.SubscriberConsumer(consumer))
	refused(t, p, "stream BILLBUS does not exist")
	if p.CheckStreams(t.Context()) == nil || p.CheckConsumer(t.Context()) == nil {
		t.Error("got ready without streams")
	}
	if got := p.Check(t.Context()).Error(); strings.Count(got, "stream BILLBUS does not exist") != 1 {
		t.Errorf("got %q, want the cause once", got)
	}
}

func TestProvisionSaysThatAnotherStreamHasASubject(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	_, err := natstest.JetStream(t, srv.URL()).CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"stripe.invoice.*"}})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, provision(t, open(t, srv.URL()), natsbus.ProvisionCreate, settings(), noConsumer), "another stream of this account")
}

func TestProvisionSaysThatOneServerCannotKeepThreeCopies(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	three := settings()
	three.Replicas = 3
	bus := open(t, srv.URL())
	refused(t, provision(t, bus, natsbus.ProvisionCreate, three, noConsumer), "set STREAM_REPLICAS to at most")
	provisioned(t, bus, settings(), noConsumer)
	if err := bus.Alter(t.Context(), three); err == nil || !strings.Contains(err.Error(), "set STREAM_REPLICAS to at most") {
		t.Errorf("altering: got %v", err)
	}
}

func TestAlterRemovesDrift(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	js := natstest.JetStream(t, srv.URL())
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "BILLBUS", Subjects: []string{"subscription.*"}, Duplicates: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	bus := open(t, srv.URL())
	before, err := bus.Plan(t.Context(), settings())
	if err != nil {
		t.Fatal(err)
	}
	if len(before) != 4 { // subjects, discard, duplicate window, and the dead letters
		t.Errorf("got plan %v, want four differences", before)
	}
	if err := bus.Alter(t.Context(), settings()); err != nil {
		t.Fatal(err)
	}
	after, err := bus.Plan(t.Context(), settings())
	if err != nil || len(after) != 0 {
		t.Errorf("got plan %v, %v after altering, want none", after, err)
	}
}

func TestBusConnectsToAServerThatStartsLater(t *testing.T) {
	t.Parallel()
	addr := kit.FreeAddr(t)
	bus := open(t, "nats://"+addr)
	p := provision(t, bus, natsbus.ProvisionCreate, settings(), natsbus.SubscriberConsumer(consumer))
	if bus.Check(t.Context()) == nil {
		t.Fatal("got connected without a server")
	}
	natstest.StartAt(t, addr, t.TempDir())
	kit.Eventually(t, "ready", ready(p))
}

func TestOpenReportsWrongCredentials(t *testing.T) {
	t.Parallel()
	srv := natstest.StartWith(t, natsserver.Config{Addr: "127.0.0.1:0", Dir: t.TempDir(), Password: "right-password"})
	wrong := openAs(t, natsbus.Auth{URL: srv.URL(), User: "billbus", Password: secret.New("wrong-password")})
	kit.Eventually(t, "an authorization error", func() bool {
		err := wrong.Check(t.Context())
		return err != nil && strings.Contains(strings.ToLower(err.Error()), "authorization")
	})
	if strings.Contains(wrong.Check(t.Context()).Error(), "wrong-password") {
		t.Error("the error shows the password")
	}
	right := openAs(t, natsbus.Auth{URL: srv.URL(), User: "billbus", Password: secret.New("right-password")})
	if err := right.WaitConnected(t.Context()); err != nil {
		t.Error(err)
	}
}
