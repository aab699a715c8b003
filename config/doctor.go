package config

import "time"

// Doctor says where "bridge doctor" finds the captured request: either Curl is set, or Body and one
// of Headers and Signature. Body, Headers and Curl name files; "-" is standard input.
type Doctor struct {
	Body      string
	Headers   string
	Signature string // the value of the header itself
	Curl      string
	JSON      bool // print the verdict as JSON
}

// doctor checks that the options name one whole request. Whether its files can be read turns out when
// they are: a pipe can be read only once.
func (r *reader) doctor() Doctor {
	d := Doctor{
		Body: r.options["body"], Headers: r.options["headers"], Signature: r.options["signature"],
		Curl: r.options["curl"], JSON: r.options["json"] != "",
	}
	signed := d.Headers != "" || d.Signature != ""
	switch {
	case d.Curl != "" && (d.Body != "" || signed):
		r.complain("--curl: is a whole request: leave out --body, --headers and --signature")
	case d.Headers != "" && d.Signature != "":
		r.complain("--headers, --signature: give one of the two")
	case d.Body != "" && !signed:
		r.complain("--body: needs --headers or --signature beside it")
	case d.Body == "" && signed:
		r.complain("--headers, --signature: need --body beside them")
	case d.Body == "-" && d.Headers == "-":
		r.complain("--body, --headers: cannot both be standard input")
	case d == Doctor{JSON: d.JSON}:
		d.Curl = "-"
	}
	return d
}

// verification reads the settings that decide whether a signature is accepted. The mode decides
// nothing; where it is set, an event of the other one hints at the wrong secret.
func (r *reader) verification() Webhook {
	w := Webhook{Tolerance: r.duration("WEBHOOK_TOLERANCE", time.Second)}
	if r.text["WEBHOOK_LIVEMODE"] != "" {
		w.Livemode = r.livemode()
	}
	r.webhookSecrets(&w, true)
	return w
}
