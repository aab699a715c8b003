package stripehook

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// maxHeader is the size of the longest header that is read. A thousand signatures are 69 KB.
const maxHeader = 128 << 10

// Header is what counts in a signature header: the time, and the signatures of scheme v1.
type Header struct {
	seconds    int64
	signatures []string
}

// ReadHeader reads a signature header like Stripe's own libraries: it skips schemes other than v1, whatever
// they look like, and signatures that are not a SHA-256. It reports false if the header has no time or two
// different ones: another reader could use the other one.
// See https://docs.stripe.com/webhooks#verify-manually
func ReadHeader(text string) (Header, bool) {
	if len(text) > maxHeader {
		return Header{}, false
	}
	var h Header
	found := false
	for pair := range strings.SplitSeq(text, ",") {
		switch name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "="); name {
		case "t":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || found && n != h.seconds {
				return Header{}, false
			}
			h.seconds, found = n, true
		case "v1":
			if isSHA256(value) {
				h.signatures = append(h.signatures, value)
			}
		}
	}
	return h, found
}

func isSHA256(s string) bool {
	sum, err := hex.DecodeString(s)
	return err == nil && len(sum) == 32
}

// Signed reports whether the header has a signature.
func (h Header) Signed() bool { return len(h.signatures) > 0 }

// SignedAt returns the time of the signature.
func (h Header) SignedAt() time.Time { return clamp(h.seconds) }

// String returns the header without anything that does not count: the SDK refuses a header for that.
func (h Header) String() string {
	return "t=" + strconv.FormatInt(h.seconds, 10) + ",v1=" + strings.Join(h.signatures, ",v1=")
}

// clamp prevents an overflow in the arithmetic of package time, which would turn the distant future into the
// past. It does not change any time that could be accepted.
func clamp(seconds int64) time.Time {
	const farAway = 1 << 40 // about 35,000 years
	return time.Unix(max(-farAway, min(seconds, farAway)), 0)
}
