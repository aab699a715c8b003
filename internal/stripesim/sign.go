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

// SignedCurl returns a command that sends a body, signed as of that time, in
// any POSIX shell. It ends with the body's line breaks as they are, so it is of
// several lines where the body is.
func SignedCurl(url, secret string, body []byte, at time.Time) string {
	return "curl -sS -X POST " + quote(url) +
		" -H 'Content-Type: application/json; charset=utf-8'" +
		" -H " + quote("Stripe-Signature: "+Sign(body, secret, at)) +
		" --data-raw " + quote(string(body)) // raw: a leading @ names no file
}

// quote makes one word of any text without NUL bytes.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
