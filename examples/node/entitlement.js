// What the consumer does with a message. In a folder it keeps who has access to what,
// and a list of cancellations to notify users about. In your own service this would be
// a database.
//
//   entitlements/<subscription>.json   one file per subscription
//   notices.jsonl                      one line per cancellation
//
// When apply returns, everything is on disk. To apply a message again changes nothing.

import fs from "node:fs";
import path from "node:path";

const schemaVersion = 1;

/** Decodes one payload. It throws if this program can never read it. */
export function decode(payload) {
  const message = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  if (message?.specversion !== "1.0" || !message.id || !message.source || !message.data) {
    throw new Error("not a message of this contract");
  }
  if (!(message.data.schema_version <= schemaVersion)) {
    throw new Error(`schema version ${message.data.schema_version}: upgrade this program`);
  }
  return message;
}

/**
 * The rank of a message: the message with the greatest rank is current. Messages
 * arrive in the order in which Stripe delivered them, which is not the order in which
 * things happened. An end is final; then the later time wins, then the lifecycle, then
 * the greater id. Stripe's times are whole seconds: of two updates in one second, the
 * one with the greater id may be the wrong one.
 */
export function rank(message) {
  const { subscription } = message.data;
  const type = message.stripetype;
  const ended = type === "customer.subscription.deleted" || ["canceled", "incomplete_expired"].includes(subscription.status);
  let moment = Date.parse(message.time);
  let step = 1;
  if (type === "customer.subscription.created") {
    // The time of this event may be later than that of the first update.
    moment = Math.min(moment, Date.parse(subscription.created ?? message.time));
    step = 0;
  } else if (type === "customer.subscription.deleted") {
    step = 2;
  }
  return [Number(ended), moment, step, message.id];
}

/** Reports whether rank a is less than rank b. */
export function before(a, b) {
  const i = a.findIndex((x, i) => x !== b[i]);
  return i >= 0 && a[i] < b[i];
}

export class Book {
  constructor(folder) {
    this.folder = path.join(folder, "entitlements");
    fs.mkdirSync(this.folder, { recursive: true });
    this.openNotices(path.join(folder, "notices.jsonl"));
  }

  /** Puts a message into effect. */
  apply(message) {
    if (!message.data.subscription || message.data.ignored) return;
    if (message.type === "subscription.canceled") this.notice(message);
    this.update(message);
  }

  update(message) {
    const { subscription } = message.data;
    const key = subscriptionKey(message);
    const file = path.join(this.folder, encodeURIComponent(key) + ".json");
    const known = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : undefined;
    if (known && !before(known.rank, rank(message))) return;
    replace(file, {
      subscription: key,
      user_id: subscription.user_id,
      status: subscription.status,
      access: subscription.access,
      event_id: message.id,
      rank: rank(message),
    });
  }

  /** Adds a line, unless this event has one. A line is both the effect and the memory of it, in one write. */
  notice(message) {
    const event = `${message.source} ${message.id}`;
    if (this.noticed.has(event)) return;
    const notice = { event, subscription: subscriptionKey(message), user_id: message.data.subscription.user_id };
    const line = Buffer.from(JSON.stringify(notice) + "\n");
    const written = fs.writeSync(this.notices, line, 0, line.length, this.size);
    if (written < line.length) throw new Error("no room for a notice");
    fs.fsyncSync(this.notices);
    this.size += line.length;
    this.noticed.add(event);
  }

  openNotices(file) {
    this.notices = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
    const text = fs.readFileSync(file);
    // A crash may have left a part of a line.
    this.size = text.lastIndexOf("\n") + 1;
    fs.ftruncateSync(this.notices, this.size);
    const lines = text.toString("utf8", 0, this.size).split("\n").slice(0, -1);
    this.noticed = new Set(lines.map((line) => JSON.parse(line).event));
    sync(path.dirname(file));
  }
}

/** Identifies a subscription among those of all modes and accounts. */
function subscriptionKey(message) {
  const mode = message.livemode ? "live" : "test";
  return `${mode}:${message.stripeaccount ?? "platform"}:${message.data.subscription.id}`;
}

/** Replaces a file as a whole: after a crash it has either the old or the new content. */
function replace(file, value) {
  const draft = file + ".draft";
  fs.writeFileSync(draft, JSON.stringify(value, null, 2) + "\n", { flush: true });
  fs.renameSync(draft, file);
  sync(path.dirname(file));
}

/** Makes changes to the entries of a folder survive a power cut. */
function sync(folder) {
  const fd = fs.openSync(folder);
  fs.fsyncSync(fd);
  fs.closeSync(fd);
}
