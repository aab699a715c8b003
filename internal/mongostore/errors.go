package mongostore

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
		return mongo.WriteError{Code: codeDuplicateKey}
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

func isDuplicate(err error) bool {
	var we mongo.WriteError
	return errors.As(err, &we) && we.Code == codeDuplicateKey
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
	wrapped := fmt.Errorf("%s: %w", doing, describe(err))
	var we mongo.WriteError
	if errors.As(err, &we) {
		switch we.Code {
		case codeValidation, codeTooLarge, codeTooLargeReplaced, codeTooLargeUpdated, codeKeyTooLong:
			return fault.New(fault.Permanent, fault.DatabaseRefused, wrapped)
		}
		return fault.New(fault.Transient, fault.DatabaseFailed, wrapped)
	}
	if ce, ok := errors.AsType[mongo.CommandError](err); (ok && ce.Code != 0) || errors.Is(err, mongo.ErrNoDocuments) {
		return fault.New(fault.Transient, fault.DatabaseFailed, wrapped)
	}
	return fault.New(fault.Transient, fault.DatabaseUnreachable, wrapped)
}

// describe keeps the code and the name of an error. It drops the server's text, which
// quotes documents.
func describe(err error) error {
	if unknown, ok := errors.AsType[unknownOutcome](err); ok {
		return describe(unknown.err)
	}
	if we, ok := errors.AsType[mongo.WriteError](err); ok {
		return fmt.Errorf("MongoDB refused the write with code %d", we.Code)
	}
	if bulk, ok := errors.AsType[mongo.BulkWriteException](err); ok && bulk.WriteConcernError != nil {
		return fmt.Errorf("MongoDB could not confirm the write: code %d %s", bulk.WriteConcernError.Code, bulk.WriteConcernError.Name)
	}
	if write, ok := errors.AsType[mongo.WriteException](err); ok && write.WriteConcernError != nil {
		return fmt.Errorf("MongoDB could not confirm the write: code %d %s", write.WriteConcernError.Code, write.WriteConcernError.Name)
	}
	if ce, ok := errors.AsType[mongo.CommandError](err); ok && ce.Code != 0 {
		return fmt.Errorf("MongoDB failed with code %d %s", ce.Code, ce.Name)
	}
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return mongo.ErrNoDocuments
	case errors.Is(err, context.DeadlineExceeded), mongo.IsTimeout(err):
		return errors.New("timeout")
	case mongo.IsNetworkError(err):
		return errors.New("network error")
	}
	return errors.New("driver error")
}

const codeNamespaceNotFound = 26

func isNamespaceNotFound(err error) bool {
	ce, ok := errors.AsType[mongo.CommandError](err)
	return ok && ce.Code == codeNamespaceNotFound
}
