package stripeapi_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/billbus/billbus/internal/stripeapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key must not appear in any error.
const key = "sk_test_hunter2"

func client(t *testing.T, cfg stripeapi.Config) *stripeapi.Client {
	t.Helper()
	if cfg.Keys.Main == "" && cfg.Keys.Accounts == nil {
		cfg.Keys.Main = key
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := stripeapi.New(cfg)
	t.Cleanup(c.Close)
	return c
}
