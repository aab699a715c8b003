package natsbus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// login returns the setting with which it logs in.
func (a Auth) login() string {
	switch {
	case a.CredsFile != "":
		return "NATS_CREDS_FILE"
	case a.NKeySeedFile != "":
		return "NATS_NKEY_SEED_FILE"
	case a.PasswordFile != "":
		return "NATS_USER and NATS_PASSWORD_FILE"
	case a.User != "":
		return "NATS_USER and NATS_PASSWORD, or the login in NATS_URL"
	case a.TokenFile != "":
		return "NATS_TOKEN_FILE"
	case a.Token.IsSet():
		return "NATS_TOKEN, or the login in NATS_URL"
	case a.CertFile != "":
		return "NATS_CERT_FILE"
	}
	return "NATS_CREDS_FILE, NATS_NKEY_SEED_FILE, NATS_USER and NATS_TOKEN: none is set"
}

// explain adds the setting to look at to the error of an attempt to connect.
func (b *Bus) explain(err error) error {
	var (
		certificate *tls.CertificateVerificationError
		dns         *net.DNSError
		network     *net.OpError
	)
	switch {
	case isLoginError(err):
		return fmt.Errorf("the server refuses the login (see %s): %w", b.login, err)
	case errors.As(err, &certificate):
		return fmt.Errorf("the server's certificate cannot be verified (see NATS_CA_FILE and the names in NATS_URL): %w", err)
	case errors.Is(err, nats.ErrSecureConnRequired):
		return fmt.Errorf("the server requires TLS (see NATS_URL and NATS_CA_FILE): %w", err)
	case errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("the server does not offer TLS (see NATS_URL and NATS_CA_FILE): %w", err)
	case errors.As(err, &network) && network.Op == "remote error":
		return fmt.Errorf("the server refuses the TLS connection (see NATS_CERT_FILE): %w", err)
	case errors.As(err, &dns):
		return fmt.Errorf("the name in NATS_URL cannot be resolved: %w", err)
	}
	return err
}

func isLoginError(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked) ||
		errors.Is(err, nats.ErrAccountAuthExpired)
}

// seldom logs an error at level, but once a minute if it goes on, and otherwise at
// debug level.
func (b *Bus) seldom(level slog.Level, err error, message string, attrs ...any) {
	count, due := b.repeats.Next(message+b.kind(err), time.Now())
	if !due {
		level = slog.LevelDebug
	}
	b.log.Log(context.Background(), level, message, append(attrs, "error", err, "count", count)...)
}

// kind returns what tells an error from others. The text alone does not: it may
// contain a port, the time, an inbox or the subject of an acknowledgement, which are
// different each time.
func (b *Bus) kind(err error) string {
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network.Op + network.Net
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return fmt.Sprint("certificate", invalid.Reason)
	}
	text, _, _ := strings.Cut(err.Error(), b.inbox+".")
	text, _, _ = strings.Cut(text, "$JS.ACK.")
	return text
}
