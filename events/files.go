package events

import _ "embed"

//go:generate go test ../test/contract -update

var (
	//go:embed message.schema.json
	schema string
	//go:embed asyncapi.yaml
	asyncAPI string
)

// Schema is the JSON Schema (2020-12) of a [Message], with everything that
// [Message.Validate] checks and that JSON Schema can say. It leaves room for
// fields and words that later releases add.
func Schema() []byte { return []byte(schema) }

// AsyncAPI is the AsyncAPI 3.0 document, in YAML, of the subjects on which
// messages travel. Its payloads refer to [Schema] as ./message.schema.json.
func AsyncAPI() []byte { return []byte(asyncAPI) }
