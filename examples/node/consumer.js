// A consumer of Billbus's stream in Node.js. It keeps who has access to what, and
// notes each cancellation once; see entitlement.js.
//
// It can be killed at any time. The durable consumer in the stream remembers which
// messages were acknowledged, and a message is acknowledged only after its effect is
// on disk. A message that is delivered again has no second effect.

import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager, JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";
import { connect, nanos } from "@nats-io/transport-node";
import { Book, decode } from "./entitlement.js";

const stream = "BILLBUS";
const durable = process.env.CONSUMER || "node";
const retryDelay = 5_000;

const book = new Book(process.env.FOLDER || "node-data");
// By default the client stops reconnecting after ten attempts.
const nc = await connect({ servers: process.env.NATS_URL || "nats://127.0.0.1:4222", maxReconnectAttempts: -1 });
await ensureConsumer();
const consumer = await jetstream(nc).consumers.get(stream, durable);
// Messages that are fetched ahead must be processed within the ack wait. Otherwise
// they are delivered again. If the stream or the consumer is deleted, the program
// ends: to wait for it would look like having nothing to do.
const messages = await consumer.consume({ max_messages: 32, abort_on_missing_resource: true });
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => messages.close());
for await (const message of messages) await settle(message);
await nc.drain();

// ensureConsumer creates the durable consumer if it does not exist. It does not change
// an existing one: its settings are the operator's.
async function ensureConsumer() {
  const { consumers } = await jetstreamManager(nc);
  try {
    await consumers.info(stream, durable);
  } catch (err) {
    if (!(err instanceof JetStreamApiError) || err.code !== JetStreamApiCodes.ConsumerNotFound) throw err;
    await consumers.add(stream, {
      durable_name: durable,
      filter_subject: "subscription.*",
      deliver_policy: DeliverPolicy.All,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(30_000),
      max_deliver: -1, // after the last delivery a message would be lost silently
    });
  }
}

// settle puts a message into effect, and acknowledges it or asks for it again.
async function settle(message) {
  let decoded;
  try {
    decoded = decode(message.data);
  } catch (err) {
    // It will not be readable the next time either.
    console.error(`skipping message ${message.seq} on ${message.subject}: ${err.message}`);
    return message.term("not readable");
  }
  try {
    book.apply(decoded);
  } catch (err) {
    console.error(`${decoded.id} failed, trying again: ${err.message}`);
    return message.nak(retryDelay);
  }
  console.log(decoded.id, decoded.type, decoded.subject);
  // If the acknowledgement is lost, the server delivers the message again.
  await message.ackAck().catch((err) => console.error(`acknowledging ${decoded.id}: ${err.message}`));
}
