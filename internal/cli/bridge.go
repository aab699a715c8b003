package cli

import "github.com/billbus/billbus/config"

// BridgeRuns is the code of the bridge's commands.
type BridgeRuns struct{ Serve, Provision, Link, Doctor, Health Run }

// Bridge defines the commands of the bridge. They load their settings into c.
func Bridge(c *config.Bridge, run BridgeRuns) Command {
	return Command{
		Name:  "bridge",
		Short: "Receive Stripe webhooks, verify them, and publish them to NATS JetStream",
		Commands: []Command{
			bridgeServe(c, run.Serve),
			bridgeProvision(c, run.Provision),
			bridgeDoctor(c, run.Doctor),
			bridgeLink(c, run.Link),
			health("bridge", "--admin-addr :9090", config.BridgeHealth(c), run.Health),
		},
	}
}

func bridgeServe(c *config.Bridge, run Run) Command {
	return Command{
		Name:  "serve",
		Short: "Receive webhooks until stopped",
		Long: "The bridge verifies each webhook and publishes it to the stream before it answers. It starts without NATS, and answers 503 " +
			"until it can publish; Stripe then sends the webhook again.",
		Examples: []Example{
			{"Receive webhooks of test mode", "STRIPE_WEBHOOK_SECRETS=whsec_… WEBHOOK_LIVEMODE=test bridge"},
			{"Read the signing secrets from a file", "bridge serve --webhook-livemode live --stripe-webhook-secrets-file secrets.txt"},
		},
		Settings: config.BridgeServe(c),
		Run:      run,
	}
}

func bridgeProvision(c *config.Bridge, run Run) Command {
	return Command{
		Name:  "provision",
		Short: "Create the streams, or change them to what the settings say",
		Long:  "This is the only command that changes streams that exist. It prints each difference.",
		Examples: []Example{
			{"Show what would change in the streams", "bridge provision --dry-run"},
			{"Keep three copies of the stream", "bridge provision --stream-replicas 3 --nats-url nats://nats:4222"},
		},
		Settings: config.BridgeProvision(c),
		Run:      run,
	}
}

func bridgeLink(c *config.Bridge, run Run) Command {
	return Command{
		Name:  "link",
		Short: "Publish which of your users a Stripe customer belongs to",
		Long: "Use it for customers whose users Stripe does not know. It publishes one pair, or the pairs in a CSV file. If it is interrupted, the same command " +
			"continues; publishing a file again changes nothing. Exit status 1 means that a pair was not published.",
		Examples: []Example{
			{"Link a customer to the user 42", "bridge link --customer cus_NffrFeUfNV2Hib --user 42"},
			{"Link the customers in a file, with a row like cus_NffrFeUfNV2Hib,42 for each", "bridge link --webhook-livemode live --file users.csv"},
		},
		Settings: config.BridgeLink(c),
		Run:      run,
	}
}

func bridgeDoctor(c *config.Bridge, run Run) Command {
	return Command{
		Name:  "doctor",
		Short: "Explain why a captured request does not verify",
		Long: "It verifies a request that was captured at your endpoint or in a proxy, with the configured secrets, and says what is " +
			"wrong and what to do. It connects to nothing. Exit status 0 means that the request verifies.",
		Examples: []Example{
			{"Read the request as a curl command from standard input", "pbpaste | STRIPE_WEBHOOK_SECRETS_FILE=secrets.txt bridge doctor"},
			{"Read body and headers from files", "bridge doctor --body body.json --headers headers.txt --stripe-webhook-secrets-file secrets.txt"},
		},
		Settings: config.BridgeDoctor(c),
		Run:      run,
	}
}
