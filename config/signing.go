package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/billbus/billbus/internal/secret"
)

// NamedSecret is a webhook signing secret, and its name in metrics and messages.
type NamedSecret struct {
	Name    string
	Account string // to which events without an account of their own belong; "" for the platform
	Value   secret.Text
}

// Endpoint returns the name of the endpoint whose secret it is: its own name. Secrets
// without a name are of one endpoint.
func (s NamedSecret) Endpoint() string {
	if strings.HasPrefix(s.Name, unnamed+"-") {
		return unnamed
	}
	return s.Name
}

const (
	signingPrefix = "whsec_"
	unnamed       = "default"
)

// ParseWebhookSecrets reads the signing secrets in a setting or a file: `[name[@acct_…]=]whsec_…`,
// separated by commas or newlines. Blank entries and lines that start with # are ignored. Secrets without a
// name are called "default", "default-2" and so on, in order. Errors identify an entry by its
// position and never quote it.
func ParseWebhookSecrets(text string) ([]NamedSecret, error) {
	var (
		secrets []NamedSecret
		faults  []error
		unnamed int
	)
	for i, entry := range entries(text) {
		secret, err := parseEntry(entry, &unnamed)
		if err == nil {
			err = unique(secret, secrets)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("entry %d: %w", i+1, err))
			continue
		}
		secrets = append(secrets, secret)
	}
	switch {
	case len(faults) > 0:
		return nil, errors.Join(faults...)
	case len(secrets) == 0:
		return nil, errors.New("contains no secret")
	}
	return secrets, nil
}

// parseSecrets reports each line of an error as a fault.
func parseSecrets(field *[]NamedSecret) func(value) {
	return func(v value) {
		secrets, err := ParseWebhookSecrets(v.text)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				v.fault("%s", strings.TrimSpace(line))
			}
		}
		*field = secrets
	}
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

// parseEntry splits an entry into name and secret. A secret may contain "=" too, so an entry that
// starts like a secret has no name. Unnamed entries are counted, to give them names.
func parseEntry(entry string, unnamed *int) (NamedSecret, error) {
	name, value, found := strings.Cut(entry, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if strings.HasPrefix(entry, signingPrefix) {
		*unnamed++
		name, value, found = defaultName(*unnamed), entry, true
	}
	name, account, hasAccount := strings.Cut(name, "@")
	switch {
	case !found:
		return NamedSecret{}, errors.New("must be whsec_…, name=whsec_… or name@acct_…=whsec_…")
	case !matches(`[A-Za-z0-9_-]{1,64}`, name):
		return NamedSecret{}, errors.New("its name must be 1 to 64 letters, digits, _ or -")
	case hasAccount && !isAccount(account):
		return NamedSecret{}, errors.New("its account, after the @, must be acct_…")
	case !matches(`whsec_[A-Za-z0-9_+/=-]+`, value):
		return NamedSecret{}, errors.New("its value must be whsec_ and at least one letter, digit or one of _+/=-")
	case strings.Count(value, signingPrefix) > 1: // taken for one secret, they would verify nothing
		return NamedSecret{}, errors.New("contains whsec_ twice: separate secrets with a comma or a newline")
	}
	return NamedSecret{Name: name, Account: account, Value: secret.New(value)}, nil
}

func isAccount(text string) bool { return matches(`acct_[A-Za-z0-9_]{1,250}`, text) }

func defaultName(n int) string {
	if n == 1 {
		return unnamed
	}
	return fmt.Sprintf("%s-%d", unnamed, n)
}

// unique refuses a name or a secret that an earlier entry has: the counts by name would be wrong.
func unique(secret NamedSecret, others []NamedSecret) error {
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
