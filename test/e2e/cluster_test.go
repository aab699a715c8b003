package e2e_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
	"github.com/billbus/billbus/test/kit/servers"
)

// mongoVariable names a MongoDB server to run the tests on. Tests that kill the database
// always run on the embedded one.
const mongoVariable = "BILLBUS_TEST_MONGODB_URI"

const secret = "whsec_e2e_0123456789abcdef"

// cluster is the processes of a deployment.
type cluster struct {
	nats, bridge, subscriber          *kit.Process
	documents                         *kit.Process // nil on a MongoDB server
	natsURL, mongoURI, dbName         string
	webhookURL, bridgeAdmin, subAdmin string
}

// newCluster starts a cluster. more are settings of both programs.
func newCluster(t *testing.T, more ...string) *cluster {
	t.Helper()
	return start(t, os.Getenv(mongoVariable), more...)
}

// newFragileCluster starts a cluster with a database that the test can kill.
func newFragileCluster(t *testing.T, more ...string) *cluster {
	t.Helper()
	return start(t, "", more...)
}

func start(t *testing.T, mongoURI string, more ...string) *cluster {
	t.Helper()
	addr := kit.FreeAddr(t)
	nats := servers.Process(t, t.TempDir(), servers.NATS, addr)
	nats.Start(t)
	c := assemble(t, "nats://"+addr, mongoURI, more...)
	c.nats = nats
	c.launch(t)
	return c
}

// assemble returns a cluster on a NATS server. Nothing of it has been started.
func assemble(t *testing.T, natsURL, mongoURI string, more ...string) *cluster {
	t.Helper()
	dir := t.TempDir()
	web, admin1, admin2 := kit.FreeAddr(t), kit.FreeAddr(t), kit.FreeAddr(t)
	c := &cluster{
		webhookURL: "http://" + web + "/webhooks/stripe", bridgeAdmin: "http://" + admin1, subAdmin: "http://" + admin2,
		natsURL: natsURL, mongoURI: mongoURI, dbName: "billbus_e2e_" + strings.ToLower(rand.Text()),
	}
	if mongoURI == "" {
		addr := kit.FreeAddr(t)
		c.documents, c.mongoURI = servers.Process(t, dir, servers.Documents, addr), "mongodb://"+addr
	}
	program := func(name string, env ...string) *kit.Process {
		return &kit.Process{
			Name: name, Command: []string{filepath.Join(binaries, name)}, Log: filepath.Join(dir, name+".log"), Env: append(env, more...),
		}
	}
	c.bridge = program("bridge", "NATS_URL="+c.natsURL, "LISTEN_ADDR="+web, "ADMIN_ADDR="+admin1,
		"WEBHOOK_LIVEMODE=any", "STRIPE_WEBHOOK_SECRETS="+secret)
	c.subscriber = program("subscriber", append(c.env(), "ADMIN_ADDR="+admin2)...)
	return c
}

// launch starts what assemble has made, and waits until it is ready.
func (c *cluster) launch(t *testing.T) {
	t.Helper()
	if c.documents == nil {
		db := c.database(t)
		t.Cleanup(func() {
			if err := db.Drop(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	for _, p := range []*kit.Process{c.documents, c.bridge, c.subscriber} {
		if p != nil {
			p.Start(t)
		}
	}
	ready(t, c.bridgeAdmin)
	ready(t, c.subAdmin)
}

// env returns the settings of the subscriber and its commands.
func (c *cluster) env() []string {
	return []string{"NATS_URL=" + c.natsURL, "MONGODB_URI=" + c.mongoURI, "MONGODB_DATABASE=" + c.dbName}
}

func (c *cluster) jetStream(t *testing.T) jetstream.JetStream {
	t.Helper()
	return natstest.JetStream(t, c.natsURL)
}

func (c *cluster) database(t *testing.T) *mongo.Database {
	t.Helper()
	return database(t, c.mongoURI, c.dbName)
}

// drained waits until the subscriber has acknowledged every message.
func (c *cluster) drained(t *testing.T) {
	t.Helper()
	drained(t, c.jetStream(t))
}

func ready(t *testing.T, admin string) {
	t.Helper()
	kit.Eventually(t, admin+" is ready", func() bool { return kit.Get(admin+"/readyz").Status == http.StatusOK })
}

func notReady(t *testing.T, admin string) {
	t.Helper()
	kit.Eventually(t, admin+" is not ready", func() bool { return kit.Get(admin+"/readyz").Status == http.StatusServiceUnavailable })
}

// setting returns the value of an environment variable that enlarges a test.
func setting(name, otherwise string) string { return cmp.Or(os.Getenv(name), otherwise) }
