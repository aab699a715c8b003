// Package proxy puts a proxy between a client and a server, which delays, cuts or swallows
// what they say. It is apart from package kit, because it links toxiproxy. Only tests import
// it.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/billbus/billbus/test/kit"
)

// Proxy passes connections on to a server. Its methods must not be called concurrently.
type Proxy struct {
	Addr string // for clients

	proxy *toxiproxy.Proxy
}

// service is what toxiproxy asks of a program; it has no state.
var service = sync.OnceValue(func() *toxiproxy.ApiServer {
	return toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
})

// New starts a proxy to the server at addr. It ends with the test.
func New(t testing.TB, addr string) *Proxy {
	t.Helper()
	p := toxiproxy.NewProxy(service(), addr, kit.FreeAddr(t), addr)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return &Proxy{Addr: p.Listen, proxy: p}
}

// Cut closes all connections, and refuses others until [Proxy.Heal].
func (p *Proxy) Cut() error {
	p.proxy.Stop()
	return nil
}

// Delay delays what clients send.
func (p *Proxy) Delay(by time.Duration) error {
	return p.add("latency", "upstream", "latency", by.Milliseconds())
}

// Swallow keeps connections open, accepts others, and lets nothing through. They are closed
// by [Proxy.Heal].
func (p *Proxy) Swallow() error {
	return errors.Join(p.add("timeout", "upstream", "timeout", 0), p.add("timeout", "downstream", "timeout", 0))
}

func (p *Proxy) add(kind, direction, attribute string, value int64) error {
	_, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"type":%q,"stream":%q,"attributes":{%q:%d}}`, kind, direction, attribute, value)))
	return err
}

// Heal ends all of these.
func (p *Proxy) Heal() error {
	p.proxy.Toxics.ResetToxics(context.Background())
	if err := p.proxy.Start(); !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
		return err
	}
	return nil
}

// Delayed returns the address of a proxy that passes on to addr what clients send, a while
// later.
func Delayed(t testing.TB, addr string, by time.Duration) string {
	t.Helper()
	p := New(t, addr)
	if err := p.Delay(by); err != nil {
		t.Fatal(err)
	}
	return p.Addr
}

// Through returns the URI of a document database, and a proxy on the way to it. It takes one
// server: the members of a replica set would be reached directly.
func Through(t testing.TB, uri string) (string, *Proxy) {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal("the URI of the database cannot be parsed, so no proxy can be on the way to it")
	}
	p := New(t, u.Host)
	query := u.Query()
	query.Del("replicaSet")
	query.Set("directConnection", "true")
	u.Host, u.RawQuery = p.Addr, query.Encode()
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), p
}
