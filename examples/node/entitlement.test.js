import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { before, Book, decode, rank } from "./entitlement.js";

function message(id, { type = "updated", time = "2026-01-01T00:00:00Z", status = "active", created } = {}) {
  return {
    specversion: "1.0",
    id,
    source: "/stripe/platform/test",
    type: type === "deleted" ? "subscription.canceled" : `subscription.${type}`,
    time,
    stripetype: `customer.subscription.${type}`,
    livemode: false,
    data: { schema_version: 1, subscription: { id: "sub/1", status, access: "granted", created } },
  };
}

const bytes = (value) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

test("an unreadable message is refused", () => {
  const newer = message("evt_1");
  newer.data.schema_version = 2;
  for (const payload of ["not JSON", "null", "{}", newer]) {
    assert.throws(() => decode(bytes(payload)));
  }
  assert.throws(() => decode(new Uint8Array([0xff, 0xfe])));
  assert.equal(decode(bytes(message("evt_1"))).id, "evt_1");
});

test("the greater rank wins", () => {
  const later = { time: "2026-01-01T00:00:05Z" };
  const pairs = {
    "later time": [message("evt_2"), message("evt_1", later)],
    "an end before a later event": [message("evt_2", later), message("evt_1", { type: "deleted", status: "canceled" })],
    "an update in the second of its created event": [message("evt_2", { type: "created" }), message("evt_1")],
    "an update before the time of its created event": [
      message("evt_2", { type: "created", ...later, created: "2026-01-01T00:00:00Z" }),
      message("evt_1", { time: "2026-01-01T00:00:02Z" }),
    ],
    "greater id of two updates in one second": [message("evt_1"), message("evt_2")],
  };
  for (const [what, [loser, winner]] of Object.entries(pairs)) {
    assert.ok(before(rank(loser), rank(winner)), what);
    assert.ok(!before(rank(winner), rank(loser)), what);
  }
  assert.ok(!before(rank(message("evt_1")), rank(message("evt_1"))), "an event is not before itself");
});

test("repetition and restart have no second effect", (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "billbus-node-"));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const end = message("evt_2", { type: "deleted", status: "canceled" });
  for (let start = 0; start < 2; start++) {
    const book = new Book(folder);
    for (const m of [message("evt_1"), end, end, message("evt_1")]) book.apply(m);
    // A crash may leave this.
    fs.appendFileSync(path.join(folder, "notices.jsonl"), '{"event":"/str');
  }
  new Book(folder);
  const notices = fs.readFileSync(path.join(folder, "notices.jsonl"), "utf8");
  assert.equal(notices, '{"event":"/stripe/platform/test evt_2","subscription":"test:platform:sub/1"}\n');
  const files = fs.readdirSync(path.join(folder, "entitlements"));
  assert.deepEqual(files, ["test%3Aplatform%3Asub%2F1.json"]);
  const text = fs.readFileSync(path.join(folder, "entitlements", files[0]), "utf8");
  assert.equal(JSON.parse(text).event_id, "evt_2");
});
