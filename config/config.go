// Package config reads the settings of the programs.
//
// Each setting is one [Setting]: its variable, flag, default and meaning, and the conversion into
// a field. A command takes some [Settings], which its help text, its shell completion and its
// configuration are all made from. Values are read as text, a flag before its environment
// variable, and then converted and checked. All faults are reported together, before anything is
// connected to. They never quote a secret, and a secret.Text never prints.
package config

import (
	"log/slog"
	"time"

	"github.com/billbus/billbus/internal/secret"
)

// NATS says how to reach the NATS servers. At most one way to log in is set.
type NATS struct {
	URL          string // comma-separated, and safe to log: a login in it is moved to the fields below
	CredsFile    string
	NKeySeedFile string
	User         string
	Password     secret.Text
	PasswordFile string // of the Password, which is read again when connecting; "" if it has none
	Token        secret.Text
	TokenFile    string // likewise
	CAFile       string
	CertFile     string
	KeyFile      string
	InboxPrefix  string
}

// Stream names the JetStream stream, and says how to create it.
type Stream struct {
	Name            string
	Replicas        int
	MaxAge          time.Duration // 0 keeps everything
	MaxBytes        int64         // -1 is no limit
	DuplicateWindow time.Duration // never longer than a MaxAge that is set
	StateView       bool          // whether the state view is kept, and changes of access are published
}

// Log says what is logged, and in which format.
type Log struct {
	Level  slog.Level
	Format string // "json", "text", or "" for text on a terminal and JSON otherwise
}

// Webhook configures the webhook endpoint and what is admitted there.
type Webhook struct {
	Addr        string
	Path        string
	Secrets     []NamedSecret
	SecretsFile string // the file of the Secrets, which is read again when it changes; "" if there is none
	Tolerance   time.Duration
	MaxBytes    int64
	BodyBudget  int64 // the memory for bodies in progress, in bytes
	// MaxConnections is how many connections are open at the same time.
	MaxConnections int
	Livemode       string   // "live", "test" or "any"
	Accounts       []string // "any", or a list of "platform" and acct_…
	RedactKeys     []string
	UserIDKeys     []string
	// ClientReference says when client_reference_id is a user id: "api", "all" or "off".
	ClientReference string
	PublishTimeout  time.Duration
}

// StripeAPI says how to read from Stripe's API. Without a key nothing is read.
type StripeAPI struct {
	Key     secret.Text  // of one account, which may be a Connect platform, or of an organization
	Keys    []AccountKey // of several accounts
	Base    string
	Version string // "" for the account's own
}

// Mongo names the database.
type Mongo struct {
	URI       secret.Text // it can contain a password
	Database  string
	Secondary bool // read whole collections from a secondary
}

// Bridge configures the bridge. Each of its commands fills in what it needs.
type Bridge struct {
	DryRun    bool
	Consumers Consumers
	Link      Link
	Backfill  Backfill
	Import    Import
	Reconcile Reconcile
	Endpoint  Endpoint
	Doctor    Doctor
	Health    Health
	Webhook   Webhook
	StripeAPI StripeAPI
	// BackfillInterval is how often events are looked for that did not arrive; 0 is never.
	BackfillInterval time.Duration
	NATS             NATS
	Stream           Stream
	Provision        string // "create" or "check": whether missing streams, consumers and indexes are created
	Admin            Admin
	Log              Log
	ShutdownTimeout  time.Duration
	Warnings         []string // about settings that are valid but surprising; to be logged once
}

// Consumers says whether "bridge provision" creates the consumers, too, and how that of the subscriber
// is called.
type Consumers struct {
	Create     bool
	Subscriber string
}

// Admin says where a program serves its health and metrics, and to whom.
type Admin struct {
	Addr     string
	Token    secret.Text // without one, anyone may read everything
	CertFile string      // with KeyFile; "" is plain HTTP
	KeyFile  string
}

// Health says how the command health prints the checks of the program that listens on Admin.Addr.
type Health struct{ JSON bool }

// Link says what "bridge link" publishes: the pair of a customer and a user, or the pairs in a file.
type Link struct {
	Customer, CustomerAccount, User string
	File                            string // with a pair on each line; "-" is standard input
	Account                         string // "platform", acct_…, or "" for that of the signing secrets
	AsOf                            Moment // zero for when the file was changed, or else now
	JSON                            bool
}

// Backfill says which events "bridge backfill" looks for.
type Backfill struct {
	Since           Moment
	Types           []string // nil for all
	UndeliveredOnly bool
	Account         string // "all", "platform" or acct_…
	Gaps            bool   // only events that subscribers miss
	JSON            bool
}

// Selection says which objects are read from Stripe's API, and how fast.
type Selection struct {
	CreatedSince Moment // of subscriptions; zero is no limit
	Status       string // of subscriptions; "all" is every status
	Account      string // "all", "platform" or acct_…
	Rate         int    // calls a second
}

