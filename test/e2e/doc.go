// Package e2e tests the whole path. It runs the built programs, a NATS server and a
// document database as separate processes, sends events, kills and restarts processes,
// and then checks the result: every event that was answered 200 is in the audit trail
// once, and every state follows from the audit trail.
package e2e
