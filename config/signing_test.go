package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/secret"
)

func named(pairs ...string) []config.NamedSecret {
	var secrets []config.NamedSecret
	for i := 0; i < len(pairs); i += 2 {
		secrets = append(secrets, config.NamedSecret{Name: pairs[i], Value: secret.New(pairs[i+1])})
	}
	return secrets
}

func TestParseWebhookSecrets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       []config.NamedSecret
	}{
		{"one without a name is default", "whsec_a", named("default", "whsec_a")},
		{"several without a name are numbered", "whsec_a,whsec_b,whsec_c", named("default", "whsec_a", "default-2", "whsec_b", "default-3", "whsec_c")},
		{"named secrets are not counted", "main=whsec_a,whsec_b", named("main", "whsec_a", "default", "whsec_b")},
		{"lines", "# production\r\nmain=whsec_a\r\n\r\n  # old\n old = whsec_b ,\n", named("main", "whsec_a", "old", "whsec_b")},
		{"account", "main@acct_1A=whsec_a,org=whsec_b", []config.NamedSecret{
			{Name: "main", Account: "acct_1A", Value: secret.New("whsec_a")}, {Name: "org", Value: secret.New("whsec_b")},
		}},
		{"two secrets of one account", "old@acct_1=whsec_a\nnew@acct_1=whsec_b", []config.NamedSecret{
			{Name: "old", Account: "acct_1", Value: secret.New("whsec_a")}, {Name: "new", Account: "acct_1", Value: secret.New("whsec_b")},
		}},
		{"base64 padding belongs to the secret", "whsec_ab+/-_==,x=whsec_c=", named("default", "whsec_ab+/-_==", "x", "whsec_c=")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := config.ParseWebhookSecrets(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("secrets (-want +got):\n%s", diff)
			}
		})
	}
}

// Secrets without a name are of one endpoint.
func TestEndpointOfASecret(t *testing.T) {
	t.Parallel()
	secrets, err := config.ParseWebhookSecrets("main=whsec_a,whsec_b,whsec_c,main-2=whsec_d")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range secrets {
		got = append(got, s.Endpoint())
	}
	if diff := cmp.Diff([]string{"main", "default", "default", "main-2"}, got); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
}

func TestParseWebhookSecretsFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "contains no secret"},
		{"only comments", "# whsec_a\n\n", "contains no secret"},
		{"no prefix", "hunter2", "entry 1: must be whsec_"},
		{"API key", "main=sk_live_hunter2", "entry 1: its value must be whsec_"},
		{"empty secret", "whsec_", "entry 1: its value must be whsec_"},
		{"space within", "whsec_hunter 2", "entry 1: its value must be whsec_"},
		{"missing separator", "whsec_hunter2whsec_b", "entry 1: contains whsec_ twice"},
		{"secret instead of a name", "whsec_hunter2=whsec_b", "entry 1: contains whsec_ twice"},
		{"empty name", "=whsec_hunter2", "entry 1: its name must be"},
		{"name with a dot", "hunter2.x=whsec_b", "entry 1: its name must be"},
		{"name too long", strings.Repeat("a", 65) + "=whsec_b", "entry 1: its name must be"},
		{"account without a name", "@acct_1=whsec_hunter2", "entry 1: its name must be"},
		{"no account after the @", "hunter2@=whsec_b", "entry 1: its account, after the @, must be acct_…"},
		{"organization for an account", "main@org_hunter2=whsec_b", "entry 1: its account, after the @, must be acct_…"},
		{"secret for an account", "main@whsec_hunter2=whsec_b", "entry 1: its account, after the @, must be acct_…"},
		{"two accounts", "main@acct_1@acct_hunter2=whsec_b", "entry 1: its account, after the @, must be acct_…"},
		{"one name in two accounts", "a@acct_1=whsec_hunter2,a@acct_2=whsec_c", "entry 2: its name is taken"},
		{"name twice", "a=whsec_hunter2,a=whsec_c", "entry 2: its name is taken"},
		{"name like a default", "default=whsec_hunter2,whsec_c", "entry 2: its name is taken"},
		{"secret twice", "a=whsec_hunter2,b=whsec_hunter2", "entry 2: the same secret"},
		{"every entry is reported", "hunter2,whsec_b,x=hunter2", "entry 1: must be whsec_…, name=whsec_… or name@acct_…=whsec_…\nentry 3: its value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := config.ParseWebhookSecrets(tt.text)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || got != nil {
				t.Fatalf("got %v, %v, want an error %q", got, err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter") {
				t.Errorf("got a value in %q", err)
			}
		})
	}
}

// FuzzParseWebhookSecrets checks that accepted secrets follow the rules, and are the same when they
// are written out and read again.
func FuzzParseWebhookSecrets(f *testing.F) {
	for _, seed := range []string{"whsec_a", "main=whsec_a,\n# x\nold=whsec_b==", "whsec_a,whsec_b", "a@acct_1=whsec_a", "@=whsec_a", "=,=", "whsec_a=whsec_b", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		secrets, err := config.ParseWebhookSecrets(text)
		if (err == nil) != (len(secrets) > 0) {
			t.Fatalf("got %d secrets and error %v, want one of both", len(secrets), err)
		}
		var lines []string
		for _, s := range secrets {
			if !strings.HasPrefix(s.Value.Reveal(), "whsec_") || strings.ContainsAny(s.Value.Reveal(), " ,\n") {
				t.Errorf("got a secret that does not look like one")
			}
			name := s.Name
			if s.Account != "" {
				name += "@" + s.Account
			}
			lines = append(lines, name+"="+s.Value.Reveal())
		}
		if err != nil {
			return
		}
		again, err := config.ParseWebhookSecrets(strings.Join(lines, "\n"))
		if diff := cmp.Diff(secrets, again); err != nil || diff != "" {
			t.Errorf("read again: %v (-first +again):\n%s", err, diff)
		}
	})
}
