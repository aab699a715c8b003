package ops

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/secret"
)

// Admin says where a program serves its health and metrics, and to whom.
type Admin struct {
	Addr     string
	Token    secret.Text // without one, anyone may read everything
	CertFile string      // with KeyFile; "" is plain HTTP
	KeyFile  string
}

// maxAdmin is how many connections the admin address has at the same time. Probes and
// Prometheus need a few.
const maxAdmin = 100

// Listen opens the admin address. A certificate that is replaced is used from then on.
func (a Admin) Listen(log *slog.Logger) (net.Listener, error) {
	ln, err := Listen("ADMIN_ADDR", a.Addr)
	if err != nil {
		return nil, err
	}
	ln = Limit(ln, maxAdmin)
	if a.CertFile == "" {
		return ln, nil
	}
	pair, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
	if err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("ADMIN_TLS_CERT_FILE, ADMIN_TLS_KEY_FILE: %w", err)
	}
	c := &certificate{admin: a, log: log, last: &pair}
	return tls.NewListener(ln, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.latest}), nil
}

// certificate is that of an admin address. Few connections are made to one, so its files
// are read for each.
type certificate struct {
	admin   Admin
	log     *slog.Logger
	repeats fault.Repeats

	mu   sync.Mutex
	last *tls.Certificate
}

// latest returns the one before while the files do not belong together, as between the
// replacement of the first and that of the second.
func (c *certificate) latest(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.admin.CertFile, c.admin.KeyFile)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.last = &pair
	} else if _, due := c.repeats.Next("", time.Now()); due {
		c.log.Error("the certificate of the admin address cannot be loaded; serving with the one before (see ADMIN_TLS_CERT_FILE)", "error", err)
	}
	return c.last, nil
}

// AdminHandler serves /healthz (the process is alive), /readyz and /metrics. If there is a
// token, metrics need it, and so does what the checks of /readyz say. Whether the program
// is ready does not: orchestrators send no token.
func AdminHandler(h *Health, m *Metrics, token secret.Text) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.Handle("GET /readyz", readyHandler(h, token))
	metrics := m.Handler()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if !authorized(r, token) {
			unauthorized(w)
			return
		}
		metrics.ServeHTTP(w, r)
	})
	return mux
}

func authorized(r *http.Request, token secret.Text) bool {
	scheme, sent, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return !token.IsSet() || strings.EqualFold(scheme, "Bearer") && secret.New(sent).Equal(token)
}

func unauthorized(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="billbus"`)
	http.Error(w, "a bearer token is needed", http.StatusUnauthorized)
}
