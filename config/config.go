// Package config turns flags and environment variables into the settings of each program.
//
// Every setting stands once, in one table, with its default and its meaning: the flags, the help text
// and the checks are all made from it. Values are read as text, a flag before its environment
// variable, and only then converted and checked. Whatever is wrong is reported in one go, before
// anything is connected to, so that a deployment is corrected once and not setting by setting. No
// fault quotes a secret, and a Secret never prints.
package config

import (
	"log/slog"
	"time"

	"github.com/billbus/billbus/internal/secret"
)

// NATS says how to reach the NATS servers and who we are there. At most one way to authenticate is set.
type NATS struct {
	URL          string // comma-separated; credentials written in it stand in the fields below instead, so it may be logged
	CredsFile    string
	NKeySeedFile string
	User         string
	Password     secret.Text
	Token        secret.Text
	CAFile       string
	CertFile     string
	KeyFile      string
}

// Stream says what the JetStream stream is called and how it is made where it is missing.
type Stream struct {
	Name            string
	Replicas        int
	MaxAge          time.Duration // 0 keeps everything
	MaxBytes        int64         // -1 is no limit
	DuplicateWindow time.Duration // never above a MaxAge that is set
}

// Log says what is logged and in which form.
type Log struct {
	Level  slog.Level
	Format string // "json", "text", or "" where it is not set: text on a terminal, else json
}

// Webhook says where webhooks come in and which of them are admitted.
type Webhook struct {
	Addr        string
	Path        string
	Secrets     []NamedSecret
	SecretsFile string // where Secrets came from, to be read again on change; "" if from no file
	Tolerance   time.Duration
	MaxBytes    int64
	Livemode    string   // "live", "test" or "any"
	Accounts    []string // "any" alone, or "platform" and acct_… in any mixture
	RedactKeys  []string
	UserIDKeys  []string
	// ClientReference says whether client_reference_id is a user id: "api", "all" or "off".
	ClientReference string
	PublishTimeout  time.Duration
}

// Mongo says which database holds state and audit.
type Mongo struct {
	URI      secret.Text // it may hold a password
	Database string
}

// Bridge is what the bridge program was told. For "provision" only NATS, Stream, Log and DryRun are
// set, for "doctor" only Doctor and, of Webhook, what verification depends on.
type Bridge struct {
	Command         string // "serve", "provision" or "doctor"
	DryRun          bool
	Doctor          Doctor
	Webhook         Webhook
	StripeAPI       StripeAPI
	NATS            NATS
	Stream          Stream
	Provision       string // "create" or "check": whether missing streams, consumers and indexes are created
	AdminAddr       string
	Log             Log
	ShutdownTimeout time.Duration
	Warnings        []string // legal settings that will surprise somebody; to be logged once
}

// Subscriber is what the subscriber program was told. For "verify" only Verify, Mongo and Log are set, for
// "audit" only Audit, Mongo and Log, for
// "replay" all but Verify and Audit, and of Stream only name and mode.
type Subscriber struct {
	Command         string // "run", "verify", "replay" or "audit"
	Verify          Verify
	Replay          Replay
	Audit           Audit
	NATS            NATS
	Stream          Stream
	Provision       string // "create" or "check": whether missing streams, consumers and indexes are created
	Mongo           Mongo
	ConsumerName    string
	AuditRetention  time.Duration // 0 keeps everything
	MaxInFlight     int
	AdminAddr       string
	Log             Log
	ShutdownTimeout time.Duration
	Warnings        []string
}

// Standalone is what the standalone program was told. Webhook.Secrets is empty if none was set.
type Standalone struct {
	Webhook         Webhook
	StripeAPI       StripeAPI
	Stream          Stream
	Provision       string // "create" or "check": whether missing streams, consumers and indexes are created
	Database        string
	ConsumerName    string
	AuditRetention  time.Duration // 0 keeps everything
	MaxInFlight     int
	DataDir         string
	NATSAddr        string
	MongoAddr       string
	AdminAddr       string
	Log             Log
	Simulate        int  // lifecycles to play; 0 for none
	Once            bool // stop after the simulation
	ShutdownTimeout time.Duration
	Warnings        []string
}

