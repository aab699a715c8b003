package mongostore

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// Error codes of the server.
// See https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
const (
	codeDuplicateKey     = 11000
	codeValidation       = 121
	codeTooLarge         = 10334
	codeTooLargeReplaced = 17419
	codeTooLargeUpdated  = 17420
	codeKeyTooLong       = 17280

	codeNamespaceNotFound       = 26
	codeUnauthorized            = 13
	codeMaxTime                 = 50
	codeAuthenticationFailed    = 18
	codeAtlas                   = 8000
	codePrimarySteppedDown      = 189
	codeNotWritablePrimary      = 10107
	codeNotPrimaryNoSecondaryOK = 13435
)

// perDocument splits the error of an unordered bulk write into one for each document:
// nil if it was written. A write concern error, an error of the whole command, or one
// about a document that is not in it, leaves the outcome of every document unknown.
func perDocument(err error, n int) []error {
	failures := make([]error, n)
	if err == nil {
		return failures
	}
	bulk, ok := errors.AsType[mongo.BulkWriteException](err)
	if !ok || bulk.WriteConcernError != nil || len(bulk.WriteErrors) == 0 {
		return allUnknown(err, n)
	}
	for _, we := range bulk.WriteErrors {
		if we.Index < 0 || we.Index >= n {
			return allUnknown(err, n)
		}
		failures[we.Index] = we.WriteError
	}
	return failures
}

func allUnknown(err error, n int) []error {
	return slices.Repeat([]error{unknownOutcome{err}}, n)
}

// single converts the error of a command that wrote one document to the form that
// perDocument returns.
func single(err error) error {
	if err == nil {
		return nil
	}
	if ce, ok := errors.AsType[mongo.CommandError](err); ok && ce.Code == codeDuplicateKey {
		return mongo.WriteError{Code: codeDuplicateKey, Message: ce.Message, Raw: ce.Raw}
	}
	write, ok := errors.AsType[mongo.WriteException](err)
	if !ok || write.WriteConcernError != nil || len(write.WriteErrors) != 1 {
		return unknownOutcome{err}
	}
	return write.WriteErrors[0]
}

// unknownOutcome hides a duplicate key that comes with a write concern error: it does
// not prove that the document is durable.
type unknownOutcome struct{ err error }

func (u unknownOutcome) Error() string { return u.err.Error() }

// isDuplicate reports whether another document has the same _id. A collision in an
// index of the operator's says nothing about that.
func isDuplicate(err error) bool {
	we, ok := errors.AsType[mongo.WriteError](err)
	return ok && we.Code == codeDuplicateKey && uniqueIndex(we) == ""
}

// uniqueIndex names the index in which a document collided, or is "" for that of _id.
// A server that does not say which one it was has no other.
func uniqueIndex(we mongo.WriteError) string {
	_, name, found := strings.Cut(we.Message, " index: ")
	name, _, _ = strings.Cut(name, " collation: ")
	name, _, _ = strings.Cut(name, " dup key") // what follows quotes the document
	pattern, ok := we.Raw.Lookup("keyPattern").DocumentOK()
	keys, _ := pattern.Elements()
	switch {
	case len(keys) == 1 && keys[0].Key() == "_id", !ok && name == "_id_":
		return ""
	case ok && !found:
		return pattern.String()
	}
	return name
}

// written converts the outcome of one document to that of package store.
func written(doing string, failure error) error {
	if isDuplicate(failure) {
		return store.ErrExists
	}
	return explain(doing, failure)
}

// explain marks a failure with what it means. It is permanent only if the document
// itself can never be written.
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	d := diagnose(err)
	return fault.New(d.kind, d.reason, fmt.Errorf("%s: %w", doing, errors.New(d.text)))
}

func isNamespaceNotFound(err error) bool {
	ce, ok := errors.AsType[mongo.CommandError](err)
	return ok && ce.Code == codeNamespaceNotFound
}
