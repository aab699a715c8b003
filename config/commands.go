package config

import (
	"log/slog"
	"reflect"
	"slices"
)

// Where the programs serve their health by default.
const bridgeAdmin, subscriberAdmin = "127.0.0.1:9090", "127.0.0.1:9091"

// BridgeServe returns the settings of "bridge serve", bound to c.
func BridgeServe(c *Bridge) Settings {
	return slices.Concat(
		webhook(&c.Webhook), stripeAPI(&c.StripeAPI, &c.Webhook.Livemode), Settings{backfillInterval(c)},
		nats(&c.NATS), stream(&c.Stream, &c.Warnings), Settings{provision(&c.Provision)}, admin(&c.Admin, bridgeAdmin, &c.Warnings),
		logging(&c.Log), Settings{shutdown(&c.ShutdownTimeout)},
	)
}

// BridgeHealth returns the settings of "bridge health", bound to c.
func BridgeHealth(c *Bridge) Settings {
	return health(&c.Health, admin(&c.Admin, bridgeAdmin, &c.Warnings))
}

// BridgeProvision returns the settings of "bridge provision", bound to c.
func BridgeProvision(c *Bridge) Settings {
	dryRun := Setting{Flag: "dry-run", NoValue: "true", Meaning: "only print what would change", convert: onOff(&c.DryRun)}
	consumers := Setting{
		Flag: "consumers", NoValue: "true", convert: onOff(&c.Consumers.Create),
		Meaning: "create the consumers of subscriber and resolver, too, and the resolver's bucket, for programs that may not create any",
	}
	return slices.Concat(Settings{dryRun, consumers}, nats(&c.NATS), stream(&c.Stream, &c.Warnings), logging(&c.Log), Settings{consumerName(&c.Consumers.Subscriber)})
}

// BridgeLink returns the settings of "bridge link", bound to c. The signing secrets can name the
// account to which events belong, and then links belong to it as well.
func BridgeLink(c *Bridge) Settings {
	l := &c.Link
	return slices.Concat(
		Settings{
			{Flag: "customer", Value: "ID", Meaning: "a customer, cus_…", convert: text(&l.Customer)},
			{Flag: "customer-account", Value: "ID", Meaning: "the account that represents the customer, in Accounts v2, acct_…", convert: text(&l.CustomerAccount)},
			{Flag: "user", Value: "ID", Meaning: "the user's id in your application", convert: text(&l.User)},
			{Flag: "file", Value: "FILE", Meaning: "CSV with the columns customer, user and, optionally, account; - is standard input", convert: text(&l.File), check: l.onePairOrFile},
			{Flag: "account", Value: "ID", Meaning: "the account whose customers these are: acct_… or platform (default: the one that the signing secrets name, or else platform)", convert: text(&l.Account), check: func(r *reader) {
				l.checkAccount(r, c.Webhook.Secrets)
			}},
			{Flag: "as-of", Value: "TIME", Meaning: "since when this is so: 2026-01-31, 2026-01-31T12:00:00Z, or how long ago, like 2h (default: when the file was last changed, or else now)", convert: moment(&l.AsOf)},
			{Flag: "dry-run", NoValue: "true", Meaning: "only check and count the pairs; connect to nothing", convert: onOff(&c.DryRun)},
			{Flag: "json", NoValue: "true", Meaning: "print each faulty line, and the summary last, as a line of JSON", convert: onOff(&l.JSON)},
		},
		signingSecrets(&c.Webhook).with("STRIPE_WEBHOOK_SECRETS", func(s *Setting) { s.Required = "" }),
		Settings{livemode(&c.Webhook)}.with("WEBHOOK_LIVEMODE", func(s *Setting) {
			s.Required, s.Default, s.Meaning = "", "any", "mode of the customers: live, test, or any to publish a link for each mode"
		}),
		nats(&c.NATS), Settings{streamName(&c.Stream)}, logging(&c.Log),
	)
}

func (l *Link) onePairOrFile(r *reader) {
	pair := l.Customer != "" || l.CustomerAccount != "" || l.User != ""
	switch {
	case l.File != "" && pair:
		r.fault("--file", "has the pairs: leave out --customer, --customer-account and --user")
	case l.File == "" && (l.User == "" || l.Customer == "" && l.CustomerAccount == ""):
		r.fault("--customer, --user", "give both, or --file")
	}
}

