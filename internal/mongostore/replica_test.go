package mongostore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

var discard = slog.DiscardHandler

func TestBuildingIndexesHasNoDeadlineAndBlocksNothing(t *testing.T) {
	t.Parallel()
	building, built := make(chan struct{}), make(chan struct{})
	var first sync.Once
	m := startMember(t, func(command string, _ bson.Raw) bson.D {
		if command == "createIndexes" {
			first.Do(func() { close(building) })
			<-built
		}
		return nil
	})
	s := m.open(t, "&timeoutMS=5000", discard)
	ready := make(chan struct{})
	go func() { defer close(ready); s.Provision(t.Context(), true) }()
	<-building
	if _, errs := s.CommitBatch(t.Context(), storetest.Entry("sub_1", "evt_1", "updated", 1, "active")); errs[0] != nil {
		t.Errorf("committing meanwhile: %v", errs[0])
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("Check meanwhile: got no error")
	}
	close(built)
	<-ready
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check afterwards: %v", err)
	}
	for _, command := range m.sent("createIndexes") {
		if limit, err := command.LookupErr("maxTimeMS"); err == nil {
			t.Errorf("createIndexes has maxTimeMS %v", limit)
		}
	}
}

// The list of indexes also has those that are being built, and those of an operator.
func TestOnlyCreatingIndexesSaysThatTheyAreThere(t *testing.T) {
	t.Parallel()
	listed := []any{
		bson.D{{Key: "v", Value: 2}, {Key: "key", Value: bson.D{{Key: "created", Value: 1.0}}}, {Key: "name", Value: "of the operator"}},
		bson.D{{Key: "v", Value: 2}, {Key: "key", Value: bson.D{{Key: "event_id", Value: 1}}}, {Key: "name", Value: "partial"}, {Key: "partialFilterExpression", Value: bson.D{}}},
		bson.D{{Key: "v", Value: 2}, {Key: "key", Value: bson.D{{Key: "type", Value: -1}, {Key: "created", Value: 1}}}, {Key: "name", Value: "type_created"}},
	}
	failures := 2
	m := startMember(t, func(command string, _ bson.Raw) bson.D {
		switch {
		case command == "listIndexes":
			return found(0, "firstBatch", listed...)
		case command == "createIndexes" && failures > 0:
			failures--
			return failure(276, "IndexBuildAborted")
		}
		return nil
	})
	messages := make(chan string, 100)
	s := m.open(t, "", notices{discard, messages})
	s.Provision(t.Context(), true)
	names := map[string]string{}
	commands := m.sent("createIndexes")
	for _, command := range commands {
		var sent struct {
			CreateIndexes string
			Indexes       []struct {
				Key  bson.D
				Name string
			}
		}
		if err := bson.Unmarshal(command, &sent); err != nil {
			t.Fatal(err)
		}
		for _, index := range sent.Indexes {
			names[sent.CreateIndexes+" "+index.Key[0].Key] = index.Name
		}
	}
	if len(commands) != 8 || len(names) != 21 {
		t.Errorf("got %d commands for %d indexes, want 4 that fail or follow a failure, and 4 for all 21", len(commands), len(names))
	}
	for index, want := range map[string]string{"created": "of the operator", "event_id": "event", "type": "billbus_type_created"} {
		if got := names["webhook_events "+index]; got != want {
			t.Errorf("name of the index on %s: got %q, want %q", index, got, want)
		}
	}
}

func TestAnElectionIsWaitedFor(t *testing.T) {
	t.Parallel()
	m := startMember(t, func(string, bson.Raw) bson.D { return nil })
	m.electedAfter = 12 // the driver asks twice a second
	s := m.open(t, "", discard)
	if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "MongoDB has no primary") {
		t.Errorf("Check during the election: got %v", err)
	}
	if _, errs := s.CommitBatch(t.Context(), storetest.Entry("sub_1", "evt_1", "updated", 1, "active")); errs[0] != nil {
		t.Errorf("got %v, want that the batch waits for the primary", errs[0])
	}
}

