package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/billbus/billbus/internal/secret"
)

// NamedSecret is a webhook signing secret and the name that metrics and messages call it by.
type NamedSecret struct {
	Name  string
	Value secret.Text
}

const signingPrefix = "whsec_"

// ParseWebhookSecrets reads signing secrets as they stand in a setting or a file: `[name=]whsec_…`,
// separated by commas or newlines. Blank entries and lines that start with # are ignored. Secrets
// without a name are called "default", "default-2" and so on, in their order. Errors name an entry by
// its position among all entries, never by its value.
func ParseWebhookSecrets(text string) ([]NamedSecret, error) {
	var (
		secrets []NamedSecret
		faults  []error
		unnamed int
	)
	for i, entry := range entries(text) {
		secret, err := parseEntry(entry, &unnamed)
		if err == nil {
			err = unlike(secret, secrets)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("entry %d: %w", i+1, err))
			continue
		}
		secrets = append(secrets, secret)
	}
	if len(faults) == 0 && len(secrets) == 0 {
		return nil, errors.New("holds no secret")
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return secrets, nil
}

func entries(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		found = append(found, split(line)...)
	}
	return found
}

// parseEntry counts the unnamed entries as it names them.
func parseEntry(entry string, unnamed *int) (NamedSecret, error) {
	name, value, err := cutName(entry, unnamed)
	if err != nil {
		return NamedSecret{}, err
	}
	if !matches(`whsec_[A-Za-z0-9_+/=-]+`, value) {
		return NamedSecret{}, errors.New("its value must be whsec_ and at least one letter, digit or one of _+/=-")
	}
	// Two secrets with the separator forgotten would be one that verifies nothing.
	if strings.Count(value, signingPrefix) > 1 {
		return NamedSecret{}, errors.New("holds whsec_ twice: separate secrets with a comma or a newline")
	}
	return NamedSecret{Name: name, Value: secret.New(value)}, nil
}

// cutName takes the name off an entry. A secret may hold "=" itself, so only what does not start like
// one has a name.
func cutName(entry string, unnamed *int) (name, value string, err error) {
	if strings.HasPrefix(entry, signingPrefix) {
		*unnamed++
		return defaultName(*unnamed), entry, nil
	}
	name, value, found := strings.Cut(entry, "=")
	if !found {
		return "", "", errors.New("must be whsec_… or name=whsec_…")
	}
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !matches(`[A-Za-z0-9_-]{1,64}`, name) {
		return "", "", errors.New("its name must be 1 to 64 letters, digits, _ or -")
	}
	return name, value, nil
}

func defaultName(n int) string {
	if n == 1 {
		return "default"
	}
	return fmt.Sprintf("default-%d", n)
}

// unlike refuses a name or a value that stands among others already: counts by name would lie.
func unlike(secret NamedSecret, others []NamedSecret) error {
	for _, other := range others {
		if other.Name == secret.Name {
			return errors.New("its name is taken by an earlier entry")
		}
		if other.Value.Equal(secret.Value) {
			return errors.New("the same secret as an earlier entry")
		}
	}
	return nil
}

// matches says whether the whole text fits the pattern.
func matches(pattern, text string) bool {
	return regexp.MustCompile(`\A(?:` + pattern + `)\z`).MatchString(text)
}

// split takes a comma-separated list apart; blank entries are left out.
func split(text string) []string {
	var list []string
	for entry := range strings.SplitSeq(text, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			list = append(list, entry)
		}
	}
	return list
}
