package config

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/billbus/billbus/internal/secret"
)

// Stripesim is what the stripesim program was told.
type Stripesim struct {
	URL           string
	Secret        secret.Text
	Subscriptions int
	Rate          float64 // events per second; 0 is as fast as possible
	Duplicates    float64 // share, 0 to 1
	Disorder      bool
	Seed          *uint64  // nil: any
	Ties          float64  // probability, 0 to 1
	Kinds         []string // of ties; empty: somewhere in an ordinary history
	APIVersions   []string // empty: all
	File          string   // the one event to send, instead of a simulation
	DryRun        bool
	Truth         string // file for the true final states; "" for none
	JSON          bool
}

// bareDuplicates is what --duplicates alone means.
const bareDuplicates = "0.2"

// stripesimSettings is the table of the simulator's settings. Its variables begin with its name, since
// they may stand in the environment of the programs that it sends to; its flags do not.
func stripesimSettings() []setting {
	return []setting{
		{env: "STRIPESIM_URL", value: "http://localhost:8080/webhooks/stripe", meaning: "where to send"},
		{env: "STRIPESIM_SECRET", shown: "required", meaning: "signing secret, whsec_…"},
		{env: "STRIPESIM_SECRET_FILE", meaning: "file that holds it"},
		{env: "STRIPESIM_SUBSCRIPTIONS", value: "25", meaning: "how many subscriptions to simulate"},
		{env: "STRIPESIM_RATE", value: "0", shown: "0 (no limit)", meaning: "events per second"},
		{env: "STRIPESIM_DUPLICATES", value: "0", meaning: "share of events sent more than once, 0 to 1; --duplicates alone means " + bareDuplicates},
		{env: "STRIPESIM_DISORDER", value: "false", meaning: "send events out of order"},
		{env: "STRIPESIM_SEED", shown: "random", meaning: "number that decides everything: the same one makes the same events"},
		{env: "STRIPESIM_TIES", value: "0.1", meaning: "probability that several changes of a subscription carry one second, 0 to 1"},
		{env: "STRIPESIM_KINDS", shown: "none", meaning: "what the ends of subscriptions with ties are like, comma-separated, or all: " + strings.Join(stripesimKinds(), ", ")},
		{env: "STRIPESIM_API_VERSION", value: "mixed", meaning: "rendering of the events, comma-separated, or mixed: " + strings.Join(stripesimVersions(), ", ")},
		{env: "STRIPESIM_FILE", meaning: "send the one event in this file, once, and print the answer"},
		{env: "STRIPESIM_DRY_RUN", value: "false", meaning: "send nothing, print signed curl commands"},
		{env: "STRIPESIM_TRUTH", meaning: "file to write the true final states to, as JSON"},
		{env: "STRIPESIM_JSON", value: "false", meaning: "print the report as JSON"},
	}
}

// stripesimVersions are the renderings that the simulator knows.
func stripesimVersions() []string {
	return []string{
		"2015-10-01", "2020-08-27", "2023-10-16", "2024-06-20", "2025-01-27.acacia", "2025-03-31.basil", "2025-09-30.clover", "2026-07-29.dahlia",
	}
}

// stripesimKinds are the kinds of ties that webhooks can tell.
func stripesimKinds() []string {
	return []string{
		"chain", "created", "toggle", "circle", "open-circle", "beginning", "marker", "ended", "silent", "sparse", "mixed",
		"renderings", "test-clock", "doubled",
	}
}

// stripesimFlag is the flag of one of its settings.
func stripesimFlag(s setting) string { return strings.TrimPrefix(s.flag(), "stripesim-") }

func isSwitch(s setting) bool { return s.value == "false" }

