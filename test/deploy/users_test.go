package deploy_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var users = []string{"provisioner", "bridge", "subscriber", "operator", "service", "watcher"}

// withUsers starts a server with the files that are shipped, and a password for each user.
func withUsers(t *testing.T) *server.Server {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"nats.conf", "users.conf", "with-users.conf"} {
		write(t, filepath.Join(dir, name), read(t, filepath.Join(root, "deploy", "nats", name)))
	}
	var passwords strings.Builder
	for _, user := range users {
		fmt.Fprintf(&passwords, "%s_password: %q\n", user, "password of "+user)
	}
	if _, err := server.ProcessConfigFile(filepath.Join(dir, "with-users.conf")); err == nil {
		t.Error("the server starts without passwords")
	}
	write(t, filepath.Join(dir, "passwords.conf"), passwords.String())
	opts, err := server.ProcessConfigFile(filepath.Join(dir, "with-users.conf"))
	if err != nil {
		t.Fatal(err)
	}
	return startNATS(t, opts)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, srv *server.Server, user string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(srv.ClientURL(), nats.UserInfo(user, "password of "+user), nats.CustomInboxPrefix("_INBOX_"+user),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func jetStream(t *testing.T, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// denies reports whether the server refuses an act on a subject.
func denies(t *testing.T, nc *nats.Conn, subject string, act func(string) error) bool {
	t.Helper()
	if err := errors.Join(act(subject), nc.Flush()); err != nil {
		t.Fatal(err)
	}
	err := nc.LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `"`+subject+`"`)
}

// TestOnlyWhoMayDoesIt has every user try every act. The users that are named may.
func TestOnlyWhoMayDoesIt(t *testing.T) {
	t.Parallel()
	srv := withUsers(t)
	publishing := map[string][]string{
		"subscription.updated":                               {"bridge", "operator"},
		"stripe.invoice.paid":                                {"bridge", "operator"},
		"billbus.user.linked":                                {"operator"},
		"access.granted":                                     {"subscriber", "operator"},
		"$KV.BILLBUS_STATE.access.live.platform.user.42":     {"subscriber", "operator"},
		"$KV.BILLBUS_RESOLVED.live.platform.sub_1":           {"bridge"},
		"$KV.OTHER.x":                                        nil,
		"billbus.dlq.stripe.x":                               {"bridge", "subscriber"},
		"anything.else":                                      nil,
		"_INBOX.x":                                           nil,
		"_INBOX_subscriber.x":                                nil,
		"$JS.API.STREAM.CREATE.BILLBUS":                      {"provisioner"},
		"$JS.API.STREAM.CREATE.OTHER":                        {"provisioner"},
		"$JS.API.STREAM.UPDATE.BILLBUS":                      {"provisioner"},
		"$JS.API.STREAM.DELETE.BILLBUS":                      {"provisioner"},
		"$JS.API.STREAM.DELETE.KV_BILLBUS_STATE":             {"provisioner"},
		"$JS.API.STREAM.PURGE.BILLBUS":                       {"provisioner"},
		"$JS.API.STREAM.SNAPSHOT.BILLBUS":                    {"provisioner"},
		"$JS.API.STREAM.MSG.DELETE.BILLBUS":                  nil,
		"$JS.API.STREAM.MSG.DELETE.KV_BILLBUS_STATE":         nil,
		"$JS.API.STREAM.MSG.DELETE.BILLBUS_DLQ":              {"operator"},
		"$JS.API.STREAM.MSG.GET.BILLBUS":                     {"subscriber", "operator"},
		"$JS.API.STREAM.MSG.GET.BILLBUS_DLQ":                 {"operator"},
		"$JS.API.STREAM.MSG.GET.KV_BILLBUS_STATE":            {"subscriber", "operator", "service", "watcher"},
		"$JS.API.STREAM.MSG.GET.KV_BILLBUS_RESOLVED":         nil,
		"$JS.API.DIRECT.GET.BILLBUS":                         nil,
		"$JS.API.DIRECT.GET.KV_BILLBUS_RESOLVED.x":           {"bridge"},
		"$JS.API.CONSUMER.CREATE.BILLBUS":                    {"provisioner"},
		"$JS.API.CONSUMER.CREATE.BILLBUS.other":              {"provisioner"},
		"$JS.API.CONSUMER.CREATE.BILLBUS.billbus-subscriber": {"provisioner"},
		"$JS.API.CONSUMER.CREATE.BILLBUS.other.stripe.>":     {"provisioner"},
		"$JS.API.CONSUMER.CREATE.BILLBUS.other.access.*":     {"provisioner", "subscriber", "operator"},
		"$JS.API.CONSUMER.DURABLE.CREATE.BILLBUS.other":      {"provisioner"},
		"$JS.API.CONSUMER.CREATE.BILLBUS_DLQ.other":          {"provisioner"},
		"$JS.API.CONSUMER.CREATE.KV_BILLBUS_STATE.other":     {"provisioner", "operator", "watcher"},
		"$JS.API.CONSUMER.CREATE.KV_BILLBUS_RESOLVED.other":  {"provisioner"},
		"$JS.API.CONSUMER.DELETE.BILLBUS.billbus-subscriber": {"provisioner"},
		"$JS.API.CONSUMER.DELETE.BILLBUS.service":            {"provisioner"},
		"$JS.API.CONSUMER.PAUSE.BILLBUS.billbus-subscriber":  {"provisioner"},
		"$JS.API.CONSUMER.MSG.NEXT.BILLBUS.billbus-resolver": {"bridge", "subscriber", "operator"},
		"$JS.API.CONSUMER.MSG.NEXT.BILLBUS.service":          {"service", "subscriber", "operator"},
		"$JS.ACK.BILLBUS.billbus-subscriber.1.1.1.0.0":       {"subscriber"},
		"$JS.ACK.BILLBUS.billbus-resolver.1.1.1.0.0":         {"bridge"},
		"$JS.ACK.BILLBUS.service.1.1.1.0.0":                  {"service"},
		"$JS.API.STREAM.LIST":                                {"provisioner"},
		"$SYS.REQ.SERVER.PING":                               nil,
	}
	subscribing := map[string][]string{
		">": nil, "subscription.*": nil, "stripe.>": nil, "access.*": nil, "$KV.>": nil, "$JS.>": nil, "_INBOX.>": nil, "billbus.dlq.>": nil,
	}
	for _, user := range users {
		subscribing["_INBOX_"+user+".>"] = []string{user}
	}
	for _, user := range users {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			nc := connect(t, srv, user)
			publish := func(subject string) error { return nc.Publish(subject, []byte("{")) }
			subscribe := func(subject string) error { _, err := nc.SubscribeSync(subject); return err }
			for subject, may := range publishing {
				if got := denies(t, nc, subject, publish); got == slices.Contains(may, user) {
					t.Errorf("publishing to %s: got refused %t", subject, got)
				}
			}
			for subject, may := range subscribing {
				if got := denies(t, nc, subject, subscribe); got == slices.Contains(may, user) {
					t.Errorf("subscribing to %s: got refused %t", subject, got)
				}
			}
		})
	}
}

