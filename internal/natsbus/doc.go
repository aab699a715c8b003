// Package natsbus carries messages through NATS JetStream. It connects, creates
// and checks streams and consumers, publishes, consumes, and stores dead letters.
//
// Its publisher and its pull subscriber implement watermill's message.Publisher and
// message.Subscriber on nats.go. The comments on each setting say
// why it is needed and what it prevents.
//
// Delivery is at least once. A publish succeeds only when the stream has
// acknowledged the message. A message is acknowledged only after its handler has
// succeeded, and the server confirms the acknowledgement.
package natsbus
