package config

import "strconv"

// maxSimulated is what the embedded database bears.
const maxSimulated = 2000

// simulation reads what standalone shall play at itself.
func (r *reader) simulation() (n int, once bool) {
	once = r.options["once"] != ""
	text, ok := r.options["simulate"]
	if !ok {
		if once {
			r.complain("--once: needs --simulate beside it")
		}
		return 0, once
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxSimulated {
		r.complain("--simulate: must be a number from 1 to %d, not %s", maxSimulated, quote(text))
	}
	return n, once
}
