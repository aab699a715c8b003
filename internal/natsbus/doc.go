// Package natsbus carries messages through NATS JetStream: it connects,
// creates and checks streams and consumers, publishes, consumes, and keeps
// dead letters.
//
// Publishing goes through watermill-nats; consuming through a pull subscriber
// of our own behind watermill's message.Subscriber. The reasons, and what each
// setting prevents, stand where it is set.
//
// Delivery is at least once. A publish has succeeded only when the stream's
// acknowledgement was seen; a message is acknowledged only after its handler
// succeeded, and the acknowledgement itself is confirmed.
package natsbus
