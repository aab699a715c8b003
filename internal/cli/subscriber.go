package cli

import "github.com/billbus/billbus/config"

// SubscriberRuns is the code of the subscriber's commands.
type SubscriberRuns struct {
	Run, Audit, Verify, Replay, Health Run
	DLQList, DLQShow, Redrive, Discard Run
}

// Subscriber defines the commands of the subscriber. They load their settings into c.
func Subscriber(c *config.Subscriber, run SubscriberRuns) Command {
	return Command{
		Name:  "subscriber",
		Short: "Keep a record of each subscription and an audit trail in MongoDB, from the messages of the stream",
		Commands: []Command{
			subscriberRun(c, run.Run),
			subscriberAudit(c, run.Audit),
			subscriberVerify(c, run.Verify),
			subscriberReplay(c, run.Replay),
			subscriberDLQ(c, run),
			health("subscriber", "--admin-addr :9091", config.SubscriberHealth(c), run.Health),
		},
	}
}

func subscriberRun(c *config.Subscriber, run Run) Command {
	return Command{
		Name:  "run",
		Short: "Store messages until stopped",
		Long:  "It starts without NATS and MongoDB, and waits for them.",
		Examples: []Example{
			{"Store messages", "subscriber --nats-url nats://nats:4222 --mongodb-uri mongodb://mongo:27017"},
			{"Remove events from the audit trail after 90 days", "subscriber run --audit-retention 90d"},
		},
		Settings: config.SubscriberRun(c),
		Run:      run,
	}
}

func subscriberAudit(c *config.Subscriber, run Run) Command {
	return Command{
		Name:  "audit",
		Short: "Search the audit trail",
		Long: "It prints matching events, what each of them changed, whether it decided the subscription's state, and where events are " +
			"missing. An event must match all options; without options the newest events are printed.",
		Examples: []Example{
			{"Show what happened to a subscription", "subscriber audit --subscription sub_1MowQVLkdIwHu7ixeRlqHVzs"},
			{"Show failed payments of the last week, for jq", "subscriber audit --type invoice.payment_failed --since 7d --json"},
		},
		Settings: config.SubscriberAudit(c),
		Run:      run,
	}
}

func subscriberVerify(c *config.Subscriber, run Run) Command {
	return Command{
		Name:  "verify",
		Short: "Compare every record with the audit trail",
		Long: "It decides every record again from the audit trail, and prints what differs. It may run next to live traffic. Exit status 1 " +
			"means that a record differs. If WEBHOOK_LIVEMODE is set, ignored events that the settings admit are differences, too.",
		Examples: []Example{
			{"Print what differs", "subscriber verify"},
			{"Correct it, also from events that were ignored", "subscriber verify --fix --webhook-livemode any --webhook-accounts any"},
		},
		Settings: config.SubscriberVerify(c),
		Run:      run,
	}
}

func subscriberReplay(c *config.Subscriber, run Run) Command {
	return Command{
		Name:  "replay",
		Short: "Read the stream again into the database",
		Long: "It may run onto an empty database or one with data, and next to live subscribers: without --renormalize, what is stored already does not change. " +
			"If it is interrupted, the same command continues.",
		Examples: []Example{
			{"Read the whole stream, at most 500 messages a second", "subscriber replay --rate 500"},
			{"Read ignored events again after a setting was corrected", "subscriber replay --renormalize --webhook-livemode any"},
		},
		Settings: config.SubscriberReplay(c),
		Run:      run,
	}
}
