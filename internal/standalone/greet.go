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

// greet prints where everything is. A secret that was made here is printed,
// since whoever signs needs it; one that was given is not.
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

// sandbox says how to have the Stripe CLI send events here. It signs them with
// a secret of its own.
func sandbox(url string) string {
	return "To see events of your Stripe sandbox, start it with the secret of the Stripe CLI,\n\n" +
		"  STRIPE_WEBHOOK_SECRETS=\"$(stripe listen --print-secret)\" standalone\n\n" +
		"and let the CLI forward:\n\n" +
		"  stripe listen --forward-to " + url + "\n" +
		"  stripe trigger customer.subscription.created\n"
}

// hintOnce says so once more when the first webhook is rejected for its
// signature: most likely it was signed with the CLI's secret.
func hintOnce(out io.Writer, cfg config.Standalone) func(reason fault.Reason) {
	var once sync.Once
	return func(reason fault.Reason) {
		if reason != fault.NoMatchingSecret {
			return
		}
		once.Do(func() {
			_, port, _ := net.SplitHostPort(cfg.Webhook.Addr)
			_, _ = io.WriteString(out, "\nA webhook was rejected: it was not signed with the secret in use here.\n"+
				sandbox("http://localhost:"+port+cfg.Webhook.Path)+"\n")
		})
	}
}

// reachable is an address that a client can use: a listener on all interfaces
// has none.
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
