// Package natsbus carries messages through NATS JetStream. It connects, creates
// and checks streams and consumers, publishes, consumes, and stores dead letters.
//
// It publishes with watermill-nats, and consumes with a pull subscriber of its own
// that implements watermill's message.Subscriber. The comments on each setting say
// why it is needed and what it prevents.
//
// Delivery is at least once. A publish succeeds only when the stream has
// acknowledged the message. A message is acknowledged only after its handler has
// succeeded, and the server confirms the acknowledgement.
package natsbus