func TestAnotherUniqueIndexIsAPermanentFault(t *testing.T) {
	t.Parallel()
	collision := bson.D{{Key: "n", Value: 0}, {Key: "ok", Value: 1}, {Key: "writeErrors", Value: bson.A{bson.D{
		{Key: "index", Value: 0},
		{Key: "code", Value: 11000},
		{Key: "keyPattern", Value: bson.D{{Key: "customer_id", Value: 1}}},
		{Key: "keyValue", Value: bson.D{{Key: "customer_id", Value: "SECRET"}}},
		{Key: "errmsg", Value: `E11000 duplicate key error collection: billbus.x index: one_per_customer dup key: { customer_id: "SECRET" }`},
	}}}}
	for i, collection := range []string{"webhook_events", "subscriptions"} {
		m := startMember(t, func(name string, command bson.Raw) bson.D {
			if name == "insert" && command.Lookup("insert").StringValue() == collection {
				return collision
			}
			return nil
		})
		s := m.open(t, "", discard)
		_, errs := s.CommitBatch(t.Context(), storetest.Entry("sub_1", "evt_1", "updated", 1, "active"))
		err := errs[0]
		if fault.KindOf(err) != fault.Permanent || fault.ReasonOf(err) != fault.DatabaseRefused {
			t.Fatalf("%s: got %v, which is %s for %s", collection, err, fault.KindOf(err), fault.ReasonOf(err))
		}
		if !strings.Contains(err.Error(), `"one_per_customer"`) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: got %v, want the name of the index alone", collection, err)
		}
		if got := len(m.sent("insert")); got != 1+i {
			t.Errorf("%s: got %d inserts", collection, got)
		}
	}
}