// checkAccount refuses to guess if every event belongs to one of several accounts.
func (l *Link) checkAccount(r *reader, secrets []NamedSecret) {
	switch {
	case l.Account != "" && l.Account != "platform" && !isAccount(l.Account):
		r.fault("--account", "must be acct_… or platform, not %s", quote(l.Account))
	case l.Account != "" || len(secrets) == 0:
	case slices.ContainsFunc(secrets, func(s NamedSecret) bool { return s.Account == "" }):
	case slices.ContainsFunc(secrets, func(s NamedSecret) bool { return s.Account != secrets[0].Account }):
		r.fault("--account", "required: STRIPE_WEBHOOK_SECRETS names several accounts")
	}
}

// BridgeDoctor returns the settings of "bridge doctor", bound to c. The mode does not decide
// whether a signature is accepted: if it is set, an event of the other mode hints at the wrong secret.
func BridgeDoctor(c *Bridge) Settings {
	d := &c.Doctor
	return slices.Concat(
		Settings{
			{Flag: "curl", Value: "FILE", Meaning: "the request as a curl command; - is standard input, which is also read without any option", convert: text(&d.Curl)},
			{Flag: "body", Value: "FILE", Meaning: "the body, byte for byte", convert: text(&d.Body)},
			{Flag: "headers", Value: "FILE", Meaning: "the headers, one \"Name: value\" a line", convert: text(&d.Headers)},
			{Flag: "signature", Value: "VALUE", Meaning: "the Stripe-Signature header alone, instead of --headers", convert: text(&d.Signature)},
			{Flag: "json", NoValue: "true", Meaning: "print the verdict as a line of JSON", convert: onOff(&d.JSON), check: d.oneRequest},
		},
		signingSecrets(&c.Webhook),
		Settings{livemode(&c.Webhook), tolerance(&c.Webhook)}.with("WEBHOOK_LIVEMODE", func(s *Setting) { s.Required = "" }),
	)
}

// oneRequest checks that the options name one whole request. Whether the files can be read is not
// checked here: a pipe can be read only once.
func (d *Doctor) oneRequest(r *reader) {
	signed := d.Headers != "" || d.Signature != ""
	switch {
	case d.Curl != "" && (d.Body != "" || signed):
		r.fault("--curl", "is a whole request: leave out --body, --headers and --signature")
	case d.Headers != "" && d.Signature != "":
		r.fault("--headers, --signature", "give one of the two")
	case d.Body != "" && !signed:
		r.fault("--body", "needs --headers or --signature")
	case d.Body == "" && signed:
		r.fault("--headers, --signature", "need --body")
	case d.Body == "-" && d.Headers == "-":
		r.fault("--body, --headers", "cannot both be standard input")
	case d.Curl == "" && d.Body == "":
		d.Curl = "-"
	}
}

// SubscriberRun returns the settings of "subscriber run", bound to c.
func SubscriberRun(c *Subscriber) Settings {
	return slices.Concat(
		nats(&c.NATS), stream(&c.Stream, &c.Warnings), Settings{provision(&c.Provision)}, consumer(&c.ConsumerName, &c.MaxInFlight, &c.MaxBytes),
		mongo(&c.Mongo), Settings{auditRetention(&c.AuditRetention)}, admin(&c.Admin, subscriberAdmin, &c.Warnings),
		logging(&c.Log), Settings{shutdown(&c.ShutdownTimeout)},
	)
}

// SubscriberHealth returns the settings of "subscriber health", bound to c.
func SubscriberHealth(c *Subscriber) Settings {
	return health(&c.Health, admin(&c.Admin, subscriberAdmin, &c.Warnings))
}

func health(h *Health, admin Settings) Settings {
	asked := admin.with("ADMIN_ADDR", func(s *Setting) {
		s.Meaning = "where the program that is asked serves its health, host:port"
	})
	return append(Settings{{Flag: "json", NoValue: "true", Meaning: "print the checks as a line of JSON", convert: onOff(&h.JSON)}}, asked...)
}

// SubscriberVerify returns the settings of "subscriber verify", bound to c.
func SubscriberVerify(c *Subscriber) Settings {
	return slices.Concat(Settings{
		{Flag: "fix", NoValue: "true", Meaning: "write what the audit trail says; nothing is removed", convert: onOff(&c.Verify.Fix)},
		{Flag: "secondary", NoValue: "true", Meaning: "read the audit trail and the records from a secondary; what seems to differ is checked on the primary", convert: onOff(&c.Mongo.Secondary)},
		{Flag: "json", NoValue: "true", Meaning: "print each finding, and the summary last, as a line of JSON", convert: onOff(&c.Verify.JSON)},
	}, nats(&c.NATS), Settings{streamName(&c.Stream), stateView(&c.Stream)}, mongo(&c.Mongo), logging(&c.Log), reading(&c.Reading))
}

