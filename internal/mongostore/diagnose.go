package mongostore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/auth"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/description"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/billbus/billbus/internal/fault"
)

// diagnosis says what an error means, and what the operator looks at. Its text quotes
// neither documents nor the URI.
type diagnosis struct {
	kind   fault.Kind
	reason fault.Reason
	text   string
}

// diagnose finds the cause of an error. What a server has answered comes before
// everything else: such a server can be reached.
func diagnose(err error) diagnosis {
	if unknown, ok := errors.AsType[unknownOutcome](err); ok {
		err = unknown.err
	}
	if selection, ok := errors.AsType[topology.ServerSelectionError](err); ok && !errors.Is(err, context.Canceled) {
		return ofSelection(selection.Desc)
	}
	for _, find := range []func(error) (diagnosis, bool){answered, unanswered} {
		if d, ok := find(err); ok {
			return d
		}
	}
	return transient(fault.DatabaseFailed, "the driver failed") // without its text, which may quote a document
}

func transient(reason fault.Reason, format string, args ...any) diagnosis {
	return diagnosis{fault.Transient, reason, fmt.Sprintf(format, args...)}
}

// ofSelection says why no server could be selected. It prefers what a server has
// answered to what is wrong with the others.
func ofSelection(desc description.Topology) diagnosis {
	var failed *diagnosis
	for _, server := range desc.Servers {
		if server.Kind != description.Unknown {
			return noPrimary()
		}
		if server.LastError != nil {
			if d := diagnose(server.LastError); failed == nil || d.reason == fault.DatabaseFailed {
				failed = &d
			}
		}
	}
	switch {
	case len(desc.Servers) == 0:
		return transient(fault.DatabaseNoPrimary, "no server is a member of the replica set: check replicaSet and the hosts in MONGODB_URI")
	case failed != nil:
		return *failed
	}
	return timedOut()
}

func noPrimary() diagnosis {
	return transient(fault.DatabaseNoPrimary,
		"MongoDB has no primary: an election is under way, or too few members are up; see rs.status(), and the hosts in MONGODB_URI")
}

func timedOut() diagnosis {
	return transient(fault.DatabaseTimeout,
		"MongoDB did not answer in time: see its load, its replication lag and firewalls, and check the hosts in MONGODB_URI")
}

// answered reads what a server has answered. It keeps code and name: the text of an
// answer can quote documents.
func answered(err error) (diagnosis, bool) {
	if concern := writeConcernError(err); concern != nil {
		return transient(fault.DatabaseFailed, "MongoDB could not confirm the write: code %d %s", concern.Code, concern.Name), true
	}
	if we, ok := errors.AsType[mongo.WriteError](err); ok {
		return refusedWrite(we), true
	}
	if ce, ok := errors.AsType[mongo.CommandError](err); ok && ce.Code != 0 {
		return refusedCommand(ce), true
	}
	if de, ok := errors.AsType[driver.Error](err); ok && de.Code != 0 {
		return refusedCommand(mongo.CommandError{Code: de.Code, Name: de.Name}), true
	}
	if errors.Is(err, mongo.ErrNoDocuments) {
		return transient(fault.DatabaseFailed, "%s", mongo.ErrNoDocuments), true
	}
	return diagnosis{}, false
}

func writeConcernError(err error) *mongo.WriteConcernError {
	if bulk, ok := errors.AsType[mongo.BulkWriteException](err); ok {
		return bulk.WriteConcernError
	}
	write, _ := errors.AsType[mongo.WriteException](err)
	return write.WriteConcernError
}

func refusedWrite(we mongo.WriteError) diagnosis {
	d := transient(fault.DatabaseFailed, "MongoDB refused the write with code %d", we.Code)
	switch we.Code {
	case codeValidation, codeTooLarge, codeTooLargeReplaced, codeTooLargeUpdated, codeKeyTooLong:
		d.kind, d.reason = fault.Permanent, fault.DatabaseRefused
	case codeDuplicateKey:
		if index := uniqueIndex(we); index != "" {
			text := fmt.Sprintf("the unique index %q forbids the document: Billbus did not create this index, so drop it", index)
			d = diagnosis{fault.Permanent, fault.DatabaseRefused, text}
		}
	}
	return d
}

func refusedCommand(ce mongo.CommandError) diagnosis {
	text := fmt.Sprintf("MongoDB failed with code %d %s", ce.Code, ce.Name)
	switch ce.Code {
	case codeAuthenticationFailed, codeAtlas:
		return transient(fault.DatabaseLogin, "%s: check user, password and authSource in MONGODB_URI", text)
	case codeUnauthorized:
		return transient(fault.DatabaseFailed, "%s: give the user in MONGODB_URI the role readWrite on MONGODB_DATABASE", text)
	case codeMaxTime:
		return transient(fault.DatabaseTimeout, "%s: see the load of MongoDB", text)
	case codeNotWritablePrimary, codeNotPrimaryNoSecondaryOK, codePrimarySteppedDown:
		return transient(fault.DatabaseNoPrimary, "%s: %s", text, noPrimary().text)
	}
	return transient(fault.DatabaseFailed, "%s", text)
}

// unanswered says why there is no answer.
func unanswered(err error) (diagnosis, bool) {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return transient(fault.DatabaseDNS, "the name of a MongoDB server does not resolve: check the hosts in MONGODB_URI"), true
	}
	if cause := ofTLS(err); cause != "" {
		return transient(fault.DatabaseTLS, "TLS with MongoDB failed: %s: check tls, tlsCAFile and tlsCertificateKeyFile in MONGODB_URI", cause), true
	}
	if _, ok := errors.AsType[*auth.Error](err); ok {
		return transient(fault.DatabaseLogin, "the login at MongoDB failed: check user, password, authSource and authMechanism in MONGODB_URI"), true
	}
	switch {
	case errors.Is(err, context.Canceled):
		return transient(fault.Closing, "canceled"), true
	case errors.Is(err, syscall.ECONNREFUSED):
		return transient(fault.DatabaseUnreachable, "the connection was refused: see whether MongoDB runs, and check hosts and ports in MONGODB_URI"), true
	case mongo.IsTimeout(err):
		return timedOut(), true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return transient(fault.DatabaseUnreachable, "the connection was closed: see MongoDB's log, and check tls in MONGODB_URI"), true
	}
	_, isNetwork := errors.AsType[net.Error](err)
	return transient(fault.DatabaseUnreachable, "network error: check the hosts in MONGODB_URI, and the network"), isNetwork || mongo.IsNetworkError(err)
}

// ofTLS names the cause if a TLS handshake has failed.
func ofTLS(err error) string {
	var (
		authority   x509.UnknownAuthorityError
		host        x509.HostnameError
		invalid     x509.CertificateInvalidError
		verifying   *tls.CertificateVerificationError
		plain       tls.RecordHeaderError
		opErr       *net.OpError
		certificate = errors.As(err, &verifying)
	)
	switch {
	case errors.As(err, &authority):
		return "the server's certificate is signed by an unknown authority"
	case errors.As(err, &host):
		return "the server's certificate is for another name"
	case errors.As(err, &invalid), certificate:
		return "the server's certificate is not valid"
	case errors.As(err, &plain):
		return "the server does not speak TLS"
	case errors.As(err, &opErr) && (opErr.Op == "remote error" || opErr.Op == "local error"): // an alert
		return "the handshake was refused"
	}
	return ""
}
