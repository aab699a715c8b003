package natsbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/secret"
)

const (
	connectTimeout = 2 * time.Second
	reconnectWait  = 500 * time.Millisecond
	pingInterval   = 5 * time.Second
	apiTimeout     = 5 * time.Second
	// headerReserve is the part of max_payload that is left for headers, which the
	// server counts too.
	headerReserve = 8 << 10
)

// Auth says where to connect, and with which credentials.
type Auth struct {
	URL          string // one server or a comma-separated list
	CredsFile    string
	NKeySeedFile string
	User         string
	Password     secret.Text
	Token        secret.Text
	CAFile       string
	CertFile     string
	KeyFile      string
}

// Bus is a connection to NATS. It never stops reconnecting.
type Bus struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	log    *slog.Logger
	closed chan struct{}

	mu          sync.Mutex
	lastErr     error
	onReconnect []func()

	denials denials
}

// Open starts connecting and returns at once, because a program has to start, and
// to report that it is not ready, while NATS is down. It fails only for settings
// that can never work, such as an unreadable credentials file.
func Open(auth Auth, name string, log *slog.Logger) (*Bus, error) {
	b := &Bus{log: log, closed: make(chan struct{})}
	opts, err := b.options(auth, name)
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(auth.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", withoutURL(err))
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(apiTimeout))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("opening JetStream: %w", err)
	}
	b.nc, b.js = nc, js
	return b, nil
}

func (b *Bus) options(auth Auth, name string) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name(name),
		nats.Timeout(connectTimeout),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		// The default is to give up after 60 attempts.
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait/2, reconnectWait/2),
		nats.RetryOnFailedConnect(true),
		// Credentials may be rotated on the server first. A program that is not ready
		// and says why is better than one that has exited.
		nats.IgnoreAuthErrorAbort(),
		// Without a connection a publish has to fail at once. From a buffer it would
		// reach the stream after Stripe got the answer that it failed.
		nats.ReconnectBufSize(-1),
		nats.ConnectHandler(func(nc *nats.Conn) { b.up("connected to NATS", nc) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { b.up("reconnected to NATS", nc) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { b.down(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.note(err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.reported(err) }),
	}
	return appendAuth(opts, auth)
}

func appendAuth(opts []nats.Option, auth Auth) ([]nats.Option, error) {
	if auth.CredsFile != "" {
		opts = append(opts, nats.UserCredentials(auth.CredsFile))
	}
	if auth.NKeySeedFile != "" {
		nkey, err := nats.NkeyOptionFromSeed(auth.NKeySeedFile)
		if err != nil {
			return nil, fmt.Errorf("reading NATS_NKEY_SEED_FILE: %w", err)
		}
		opts = append(opts, nkey)
	}
	if auth.User != "" {
		opts = append(opts, nats.UserInfo(auth.User, auth.Password.Reveal()))
	}
	if auth.Token.IsSet() {
		opts = append(opts, nats.Token(auth.Token.Reveal()))
	}
	if auth.CAFile != "" {
		opts = append(opts, nats.RootCAs(auth.CAFile))
	}
	if auth.CertFile != "" {
		opts = append(opts, nats.ClientCert(auth.CertFile, auth.KeyFile))
	}
	return opts, nil
}

// withoutURL removes the address from a parse error: it may contain a password.
func withoutURL(err error) error {
	var parse *url.Error
	if errors.As(err, &parse) {
		return fmt.Errorf("NATS_URL cannot be parsed: %w", parse.Err)
	}
	return err
}

func (b *Bus) up(message string, nc *nats.Conn) {
	b.mu.Lock()
	b.lastErr = nil
	hooks := b.onReconnect
	b.mu.Unlock()
	b.denials.forget()
	b.log.Info(message, "server", nc.ConnectedServerName(), "version", nc.ConnectedServerVersion())
	for _, hook := range hooks {
		hook()
	}
}

func (b *Bus) down(err error) {
	b.note(err)
	if err != nil {
		b.log.Warn("lost the connection to NATS; reconnecting", "error", err)
	}
}

// note keeps the latest error for the readiness check. It logs an error only when
// it differs from the one before: there may be a failed attempt every half second.
func (b *Bus) note(err error) {
	// ErrNoServers only follows the errors of each server.
	if err == nil || errors.Is(err, nats.ErrNoServers) {
		return
	}
	b.mu.Lock()
	known := b.lastErr != nil && b.lastErr.Error() == err.Error()
	b.lastErr = err
	b.mu.Unlock()
	if !known {
		b.log.Warn("NATS is not reachable; trying again", "error", err)
	}
}

// reported takes an error that belongs to no call.
func (b *Bus) reported(err error) {
	if b.denied(err) {
		return
	}
	b.note(err)
	b.log.Warn("NATS reported an error", "error", err)
}

// OnConnect registers a hook that runs after every connect and reconnect, and now
// if the connection is up. It must not block.
func (b *Bus) OnConnect(hook func()) {
	b.mu.Lock()
	b.onReconnect = append(b.onReconnect, hook)
	b.mu.Unlock()
	if b.nc.IsConnected() {
		hook()
	}
}

// Check returns nil while connected, and otherwise why it is not.
func (b *Bus) Check(context.Context) error {
	if b.nc.IsConnected() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lastErr != nil {
		return fmt.Errorf("not connected to NATS: %w", b.lastErr)
	}
	return errors.New("not connected to NATS")
}

// WaitConnected waits until the connection is up, for commands that can do nothing
// without it.
func (b *Bus) WaitConnected(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := b.Check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// MaxMessage returns the size of the largest payload that the connected server
// takes, or 0 while that is unknown.
func (b *Bus) MaxMessage() int {
	return max(int(b.nc.MaxPayload())-headerReserve, 0)
}

// WaitClosed returns nil when ctx is done, and an error if the connection is closed
// for good before. Nothing but [Bus.Close] should close it: a program that gets the
// error should end and be restarted, instead of doing nothing.
func (b *Bus) WaitClosed(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-b.closed:
		return errors.New("the connection to NATS was closed for good")
	}
}

// Close closes the connection and waits until it is closed.
func (b *Bus) Close() {
	b.nc.Close()
	<-b.closed
}
