package natsbus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/secret"
)

const (
	connectTimeout = 2 * time.Second
	reconnectWait  = 500 * time.Millisecond
	pingInterval   = 5 * time.Second
	watchInterval  = time.Second
	apiTimeout     = 5 * time.Second
	// headerReserve is the part of max_payload that is left for headers, which the
	// server counts too.
	headerReserve = 8 << 10
)

// Auth says where to connect, and with which credentials. Files are read again for
// every connection.
type Auth struct {
	URL          string // one server or a comma-separated list
	CredsFile    string
	NKeySeedFile string
	User         string
	Password     secret.Text
	PasswordFile string // of the Password; "" if it has none
	Token        secret.Text
	TokenFile    string // of the Token; "" if it has none
	CAFile       string
	CertFile     string
	KeyFile      string
	InboxPrefix  string // of the subjects of answers; "" for that of nats.go
}

// Bus is a connection to NATS. It never stops reconnecting.
type Bus struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	log     *slog.Logger
	repeats fault.Repeats
	login   string // the setting with which it logs in
	inbox   string // the prefix of the subjects of answers
	closed  chan struct{}

	watching sync.WaitGroup

	mu          sync.Mutex
	lastErr     error
	onReconnect []func()

	denials denials
}

// Open starts connecting and returns at once, because a program has to start, and
// to report that it is not ready, while NATS is down. It fails only for settings
// that can never work, such as an unreadable credentials file.
func Open(auth Auth, name string, log *slog.Logger) (*Bus, error) {
	b := &Bus{log: log, login: auth.login(), inbox: cmp.Or(auth.InboxPrefix, strings.TrimSuffix(nats.InboxPrefix, ".")), closed: make(chan struct{})}
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
	b.watching.Go(b.watch)
	return b, nil
}

func (b *Bus) options(auth Auth, name string) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name(name),
		nats.CustomInboxPrefix(b.inbox),
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
	return b.appendAuth(opts, auth)
}

func (b *Bus) appendAuth(opts []nats.Option, auth Auth) ([]nats.Option, error) {
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
		password := b.latest("NATS_PASSWORD_FILE", auth.PasswordFile, auth.Password)
		opts = append(opts, nats.UserInfoHandler(func() (string, string) { return auth.User, password() }))
	}
	if auth.Token.IsSet() {
		opts = append(opts, nats.TokenHandler(b.latest("NATS_TOKEN_FILE", auth.TokenFile, auth.Token)))
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

// latest returns a function that reads a secret from its file again, and returns the
// last one that it could read. nats.go makes one call at a time.
func (b *Bus) latest(setting, file string, last secret.Text) func() string {
	return func() string {
		if file == "" {
			return last.Reveal()
		}
		data, err := os.ReadFile(file)
		text := strings.TrimRight(string(data), "\r\n")
		if err == nil && text == "" {
			err = errors.New("the file is empty")
		}
		if err != nil {
			b.seldom(slog.LevelError, fmt.Errorf("%s: %w", setting, err), "the file cannot be read; logging in to NATS with what it said before")
			return last.Reveal()
		}
		last = secret.New(text)
		return text
	}
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
	if err != nil {
		b.keep(err)
		b.seldom(slog.LevelWarn, err, "lost the connection to NATS; reconnecting")
	}
}

// note takes the error of an attempt to connect. There may be one every half second,
// with changing texts.
func (b *Bus) note(err error) {
	// ErrNoServers only follows the errors of each server.
	if err == nil || errors.Is(err, nats.ErrNoServers) {
		return
	}
	err = b.explain(err)
	b.keep(err)
	b.seldom(slog.LevelWarn, err, "cannot connect to NATS; trying again")
}

// keep keeps the latest error for the readiness check.
func (b *Bus) keep(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastErr = err
}

// watch notes why there is no connection. nats.go reports an attempt that the server
// refuses only once if it has never been connected.
func (b *Bus) watch() {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-b.closed:
			return
		case <-tick.C:
		}
		if !b.nc.IsConnected() && !b.nc.IsClosed() {
			b.note(b.nc.LastError())
		}
	}
}

// reported takes an error that belongs to no call. A login that is refused on a
// reconnect is one.
func (b *Bus) reported(err error) {
	switch {
	case b.denied(err):
	case isLoginError(err):
		b.note(err)
	default:
		b.seldom(slog.LevelWarn, err, "NATS reported an error")
	}
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
// takes, or 0 while that is unknown. Of a small max_payload, half is for the payload.
func (b *Bus) MaxMessage() int {
	limit := int(b.nc.MaxPayload())
	return max(limit-headerReserve, limit/2)
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
	b.watching.Wait()
}
