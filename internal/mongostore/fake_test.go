package mongostore_test

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/internal/mongostore"
)

// member is a server that speaks MongoDB's protocol, as the member of a replica set with
// no other. A test says what it answers.
type member struct {
	net.Listener
	// answer answers a command, or returns nil for what is usual.
	answer func(command string, body bson.Raw) bson.D

	mu       sync.Mutex
	commands []bson.Raw // without hello
	filters  []bson.Raw // of the updates
	hellos   int
	// electedAfter is how many times the member says that it is not the primary.
	electedAfter int
}

func startMember(t *testing.T, answer func(command string, body bson.Raw) bson.D) *member {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &member{Listener: l, answer: answer}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := m.Accept()
			if err != nil {
				return
			}
			open.Go(func() { m.serve(conn) })
		}
	})
	t.Cleanup(func() { // the store is closed before, and with it all connections
		_ = l.Close()
		open.Wait()
	})
	return m
}

func (m *member) uri(options string) string {
	return "mongodb://" + m.Addr().String() + "/?replicaSet=rs" + options
}

// open opens a store on the member.
func (m *member) open(t *testing.T, options string, log slog.Handler) *mongostore.Store {
	t.Helper()
	return openStore(t, mongostore.Config{URI: m.uri(options), Database: "billbus", MaxBatch: 16, Now: now, Log: slog.New(log)})
}

const (
	opReply = 1
	opQuery = 2004 // only for the first hello
	opMsg   = 2013
)

func (m *member) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		header := make([]byte, 16)
		if _, err := io.ReadFull(conn, header); err != nil {
			return
		}
		size := binary.LittleEndian.Uint32(header)
		if size > 48_000_000 {
			return // as MongoDB does
		}
		body := make([]byte, size-16)
		if _, err := io.ReadFull(conn, body); err != nil {
			return
		}
		reply, prefix := uint32(opMsg), make([]byte, 5) // flags, and the kind of the section
		if binary.LittleEndian.Uint32(header[12:]) == opQuery {
			_, rest, _ := bytesCut(body[4:])
			body, reply, prefix = append(make([]byte, 5), rest[8:]...), opReply, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}
		}
		command := bson.Raw(body[5:][:binary.LittleEndian.Uint32(body[5:])])
		m.noteFilters(body[5+len(command):])
		answer := m.handle(command)
		if answer == nil {
			return
		}
		raw, err := bson.Marshal(answer)
		if err != nil {
			return
		}
		out := slices.Concat(header[:12], binary.LittleEndian.AppendUint32(nil, reply), prefix, raw)
		binary.LittleEndian.PutUint32(out, uint32(len(out)))
		copy(out[8:12], header[4:8]) // in response to
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// noteFilters reads the section of a message that has the updates of a command.
func (m *member) noteFilters(section []byte) {
	if len(section) < 5 || section[0] != 1 {
		return
	}
	name, documents, _ := bytesCut(section[5:])
	for string(name) == "updates" && len(documents) > 0 {
		update := bson.Raw(documents[:binary.LittleEndian.Uint32(documents)])
		documents = documents[len(update):]
		m.mu.Lock()
		m.filters = append(m.filters, slices.Clone(update.Lookup("q").Document()))
		m.mu.Unlock()
	}
}

// replaced returns the filters of all updates.
func (m *member) replaced() (filters []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, filter := range m.filters {
		filters = append(filters, filter.String())
	}
	return filters
}

// bytesCut cuts at the zero byte that ends a text.
func bytesCut(b []byte) (before, after []byte, found bool) {
	i := slices.Index(b, 0)
	return b[:i], b[i+1:], i >= 0
}

// hangUp as an answer closes the connection.
var hangUp = bson.D{{Key: "hangUp", Value: true}}

func (m *member) handle(body bson.Raw) bson.D {
	elements, err := body.Elements()
	if err != nil || len(elements) == 0 {
		return nil
	}
	command := elements[0].Key()
	m.mu.Lock()
	defer m.mu.Unlock()
	if command == "hello" || command == "isMaster" || command == "ismaster" {
		m.hellos++
		return m.hello(m.hellos > m.electedAfter)
	}
	m.commands = append(m.commands, slices.Clone(body))
	m.mu.Unlock()
	answer := m.answer(command, body)
	m.mu.Lock()
	switch {
	case answer == nil:
		return usual(command)
	case answer[0].Key == "hangUp":
		return nil
	}
	return answer
}

func (m *member) hello(primary bool) bson.D {
	addr := m.Addr().String()
	return bson.D{
		{Key: "helloOk", Value: true},
		{Key: "isWritablePrimary", Value: primary},
		{Key: "ismaster", Value: primary},
		{Key: "secondary", Value: !primary},
		{Key: "setName", Value: "rs"},
		{Key: "setVersion", Value: 1},
		{Key: "hosts", Value: bson.A{addr}},
		{Key: "me", Value: addr},
		{Key: "maxBsonObjectSize", Value: 16 << 20},
		{Key: "maxMessageSizeBytes", Value: 48_000_000},
		{Key: "maxWriteBatchSize", Value: 100_000},
		{Key: "minWireVersion", Value: 0},
		{Key: "maxWireVersion", Value: 21},
		{Key: "logicalSessionTimeoutMinutes", Value: 30},
		{Key: "ok", Value: 1},
	}
}

// usual is the answer of a database that has nothing, and takes everything.
func usual(command string) bson.D {
	switch command {
	case "insert":
		return bson.D{{Key: "n", Value: 1}, {Key: "ok", Value: 1}}
	case "update":
		return bson.D{{Key: "n", Value: 1}, {Key: "nModified", Value: 1}, {Key: "ok", Value: 1}}
	case "find":
		return found(0, "firstBatch")
	case "listIndexes":
		return failure(26, "NamespaceNotFound")
	}
	return bson.D{{Key: "ok", Value: 1}}
}

// found is the answer to a find or getMore. A cursor of 0 is at its end.
func found(cursor int64, batch string, docs ...any) bson.D {
	return bson.D{
		{Key: "cursor", Value: bson.D{{Key: "id", Value: cursor}, {Key: "ns", Value: "billbus.x"}, {Key: batch, Value: append(bson.A{}, docs...)}}},
		{Key: "ok", Value: 1},
	}
}

func failure(code int, name string) bson.D {
	return bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: code}, {Key: "codeName", Value: name}, {Key: "errmsg", Value: "SECRET"}}
}

// sent returns the commands of one name.
func (m *member) sent(name string) []bson.Raw {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.commands), func(body bson.Raw) bool {
		_, err := body.LookupErr(name)
		return errors.Is(err, io.EOF) || err != nil
	})
}