// Import says what "bridge import" reads.
type Import struct {
	Selection
	FromFile string // read this instead of Stripe's API; "-" is standard input
	JSON     bool
}

// Reconcile says what "bridge reconcile" compares, and what it does about differences.
type Reconcile struct {
	Selection
	Publish  bool
	ShowText bool          // print values that people have written
	Settle   time.Duration // how long a difference has to last
	JSON     bool
}

// Endpoint says which webhook endpoints "bridge endpoint" checks, or which one it creates.
type Endpoint struct {
	URL        string
	Account    string // "all", "platform" or acct_…
	SecretFile string
	Connect    bool
	Version    string   // "" for the account's
	Events     []string // nil for those that Billbus can use
	JSON       bool
}

// Doctor says where "bridge doctor" finds the captured request: either Curl is set, or Body and one
// of Headers and Signature. Body, Headers and Curl name files; "-" is standard input.
type Doctor struct {
	Body      string
	Headers   string
	Signature string // the value of the header
	Curl      string
	JSON      bool
}

// Subscriber configures the subscriber. Each of its commands fills in what it needs.
type Subscriber struct {
	Verify          Verify
	Replay          Replay
	Audit           Audit
	DeadLetters     DeadLetters
	Health          Health
	Reading         Webhook // how events are read again; Livemode is "" if they are not
	NATS            NATS
	Stream          Stream
	Provision       string // "create" or "check": whether missing streams, consumers and indexes are created
	Mongo           Mongo
	ConsumerName    string
	AuditRetention  time.Duration // 0 keeps everything
	MaxInFlight     int
	MaxBytes        int // of the messages in flight
	Admin           Admin
	Log             Log
	ShutdownTimeout time.Duration
	Warnings        []string
}

// Verify says what "subscriber verify" does with its findings.
type Verify struct {
	Fix  bool // write what the audit trail says
	JSON bool
}

// Replay says which part of the stream "subscriber replay" reads.
type Replay struct {
	FromSequence uint64 // 0 for not by sequence
	FromTime     Moment // zero for not by time
	Rate         int    // messages a second; 0 is no limit
	// Subscriptions, if any, are the only ones whose messages are applied: ids of Stripe, or keys of
	// records. Account is the only account: "platform", acct_…, or "" for all.
	Subscriptions []string
	Account       string
	Renormalize   bool   // read again what Stripe sent
	FromAudit     bool   // read the audit trail, not the stream
	Into          string // the collection of records of a shadow that is built; "" for the database itself
	// Diff, Apply or Drop, if set, is the shadow that is compared, applied or removed. Nothing is
	// replayed then.
	Diff, Apply, Drop string
	Restart           bool // forget a replay that was interrupted
	JSON              bool
}

// Audit says which events "subscriber audit" shows.
type Audit struct {
	Subscription, Customer, User, Event, Type string
	Since, Until                              Moment
	Limit                                     int
	Ignored                                   bool
	WithoutUser                               bool   // list records without a user, and no events
	Payload                                   string // the event whose payload is printed, and nothing else
	Wide                                      bool   // print whole ids and all columns
	JSON                                      bool
}

// DeadLetters says on which dead letters "subscriber dlq" works, and how.
type DeadLetters struct {
	Sequences     []uint64 // of the letters; nil if the next fields select them
	All           bool     // redrive all that the next fields select
	Code, Subject string
	Since, Until  Moment
	Limit         int    // the newest; 0 for all
	Payload       bool   // print the payload
	Yes           bool   // do not ask
	By            string // who does it; "" for the user of the process
	JSON          bool
}

// Standalone configures the program that runs everything in one process. Webhook.Secrets is empty
// if none is set. What both parts need is in Bridge.
type Standalone struct {
	Bridge
	Database       string
	ConsumerName   string
	AuditRetention time.Duration // 0 keeps everything
	MaxInFlight    int
	MaxBytes       int // of the messages in flight
	DataDir        string
	NATSAddr       string
	MongoAddr      string
	Simulate       int  // subscriptions to simulate; 0 for none
	Once           bool // stop after the simulation
}

// Stripesim configures the simulator.
type Stripesim struct {
	URL           string
	Secret        secret.Text
	Subscriptions int
	PerCustomer   int
	Rate          float64 // events a second; 0 is as fast as possible
	Duplicates    float64 // share, 0 to 1
	Drop          float64 // share, 0 to 1
	Disorder      bool
	Seed          *uint64  // nil for a random one
	Ties          float64  // probability, 0 to 1
	Kinds         []string // of ties; empty for an ordinary history
	APIVersions   []string // empty for all
	File          string   // the one event to send, instead of a simulation
	DryRun        bool
	Truth         string // file for the true final states; "" for none
	API           string // address of the fake of Stripe's API; "" for none
	Faults        StripesimFaults
	JSON          bool
}

// StripesimFaults are what goes wrong in the fake of Stripe's API. 0 is never.
type StripesimFaults struct {
	Rate                             int // requests a second
	ErrorEvery, HangEvery, SlowEvery int // every n-th request
}
