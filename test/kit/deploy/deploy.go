// Package deploy runs Billbus in processes: NATS servers, a document database, bridges and
// subscribers, which tests kill and start again. Only tests import it.
package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
	"github.com/billbus/billbus/test/kit/servers"
)

// Names of what the programs create.
const (
	Stream   = "BILLBUS"
	Consumer = "billbus-subscriber"
)

// DatabaseName is what a route leads to, and the name of the process.
const DatabaseName = "database"

// Packages are what has to be built.
func Packages() []string {
	const cmd = "github.com/billbus/billbus/cmd/"
	return []string{cmd + "bridge", cmd + "subscriber", servers.Package}
}

// Config says what to run.
type Config struct {
	Binaries string // folder of the built programs
	Servers  servers.Cluster
	// MongoDB is the URI of a server that runs already. If it is "", one of this role is
	// started, by default [servers.Documents].
	MongoDB, Role        string
	Database             string // its name; "billbus" by default
	Bridges, Subscribers int
	Env                  []string // settings of all programs
	BridgeEnv            []string
	// Route returns the address at which a program reaches a server, or the URI of the
	// database; the same if it is nil.
	Route servers.Route
}

// Program is a bridge or a subscriber.
type Program struct {
	*kit.Process
	Admin    string // URL
	Webhooks string // URL; of a bridge
}

// Ready reports whether the program is ready.
func (p *Program) Ready() bool { return kit.Get(p.Admin+"/readyz").Status == http.StatusOK }

// Deployment is everything that runs.
type Deployment struct {
	*kit.Trial
	Nodes                map[string]*kit.Process // NATS servers
	NATS                 string                  // URL, without the routes
	Documents            *kit.Process            // nil if the database runs already
	MongoDB              string                  // URI, without the route
	Bridges, Subscribers []*Program

	JS jetstream.JetStream
	DB *mongo.Database
}

// Start starts everything, and waits until it is ready.
func Start(t *kit.Trial, cfg Config) *Deployment {
	if cfg.Route == nil {
		cfg.Route = func(_, _, addr string) string { return addr }
	}
	cfg.Database = cmp.Or(cfg.Database, "billbus")
	d := &Deployment{Trial: t, MongoDB: cfg.MongoDB}
	clients := d.startServers(cfg)
	for i := range cfg.Bridges {
		d.Bridges = append(d.Bridges, d.bridge(cfg, fmt.Sprint("bridge", i+1), clients))
	}
	for i := range cfg.Subscribers {
		d.Subscribers = append(d.Subscribers, d.subscriber(cfg, fmt.Sprint("subscriber", i+1), clients))
	}
	for _, p := range d.Programs() { // bridges first: they create the streams
		p.Start(t)
		kit.Eventually(t, p.Name+" is ready", p.Ready)
	}
	d.JS = natstest.JetStream(d, d.NATS)
	return d
}

func (d *Deployment) startServers(cfg Config) (clients map[string]string) {
	d.Nodes, clients = servers.Nodes(d, cfg.Servers)
	d.NATS = servers.URL(clients)
	for _, node := range d.Nodes {
		node.Start(d)
	}
	if d.MongoDB == "" {
		addr := kit.FreeAddr(d)
		d.Documents, d.MongoDB = servers.Process(d, d.Dir, cmp.Or(cfg.Role, servers.Documents), addr), "mongodb://"+addr
		d.Documents.Name = DatabaseName
		d.Documents.Start(d)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(d.MongoDB))
	if err != nil {
		d.Fatal("MongoDB: the URI is not valid") // the error may quote its password
	}
	d.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(d.Context())) })
	d.DB = client.Database(cfg.Database)
	return clients
}

// program says how a program is run, without starting it.
func (d *Deployment) program(cfg Config, kind, name string, clients map[string]string, env ...string) *Program {
	through := map[string]string{}
	for node, addr := range clients {
		through[node] = cfg.Route(name, node, addr)
	}
	admin := kit.FreeAddr(d)
	env = append(env, "NATS_URL="+servers.URL(through), "ADMIN_ADDR="+admin, "LOG_FORMAT=json")
	return &Program{Admin: "http://" + admin, Process: &kit.Process{
		Name: name, Command: []string{filepath.Join(cfg.Binaries, kind)}, Log: filepath.Join(d.Dir, name+".log"), Env: append(env, cfg.Env...),
	}}
}

func (d *Deployment) bridge(cfg Config, name string, clients map[string]string) *Program {
	web := kit.FreeAddr(d)
	p := d.program(cfg, "bridge", name, clients, append([]string{"LISTEN_ADDR=" + web}, cfg.BridgeEnv...)...)
	p.Webhooks = "http://" + cfg.Route("client", name, web) + "/webhooks/stripe"
	return p
}

func (d *Deployment) subscriber(cfg Config, name string, clients map[string]string) *Program {
	return d.program(cfg, "subscriber", name, clients, "MONGODB_URI="+cfg.Route(name, DatabaseName, d.MongoDB), "MONGODB_DATABASE="+cfg.Database)
}

// Programs returns the bridges and then the subscribers.
func (d *Deployment) Programs() []*Program { return slices.Concat(d.Bridges, d.Subscribers) }

// Processes returns all processes: the NATS servers, the database and the programs.
func (d *Deployment) Processes() []*kit.Process {
	var all []*kit.Process
	for _, name := range slices.Sorted(maps.Keys(d.Nodes)) {
		all = append(all, d.Nodes[name])
	}
	if d.Documents != nil {
		all = append(all, d.Documents)
	}
	for _, p := range d.Programs() {
		all = append(all, p.Process)
	}
	return all
}

// Must ends the trial after an error.
func (d *Deployment) Must(err error) {
	if err != nil {
		d.Fatal(err)
	}
}

// Wait waits, unless the trial is interrupted.
func (d *Deployment) Wait(t time.Duration) {
	select {
	case <-time.After(t):
	case <-d.Context().Done():
		d.Fatal("interrupted")
	}
}

// Execute runs a command of a program to its end, with the program's settings and more.
func (d *Deployment) Execute(ctx context.Context, p *Program, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, p.Command[0], args...) //nolint:gosec // our own arguments
	cmd.Env = append(slices.Clone(p.Env), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return errors.Join(fmt.Errorf("%s %s: %w", p.Name, strings.Join(args, " "), err), errors.New(string(out)))
	}
	return nil
}

// Unsettled returns how many messages the subscribers have not acknowledged yet.
func (d *Deployment) Unsettled() (uint64, error) {
	return natstest.Unsettled(d, d.JS, Stream, Consumer)
}

// Leader returns the name of the NATS server that leads the stream.
func (d *Deployment) Leader() (string, error) {
	s, err := d.JS.Stream(d.Context(), Stream)
	if err != nil {
		return "", err
	}
	return s.CachedInfo().Cluster.Leader, nil
}