func TestEachReplacementOfACommandHasItsOutcome(t *testing.T) {
	t.Parallel()
	collided := bson.D{{Key: "index", Value: 1}, {Key: "code", Value: 11000}, {Key: "keyPattern", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "errmsg", Value: "E11000"}}
	for name, tt := range map[string]struct {
		answer bson.D
		want   []string
	}{
		"all":              {bson.D{{Key: "n", Value: 3}}, []string{"written", "written", "written"}},
		"one was inserted": {bson.D{{Key: "n", Value: 3}, {Key: "upserted", Value: bson.A{bson.D{{Key: "index", Value: 0}, {Key: "_id", Value: "x"}}}}}, []string{"written", "written", "written"}},
		"one collided":     {bson.D{{Key: "n", Value: 2}, {Key: "writeErrors", Value: bson.A{collided}}}, []string{"written", "exists", "written"}},
		"one is missing":   {bson.D{{Key: "n", Value: 2}}, []string{"transient", "transient", "transient"}},
		"one collided, and one is missing": {
			bson.D{{Key: "n", Value: 1}, {Key: "writeErrors", Value: bson.A{collided}}}, []string{"transient", "transient", "transient"},
		},
		"not confirmed": {
			bson.D{{Key: "n", Value: 3}, {Key: "writeConcernError", Value: bson.D{{Key: "code", Value: 64}, {Key: "errmsg", Value: "timeout"}}}},
			[]string{"transient", "transient", "transient"},
		},
	} {
		m := startMember(t, func(command string, _ bson.Raw) bson.D {
			if command == "update" {
				return append(tt.answer, bson.E{Key: "ok", Value: 1})
			}
			return nil
		})
		s := m.open(t, "", discard)
		var records []store.Record
		for i := range tt.want {
			entry := storetest.Entry(fmt.Sprintf("sub_%d", i), fmt.Sprintf("evt_%d", i), "updated", 1, "active")
			head := store.Head{Key: entry.SubscriptionKey(), Revision: 1}
			records = append(records, head.Next(store.Decision{Winner: entry.Message}, now()))
		}
		var got []string
		for _, err := range s.Replace(t.Context(), records) {
			switch {
			case err == nil:
				got = append(got, "written")
			case errors.Is(err, store.ErrExists):
				got = append(got, "exists")
			default:
				got = append(got, fault.KindOf(err).String())
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || len(m.sent("update")) != 1 {
			t.Errorf("%s: %d commands, outcomes (-want +got):\n%s", name, len(m.sent("update")), diff)
		}
	}
}

// Whatever a server says about itself, a write compares the revision: only the embedded
// database has one writer.
func TestTheServerComparesTheRevision(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]bson.D{"MongoDB": nil, "a server that does not say what it is": failure(6, "HostUnreachable")} {
		m := startMember(t, func(command string, _ bson.Raw) bson.D {
			if command == "buildInfo" {
				return answer
			}
			return nil
		})
		s := m.open(t, "", discard)
		entry := storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
		head := store.Head{Key: "record", Revision: 4}
		s.Replace(t.Context(), []store.Record{head.Next(store.Decision{Winner: entry.Message}, now())})
		s.Replace(t.Context(), []store.Record{store.Head{Key: "new"}.Next(store.Decision{Winner: entry.Message}, now())})
		if heads := s.Recent([]string{"record", "new"}); len(heads) > 0 {
			t.Errorf("%s: remembered %v, although another process may write", name, heads)
		}
		for _, err := range []error{
			s.Mark(t.Context(), head),
			s.SetUsers(t.Context(), []store.Head{{Key: "user", Revision: 6}})[0],
			s.PutListing(t.Context(), store.Listing{Key: "listing", Revision: 7}),
			s.PutEntitlements(t.Context(), store.Entitled{Key: "entitled", Revision: 8}),
			s.ReplaceAccess(t.Context(), "access", events.AccessDocument{Revision: 9}),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		want := []string{
			`{"_id": "record","version.n": {"$numberLong":"4"}}`, `{"_id": "record","version.n": {"$numberLong":"4"}}`,
			`{"_id": "user","version.n": {"$numberLong":"5"}}`, `{"_id": "listing","revision": {"$numberLong":"6"}}`,
			`{"_id": "entitled","version.n": {"$numberLong":"7"}}`, `{"_id": "access","revision": {"$lte": {"$numberLong":"8"}}}`,
		}
		if diff := cmp.Diff(want, m.replaced()); diff != "" {
			t.Errorf("%s: filters (-want +got):\n%s", name, diff)
		}
	}
}

func TestCausesAreDistinguished(t *testing.T) {
	t.Parallel()
	web, secure := httptest.NewServer(nil), httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = slog.NewLogLogger(discard, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(web.Close)
	t.Cleanup(secure.Close)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	nothing := func(string, bson.Raw) bson.D { return nil }
	plain := startMember(t, nothing)
	login := startMember(t, func(command string, _ bson.Raw) bson.D {
		if command == "saslStart" {
			return failure(18, "AuthenticationFailed")
		}
		return nil
	})
	unauthorized := startMember(t, func(string, bson.Raw) bson.D { return failure(13, "Unauthorized") })
	electing := startMember(t, nothing)
	electing.electedAfter = 1000
	tests := map[string]func(*testing.T){}
	for name, tt := range map[string]struct {
		uri    string
		reason fault.Reason
		text   string
	}{
		"refused":           {closedPort(t), fault.DatabaseUnreachable, "the connection was refused"},
		"name":              {"mongodb://nowhere.invalid/", fault.DatabaseDNS, "does not resolve: check the hosts in MONGODB_URI"},
		"authority":         {"mongodb://" + secure.Listener.Addr().String() + "/?tls=true", fault.DatabaseTLS, "signed by an unknown authority: check tls, tlsCAFile"},
		"not TLS":           {"mongodb://" + web.Listener.Addr().String() + "/?tls=true", fault.DatabaseTLS, "the server does not speak TLS"},
		"without TLS":       {plain.uri("&tls=true"), fault.DatabaseUnreachable, "the connection was closed: see MongoDB's log, and check tls in MONGODB_URI"},
		"no answer":         {"mongodb://" + silent.Addr().String() + "/", fault.DatabaseTimeout, "did not answer in time"},
		"login":             {strings.Replace(login.uri("&authMechanism=PLAIN&authSource=$external"), "//", "//user:SECRET@", 1), fault.DatabaseLogin, "check user, password and authSource in MONGODB_URI"},
		"permission":        {unauthorized.uri(""), fault.DatabaseFailed, "code 13 Unauthorized: give the user in MONGODB_URI the role readWrite"},
		"no primary":        {electing.uri(""), fault.DatabaseNoPrimary, "MongoDB has no primary"},
		"other replica set": {strings.Replace(plain.uri(""), "=rs", "=other", 1), fault.DatabaseNoPrimary, "check replicaSet and the hosts in MONGODB_URI"},
	} {
		tests[name] = func(t *testing.T) {
			s := openStore(t, mongostore.Config{URI: tt.uri, Database: "billbus", MaxBatch: 1, Now: now, Log: slog.New(discard)})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := s.Heads(ctx, []string{"x"})
			if got := fault.ReasonOf(err); got != tt.reason || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("got %s: %v, want %s: %s", got, err, tt.reason, tt.text)
			}
			if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Check: got %v, want %s", err, tt.text)
			}
		}
	}
	atOnce(t, tests)
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return "mongodb://" + l.Addr().String() + "/"
}

// auditOf returns an audit document.
func auditOf(sub, event string) bson.D {
	return bson.D{
		{Key: "_id", Value: kit.Key(event)},
		{Key: "event_id", Value: event},
		{Key: "subscription_key", Value: kit.Key(sub)},
		{Key: "created", Value: now()},
		{Key: "message", Value: "{}"},
	}
}

func TestVerificationResumesOnASecondary(t *testing.T) {
	t.Parallel()
	all := []any{auditOf("sub_1", "evt_1"), auditOf("sub_2", "evt_2"), auditOf("sub_2", "evt_3"), auditOf("sub_2", "evt_4"), auditOf("sub_3", "evt_5")}
	broken := []bson.D{failure(43, "CursorNotFound"), hangUp, failure(13435, "NotPrimaryNoSecondaryOk")}
	finds := 0
	m := startMember(t, func(command string, body bson.Raw) bson.D {
		switch command {
		case "find":
			from, _ := body.Lookup("filter", "subscription_key", "$gte").StringValueOK()
			if finds++; from == "" {
				return found(7, "firstBatch", all[:3]...)
			}
			if finds <= len(broken) {
				return found(7, "firstBatch", all[1:3]...)
			}
			return found(0, "firstBatch", all[1:]...)
		case "getMore":
			return broken[finds-1]
		}
		return nil
	})
	s := openStore(t, mongostore.Config{URI: m.uri(""), Database: "billbus", MaxBatch: 1, Secondary: true, Now: now, Log: slog.New(discard)})
	var got []string
	for a, err := range s.Audit(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, a.ID)
	}
	if diff := cmp.Diff([]string{"evt_1", "evt_2", "evt_3", "evt_4", "evt_5"}, got); diff != "" {
		t.Errorf("audited (-want +got):\n%s", diff)
	}
	for _, find := range m.sent("find") {
		mode, _ := find.Lookup("$readPreference", "mode").StringValueOK()
		level, _ := find.Lookup("readConcern", "level").StringValueOK()
		if mode != "secondaryPreferred" || level != "majority" {
			t.Errorf("got read preference %q, read concern %q", mode, level)
		}
	}
	if _, err := s.Record(t.Context(), kit.Key("sub_1")); err != nil {
		t.Fatal(err)
	}
	last := m.sent("find")[len(m.sent("find"))-1]
	if mode, _ := last.Lookup("$readPreference", "mode").StringValueOK(); mode == "secondaryPreferred" {
		t.Error("a check that must be up to date reads from a secondary")
	}
}