func TestNobodyConnectsWithoutTheRightPassword(t *testing.T) {
	t.Parallel()
	srv := withUsers(t)
	for name, login := range map[string]nats.Option{
		"no login": nats.Name(""), "a wrong password": nats.UserInfo("bridge", "password of subscriber"),
		"no password": nats.UserInfo("bridge", ""), "the name of the variable": nats.UserInfo("bridge", "$bridge_password"), "an unknown user": nats.UserInfo("other", ""),
	} {
		if nc, err := nats.Connect(srv.ClientURL(), login); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: got %v, want refused", name, err)
			nc.Close()
		}
	}
}

// TestServicesReadWhatTheyMay has the operator create the consumer of a service, as deploy/README.md
// says.
func TestServicesReadWhatTheyMay(t *testing.T) {
	t.Parallel()
	srv := withUsers(t)
	provisioner := jetStream(t, connect(t, srv, "provisioner"))
	for name, subjects := range map[string][]string{"BILLBUS": {"subscription.*", "stripe.>", "access.*"}, "KV_BILLBUS_STATE": {"$KV.BILLBUS_STATE.>"}} {
		if _, err := provisioner.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: subjects, AllowRollup: true, MaxMsgsPerSubject: 1}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := provisioner.CreateConsumer(t.Context(), "BILLBUS", jetstream.ConsumerConfig{Durable: "service", FilterSubjects: []string{"subscription.*", "access.*"}, AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	bridge, subscriber := jetStream(t, connect(t, srv, "bridge")), jetStream(t, connect(t, srv, "subscriber"))
	for subject, js := range map[string]jetstream.JetStream{"stripe.invoice.paid": bridge, "subscription.updated": bridge, "$KV.BILLBUS_STATE.live.platform.sub_1": subscriber} {
		if _, err := js.Publish(t.Context(), subject, []byte(subject)); err != nil {
			t.Fatal(err)
		}
	}
	service := jetStream(t, connect(t, srv, "service"))
	consumer, err := service.Consumer(t.Context(), "BILLBUS", "service")
	if err != nil {
		t.Fatal(err)
	}
	batch, err := consumer.Fetch(10, jetstream.FetchMaxWait(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for msg := range batch.Messages() {
		got = append(got, msg.Subject())
		if err := msg.DoubleAck(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(got, []string{"subscription.updated"}) {
		t.Errorf("got %v, want subscription.updated", got)
	}
	for user, read := range map[string]func(jetstream.KeyValue) (jetstream.KeyValueEntry, error){
		"service": func(kv jetstream.KeyValue) (jetstream.KeyValueEntry, error) {
			return kv.Get(t.Context(), "live.platform.sub_1")
		},
		"watcher": func(kv jetstream.KeyValue) (jetstream.KeyValueEntry, error) {
			w, err := kv.Watch(t.Context(), "live.platform.>")
			if err != nil {
				return nil, err
			}
			return <-w.Updates(), w.Stop()
		},
	} {
		kv, err := jetStream(t, connect(t, srv, user)).KeyValue(t.Context(), "BILLBUS_STATE")
		if err != nil {
			t.Fatal(err)
		}
		if entry, err := read(kv); err != nil || entry.Key() != "live.platform.sub_1" {
			t.Errorf("%s: got %v, %v", user, entry, err)
		}
	}
}

// TestComposeLogsInAsTheUsers loads both files.
func TestComposeLogsInAsTheUsers(t *testing.T) {
	t.Parallel()
	project, err := composeFiles(t.Context(), []string{"docker-compose.yml", "docker-compose.users.yml"}, "WEBHOOK_LIVEMODE=test")
	if err != nil {
		t.Fatal(err)
	}
	known := settings(programs(t)[0].help)
	for name, user := range map[string]string{"bridge": "bridge", "subscriber": "subscriber", "provision": "provisioner"} {
		service := project.Services[name]
		want := map[string]string{"NATS_USER": user, "NATS_PASSWORD_FILE": "/run/secrets/nats_" + user, "NATS_INBOX_PREFIX": "_INBOX_" + user}
		for variable, value := range want {
			if got := service.Environment[variable]; got == nil || *got != value || !slices.Contains(known, variable) {
				t.Errorf("%s: %s is not %s", name, variable, value)
			}
		}
		secret := func(s types.ServiceSecretConfig) bool { return target(s) == want["NATS_PASSWORD_FILE"] }
		if !slices.ContainsFunc(service.Secrets, secret) || !reaches(service, project.Services["nats"]) {
			t.Errorf("%s has no password, or cannot reach NATS", name)
		}
	}
	nats := project.Services["nats"]
	config := mounted(t, nats, nats.Command[len(nats.Command)-1])
	for _, included := range []string{"nats.conf", "users.conf"} {
		if file := mounted(t, nats, "/etc/nats/"+included); filepath.Dir(file) != filepath.Dir(config) || !strings.Contains(read(t, config), "include ./"+included) {
			t.Errorf("%s is not included", included)
		}
	}
	if passwords := nats.Secrets[0]; target(passwords) != "/etc/nats/passwords.conf" || !strings.HasSuffix(project.Secrets[passwords.Source].File, "secrets/nats_passwords.conf") {
		t.Errorf("got %+v, want the passwords", passwords)
	}
}
