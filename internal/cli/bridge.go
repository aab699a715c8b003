package cli

import "github.com/billbus/billbus/config"

// BridgeRuns is the code of the bridge's commands.
type BridgeRuns struct{ Serve, Provision, Link, Import, Backfill, Reconcile, EndpointCheck, EndpointCreate, Doctor, Health Run }

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
			bridgeImport(c, run.Import),
			bridgeBackfill(c, run.Backfill),
			bridgeReconcile(c, run.Reconcile),
			bridgeEndpoint(c, run),
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
			{"Keep three copies of everything, and create the consumers, too", "bridge provision --stream-replicas 3 --consumers"},
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

func bridgeImport(c *config.Bridge, run Run) Command {
	return Command{
		Name:  "import",
		Short: "Publish the present state of all subscriptions and customers",
		Long: "Use it for subscriptions that are older than your endpoint. It publishes snapshots, which announce no change, and can run while webhooks arrive. If it is " +
			"interrupted, the same command continues; running it again publishes only what differs. Exit status 1 means that an object was not published.",
		Examples: []Example{
			{"Count first: by status, and which keys of metadata could hold the user", "bridge import --dry-run --webhook-livemode live --stripe-api-key-file key.txt"},
			{"Import all, with ten calls a second", "bridge import --rate 10 --webhook-livemode live --stripe-api-key-file key.txt"},
		},
		Settings: config.BridgeImport(c),
		Run:      run,
	}
}

func bridgeBackfill(c *config.Bridge, run Run) Command {
	return Command{
		Name:  "backfill",
		Short: "Publish events that Stripe has and the stream lacks",
		Long: "It reads the events of the last 30 days, which is as long as Stripe keeps them, from Stripe's API, and publishes those that are missing as if " +
			"their webhooks had arrived. If it is interrupted, the same command continues; running it again changes nothing. Exit status 1 means that some events were not published.",
		Examples: []Example{
			{"Publish what did not arrive since Friday", "bridge backfill --since 3d --stripe-api-key-file key.txt --webhook-livemode live"},
			{"Count the events of two types that are missing", "bridge backfill --types invoice.paid,customer.subscription.deleted --dry-run --webhook-livemode live --stripe-api-key-file key.txt"},
		},
		Settings: config.BridgeBackfill(c),
		Run:      run,
	}
}

func bridgeReconcile(c *config.Bridge, run Run) Command {
	return Command{
		Name:  "reconcile",
		Short: "Compare Stripe's subscriptions with the state view",
		Long: "It reads all subscriptions from Stripe, compares each with its record in the bucket BILLBUS_STATE, and prints what differs, after a second look. " +
			"With --publish, it publishes snapshots of them. Exit status 1 means that something differs, or, with --publish, that something differs and was not published.",
		Examples: []Example{
			{"Compare all subscriptions", "bridge reconcile --webhook-livemode live --stripe-api-key-file key.txt"},
			{"Compare those of the last week, and publish what differs", "bridge reconcile --created-since 7d --publish --webhook-livemode live --stripe-api-key-file key.txt"},
		},
		Settings: config.BridgeReconcile(c),
		Run:      run,
	}
}

func bridgeEndpoint(c *config.Bridge, run BridgeRuns) Command {
	return Command{
		Name:  "endpoint",
		Short: "Check or create the webhook endpoint at Stripe",
		Commands: []Command{
			{
				Name:  "check",
				Short: "Compare the webhook endpoints at Stripe with what is needed",
				Long: "It lists the account's endpoints for the bridge, and prints what is wrong with their address, status, API version, mode and selected events, and what to do. " +
					"It changes nothing. Exit status 1 means that something is wrong.",
				Examples: []Example{
					{"Check the endpoints whose path is /webhooks/stripe", "bridge endpoint check --stripe-api-key-file key.txt"},
					{"Check one endpoint", "bridge endpoint check --url https://example.com/webhooks/stripe --stripe-api-key-file key.txt"},
				},
				Settings: config.EndpointCheck(c),
				Run:      run.EndpointCheck,
			},
			{
				Name:  "create",
				Short: "Create the webhook endpoint at Stripe",
				Long: "It writes the signing secret to a new file, and prints it nowhere. If there is an endpoint for the address already, it creates none. " +
					"The key needs write permission on Webhook Endpoints.",
				Examples: []Example{
					{"Create an endpoint that gets all events that Billbus can use", "bridge endpoint create --url https://example.com/webhooks/stripe --secret-file secret.txt --stripe-api-key-file key.txt"},
					{"Create one for connected accounts, with another address", "bridge endpoint create --url 'https://example.com/webhooks/stripe?connect' --connect --secret-file connect.txt --stripe-api-key-file key.txt"},
				},
				Settings: config.EndpointCreate(c),
				Run:      run.EndpointCreate,
			},
		},
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
