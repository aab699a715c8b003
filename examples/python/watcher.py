"""Answers over HTTP who may use what.

It watches the access documents in the bucket BILLBUS_STATE and keeps them in memory. It can
be killed at any time: it has no state of its own, and reads all present values when it
starts. While NATS is unreachable, it goes on answering with what it has.

    pip install nats-py
    python3 watcher.py
    curl -s http://127.0.0.1:8091/test/platform/user/42

The tests of this repository compile this file, but do not run it.
"""

import asyncio
import hashlib
import json
import logging
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import nats

BUCKET = "BILLBUS_STATE"
RETRY_DELAY = 1.0
CHECK_INTERVAL = 5.0

answers: dict[str, dict] = {}
ready = threading.Event()  # all present values were read once


def access_key(path: str) -> str | None:
    """Returns the key of /<live or test>/<account or platform>/<user or customer>/<id>."""
    parts = [unquote(part) for part in path.split("?")[0].split("/")[1:]]
    if len(parts) != 4 or parts[2] not in ("user", "customer"):
        return None
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", parts[3]):
        parts[3] = hashlib.sha256(parts[3].encode()).hexdigest()
    return ".".join(["access", *parts])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        key = access_key(self.path)
        if not ready.is_set():  # "none" could be wrong
            self.reply(503, {"error": "starting"})
        elif key is None:
            self.reply(404, {"error": "not found"})
        else:
            # There is no document for a user who has never had a subscription.
            self.reply(200, answers.get(key, {"access": "none"}))

    def reply(self, status: int, body: dict):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def apply(entry):
    """Keeps a value. Values come in order, so the last one of a key is the present one."""
    if entry.operation in ("DEL", "PURGE"):
        answers.pop(entry.key, None)
        return
    try:
        answers[entry.key] = json.loads(entry.value)
    except ValueError as err:
        logging.error("skipping %s, revision %s: %s", entry.key, entry.revision, err)


async def follow(nc):
    """Follows the bucket until it is deleted."""
    bucket = await nc.jetstream().key_value(BUCKET)
    created = await created_at(nc)
    watcher = await bucket.watch("access.>")
    check = asyncio.create_task(replaced(nc, created))
    try:
        # The first loop ends after all present values, and the next one continues.
        async for entry in watcher:
            apply(entry)
        ready.set()
        updates = asyncio.create_task(forward(watcher))
        await asyncio.wait([updates, check], return_when=asyncio.FIRST_COMPLETED)
        updates.cancel()
    finally:
        check.cancel()
        await watcher.stop()


async def created_at(nc) -> str:
    """Returns when the bucket was created, which not every version of the client reads."""
    reply = await nc.request("$JS.API.STREAM.INFO.KV_" + BUCKET, timeout=5)
    return json.loads(reply.data)["created"]


async def forward(watcher):
    async for entry in watcher:
        apply(entry)


async def replaced(nc, created):
    """Ends when the bucket was deleted and created again: its revisions begin at 1, and a
    watcher that waits for the next one misses them."""
    while True:
        await asyncio.sleep(CHECK_INTERVAL)
        try:
            if await created_at(nc) != created:
                return
        except Exception as err:  # NATS is unreachable
            logging.warning("asking for %s: %s", BUCKET, err)


async def main():
    logging.basicConfig(level=logging.INFO)
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8091"))), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # By default the client stops reconnecting after 60 attempts.
    nc = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), max_reconnect_attempts=-1)
    while True:
        try:
            await follow(nc)
        except Exception as err:
            logging.error("watching %s, trying again: %s", BUCKET, err)
        await asyncio.sleep(RETRY_DELAY)


if __name__ == "__main__":
    asyncio.run(main())
