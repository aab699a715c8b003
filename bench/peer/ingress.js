// Verifies a webhook and publishes it, as a tutorial would.
import express from 'express';
import { connect } from 'nats';
import Stripe from 'stripe';

const { NATS_URL, LISTEN_ADDR, SECRET } = process.env;
const [host, port] = LISTEN_ADDR.split(':');
const stripe = new Stripe('sk_test_not_used');
const nc = await connect({ servers: NATS_URL.replace('nats://', '') });
const js = nc.jetstream();

const app = express();
app.get('/readyz', (req, res) => res.sendStatus(200));
app.post('/webhooks/stripe', express.raw({ type: 'application/json' }), async (req, res) => {
  let event;
  try {
    event = stripe.webhooks.constructEvent(req.body, req.headers['stripe-signature'], SECRET);
  } catch {
    return res.sendStatus(400);
  }
  await js.publish(`stripe.${event.type}`, req.body, { msgID: event.id });
  res.sendStatus(200);
});
app.listen(Number(port), host);
