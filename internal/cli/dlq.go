package cli

import "github.com/billbus/billbus/config"

func subscriberDLQ(c *config.Subscriber, run SubscriberRuns) Command {
	return Command{
		Name:  "dlq",
		Short: "List dead letters, apply them again or discard them",
		Long: "A dead letter is a message that could not be stored. Once its cause is gone, apply it again. Sequences are those " +
			"of letters in the stream BILLBUS_DLQ.",
		Commands: []Command{dlqList(c, run.DLQList), dlqShow(c, run.DLQShow), dlqRedrive(c, run.Redrive), dlqDiscard(c, run.Discard)},
	}
}

func dlqList(c *config.Subscriber, run Run) Command {
	return Command{
		Name:  "list",
		Short: "List dead letters, and why each is one",
		Long:  "A letter must match all options; without options the newest letters are listed.",
		Examples: []Example{
			{"List the newest letters", "subscriber dlq list"},
			{"List those about subscriptions of the last two hours that could not be read", "subscriber dlq list --code unreadable --subject 'subscription.*' --since 2h"},
		},
		Settings: config.SubscriberDLQList(c),
		Run:      run,
	}
}

func dlqShow(c *config.Subscriber, run Run) Command {
	return Command{
		Name:  "show",
		Short: "Show everything about a dead letter",
		Long:  "It prints the whole reason and the headers of the message. The payload is printed only with --payload.",
		Examples: []Example{
			{"Show why message and letter are there", "subscriber dlq show 17"},
			{"Print what the message says", "subscriber dlq show 17 --payload"},
		},
		Settings: config.SubscriberDLQShow(c),
		Run:      run,
	}
}

func dlqRedrive(c *config.Subscriber, run Run) Command {
	return Command{
		Name:  "redrive",
		Short: "Apply dead letters again",
		Long: "It stores the messages of letters as if they had just been delivered, for this subscriber alone. A letter that is stored is removed " +
			"and recorded in the collection dead_letters; one that fails again stays. The same command can be repeated: each message has its " +
			"effect once. Exit status 1 means that a letter was not applied.",
		Examples: []Example{
			{"Apply two letters", "subscriber dlq redrive 17 18"},
			{"Apply all that could not be read, after an upgrade", "subscriber dlq redrive --all --code unreadable"},
		},
		Settings: config.SubscriberDLQRedrive(c),
		Run:      run,
	}
}

func dlqDiscard(c *config.Subscriber, run Run) Command {
	return Command{
		Name:  "discard",
		Short: "Remove dead letters without applying them",
		Long: "It asks before it removes letters, and records them in the collection dead_letters. Their messages stay in the stream. " +
			"Exit status 1 means that a letter was not discarded.",
		Examples: []Example{
			{"Discard a letter, after a question", "subscriber dlq discard 17"},
			{"Discard two letters in a script", "subscriber dlq discard 17 18 --yes --by ann"},
		},
		Settings: config.SubscriberDLQDiscard(c),
		Run:      run,
	}
}
