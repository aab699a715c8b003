package config

import (
	"slices"
	"strings"
)

// scope is a set of commands.
type scope uint16

const (
	serve scope = 1 << iota
	provision
	run
	alone
	doctor
	verify
	replay
	audit
)

const (
	ingress = serve | alone
	remote  = serve | provision | run // what makes streams elsewhere
	reach   = remote | replay         // what talks to NATS servers elsewhere
	long    = serve | run | alone     // what stays up
	every   = remote | alone
	stored  = run | verify | replay | audit   // what works on the database
	logs    = every | verify | replay | audit // what writes a log
)

// setting is one row of the table. A program has at most one row of each name; where programs differ
// in a default there are several.
type setting struct {
	env     string
	in      scope
	value   string // the default
	shown   string // what help shows as the default, where that says more than the value
	meaning string
}

// flag returns the setting's flag without its dashes.
func (s setting) flag() string {
	return strings.ToLower(strings.ReplaceAll(s.env, "_", "-"))
}

// shownDefault returns what help shows as the default.
func (s setting) shownDefault() string {
	switch {
	case s.shown != "":
		return s.shown
	case s.value == "":
		return "none"
	default:
		return s.value
	}
}

// table returns every setting there is.
func table() []setting {
	return []setting{
		{env: "LISTEN_ADDR", in: ingress, value: ":8080", meaning: "where webhooks come in, host:port"},
		{env: "WEBHOOK_PATH", in: ingress, value: "/webhooks/stripe", meaning: "path of the webhook endpoint; a query string is ignored"},
		{env: "STRIPE_WEBHOOK_SECRETS", in: serve | doctor, shown: "required", meaning: "signing secrets, [name=]whsec_…, comma- or newline-separated"},
		{env: "STRIPE_WEBHOOK_SECRETS", in: alone, shown: "made once", meaning: "signing secrets, [name=]whsec_…, comma- or newline-separated"},
		{env: "STRIPE_WEBHOOK_SECRETS_FILE", in: ingress | doctor, meaning: "file that holds them; read again on change and on SIGHUP"},
		{env: "WEBHOOK_LIVEMODE", in: serve | doctor, shown: "required", meaning: "mode whose events are admitted: live, test or any"},
		{env: "WEBHOOK_LIVEMODE", in: alone, value: "any", meaning: "mode whose events are admitted: live, test or any"},
		{env: "WEBHOOK_ACCOUNTS", in: ingress, value: "platform", meaning: "accounts admitted: any, or a list of platform and acct_…"},
		{env: "WEBHOOK_TOLERANCE", in: ingress | doctor, value: "5m", meaning: "how far a signature's time may be off, past and future"},
		{env: "WEBHOOK_MAX_BYTES", in: ingress, value: "1000000", meaning: "largest body accepted"},
		{env: "PUBLISH_TIMEOUT", in: ingress, value: "3s", meaning: "how long a webhook waits for the stream before it is answered 503"},
		{env: "USER_ID_METADATA_KEYS", in: ingress, value: "user_id,userId,userid,uid", meaning: "metadata keys that hold the application's user id, in this order"},
		{env: "USER_ID_CLIENT_REFERENCE", in: ingress, value: "api", meaning: "take client_reference_id for the user id: on Checkout sessions the application created (api), on Payment Links too (all), or off"},
		{env: "REDACT_KEYS", in: ingress, value: "hosted_invoice_url,invoice_pdf,receipt_url", meaning: "keys whose values are redacted, besides those that always are"},

		{env: "STRIPE_API_KEY", in: ingress, meaning: "secret or restricted key (read on Subscriptions and Events) to resolve thin events and truncated items with"},
		{env: "STRIPE_API_KEY_FILE", in: ingress, meaning: "file that holds it"},
		{env: "STRIPE_API_BASE", in: ingress, value: "https://api.stripe.com", meaning: "Stripe's API, https://host, or http:// on this machine"},
		{env: "STRIPE_API_VERSION", in: ingress, shown: "the account's", meaning: "API version to be answered in"},

		{env: "NATS_URL", in: reach, value: "nats://127.0.0.1:4222", meaning: "NATS servers, comma-separated"},
		{env: "NATS_CREDS_FILE", in: reach, meaning: "credentials file to log in with"},
		{env: "NATS_NKEY_SEED_FILE", in: reach, meaning: "file of an nkey seed to log in with"},
		{env: "NATS_USER", in: reach, meaning: "user to log in as"},
		{env: "NATS_PASSWORD", in: reach, meaning: "the user's password"},
		{env: "NATS_PASSWORD_FILE", in: reach, meaning: "file that holds the password"},
		{env: "NATS_TOKEN", in: reach, meaning: "token to log in with"},
		{env: "NATS_TOKEN_FILE", in: reach, meaning: "file that holds the token"},
		{env: "NATS_CA_FILE", in: reach, meaning: "certificates that the servers' ones are checked against (PEM)"},
		{env: "NATS_CERT_FILE", in: reach, meaning: "client certificate (PEM)"},
		{env: "NATS_KEY_FILE", in: reach, meaning: "its key (PEM)"},
		{env: "STANDALONE_NATS_ADDR", in: alone, value: "127.0.0.1:4222", meaning: "where the embedded NATS server listens, host:port"},

		{env: "STREAM_NAME", in: every | replay, value: "BILLBUS", meaning: "the JetStream stream"},
		{env: "STREAM_REPLICAS", in: remote, value: "1", meaning: "copies of the stream, 1 to 5"},
		{env: "STREAM_MAX_AGE", in: every, value: "0", shown: "0 (keep)", meaning: "how long messages are kept; a warning below 34d"},
		{env: "STREAM_MAX_BYTES", in: every, value: "-1", shown: "-1 (no limit)", meaning: "size of the stream; when it is full, publishing fails"},
		{env: "STREAM_DUPLICATE_WINDOW", in: every, value: "72h", meaning: "how long a repeated event id is recognized; STREAM_MAX_AGE if that is less"},
		{env: "PROVISION", in: serve | run | replay, value: "create", meaning: "create what is missing at start, or only check it: create or check"},
		{env: "CONSUMER_NAME", in: run | alone | replay, value: "billbus-subscriber", meaning: "the durable consumer"},
		{env: "MAX_IN_FLIGHT", in: run | alone | replay, value: "256", meaning: "messages worked on at once, 2 to 10000"},

		{env: "MONGODB_URI", in: stored, value: "mongodb://127.0.0.1:27017", meaning: "the MongoDB server or replica set"},
		{env: "MONGODB_URI_FILE", in: stored, meaning: "file that holds the URI"},
		{env: "STANDALONE_MONGODB_ADDR", in: alone, value: "127.0.0.1:27017", meaning: "where the embedded document database listens, host:port"},
		{env: "MONGODB_DATABASE", in: stored | alone, value: "billbus", meaning: "database for state and audit"},
		{env: "AUDIT_RETENTION", in: run | alone, value: "0", shown: "0 (keep)", meaning: "how long events stay in the audit trail, at least 34d; those that a present state rests on stay"},
		{env: "DATA_DIR", in: alone, value: "./data", meaning: "folder of the embedded servers' data"},

		{env: "ADMIN_ADDR", in: serve | alone, value: "127.0.0.1:9090", meaning: "health, readiness and metrics, host:port"},
		{env: "ADMIN_ADDR", in: run, value: "127.0.0.1:9091", meaning: "health, readiness and metrics, host:port"},
		{env: "LOG_LEVEL", in: logs, value: "info", meaning: "debug, info, warn or error"},
		{env: "LOG_FORMAT", in: logs, shown: "json, or text on a terminal", meaning: "json or text"},
		{env: "SHUTDOWN_TIMEOUT", in: long, value: "20s", meaning: "how long work in flight may take to finish at the end"},
	}
}

