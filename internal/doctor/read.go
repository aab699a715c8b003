package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// maxFile is the size of the largest file that is read.
const maxFile = 64 << 20

// Input names the files of a request: either Curl, or Body and one of Headers and Signature.
type Input struct {
	Body      string
	Headers   string
	Signature string // the value of the header itself
	Curl      string
}

// Read reads a captured request. Each error starts with the option that it is about.
func Read(in Input, readFile func(name string) ([]byte, error)) (Request, error) {
	if in.Curl != "" {
		text, err := readFile(in.Curl)
		if err != nil {
			return Request{}, fmt.Errorf("--curl: cannot be read: %w", err)
		}
		return parseCurl(string(text), readFile)
	}
	body, err := readFile(in.Body)
	if err != nil {
		return Request{}, fmt.Errorf("--body: cannot be read: %w", err)
	}
	if in.Signature != "" {
		return Request{Body: body, Header: http.Header{signatureHeader: {in.Signature}}}, nil
	}
	headers, err := readFile(in.Headers)
	if err != nil {
		return Request{}, fmt.Errorf("--headers: cannot be read: %w", err)
	}
	return Request{Body: body, Header: parseHeaders(string(headers))}, nil
}

// Files returns a function that reads files, and stdin under the name "-". Its errors do not name the
// file, because a secret is easily given instead of a name.
func Files(stdin io.Reader) func(name string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		in := stdin
		if name != "-" {
			file, err := os.Open(name)
			if err != nil {
				return nil, errors.Unwrap(err)
			}
			defer func() { _ = file.Close() }()
			in = file
		}
		data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
		switch {
		case err != nil:
			return nil, cmp.Or(errors.Unwrap(err), err)
		case len(data) > maxFile:
			return nil, fmt.Errorf("it is larger than %d MB", maxFile>>20)
		}
		return data, nil
	}
}
