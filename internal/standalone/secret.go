package standalone

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/billbus/billbus/config"
)

const secretFile = "signing_secret"

// ensureSecret makes a signing secret if none is configured. It keeps it in the data
// folder, for the next start.
func ensureSecret(cfg *config.Standalone) (made bool, err error) {
	if len(cfg.Webhook.Secrets) > 0 {
		return false, nil
	}
	path := filepath.Join(cfg.DataDir, secretFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = writeSecret(path)
	}
	if err != nil {
		return false, fmt.Errorf("DATA_DIR: keeping the signing secret: %w", err)
	}
	secrets, err := config.ParseWebhookSecrets(strings.TrimSpace(string(text)))
	if err != nil {
		return false, fmt.Errorf("DATA_DIR: %s holds no signing secret (remove it to have a new one made): %w", secretFile, err)
	}
	cfg.Webhook.Secrets = secrets
	return true, nil
}

func writeSecret(path string) ([]byte, error) {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	text := []byte("whsec_" + hex.EncodeToString(random))
	return text, os.WriteFile(path, append(text, '\n'), 0o600)
}