// LoadBridge reads the settings of the bridge. The error is a *Help or a *Faults.
func LoadBridge(args []string, getenv func(string) string) (Bridge, error) {
	r, err := read(bridge(), args, getenv)
	if err != nil {
		return Bridge{}, err
	}
	c := Bridge{Command: r.command}
	switch r.command {
	case "doctor":
		c.Doctor, c.Webhook = r.doctor(), r.verification()
	default:
		c.DryRun, c.NATS, c.Stream, c.Log = r.options["dry-run"] != "", r.nats(), r.stream(), r.log()
		c.Provision = r.provision()
	}
	if r.command == "serve" {
		c.Webhook = r.webhook()
		r.webhookSecrets(&c.Webhook, true)
		c.StripeAPI = r.stripeAPI()
		c.AdminAddr = r.addr("ADMIN_ADDR")
		c.ShutdownTimeout = r.duration("SHUTDOWN_TIMEOUT", positive)
	}
	c.Warnings = r.warnings
	if err := r.err(); err != nil {
		return Bridge{}, err
	}
	return c, nil
}

// LoadSubscriber reads the settings of the subscriber. The error is a *Help or a *Faults.
func LoadSubscriber(args []string, getenv func(string) string) (Subscriber, error) {
	r, err := read(subscriber(), args, getenv)
	if err != nil {
		return Subscriber{}, err
	}
	c := Subscriber{Command: r.command}
	switch r.command {
	case "verify":
		c.Verify = Verify{Fix: r.switched("fix"), JSON: r.switched("json")}
		c.Mongo, c.Log = r.mongo(), r.log()
	case "audit":
		c.Audit = r.audit()
		c.Mongo, c.Log = r.mongo(), r.log()
	case "replay":
		c.Replay = r.replay()
		c.NATS, c.Mongo, c.Log = r.nats(), r.mongo(), r.log()
		c.Stream, c.Provision = Stream{Name: r.name("STREAM_NAME")}, r.provision()
		c.ConsumerName = r.name("CONSUMER_NAME")
		c.MaxInFlight = int(r.integer("MAX_IN_FLIGHT", 2, 10_000))
	default:
		c.NATS, c.Stream, c.Mongo, c.Log = r.nats(), r.stream(), r.mongo(), r.log()
		c.Provision = r.provision()
		c.ConsumerName = r.name("CONSUMER_NAME")
		c.AuditRetention = r.auditRetention()
		c.MaxInFlight = int(r.integer("MAX_IN_FLIGHT", 2, 10_000))
		c.AdminAddr = r.addr("ADMIN_ADDR")
		c.ShutdownTimeout = r.duration("SHUTDOWN_TIMEOUT", positive)
	}
	c.Warnings = r.warnings
	if err := r.err(); err != nil {
		return Subscriber{}, err
	}
	return c, nil
}

// LoadStandalone reads the settings of the program that is everything in one process. The error is
// a *Help or a *Faults.
func LoadStandalone(args []string, getenv func(string) string) (Standalone, error) {
	r, err := read(standalone(), args, getenv)
	if err != nil {
		return Standalone{}, err
	}
	c := Standalone{
		Webhook: r.webhook(), Stream: r.stream(), Provision: r.provision(), Log: r.log(), Database: r.database(),
		ConsumerName:    r.name("CONSUMER_NAME"),
		AuditRetention:  r.auditRetention(),
		MaxInFlight:     int(r.integer("MAX_IN_FLIGHT", 2, 10_000)),
		DataDir:         r.present("DATA_DIR"),
		NATSAddr:        r.addr("STANDALONE_NATS_ADDR"),
		MongoAddr:       r.addr("STANDALONE_MONGODB_ADDR"),
		AdminAddr:       r.addr("ADMIN_ADDR"),
		ShutdownTimeout: r.duration("SHUTDOWN_TIMEOUT", positive),
	}
	c.Simulate, c.Once = r.simulation()
	if c.Simulate > 0 && !r.given["LOG_LEVEL"] {
		// A line for every message would bury what the simulation prints.
		c.Log.Level = slog.LevelWarn
	}
	r.webhookSecrets(&c.Webhook, false)
	c.StripeAPI = r.stripeAPI()
	c.Warnings = r.warnings
	if err := r.err(); err != nil {
		return Standalone{}, err
	}
	return c, nil
}