// SubscriberReplay returns the settings of "subscriber replay", bound to c.
func SubscriberReplay(c *Subscriber) Settings {
	p := &c.Replay
	return slices.Concat(
		Settings{
			{Flag: "from-sequence", Value: "N", Meaning: "start at this message of the stream, not at the first", convert: number(&p.FromSequence, 1, 1<<62)},
			{
				Flag: "from-time", Value: "TIME", Meaning: "start at the first message stored since: 2026-01-31, 2026-01-31T12:00:00Z, or how long ago, like 36h or 7d",
				convert: moment(&p.FromTime), check: func(r *reader) {
					if r.given["--from-sequence"] && r.given["--from-time"] {
						r.fault("--from-sequence, --from-time", "give one of the two")
					}
				},
			},
			{
				Flag: "subscription", Value: "ID", Repeated: true, convert: list(&p.Subscriptions),
				Meaning: "apply only messages that name this subscription: an id of Stripe, or the _id of a record; may be given several times. All messages are read, because subjects have no ids",
			},
			{Flag: "account", Value: "ID", Meaning: "apply only messages of this account, acct_… or platform; all messages are read", convert: accountOrPlatform(&p.Account)},
			{Flag: "rate", Value: "N", Meaning: "messages a second at most (default: as fast as the database takes them)", convert: number(&p.Rate, 1, 1_000_000)},
			{
				Flag: "renormalize", NoValue: "true", Meaning: "read what Stripe sent again, by this release and the settings of the bridge; publish and store what is admitted now, and print what differs",
				convert: onOff(&p.Renormalize), check: func(r *reader) {
					if p.Renormalize && c.Reading.Livemode == "" {
						r.fault("--renormalize", "needs WEBHOOK_LIVEMODE, as it is set for the bridge")
					}
				},
			},
			{
				Flag: "from-audit", NoValue: "true", Meaning: "read the audit trail instead of the stream, which may no longer reach back; --from-time is then when Stripe created an event",
				convert: onOff(&p.FromAudit), check: func(r *reader) {
					if p.FromAudit && r.given["--from-sequence"] {
						r.fault("--from-audit, --from-sequence", "give one of the two")
					}
				},
			},
			{Flag: "into", Value: "COLLECTION", Meaning: "build records in this collection, next to the live ones, which do not change; publish nothing", convert: collection(&p.Into)},
			{Flag: "diff", Value: "COLLECTION", Meaning: "only print which records differ from what --into has built there; exit status 1 if one does", convert: collection(&p.Diff)},
			{Flag: "apply", Value: "COLLECTION", Meaning: "only write the records that differ, and the events that they follow from, while subscribers run", convert: collection(&p.Apply)},
			{Flag: "drop", Value: "COLLECTION", Meaning: "only remove what --into has built there", convert: collection(&p.Drop), check: p.oneShadow},
			{Flag: "restart", NoValue: "true", Meaning: "forget a replay that was interrupted, and start again", convert: onOff(&p.Restart)},
			{Flag: "json", NoValue: "true", Meaning: "print the summary as a line of JSON", convert: onOff(&p.JSON)},
		},
		nats(&c.NATS), Settings{streamName(&c.Stream), stateView(&c.Stream), provision(&c.Provision)}, consumer(&c.ConsumerName, &c.MaxInFlight, &c.MaxBytes),
		mongo(&c.Mongo), logging(&c.Log), reading(&c.Reading),
	)
}

// oneShadow lets nothing be combined with an option that replays nothing.
func (p *Replay) oneShadow(r *reader) {
	if r.given["--diff"] || r.given["--apply"] || r.given["--drop"] {
		alone := []Replay{{Diff: p.Diff, JSON: p.JSON}, {Apply: p.Apply, JSON: p.JSON}, {Drop: p.Drop, JSON: p.JSON}}
		if !slices.ContainsFunc(alone, func(a Replay) bool { return reflect.DeepEqual(a, *p) }) {
			r.fault("--diff, --apply, --drop", "give one of them, and no other option but --json")
		}
	}
}