// option is a flag of a few commands that is no setting: it is about one call, so it has no variable.
type option struct {
	name    string // the flag without its dashes
	in      scope
	value   string // what help calls its value; "" for a switch
	meaning string
}

// command is one thing that a program does.
type command struct {
	name    string
	in      scope
	usage   string
	meaning string
}

// program is what the user started. Its first command is the one meant where none is named.
type program struct {
	name     string
	purpose  string
	commands []command
	options  []option
}

func bridge() program {
	return program{
		name:    "bridge",
		purpose: "receives Stripe webhooks, verifies them and publishes them to NATS JetStream",
		commands: []command{
			{"serve", serve, "bridge [serve] [flags]", "take webhooks in until told to stop"},
			{"provision", provision, "bridge provision [--dry-run] [flags]", "create or alter the streams (NATS, stream and log settings only); --dry-run only prints what would change"},
			{"doctor", doctor, "bridge doctor [options] [flags]", "explain why a captured request does not verify (secrets, tolerance and, if set, WEBHOOK_LIVEMODE only); exit status 0 if it does, else 1"},
		},
		options: []option{
			{"dry-run", provision, "", "only print what would change"},
			{"curl", doctor, "FILE", "the request as a curl command; - or no option at all: standard input"},
			{"body", doctor, "FILE", "the body, byte for byte"},
			{"headers", doctor, "FILE", "the headers, one Name: value a line"},
			{"signature", doctor, "VALUE", "the Stripe-Signature header alone, instead of --headers"},
			{"json", doctor, "", "print the verdict as JSON"},
		},
	}
}

