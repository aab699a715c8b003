package events

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Platform stands in sources and keys where there is no connected account.
const Platform = "platform"

const maxSafeID = 255

// Mode is "live" or "test".
func Mode(livemode bool) string {
	if livemode {
		return "live"
	}
	return "test"
}

// Key joins mode, account and id by colons: the identity of an event or a
// subscription across modes and accounts. Two accounts may use one id. An id
// that is none of Stripe's is replaced by its hash, as in [SafeID], but for
// hyphens, which are at home in keys and in ids that people make up.
func Key(livemode bool, account, id string) string {
	if plain := strings.ReplaceAll(id, "-", "_"); SafeID(plain) != plain {
		id = SafeID(id)
	}
	return Mode(livemode) + ":" + accountToken(account) + ":" + id
}

// Source is the CloudEvents source of an account's events.
func Source(livemode bool, account string) string {
	return "/stripe/" + accountToken(account) + "/" + Mode(livemode)
}

// SafeID returns id if it consists of 1 to 255 of the characters that Stripe
// uses in ids ([A-Za-z0-9_]), and the hex SHA-256 of it otherwise, so that a
// hostile id can never become part of a header or of a subject.
func SafeID(id string) string {
	if id != "" && len(id) <= maxSafeID && strings.IndexFunc(id, notID) < 0 {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// MessageID is the Nats-Msg-Id of an event: its id, preceded by the connected
// account if there is one.
func MessageID(account, id string) string {
	if account == "" {
		return SafeID(id)
	}
	return SafeID(account) + ":" + SafeID(id)
}

func accountToken(account string) string {
	if account == "" {
		return Platform
	}
	return SafeID(account)
}

func notID(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
		return false
	}
	return true
}
