package config_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/billbus/billbus/config"
)

// FuzzEnvironment sets one variable of a program to a value that contains a secret, in its place or
// not. What is wrong is reported without the secret, and the configuration does not print it.
func FuzzEnvironment(f *testing.F) {
	const hidden = "whsec_hunter2"
	var names []string
	for _, s := range append(config.BridgeServe(&config.Bridge{}), config.SubscriberRun(&config.Subscriber{})...) {
		names = append(names, s.Env)
	}
	for i := range names {
		for _, around := range [][2]string{{"", ""}, {"main=", ",old=whsec_b"}, {"mongodb://u:", "@h/?a=b"}, {"nats://", ":p@h:4222"}, {"a@acct_1=", "\n"}, {"1,", "d"}, {"%", "\xff"}} {
			f.Add(uint8(i), around[0], around[1])
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, before, after string) {
		name := names[int(which)%len(names)]
		given := minimal().with(name, before+hidden+after)
		var bridge config.Bridge
		var subscriber config.Subscriber
		if !loads(t, "bridge", config.BridgeServe(&bridge), given) || !loads(t, "subscriber run", config.SubscriberRun(&subscriber), given) {
			return
		}
		isSecret := slices.Contains([]string{"STRIPE_WEBHOOK_SECRETS", "STRIPE_API_KEY", "STRIPE_API_KEYS", "MONGODB_URI", "NATS_PASSWORD", "NATS_TOKEN"}, name)
		if printed := fmt.Sprintf("%+v %+v", bridge, subscriber); isSecret && strings.Contains(printed, "hunter2") {
			t.Errorf("%s is printed: %s", name, printed)
		}
	})
}

func loads(t *testing.T, program string, settings config.Settings, given env) bool {
	t.Helper()
	err := settings.Load(program, nil, given.get)
	if faults, ok := errors.AsType[*config.Faults](err); err != nil && (!ok || len(faults.Lines) == 0 || strings.Contains(err.Error(), "hunter2")) {
		t.Errorf("got %v", err)
	}
	return err == nil
}