// SubscriberAudit returns the settings of "subscriber audit", bound to c.
func SubscriberAudit(c *Subscriber) Settings {
	a := &c.Audit
	return slices.Concat(Settings{
		{Flag: "subscription", Value: "ID", Meaning: "events of a subscription, including its invoices; an id of Stripe, or the _id of a record", convert: text(&a.Subscription)},
		{Flag: "customer", Value: "ID", Meaning: "events of a customer, or of the account that represents it", convert: text(&a.Customer)},
		{Flag: "user", Value: "ID", Meaning: "events of the subscriptions and customers of one of your users", convert: text(&a.User)},
		{Flag: "event", Value: "ID", Meaning: "one event", convert: text(&a.Event)},
		{Flag: "type", Value: "TYPE", Meaning: "events of a Stripe type like invoice.paid; subscription.snapshot for snapshots", convert: text(&a.Type)},
		{Flag: "ignored", NoValue: "true", Meaning: "events that were not admitted, and the setting that excludes them", convert: onOff(&a.Ignored)},
		{Flag: "since", Value: "TIME", Meaning: "events created since then: 2026-01-31, 2026-01-31T12:00:00Z, or how long ago, like 2h or 7d", convert: moment(&a.Since)},
		{Flag: "until", Value: "TIME", Meaning: "events created until then", convert: moment(&a.Until)},
		{Flag: "limit", Value: "N", Default: "100", Meaning: "events at most, the newest", convert: number(&a.Limit, 1, 100_000)},
		{
			Flag: "without-user", NoValue: "true", convert: onOff(&a.WithoutUser), check: a.withoutUserAlone,
			Meaning: "list the records without a user instead, and the metadata keys in their events; only with --limit and --json",
		},
		{Flag: "payload", Value: "ID", Meaning: "print what Stripe sent in one event, except what was redacted; not with other options", convert: text(&a.Payload), check: a.payloadAlone},
		{Flag: "wide", NoValue: "true", Meaning: "print whole ids and all columns, wider than the terminal", convert: onOff(&a.Wide)},
		{Flag: "json", NoValue: "true", Meaning: "print each event and gap as a line of JSON", convert: onOff(&a.JSON)},
	}, mongo(&c.Mongo), logging(&c.Log))
}

func (a *Audit) withoutUserAlone(r *reader) {
	if a.WithoutUser && *a != (Audit{WithoutUser: true, Limit: a.Limit, JSON: a.JSON}) {
		r.fault("--without-user", "cannot be combined with options other than --limit and --json")
	}
}

func (a *Audit) payloadAlone(r *reader) {
	if a.Payload != "" && (*a != Audit{Payload: a.Payload, Limit: a.Limit, JSON: a.JSON} || r.given["--limit"]) {
		r.fault("--payload", "cannot be combined with other options")
	}
}

// StandaloneRun returns the settings of standalone, bound to c.
func StandaloneRun(c *Standalone) Settings {
	c.Stream.Replicas, c.Provision = 1, "create"
	simulate := Settings{
		{
			Flag: "simulate", Value: "N", Meaning: "send the webhooks of N simulated subscriptions, then print the records; logs warnings only, unless LOG_LEVEL is set",
			// The embedded database is too slow for more.
			convert: number(&c.Simulate, 1, 2000),
			check: func(r *reader) {
				if c.Simulate > 0 && !r.given["LOG_LEVEL"] {
					c.Log.Level = slog.LevelWarn // a line for each message would bury the simulation's output
				}
			},
		},
		{
			Flag: "once", NoValue: "true", Meaning: "stop after the simulation; exit status 0 only if all records are correct and each event is stored once",
			convert: onOff(&c.Once), check: func(r *reader) {
				if c.Once && !r.given["--simulate"] {
					r.fault("--once", "needs --simulate")
				}
			},
		},
	}
	web := webhook(&c.Webhook).
		with("STRIPE_WEBHOOK_SECRETS", func(s *Setting) { s.Required, s.Shown = "", "made at the first start" }).
		with("WEBHOOK_LIVEMODE", func(s *Setting) { s.Required, s.Default = "", "any" })
	return slices.Concat(
		simulate, web, stripeAPI(&c.StripeAPI, &c.Webhook.Livemode), Settings{backfillInterval(&c.Bridge)},
		Settings{{Env: "STANDALONE_NATS_ADDR", Default: "127.0.0.1:4222", Meaning: "where the embedded NATS server listens, host:port", convert: addr(&c.NATSAddr)}},
		Settings{streamName(&c.Stream), stateView(&c.Stream)}, streamLimits(&c.Stream, &c.Warnings), consumer(&c.ConsumerName, &c.MaxInFlight, &c.MaxBytes),
		Settings{
			{Env: "STANDALONE_MONGODB_ADDR", Default: "127.0.0.1:27017", Meaning: "where the embedded document database listens, host:port", convert: addr(&c.MongoAddr)},
			database(&c.Database),
			auditRetention(&c.AuditRetention),
			{Env: "DATA_DIR", Value: "DIR", Default: "./data", Meaning: "folder for the data of the embedded servers", convert: present(&c.DataDir)},
		},
		admin(&c.Admin, bridgeAdmin, &c.Warnings),
		logging(&c.Log), Settings{shutdown(&c.ShutdownTimeout)},
	)
}