// LoadStripesim reads the settings of the simulator. The error is a *Help or a *Faults.
func LoadStripesim(args []string, getenv func(string) string) (Stripesim, error) {
	r, err := readStripesim(args, getenv)
	if err != nil {
		return Stripesim{}, err
	}
	c := Stripesim{
		URL:           r.endpoint("STRIPESIM_URL"),
		Secret:        r.signingSecret("STRIPESIM_SECRET"),
		Subscriptions: int(r.integer("STRIPESIM_SUBSCRIPTIONS", 1, 100_000)),
		Rate:          r.number("STRIPESIM_RATE", 1_000_000),
		Duplicates:    r.number("STRIPESIM_DUPLICATES", 1),
		Disorder:      r.onOff("STRIPESIM_DISORDER"),
		Seed:          r.seed("STRIPESIM_SEED"),
		Ties:          r.number("STRIPESIM_TIES", 1),
		Kinds:         r.kinds("STRIPESIM_KINDS"),
		APIVersions:   r.versions("STRIPESIM_API_VERSION"),
		File:          r.text["STRIPESIM_FILE"],
		DryRun:        r.onOff("STRIPESIM_DRY_RUN"),
		Truth:         r.text["STRIPESIM_TRUTH"],
		JSON:          r.onOff("STRIPESIM_JSON"),
	}
	r.together(c)
	if err := r.err(); err != nil {
		return Stripesim{}, err
	}
	return c, nil
}

func readStripesim(args []string, getenv func(string) string) (*reader, error) {
	r := &reader{program: program{name: "stripesim"}, text: map[string]string{}, given: map[string]bool{}}
	flags := stripesimFlags()
	err := flags.Parse(doubleDashes(args))
	if told(flags, "help") || flags.Arg(0) == "help" {
		return nil, &Help{Text: stripesimHelp()}
	}
	if told(flags, "version") {
		return nil, &Help{Text: Version("stripesim") + "\n"}
	}
	if err != nil {
		r.complain("%s", stripesimUsage(err))
	}
	for _, word := range flags.Args() {
		if strings.HasPrefix(word, "--") {
			r.unknownFlag(word)
		} else {
			r.complain("an argument that is no flag (values of switches and of --duplicates are written --name=value)")
		}
	}
	r.takeStripesim(flags, getenv)
	return r, nil
}

func stripesimFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("stripesim", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.ParseErrorsAllowlist.UnknownFlagsHandling = pflag.PassUnknownFlagToArgs
	flags.BoolP("help", "h", false, "")
	flags.Bool("version", false, "")
	for _, s := range stripesimSettings() {
		flags.String(stripesimFlag(s), "", "")
		if isSwitch(s) {
			flags.Lookup(stripesimFlag(s)).NoOptDefVal = "true"
		}
	}
	flags.Lookup("duplicates").NoOptDefVal = bareDuplicates
	return flags
}

func stripesimUsage(err error) string {
	var (
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &missing):
		return fmt.Sprintf("--%s: needs a value", missing.GetFlag().Name)
	case errors.As(err, &invalid):
		return fmt.Sprintf("--%s: takes no value", invalid.GetFlag().Name)
	}
	return "an argument that is no flag: flags are written --name=value"
}

// takeStripesim fills in the text of every setting.
func (r *reader) takeStripesim(flags *pflag.FlagSet, getenv func(string) string) {
	for _, s := range stripesimSettings() {
		r.text[s.env] = s.value
		if value := getenv(s.env); value != "" {
			r.text[s.env], r.given[s.env] = value, true
		}
		flag := flags.Lookup(stripesimFlag(s))
		if !flag.Changed {
			continue
		}
		r.text[s.env], r.given[s.env] = flag.Value.String(), true
		if strings.HasPrefix(flag.Value.String(), "--") { // it took the next flag for its value
			r.fault(s.env, "--%s needs a value", flag.Name)
			r.text[s.env] = s.value
		}
	}
}

// endpoint reads the URL of a webhook endpoint.
func (r *reader) endpoint(env string) string {
	u, err := url.Parse(r.text[env])
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		r.fault(env, "must be a URL like http://localhost:8080/webhooks/stripe")
	}
	return r.text[env]
}