func TestFaultsOfTheURI(t *testing.T) {
	t.Parallel()
	empty := t.TempDir() + "/ca.pem"
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ uri, want string }{
		"option":            {"mongodb://user:SECRET@db/?writeConcern=SECRET", "the driver does not know the option writeconcern"},
		"option of SRV":     {"mongodb+srv://user:SECRET@db.example.invalid/?retrywrite=SECRET&srvServiceName=x", "the driver does not know the option retrywrite"},
		"value":             {"mongodb://user:SECRET@db/?maxPoolSize=SECRET", "cannot be read: check its scheme, hosts and options"},
		"contradiction":     {"mongodb://user:SECRET@db,db2/?directConnection=true", "contradict"},
		"CA missing":        {"mongodb://db/?tls=true&tlsCAFile=/SECRET", "tlsPrivateKeyFile cannot be used: no such file or directory"},
		"CA empty":          {"mongodb://db/?tls=true&tlsCAFile=" + empty, "does not contain any valid certificates"},
		"CA, SRV":           {"mongodb+srv://db.example.invalid/?tlsCAFile=" + empty, "does not contain any valid certificates"},
		"certificate":       {"mongodb://db/?tls=true&tlsCertificateKeyFile=" + empty, "failed to find CERTIFICATE"},
		"SRV with a port":   {"mongodb+srv://user:SECRET@db.example.invalid:27017/", "one host, without a port"},
		"SRV of many hosts": {"mongodb+srv://a.example.invalid,b.example.invalid", "one host, without a port"},
		"password":          {"mongodb://user:SEC/RET@db/", "percent-encoded"},
	} {
		_, err := mongostore.Open(mongostore.Config{URI: tt.uri, Database: "billbus", MaxBatch: 1, Now: now, Log: slog.New(discard)})
		if bad, ok := errors.AsType[mongostore.URIError](err); !ok || !strings.Contains(bad.Error(), tt.want) || strings.Contains(bad.Error(), "SEC") {
			t.Errorf("%s: got %T %v, want %s", name, err, err, tt.want)
		}
	}
	for _, uri := range []string{"mongodb+srv://user:SECRET@db.example.invalid", "mongodb+srv://user:SECRET@db.example.invalid/?retryWrites=true&w=majority&srvServiceName=x"} {
		_, err := mongostore.Open(mongostore.Config{URI: uri, Database: "billbus", MaxBatch: 1, Now: now, Log: slog.New(discard)})
		if fault.ReasonOf(err) != fault.DatabaseDNS || fault.KindOf(err) != fault.Transient || strings.Contains(fmt.Sprint(err), "SECRET") {
			t.Errorf("a name that does not resolve: got %T %v", err, err)
		}
	}
}

