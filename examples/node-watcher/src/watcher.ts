// Answers over HTTP who may use what. It watches the bucket BILLBUS_STATE, and keeps the
// answers in memory.
//
// It can be killed at any time: it has no state of its own, and reads all present values
// when it starts. While NATS is unreachable, it goes on answering with what it has.

import { createServer, type ServerResponse } from "node:http";
import { setTimeout } from "node:timers/promises";
import { jetstream } from "@nats-io/jetstream";
import { Kvm, type KV, type KvWatchEntry } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { Answers } from "./answers.js";

const bucketName = "BILLBUS_STATE";
// Without STATES, only the access documents are kept.
const keys = process.env.STATES ? ">" : "access.>";
const retryDelay = 1_000;
const checkInterval = 5_000;

const answers = new Answers();
let ready = false; // all present values were read once

// By default the client stops reconnecting after ten attempts.
const nc = await connect({ servers: process.env.NATS_URL || "nats://127.0.0.1:4222", maxReconnectAttempts: -1, waitOnFirstConnect: true });
const server = createServer((request, response) => answer((request.url ?? "/").replace(/\?.*$/, ""), response));
server.listen(Number(process.env.PORT || "8090"), "127.0.0.1");
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(0));

for (;;) {
  try {
    await follow();
  } catch (err) {
    console.error(`watching ${bucketName}, trying again: ${(err as Error).message}`);
  }
  await setTimeout(retryDelay);
}

/** Follows the bucket until it is deleted. The client itself resumes after a reconnect. */
async function follow(): Promise<void> {
  const bucket = await new Kvm(jetstream(nc)).open(bucketName);
  const created = await createdAt(bucket);
  const updates = await bucket.watch({ key: keys });
  // A bucket that was deleted and created again counts its revisions from 1, and a
  // watcher that waits for the next one misses them.
  const check = setInterval(async () => {
    if ((await createdAt(bucket).catch(() => created)) !== created) updates.stop();
  }, checkInterval);
  try {
    ready ||= await isEmpty(bucket);
    for await (const entry of updates) apply(entry);
  } finally {
    clearInterval(check);
  }
}

async function createdAt(bucket: KV): Promise<string> {
  return (await bucket.status()).streamInfo.created;
}

async function isEmpty(bucket: KV): Promise<boolean> {
  for await (const _ of await bucket.keys(keys)) return false;
  return true;
}

/** Keeps a value. Values come in order, so the last one of a key is the present one. */
function apply(entry: KvWatchEntry): void {
  try {
    if (entry.operation === "PUT") answers.put(entry.key, entry.json());
    else answers.delete(entry.key);
  } catch (err) {
    console.error(`skipping ${entry.key}, revision ${entry.revision}: ${(err as Error).message}`);
  }
  if (ready) console.log(`${entry.key} changed, revision ${entry.revision}`);
  ready ||= entry.delta === 0; // no more values were waiting
}

function answer(path: string, response: ServerResponse): void {
  // Before all values were read, "none" could be wrong.
  if (!ready) return send(response, 503, { error: "starting" });
  if (path === "/readyz") return send(response, 200, { ready });
  try {
    const found = answers.at(path);
    send(response, found ? 200 : 404, found ?? { error: "not found" });
  } catch {
    send(response, 400, { error: "not a path" }); // invalid percent-encoding
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body) + "\n");
}
