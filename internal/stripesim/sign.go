package stripesim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Sign returns the Stripe-Signature header of a body.
// See https://docs.stripe.com/webhooks#verify-manually
func Sign(body []byte, secret string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%d.", at.Unix())
	mac.Write(body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// SignedCurl returns a command for any POSIX shell that sends a body, signed at that
// time. It contains the line breaks of the body.
func SignedCurl(url, secret string, body []byte, at time.Time) string {
	return "curl -sS -X POST " + quote(url) +
		" -H 'Content-Type: application/json; charset=utf-8'" +
		" -H " + quote("Stripe-Signature: "+Sign(body, secret, at)) +
		" --data-raw " + quote(string(body)) // with --data, a leading @ would name a file
}

// quote quotes any text without NUL bytes as one word of a shell.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