// A subscriber that does not create indexes sees those that another one is building.
func TestAnIndexThatIsBeingBuiltIsNotThereYet(t *testing.T) {
	t.Parallel()
	listed := map[string][]any{}
	refusals := 3
	m := startMember(t, func(command string, body bson.Raw) bson.D {
		collection, _ := body.Lookup(command).StringValueOK()
		switch command {
		case "createIndexes":
			values, _ := body.Lookup("indexes").Array().Values()
			for _, index := range values {
				listed[collection] = append(listed[collection], index.Document())
			}
		case "listIndexes":
			return found(0, "firstBatch", listed[collection]...)
		case "find":
			if refusals--; refusals >= 0 {
				return failure(2, "BadValue")
			}
		}
		return nil
	})
	m.open(t, "", discard).Provision(t.Context(), true)
	messages := make(chan string, 100)
	m.open(t, "", notices{discard, messages}).Provision(t.Context(), false)
	if got, want := <-messages, "the index user_access of subscriptions cannot be used yet: MongoDB failed with code 2 BadValue"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	hints := map[string]bool{}
	for _, find := range m.sent("find") {
		hint, _ := find.Lookup("hint").StringValueOK()
		hints[find.Lookup("find").StringValue()+" "+hint] = true
	}
	if len(hints) != 21 {
		t.Errorf("got %d different hints, want one for each index", len(hints))
	}
}
