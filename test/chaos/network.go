package chaos

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/deploy"
	"github.com/billbus/billbus/test/kit/proxy"
)

// network is the proxies between all pairs of processes.
type network struct {
	t       *kit.Trial
	mu      sync.Mutex
	proxies []way
}

// way is one proxy.
type way struct {
	*proxy.Proxy
	from, to string
	link     string
}

// route makes a proxy on the way from one process to another, unless the database is a
// replica set, whose members would be reached directly.
func (n *network) route(from, to, addr string) string {
	w, reached := way{from: from, to: to, link: from + "-" + to}, addr
	switch {
	case to != deploy.DatabaseName:
		w.Proxy = proxy.New(n.t, addr)
		reached = w.Addr
	case single(addr):
		reached, w.Proxy = proxy.Through(n.t, addr)
	default:
		return reached
	}
	if isNode(to) && !isNode(from) {
		w.link = from + "-nats"
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.proxies = append(n.proxies, w)
	return reached
}

// single reports whether the URI of a database names one server.
func single(uri string) bool {
	return strings.HasPrefix(uri, "mongodb://") && !strings.Contains(uri, ",")
}

// each calls do for the proxies that are chosen. If there is none, nothing would happen.
func (n *network) each(chosen func(way) bool, do func(*proxy.Proxy) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	found := false
	for _, w := range n.proxies {
		if chosen(w) {
			found, errs = true, append(errs, do(w.Proxy))
		}
	}
	if !found {
		return errors.New("there is no such connection")
	}
	return errors.Join(errs...)
}

// spoil does something to some proxies for the length of the fault.
func (r *run) spoil(f Fault, chosen func(way) bool, do func(*proxy.Proxy) error) error {
	err := r.network.each(chosen, do)
	r.Wait(f.Length)
	return errors.Join(err, r.network.each(chosen, (*proxy.Proxy).Heal))
}

func of(link string) func(way) bool { return func(w way) bool { return w.link == link } }

func (r *run) cut(f Fault) error { return r.spoil(f, of(f.Target), (*proxy.Proxy).Cut) }

func (r *run) blackhole(f Fault) error { return r.spoil(f, of(f.Target), (*proxy.Proxy).Swallow) }

// delay derives its length from that of the fault, so that it depends on the seed.
func (r *run) delay(f Fault) error {
	by := 50*time.Millisecond + f.Length%(950*time.Millisecond)
	return r.spoil(f, of(f.Target), func(p *proxy.Proxy) error { return p.Delay(by) })
}

func (r *run) cutNode(f Fault) error {
	return r.spoil(f, func(w way) bool { return w.from == f.Target || w.to == f.Target }, (*proxy.Proxy).Cut)
}
