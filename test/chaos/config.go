// Package chaos runs Billbus under load while processes, connections, the stream and the disk
// fail, by a schedule that is a function of a seed. Then everything heals, and package verdict
// judges what is stored. It is a tool for a person and for CI, and for tests only.
package chaos

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Config is what the flags say.
type Config struct {
	Seed     int64         `json:"seed"`
	Duration time.Duration `json:"duration"`
	// Events is how many are sent, without those that are sent more than once.
	Events      int       `json:"events"`
	Bridges     int       `json:"bridges"`
	Subscribers int       `json:"subscribers"`
	Servers     int       `json:"servers"`
	DB          string    `json:"db"`
	Faults      string    `json:"faults"` // kinds, "" for all
	Day         time.Time `json:"day"`    // the simulated events are of the time before it

	Dir    string `json:"-"` // where everything is kept; "" for nowhere, unless the run fails
	Report string `json:"-"`
	JSON   bool   `json:"-"`

	kinds []kind
}

// Databases, as --db names them.
const (
	embedded = "embedded" // allows one writer
	memory   = "memory"   // loses everything when it stops
	mongoDB  = "mongodb"  // runs already, so only the way to it fails
)

// settings is the file in which a run keeps its configuration, so that it can be repeated.
const settings = "settings.json"

// Parse reads the flags. It prints what is wrong with them.
func Parse(args []string, stderr io.Writer) (Config, error) {
	cfg := Config{Day: time.Now().UTC().Truncate(24 * time.Hour)}
	rate, repeated := 20.0, ""
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { usage(flags) }
	flags.Int64Var(&cfg.Seed, "seed", 0, "`seed` of events and faults (default random)")
	flags.DurationVar(&cfg.Duration, "duration", time.Minute, "how long events are sent and faults happen")
	flags.Float64Var(&rate, "rate", rate, "events a second")
	flags.IntVar(&cfg.Events, "events", 0, "events in all, instead of --rate")
	flags.IntVar(&cfg.Bridges, "bridges", 2, "bridges")
	flags.StringVar(&cfg.DB, "db", "", "`database`: embedded, memory (a server in memory that MongoDB's driver takes for one) or mongodb\n(default mongodb if "+mongoVariable+" is set, else embedded)")
	flags.IntVar(&cfg.Subscribers, "subscribers", 0, "subscribers (default 2; with the embedded database, which allows one writer, 1)")
	flags.IntVar(&cfg.Servers, "servers", 1, "NATS servers: 1 or 3")
	flags.StringVar(&cfg.Faults, "faults", "", "`kinds` of faults, separated by commas (default all)")
	flags.StringVar(&cfg.Dir, "dir", "", "`folder` in which to keep logs, data and history")
	flags.StringVar(&cfg.Report, "report", "", "`file` for a page with the timeline")
	flags.BoolVar(&cfg.JSON, "json", false, "print the result as a line of JSON")
	flags.StringVar(&repeated, "replay", "", "repeat the run whose `folder` this is")
	if err := flags.Parse(args); err != nil {
		return cfg, err
	}
	err := cfg.complete(repeated, rate, flags.Args())
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
	}
	return cfg, err
}

func (cfg *Config) complete(repeated string, rate float64, rest []string) error {
	if repeated != "" {
		text, err := os.ReadFile(filepath.Join(repeated, settings))
		if err == nil {
			err = json.Unmarshal(text, cfg)
		}
		if err != nil {
			return fmt.Errorf("--replay: %w", err)
		}
	}
	cfg.setDefaults()
	switch {
	case !slices.Contains([]string{embedded, memory, mongoDB}, cfg.DB):
		return fmt.Errorf("--db must be embedded, memory or mongodb, not %q", cfg.DB)
	case cfg.DB == mongoDB && os.Getenv(mongoVariable) == "":
		return fmt.Errorf("--db mongodb: set %s to the URI of the server", mongoVariable)
	case cfg.DB == embedded && cfg.Subscribers > 1:
		return fmt.Errorf("--subscribers: the embedded database allows one writer; take --db memory, or set %s, for more", mongoVariable)
	case len(rest) > 0:
		return fmt.Errorf("unexpected %q; see --help", rest[0])
	case cfg.Duration < 10*time.Second:
		return fmt.Errorf("--duration must be at least 10s, not %s", cfg.Duration)
	case cfg.Servers != 1 && cfg.Servers != 3:
		return fmt.Errorf("--servers must be 1 or 3, not %d", cfg.Servers)
	case cfg.Bridges < 1 || cfg.Subscribers < 1 || cfg.Events < 0 || rate <= 0:
		return fmt.Errorf("--bridges, --subscribers, --events and --rate must be above 0")
	}
	if cfg.Seed == 0 {
		cfg.Seed = rand.Int64()
	}
	if cfg.Events == 0 {
		cfg.Events = max(int(rate*cfg.Duration.Seconds()), 1)
	}
	var err error
	cfg.kinds, err = choose(kinds(shape{servers: cfg.Servers}), cfg.Faults)
	return err
}

func (cfg *Config) setDefaults() {
	if cfg.DB == "" {
		cfg.DB = embedded
		if os.Getenv(mongoVariable) != "" {
			cfg.DB = mongoDB
		}
	}
	if cfg.Subscribers == 0 {
		cfg.Subscribers = 2
		if cfg.DB == embedded {
			cfg.Subscribers = 1
		}
	}
}

// Command returns the command that repeats the run.
func (cfg Config) Command() string {
	text := fmt.Sprintf("go run ./cmd/chaos --seed %d --duration %s --events %d --bridges %d --subscribers %d --servers %d --db %s",
		cfg.Seed, cfg.Duration, cfg.Events, cfg.Bridges, cfg.Subscribers, cfg.Servers, cfg.DB)
	if cfg.Faults != "" {
		text += " --faults " + cfg.Faults
	}
	return text
}

func usage(flags *flag.FlagSet) {
	w := flags.Output()
	_, _ = fmt.Fprint(w, "Runs bridges and subscribers under load while everything else fails, and checks that nothing is lost.\n\n"+
		"Examples:\n"+
		"  # A minute; CI takes half of that on each database (make chaos)\n"+
		"  go run ./cmd/chaos\n"+
		"  # Two subscribers that write the same records, without a MongoDB server\n"+
		"  go run ./cmd/chaos --db memory\n"+
		"  # Ten minutes on a NATS cluster, with a page that shows what happened\n"+
		"  go run ./cmd/chaos --duration 10m --events 50000 --servers 3 --report chaos.html\n\n"+
		"--db mongodb is a database of its own on the server in "+mongoVariable+", which keeps running. --db memory is not\n"+
		"MongoDB, but speaks its protocol, and compares and replaces records in one step as MongoDB does. It would lose everything\n"+
		"if it stopped, so kill, term and rolling-restart leave it alone; it is frozen, and the way to it is cut and delayed.\n\n"+
		"Exit status 0 if nothing is wrong, 1 if something is, 2 for wrong usage.\n\nOptions:\n")
	flags.PrintDefaults()
	_, _ = fmt.Fprint(w, "\nKinds of faults:\n")
	for _, k := range kinds(shape{servers: 3}) {
		_, _ = fmt.Fprintf(w, "  %-16s  %s\n", k.name, strings.TrimSpace(k.about))
	}
}
