package main

import (
	"context"
	"net/url"

	"github.com/billbus/billbus/test/attack"
)

// attackScenarios are the attacks on the bridge, each for a minute.
func attackScenarios() []scenario {
	var all []scenario
	for _, a := range attack.All("/webhooks/stripe", secret) {
		all = append(all, scenario{name: "attack-" + a.Name, title: a.Title, seconds: 60, fault: func(d *deployment) {
			ctx, end := context.WithTimeout(d.Context(), d.length())
			defer end()
			to, err := url.Parse(d.bridge.Webhooks)
			d.Must(err)
			a.Run(ctx, to.Host, func() {})
		}})
	}
	return all
}