func subscriber() program {
	return program{
		name:    "subscriber",
		purpose: "keeps subscription state and an audit trail in MongoDB, from the messages of the stream",
		commands: []command{
			{"run", run, "subscriber [run] [flags]", "store messages until told to stop"},
			{"verify", verify, "subscriber verify [options] [flags]", "compare every record with what the audit trail says (MongoDB and log settings only); exit status 1 if one differs"},
			{"replay", replay, "subscriber replay [options] [flags]", "read the stream once more into the database, beside whatever runs; goes on where it was interrupted"},
			{"audit", audit, "subscriber audit [options] [flags]", "search the audit trail (MongoDB and log settings only); without options the newest events"},
		},
		options: []option{
			{"fix", verify, "", "write what the audit trail says; nothing is removed"},
			{"from-sequence", replay, "N", "start at this message of the stream, not at its beginning"},
			{"from-time", replay, "TIME", "start with what was stored then: 2026-01-31, 2026-01-31T12:00:00Z, or how long ago, as 36h or 7d"},
			{"rate", replay, "N", "at most so many messages a second; without it as fast as the database takes them"},
			{"restart", replay, "", "forget a replay that was interrupted, and begin anew"},
			{"json", verify, "", "print each finding, and the summary last, as one line of JSON"},
			{"subscription", audit, "ID", "events of a subscription, its invoices among them; an id, or the _id of its record"},
			{"customer", audit, "ID", "events of a customer"},
			{"user", audit, "ID", "events of the subscriptions and customers of one of your users"},
			{"event", audit, "ID", "one event"},
			{"type", audit, "TYPE", "events of a type of Stripe's, as invoice.paid; subscription.snapshot for snapshots"},
			{"since", audit, "TIME", "created since then: 2026-01-31, 2026-01-31T12:00:00Z, or how long ago, as 2h or 7d"},
			{"until", audit, "TIME", "created until then"},
			{"limit", audit, "N", "at most so many, the newest; 100 if not given"},
			{"payload", audit, "EVENT_ID", "print what Stripe sent with an event, as far as it was not redacted"},
			{"json", audit, "", "print JSON"},
			{"json", replay, "", "print the summary as JSON"},
		},
	}
}

func standalone() program {
	return program{
		name:     "standalone",
		purpose:  "is the bridge, the subscriber, NATS and a document database in one process, for trying and developing",
		commands: []command{{"", alone, "standalone [options] [flags]", "run until told to stop"}},
		options: []option{
			{"simulate", alone, "N", "play the lifecycles of N subscriptions at itself, then print what became of them; logs warnings only, unless LOG_LEVEL is set"},
			{"once", alone, "", "stop after that; exit status 0 only if every record is right and every event audited once"},
		},
	}
}

// scope returns all commands of the program.
func (p program) scope() scope {
	var all scope
	for _, c := range p.commands {
		all |= c.in
	}
	return all
}

// settings returns the rows that any of the program's commands has.
func (p program) settings() []setting {
	return slices.DeleteFunc(table(), func(s setting) bool { return s.in&p.scope() == 0 })
}

// find returns the command of that name.
func (p program) find(name string) (command, bool) {
	i := slices.IndexFunc(p.commands, func(c command) bool { return c.name == name && name != "" })
	if i < 0 {
		return command{}, false
	}
	return p.commands[i], true
}

// hasOption says whether the flag of that name is an option and no setting.
func (p program) hasOption(name string) bool {
	return slices.ContainsFunc(p.options, func(o option) bool { return o.name == name })
}

// optionScope returns the commands that have an option of that name.
func (p program) optionScope(name string) scope {
	var all scope
	for _, o := range p.options {
		if o.name == name {
			all |= o.in
		}
	}
	return all
}

// names lists the commands for a person.
func (p program) names() string {
	var names []string
	for _, c := range p.commands {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}
