package stripehook

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
)

const secretPrefix = "whsec_"

// Key is a signing secret and its name in settings and logs. However a key is printed, logged or encoded,
// the secret is redacted.
type Key struct {
	Name, Secret string
	// Endpoint is the name of the endpoint whose secret it is. An endpoint can have several.
	Endpoint string
	// Account is the account to which events belong that name none themselves; "" is the platform.
	Account string
}

// String returns the name and no secret.
func (k Key) String() string { return k.Name + "=[redacted]" }

// GoString returns String, for %#v.
func (k Key) GoString() string { return k.String() }

// Format writes String, for every verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue returns String, for slog.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText returns String, for encoders: slog's JSON handler would print the fields of a key in a slice.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// check reports every fault in a list of keys. It identifies keys by their position, because a secret may
// have been given as a name.
func check(keys []Key) error {
	if len(keys) == 0 {
		return errors.New("no signing secrets")
	}
	var faults []error
	names, secrets := make(map[string]bool), make(map[string]bool)
	for i, k := range keys {
		at := "signing secret " + strconv.Itoa(i+1)
		if strings.Contains(k.Name, secretPrefix) {
			faults = append(faults, errors.New(at+": its name looks like a secret"))
		}
		if !wellFormed(k.Secret) {
			faults = append(faults, errors.New(at+": want whsec_ and at least one of A-Z a-z 0-9 _ + / = -"))
		}
		if names[k.Name] {
			faults = append(faults, errors.New(at+": its name is taken"))
		}
		if secrets[k.Secret] {
			faults = append(faults, errors.New(at+": the same as another one"))
		}
		names[k.Name], secrets[k.Secret] = true, true
	}
	return errors.Join(faults...)
}

// wellFormed rejects in particular the empty secret, with which anyone can sign.
func wellFormed(secret string) bool {
	rest, ok := strings.CutPrefix(secret, secretPrefix)
	return ok && rest != "" && strings.IndexFunc(rest, notSecret) < 0
}

func notSecret(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("_+/=-", r)
}
