// Stores messages one by one, as a tutorial would: the event, and what it says about the
// subscription.
import { MongoClient } from 'mongodb';
import { connect } from 'nats';

const { NATS_URL, MONGODB_URI, MONGODB_DATABASE, STREAM, CONSUMER } = process.env;
const client = await new MongoClient(MONGODB_URI).connect();
const db = client.db(MONGODB_DATABASE);
const nc = await connect({ servers: NATS_URL.replace('nats://', '') });
const consumer = await nc.jetstream().consumers.get(STREAM, CONSUMER);

for await (const m of await consumer.consume()) {
  const message = m.json();
  const { event, subscription } = message.data;
  if (subscription) {
    const { id: _id, ...state } = subscription;
    await db.collection('subscriptions').updateOne({ _id }, { $set: state }, { upsert: true });
  }
  const document = { _id: message.id, type: message.type, created: new Date(message.time), payload: JSON.stringify(event) };
  try {
    await db.collection('webhook_events').insertOne(document);
  } catch (error) {
    if (error.code !== 11000) throw error; // delivered before
  }
  m.ack();
}
