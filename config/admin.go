package config

import "net"

func admin(a *Admin, standard string, warnings *[]string) Settings {
	return Settings{
		{
			Env: "ADMIN_ADDR", Default: standard, Meaning: "where health, readiness and metrics are served, host:port",
			convert: addr(&a.Addr), check: func(r *reader) { a.check(r, warnings) },
		},
		{Env: "ADMIN_TOKEN", Meaning: "bearer token for metrics and for the texts of readiness checks", convert: adminToken(a)},
		{Env: "ADMIN_TOKEN_FILE", Value: "FILE", Meaning: "file with the token"},
		{Env: "ADMIN_TLS_CERT_FILE", Value: "FILE", Meaning: "certificate with which the admin address is served over TLS (PEM)", convert: readable(&a.CertFile)},
		{Env: "ADMIN_TLS_KEY_FILE", Value: "FILE", Meaning: "key of that certificate (PEM)", convert: readable(&a.KeyFile)},
	}
}

// adminToken refuses what could be guessed, or cannot be sent.
func adminToken(a *Admin) func(value) {
	return func(v value) {
		secretText(&a.Token)(v)
		if !matches(`[A-Za-z0-9._~+/=-]{16,}`, v.text) {
			v.fault("must be at least 16 letters, digits and characters of -._~+/=")
		}
	}
}

func (a *Admin) check(r *reader, warnings *[]string) {
	checkPair(r, "ADMIN_TLS_CERT_FILE, ADMIN_TLS_KEY_FILE", a.CertFile, a.KeyFile)
	if !a.Token.IsSet() && !isLoopback(a.Addr) {
		*warnings = append(*warnings, "ADMIN_ADDR is not on this machine alone, and ADMIN_TOKEN is not set: anyone who reaches it can read metrics and what the checks say")
	}
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err != nil || host == "localhost" || net.ParseIP(host).IsLoopback()
}