// signingSecret reads the one secret to sign with.
func (r *reader) signingSecret(env string) secret.Text {
	text, source := r.content(env)
	switch {
	case text == "" && source == env && !r.given[env+"_FILE"]:
		r.fault(env, "required: the signing secret that the receiver has, whsec_…")
	case text != "" && !matches(`whsec_[!-~]+`, text):
		r.fault(source, "must be whsec_…")
	}
	return secret.New(text)
}

// number reads a number from 0 to most.
func (r *reader) number(env string, most float64) float64 {
	value, err := strconv.ParseFloat(r.text[env], 64)
	if err != nil || math.IsNaN(value) || value < 0 || value > most {
		r.fault(env, "must be a number from 0 to %s, not %s", strconv.FormatFloat(most, 'f', -1, 64), quote(r.text[env]))
	}
	return value
}

func (r *reader) onOff(env string) bool {
	return r.oneOf(env, "true", "false") == "true"
}

// seed reads a number; none is any.
func (r *reader) seed(env string) *uint64 {
	if r.text[env] == "" {
		return nil
	}
	value, err := strconv.ParseUint(r.text[env], 10, 64)
	if err != nil {
		r.fault(env, "must be a whole number from 0 to %d, not %s", uint64(math.MaxUint64), quote(r.text[env]))
	}
	return &value
}

// versions reads a list of renderings; none is all.
func (r *reader) versions(env string) []string {
	list := r.list(env)
	if slices.Equal(list, []string{"mixed"}) {
		return nil
	}
	if len(list) == 0 {
		r.fault(env, "must not be empty")
	}
	r.known(env, list, stripesimVersions())
	return list
}

// kinds reads a list of kinds of ties.
func (r *reader) kinds(env string) []string {
	list := r.list(env)
	if slices.Equal(list, []string{"all"}) {
		return stripesimKinds()
	}
	r.known(env, list, stripesimKinds())
	return list
}

// known complains about the entries of a list that are none of some words.
func (r *reader) known(env string, list, words []string) {
	for i, entry := range list {
		if !slices.Contains(words, entry) {
			r.fault(env, "entry %d must be one of %s, not %s", i+1, strings.Join(words, ", "), quote(entry))
		}
	}
}

// together complains about settings that contradict each other.
func (r *reader) together(c Stripesim) {
	if c.File != "" && c.Truth != "" {
		r.fault("STRIPESIM_FILE, STRIPESIM_TRUTH", "the truth about one event is not known: set one of the two")
	}
	if c.DryRun && c.JSON {
		r.fault("STRIPESIM_DRY_RUN, STRIPESIM_JSON", "there is no report where nothing is sent: set one of the two")
	}
}

func stripesimHelp() string {
	var b strings.Builder
	b.WriteString("stripesim sends signed webhooks of made-up subscriptions as Stripe would, and knows their true final states\n\nUsage:\n")
	columns(&b, func(row func(...string)) {
		row("stripesim [flags]", "send the events of simulated subscriptions until all are answered 2xx")
		row("stripesim --file event.json [flags]", "send one event, once")
		row("stripesim --dry-run [flags]", "send nothing, print signed curl commands")
		row("stripesim --help", "print this text")
		row("stripesim --version", "print version, commit and Go version")
	})
	b.WriteString("\nSettings, as a flag or in the environment (the flag wins, an empty variable counts as unset):\n")
	columns(&b, func(row func(...string)) {
		row("FLAG", "VARIABLE", "DEFAULT", "MEANING")
		for _, s := range stripesimSettings() {
			row("--"+stripesimFlag(s), s.env, s.shownDefault(), s.meaning)
		}
	})
	b.WriteString("\nSwitches and --duplicates take a value only as --name=value. Other users of the machine can read flags:\n" +
		"give the secret in the environment or in a file.\n" +
		"\nExit status: 0 everything was answered 2xx; 1 something was not; 2 wrong usage or configuration.\n")
	return b.String()
}
