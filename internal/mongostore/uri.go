package mongostore

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"

	"github.com/billbus/billbus/internal/fault"
)

// URIError says why MONGODB_URI can never work. It does not quote the URI, which can
// contain a password.
type URIError string

func (e URIError) Error() string { return "MONGODB_URI: " + string(e) }

// connect returns a client, which connects in the background.
func connect(uri string, opts *options.ClientOptions) (*mongo.Client, error) {
	if err := checkURI(uri); err != nil {
		return nil, err
	}
	opts.ApplyURI(uri).
		SetAppName("billbus").
		SetServerSelectionTimeout(selectionTimeout).
		SetConnectTimeout(connectTimeout)
	opts.Timeout = nil // it would end index builds; everything else has a deadline of its own
	client, err := mongo.Connect(opts)
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return nil, fault.New(fault.Transient, fault.DatabaseDNS, errors.New("the name in MONGODB_URI has no SRV record: check it, and DNS"))
	}
	if err != nil {
		return nil, URIError("cannot be used: check its hosts and options")
	}
	return client, nil
}

// checkURI finds what is wrong with a URI, without asking DNS.
func checkURI(uri string) error {
	offline, err := withoutSRV(uri)
	if err != nil {
		return err
	}
	parsed, err := connstring.Parse(offline)
	if err != nil {
		return URIError("cannot be read: check its scheme, hosts and options, and that user and password are percent-encoded")
	}
	if unknown := slices.Sorted(maps.Keys(parsed.UnknownOptions)); len(unknown) > 0 {
		return URIError("the driver does not know the option " + name(unknown[0]))
	}
	if err := options.Client().ApplyURI(offline).Validate(); err != nil {
		return invalid(parsed, err)
	}
	return nil
}

// invalid names the files if they may be what is wrong.
func invalid(parsed *connstring.ConnString, err error) error {
	if !parsed.SSLCaFileSet && !parsed.SSLClientCertificateKeyFileSet && !parsed.SSLCertificateFileSet && !parsed.SSLPrivateKeyFileSet {
		return URIError("some options contradict each other or have wrong values")
	}
	if path, ok := errors.AsType[*os.PathError](err); ok {
		err = path.Err
	}
	return URIError(fmt.Sprintf("a file of tlsCAFile, tlsCertificateKeyFile, tlsCertificateFile or tlsPrivateKeyFile cannot be used: %v", err))
}

// name quotes the name of an option, unless it is more than a name.
func name(option string) string {
	isName := func(r rune) bool { return 'a' <= r && r <= 'z' }
	if strings.TrimLeftFunc(option, isName) != "" || len(option) > 40 {
		return "after one of the &"
	}
	return option
}

const schemeSRV = connstring.SchemeMongoDBSRV + "://"

// withoutSRV returns a URI that says the same as a mongodb+srv one, except that its host
// is not looked up.
func withoutSRV(uri string) (string, error) {
	rest, isSRV := strings.CutPrefix(uri, schemeSRV)
	if !isSRV {
		return uri, nil
	}
	hosts := strings.LastIndex(rest, "@") + 1
	server, query, _ := strings.Cut(rest[hosts:], "?")
	if host, _, _ := strings.Cut(server, "/"); strings.ContainsAny(host, ",:") {
		return "", URIError("mongodb+srv takes the name of one host, without a port")
	}
	arguments := slices.DeleteFunc(strings.Split(query, "&"), func(argument string) bool {
		return strings.HasPrefix(strings.ToLower(argument), "srv")
	})
	server, _, _ = strings.Cut(server+"/", "/") // a slash must be before the question mark
	return connstring.SchemeMongoDB + "://" + rest[:hosts] + server + "/?" + strings.Join(arguments, "&"), nil
}
