package mongotest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

const (
	maxDocument = 16 << 20
	maxMessage  = 48_000_000
	headerSize  = 16
)

// Kinds of messages. A driver sends its first hello as a query.
const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// request is a message of a client.
type request struct {
	id      []byte
	op      uint32
	silent  bool // wants no answer
	command command
}

// command is a document that begins with the name of a command. Lists of documents can be
// next to it instead of in it. All of it is valid BSON.
type command struct {
	body  bson.Raw
	lists map[string][]bsoncore.Document
}

var errMalformed = errors.New("malformed message")

func read(r io.Reader) (req request, err error) {
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(r, header); err != nil {
		return req, err
	}
	size := binary.LittleEndian.Uint32(header)
	if size < headerSize || size > maxMessage {
		return req, errMalformed
	}
	body := make([]byte, size-headerSize)
	if _, err := io.ReadFull(r, body); err != nil {
		return req, err
	}
	req.id, req.op = header[4:8], binary.LittleEndian.Uint32(header[12:])
	switch req.op {
	case opMsg:
		return req, req.readMsg(body)
	case opQuery:
		return req, req.readQuery(body)
	}
	return req, errMalformed
}

func (req *request) readMsg(src []byte) error {
	flags, src, ok := wiremessage.ReadMsgFlags(src)
	req.silent = flags&wiremessage.MoreToCome != 0
	req.command.lists = map[string][]bsoncore.Document{}
	for ok && len(src) > 0 {
		var kind wiremessage.SectionType
		if kind, src, _ = wiremessage.ReadMsgSectionType(src); kind == wiremessage.SingleDocument {
			var doc bsoncore.Document
			doc, src, ok = wiremessage.ReadMsgSectionSingleDocument(src)
			req.command.body = bson.Raw(doc)
			ok = ok && doc.Validate() == nil
			continue
		}
		var name string
		var docs []bsoncore.Document
		name, docs, src, ok = wiremessage.ReadMsgSectionDocumentSequence(src)
		req.command.lists[name] = docs
		ok = ok && !slices.ContainsFunc(docs, func(doc bsoncore.Document) bool { return doc.Validate() != nil })
	}
	if !ok || flags&wiremessage.ChecksumPresent != 0 {
		return errMalformed
	}
	return nil
}

func (req *request) readQuery(src []byte) error {
	if _, query, ok := bytes.Cut(src[min(4, len(src)):], []byte{0}); ok && len(query) > 8 { // flags, collection, two numbers
		req.command.body = query[8:]
		return req.command.body.Validate()
	}
	return errMalformed
}

func (req *request) reply(answer bson.D) ([]byte, error) {
	doc, err := bson.Marshal(answer)
	if err != nil || req.silent {
		return nil, err
	}
	op, fields := uint32(opMsg), make([]byte, 5) // flags, and the kind of the section
	if req.op == opQuery {
		op, fields = opReply, []byte{16: 1, 19: 0} // flags, cursor, position, and the number of documents
	}
	out := make([]byte, 8, headerSize+len(fields)+len(doc))
	binary.LittleEndian.PutUint32(out, uint32(cap(out))) //nolint:gosec // below maxMessage
	out = append(out, req.id...)
	out = binary.LittleEndian.AppendUint32(out, op)
	return append(append(out, fields...), doc...), nil
}
