package events

import _ "embed"

//go:generate go test ../test/contract -update

var (
	//go:embed message.schema.json
	schema string
	//go:embed record.schema.json
	recordSchema string
	//go:embed asyncapi.yaml
	asyncAPI string
)

// Schema returns the JSON Schema (2020-12) of a [Message]. It checks what
// [Message.Validate] checks, as far as JSON Schema can express it, and accepts fields
// and words that later releases add.
func Schema() []byte { return []byte(schema) }

// RecordSchema returns the JSON Schema (2020-12) of a [Record].
func RecordSchema() []byte { return []byte(recordSchema) }

// AsyncAPI returns the AsyncAPI 3.0 document of the subjects, in YAML. Its payloads
// refer to [Schema] as ./message.schema.json.
func AsyncAPI() []byte { return []byte(asyncAPI) }
