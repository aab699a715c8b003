// What the bucket says, in memory, by key.

import { createHash } from "node:crypto";
import type { AccessDocument } from "./message.js";
import type { RecordOfBillbusInTheStateView as StateRecord } from "./record.js";

export type Answer = AccessDocument | StateRecord | { access: "none" };

export class Answers {
  private readonly values = new Map<string, AccessDocument | StateRecord>();

  put(key: string, value: AccessDocument | StateRecord): void {
    this.values.set(key, value);
  }

  delete(key: string): void {
    this.values.delete(key);
  }

  /**
   * Returns what may be used by whom or, if that is kept, the record of a subscription:
   *
   *   /live/platform/user/42
   *   /live/platform/customer/cus_123
   *   /live/platform/sub_123
   */
  at(path: string): Answer | undefined {
    const parts = path.split("/").slice(1).map(decodeURIComponent);
    const id = parts.pop() ?? "";
    if (parts.length === 2) return this.values.get([...parts, token(id)].join("."));
    if (parts.length !== 3 || !["user", "customer"].includes(parts[2] ?? "")) return undefined;
    // There is no document for a user who has never had a subscription.
    return this.values.get(["access", ...parts, token(id)].join(".")) ?? { access: "none" };
  }
}

/** Returns the id as it is in keys: one with other characters is replaced by its hash. */
function token(id: string): string {
  return /^[\w-]{1,255}$/.test(id) ? id : createHash("sha256").update(id).digest("hex");
}
