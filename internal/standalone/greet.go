package standalone

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"

	"github.com/billbus/billbus/config"
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
	b.WriteString("\nForward events of your Stripe sandbox to it:\n\n")
	fmt.Fprintf(&b, "  stripe listen --forward-to http://%s%s\n", reachable(ingress), cfg.Webhook.Path)
	b.WriteString("\nand start with STRIPE_WEBHOOK_SECRETS=\"$(stripe listen --print-secret)\". Stop with Ctrl-C.\n\n")
	_, err := io.WriteString(out, b.String())
	return err
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
