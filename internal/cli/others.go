package cli

import "github.com/billbus/billbus/config"

// health is the command of a program that asks the one that runs.
func health(program, addr string, settings config.Settings, run Run) Command {
	return Command{
		Name:  "health",
		Short: "Ask the " + program + " that runs whether it is ready",
		Long:  "It prints each check. Exit status 0 means that the " + program + " is ready, 1 that it is not or does not answer.",
		Examples: []Example{
			{"Print the checks, with what is wrong", program + " health"},
			{"Ask in a container, for scripts", program + " health " + addr + " --json"},
		},
		Settings: settings,
		Run:      run,
	}
}

// Standalone defines the program that runs everything in one process. It loads its settings into c.
func Standalone(c *config.Standalone, run Run) Command {
	return Command{
		Name:  "standalone",
		Short: "Run the bridge, the subscriber, NATS and a document database in one process, for trying and developing",
		Long:  "All data is kept in one folder. Without a signing secret, one is made at the first start.",
		Examples: []Example{
			{"Receive webhooks that the Stripe CLI forwards", "STRIPE_WEBHOOK_SECRETS=\"$(stripe listen --print-secret)\" standalone"},
			{"Simulate 25 subscriptions, print what was stored, and stop", "standalone --simulate 25 --once"},
		},
		Settings: config.StandaloneRun(c),
		Run:      run,
	}
}

// Stripesim defines the simulator. It loads its settings into c.
func Stripesim(c *config.Stripesim, run Run) Command {
	return Command{
		Name:  "stripesim",
		Short: "Send signed webhooks of simulated subscriptions, as Stripe would",
		Long: "It sends the events of simulated subscriptions until all are answered 2xx, and knows the true final state of each. --disorder, --dry-run, " +
			"--json and --duplicates take a value only as --name=value. Exit status 1 means that an event was not accepted. With --api it also imitates " +
			"Stripe's API, from which a bridge reads what webhooks leave out, until it is stopped.",
		Examples: []Example{
			{"Send events out of order, some of them twice", "STRIPESIM_SECRET=whsec_… stripesim --subscriptions 100 --disorder --duplicates"},
			{"Imitate Stripe's API, and let every tenth request fail", "stripesim --api 127.0.0.1:12111 --api-error-every 10"},
		},
		Settings: config.StripesimSend(c),
		Run:      run,
	}
}
