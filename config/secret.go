package config

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what stands in place of every secret.
const redacted = "[redacted]"

// Secret is a text that no printing, logging or encoding shows. The zero Secret is not set.
type Secret struct {
	// A pointer, because fmt prints the fields of a struct's unexported fields without asking their
	// methods: it then prints an address and not the text.
	text *string
}

// NewSecret wraps a text. The empty text is a secret that is not set.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text, for the one place that uses it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet says whether there is a text.
func (s Secret) IsSet() bool { return s.text != nil }

// Equal compares the texts in constant time.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String never returns the text.
func (s Secret) String() string {
	if !s.IsSet() {
		return ""
	}
	return redacted
}

// GoString never returns the text.
func (s Secret) GoString() string { return s.String() }

// Format makes every verb print what String returns, also those that look into structs.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue never returns the text.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText never returns the text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON never returns the text.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
