// Package secret holds texts that must never be seen: passwords, tokens, keys.
package secret

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// redacted replaces every secret.
const redacted = "[redacted]"

// Text is a text that no printing, logging or encoding shows. The zero Text is not set.
type Text struct {
	// A pointer, because fmt prints the fields of a struct's unexported fields without asking their
	// methods: it then prints an address and not the text.
	text *string
}

// New wraps a text. The empty text is a secret that is not set.
func New(text string) Text {
	if text == "" {
		return Text{}
	}
	return Text{text: &text}
}

// Reveal returns the text, for the one place that uses it.
func (t Text) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

// IsSet says whether there is a text.
func (t Text) IsSet() bool { return t.text != nil }

// Equal compares the texts in constant time.
func (t Text) Equal(other Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(other.Reveal())) == 1
}

// String never returns the text.
func (t Text) String() string {
	if !t.IsSet() {
		return ""
	}
	return redacted
}

// GoString never returns the text.
func (t Text) GoString() string { return t.String() }

// Format makes every verb print what String returns, also those that look into structs.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue never returns the text.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText never returns the text.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalJSON never returns the text.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
