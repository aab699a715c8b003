package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/billbus/billbus/config"
)

const hidden = "hunter2-never-shown"

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	secret := config.NewSecret(hidden)
	holder := struct {
		Public  config.Secret
		private config.Secret
	}{secret, secret}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("start", "secret", secret, "holder", holder)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("start", "secret", secret, "holder", holder)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		_, _ = fmt.Fprintf(&out, verb, secret)
		_, _ = fmt.Fprintf(&out, verb, &secret)
		_, _ = fmt.Fprintf(&out, verb, holder)
		_, _ = fmt.Fprintf(&out, verb, []config.Secret{secret})
	}
	encoded, err := json.Marshal(map[string]any{"holder": holder, "key": map[config.Secret]int{secret: 1}})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)

	for _, form := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden)} {
		if strings.Contains(out.String(), form) {
			t.Errorf("got %q in %s", form, out.String())
		}
	}
	if secret.Reveal() != hidden || !secret.IsSet() {
		t.Error("want the text where it is asked for")
	}
}

func TestSecretForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text, want string
	}{
		{"set", hidden, "[redacted]"},
		{"not set", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			secret := config.NewSecret(tt.text)
			text, _ := secret.MarshalText()
			for _, got := range []string{
				secret.String(), secret.GoString(), secret.LogValue().String(), string(text),
				fmt.Sprint(secret), fmt.Sprintf("%#v", secret),
			} {
				if got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			}
			if got, _ := json.Marshal(secret); string(got) != `"`+tt.want+`"` {
				t.Errorf("got JSON %s, want %q", got, tt.want)
			}
		})
	}
}

func TestSecretEqual(t *testing.T) {
	t.Parallel()
	a, b := config.NewSecret("a"), config.NewSecret("b")
	if !a.Equal(config.NewSecret("a")) || a.Equal(b) || !(config.Secret{}).Equal(config.NewSecret("")) {
		t.Error("want secrets equal where their texts are")
	}
}
