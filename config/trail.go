package config

// Verify says what "subscriber verify" does with what it finds.
type Verify struct {
	Fix  bool // write what the audit trail says
	JSON bool // print a line of JSON for each finding
}

// switched says whether an option without a value was given.
func (r *reader) switched(name string) bool { return r.options[name] != "" }
