package standalone

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/fault"
)

// greet prints where everything is. It prints the signing secret only if standalone
// made it: then there is no other way to learn it.
func (s *servers) greet(out io.Writer, cfg config.Standalone, ingress, admin net.Addr, made bool) error {
	secret := "as configured"
	if made {
		secret = cfg.Webhook.Secrets[0].Value.Reveal() + "   (kept in " + filepath.Join(cfg.DataDir, secretFile) + ")"
	}
	var b strings.Builder
	row := func(name, value string) { fmt.Fprintf(&b, "  %-16s %s\n", name, value) }
	b.WriteString("Billbus standalone is running.\n\n")
	row("webhook URL", "http://"+reachable(ingress)+cfg.Webhook.Path)
	row("signing secret", secret)
	row("NATS", s.nats.URL())
	row("MongoDB", s.docs.URI())
	row("admin", "http://"+reachable(admin)+"   (/readyz, /metrics)")
	row("data", cfg.DataDir)
	b.WriteString("\n" + sandbox("http://"+reachable(ingress)+cfg.Webhook.Path) + "\nStop with Ctrl-C.\n\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// sandbox explains how to forward events with the Stripe CLI, which signs them with its
// own secret.
func sandbox(url string) string {
	return "To receive events of your Stripe sandbox, start standalone with the secret of the Stripe CLI,\n\n" +
		"  STRIPE_WEBHOOK_SECRETS=\"$(stripe listen --print-secret)\" standalone\n\n" +
		"and forward events with the CLI:\n\n" +
		"  stripe listen --forward-to " + url + "\n" +
		"  stripe trigger customer.subscription.created\n"
}

// hintOnce prints that explanation again when the first webhook is rejected for its
// signature: most likely the Stripe CLI has signed it.
func hintOnce(out io.Writer, cfg config.Standalone) func(reason fault.Reason) {
	var once sync.Once
	return func(reason fault.Reason) {
		if reason != fault.NoMatchingSecret {
			return
		}
		once.Do(func() {
			_, port, _ := net.SplitHostPort(cfg.Webhook.Addr)
			_, _ = io.WriteString(out, "\nA webhook was rejected because it was not signed with standalone's signing secret.\n"+
				sandbox("http://localhost:"+port+cfg.Webhook.Path)+"\n")
		})
	}
}

// reachable returns an address that a client can use. The address of a listener on all
// interfaces is not one.
func reachable(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
