// Package micro measures what one event costs on its way: the signature, the message, and
// the record. Its benchmarks need no server; [stripesim] makes their events.
//
// [stripesim]: https://pkg.go.dev/github.com/billbus/billbus/internal/stripesim
package micro
