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
	// headerReserve is kept free of max_payload, which counts headers too.
	headerReserve = 8 << 10
)

// Auth says how to connect and who we are.
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

// Bus is one connection to NATS. It reconnects for ever.
type Bus struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	log    *slog.Logger
	closed chan struct{}

	mu          sync.Mutex
	lastErr     error
	onReconnect []func()
}

// Open starts connecting and returns at once: a program has to start, and to
// say that it is not ready, while NATS is away. It fails only for settings that
// can never work, such as an unreadable credentials file.
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
		// The default gives up for good after 60 attempts.
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait/2, reconnectWait/2),
		nats.RetryOnFailedConnect(true),
		// Credentials may be rotated on the server first; a program that is not
		// ready and says why beats one that exited at night.
		nats.IgnoreAuthErrorAbort(),
		// Without a connection a publish has to fail at once, not to wait in a
		// buffer and reach the stream after Stripe was told that it failed.
		nats.ReconnectBufSize(-1),
		nats.ConnectHandler(func(nc *nats.Conn) { b.up("connected to NATS", nc) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { b.up("reconnected to NATS", nc) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { b.down(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.note(err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			b.note(err)
			b.log.Warn("NATS reported an error", "error", err)
		}),
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

// withoutURL drops the address that a parse error quotes, because it may hold a
// password.
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

// note keeps the latest cause for the readiness check, and logs it when it is
// a new one: a failed attempt every half second would fill a log.
func (b *Bus) note(err error) {
	// That no server is left to try follows from the errors of each.
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

// OnConnect registers a hook that runs after every connect and reconnect. It
// must not block.
func (b *Bus) OnConnect(hook func()) {
	b.mu.Lock()
	b.onReconnect = append(b.onReconnect, hook)
	b.mu.Unlock()
	if b.nc.IsConnected() {
		hook()
	}
}

// Check reports why the connection cannot be used now.
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

// MaxMessage is the largest payload that fits into one message of the connected
// server, 0 while it is unknown.
func (b *Bus) MaxMessage() int {
	limit := int(b.nc.MaxPayload()) - headerReserve
	return max(limit, 0)
}

// WaitClosed waits until ctx is done, and returns nil, or until the connection is
// closed for good, and returns an error. Only [Bus.Close] is meant to close it: a
// program that gets the error should end and be started again, rather than stay
// silent.
func (b *Bus) WaitClosed(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-b.closed:
		return errors.New("the connection to NATS was closed for good")
	}
}

// Close closes the connection and waits until it is.
func (b *Bus) Close() {
	b.nc.Close()
	<-b.closed
}
