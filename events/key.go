package events

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Platform takes the place of the account in sources and keys if there is no connected
// account.
const Platform = "platform"

const maxSafeID = 255

// Mode returns "live" or "test".
func Mode(livemode bool) string {
	if livemode {
		return "live"
	}
	return "test"
}

// Key joins mode, account and id with colons. It identifies an event or a subscription
// across modes and accounts: two accounts can use the same id. An id that Stripe would
// not make is replaced by its hash, as in [SafeID]; but hyphens are kept, since they
// are harmless in keys and common in ids of tests.
func Key(livemode bool, account, id string) string {
	return Mode(livemode) + ":" + accountToken(account) + ":" + keyID(id)
}

func keyID(id string) string {
	if plain := strings.ReplaceAll(id, "-", "_"); SafeID(plain) != plain {
		return SafeID(id)
	}
	return id
}

// StateBucket is the name of the key-value bucket with the state view.
const StateBucket = "BILLBUS_STATE"

// StateKey returns the key of a subscription's record in the state view.
func StateKey(livemode bool, account, subscription string) string {
	return strings.ReplaceAll(Key(livemode, account, subscription), ":", ".")
}

// CustomerAccessKey returns the key of a customer's access document in the state view.
func CustomerAccessKey(livemode bool, account, customer string) string {
	return accessKey(livemode, account, "customer", customer)
}

// UserAccessKey returns the key of the access document of one of the application's users.
func UserAccessKey(livemode bool, account, user string) string {
	return accessKey(livemode, account, "user", user)
}

func accessKey(livemode bool, account, kind, id string) string {
	return accessPrefix + Mode(livemode) + "." + accountToken(account) + "." + kind + "." + keyID(id)
}

// Source returns the CloudEvents source of an account's events.
func Source(livemode bool, account string) string {
	return "/stripe/" + accountToken(account) + "/" + Mode(livemode)
}

// SafeID returns id if it has 1 to 255 characters that Stripe uses in ids
// ([A-Za-z0-9_]), and otherwise its SHA-256 in hex. This keeps hostile ids out of
// headers and subjects.
func SafeID(id string) string {
	if id != "" && len(id) <= maxSafeID && strings.IndexFunc(id, notID) < 0 {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// MessageID returns the Nats-Msg-Id of an event that was admitted: its id, after the
// connected account and a colon if there is one.
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
