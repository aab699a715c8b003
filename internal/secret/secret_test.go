package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/billbus/billbus/internal/secret"
)

const hidden = "hunter2-never-shown"

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	text := secret.New(hidden)
	holder := struct {
		Public  secret.Text
		private secret.Text
	}{text, text}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("start", "secret", text, "holder", holder)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("start", "secret", text, "holder", holder)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		_, _ = fmt.Fprintf(&out, verb, text)
		_, _ = fmt.Fprintf(&out, verb, &text)
		_, _ = fmt.Fprintf(&out, verb, holder)
		_, _ = fmt.Fprintf(&out, verb, []secret.Text{text})
	}
	encoded, err := json.Marshal(map[string]any{"holder": holder, "key": map[secret.Text]int{text: 1}})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)

	for _, form := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden)} {
		if strings.Contains(out.String(), form) {
			t.Errorf("got %q in %s", form, out.String())
		}
	}
	if text.Reveal() != hidden || !text.IsSet() {
		t.Error("want Reveal to return the text")
	}
}

func TestSecretForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, plain, want string
	}{
		{"set", hidden, "[redacted]"},
		{"not set", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := secret.New(tt.plain)
			marshaled, _ := text.MarshalText()
			for _, got := range []string{
				text.String(), text.LogValue().String(), string(marshaled),
				fmt.Sprint(text), fmt.Sprintf("%#v", text),
			} {
				if got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			}
			if got, _ := json.Marshal(text); string(got) != `"`+tt.want+`"` {
				t.Errorf("got JSON %s, want %q", got, tt.want)
			}
		})
	}
}

func TestSecretEqual(t *testing.T) {
	t.Parallel()
	a, b := secret.New("a"), secret.New("b")
	if !a.Equal(secret.New("a")) || a.Equal(b) || !(secret.Text{}).Equal(secret.New("")) {
		t.Error("want secrets to be equal if their texts are equal")
	}
}
