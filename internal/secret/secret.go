// Package secret keeps passwords, tokens and keys out of logs and output.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// redacted replaces every secret.
const redacted = "[redacted]"

// Text is a text that printing, logging and encoding never show. The zero Text is not set.
type Text struct {
	// A pointer, because fmt prints unexported fields of a struct without calling their methods. It
	// then prints an address instead of the text.
	text *string
}

// New returns text as a secret. An empty text is not set.
func New(text string) Text {
	if text == "" {
		return Text{}
	}
	return Text{text: &text}
}

// Reveal returns the text. Call it only where the text is used.
func (t Text) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

// IsSet reports whether there is a text.
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

// Format prints the result of String for every verb, and so for %#v.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue never returns the text.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText never returns the text, nor does JSON, which calls it.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
