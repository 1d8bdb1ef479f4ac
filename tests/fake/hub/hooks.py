"""Webhook deliveries: made, signed, sent in order by one thread, recorded.

As at GitHub, a delivery is tried once; whoever wants another asks for it.
"""

import hashlib
import hmac
import http.client
import json
import queue
import threading
import time
import urllib.parse
import uuid

from hub.shapes import node, number, stamp
from hub.store import DELIVERY_IDS

KEEP = 2000
REASONS = {200: "OK", 201: "OK", 202: "OK", 204: "OK"}


class Hooks:
    def __init__(self, store, opts, faults):
        self.store, self.opts, self.faults = store, opts, faults
        self.rows = []
        self.queue = queue.Queue()
        self.pending = 0
        threading.Thread(target=self.work, daemon=True).start()

    def payload(self, action, job):
        shapes = self.store.shapes
        owner = job["repo"].split("/")[0]
        inst = self.store.installation(owner)
        out = {
            "action": action, "workflow_job": shapes.job(job),
            "repository": shapes.repository(job["repo"]),
            "sender": shapes.account("tester"),
        }
        if out["repository"]["owner"]["type"] == "Organization":
            out["organization"] = shapes.organization(owner)
        if inst:
            out["installation"] = {"id": inst["id"],
                                   "node_id": node("MDI", inst["id"])}
        return out

    def send(self, action, job):
        """Queue the webhook of a change; the store's lock is held."""
        fault = self.faults.take("HOOK", f"workflow_job.{action}") or {}
        if fault.get("drop"):
            return
        body = json.dumps(self.payload(action, job)).encode()
        row = {
            "guid": str(uuid.uuid4()), "action": action, "body": body,
            "repo": job["repo"], "redelivery": False,
        }
        for _ in range(fault.get("copies", 1)):
            self.enqueue(dict(row), fault)

    def enqueue(self, row, fault):
        row["id"] = self.store.next_id(DELIVERY_IDS)
        row["headers"] = self.headers(row)
        self.pending += 1
        if fault.get("reorder"):
            # Later than those that come after it.
            timer = threading.Timer(fault.get("delay_ms", 1000) / 1000,
                                    self.queue.put, ((row, {}),))
            timer.daemon = True
            timer.start()
            return
        self.queue.put((row, fault))

    def redeliver(self, row):
        again = {key: row[key] for key in ("guid", "action", "body", "repo")}
        again["redelivery"] = True
        self.enqueue(again, {})

    def headers(self, row):
        body, secret = self.wire(row), self.opts.webhook_secret.encode()
        kind = "application/json"
        if self.opts.webhook_form:
            kind = "application/x-www-form-urlencoded"
        out = {
            "Accept": "*/*", "Content-Type": kind,
            "User-Agent": "GitHub-Hookshot/0000000",
            "X-GitHub-Delivery": row["guid"],
            "X-GitHub-Event": "workflow_job", "X-GitHub-Hook-ID": "1",
            "X-GitHub-Hook-Installation-Target-ID": str(self.opts.app_id),
            "X-GitHub-Hook-Installation-Target-Type": "integration",
        }
        if secret:
            for name, algo in (("", "sha1"), ("-256", "sha256")):
                mac = hmac.new(secret, body, getattr(hashlib, algo))
                out[f"X-Hub-Signature{name}"] = f"{algo}={mac.hexdigest()}"
        return out

    def wire(self, row):
        if self.opts.webhook_form:
            text = urllib.parse.urlencode({"payload": row["body"].decode()})
            return text.encode()
        return row["body"]

    def work(self):
        while True:
            row, fault = self.queue.get()
            time.sleep(fault.get("delay_ms", 0) / 1000)
            row["delivered_at"] = time.time()
            code, status, text = 502, "failed to connect to host", ""
            if self.opts.webhook_url and not fault.get("cut"):
                code, status, text = self.post(row)
            row["duration"] = round(time.time() - row["delivered_at"], 3)
            row.update(code=code, status=status, answer=text)
            with self.store.lock:
                self.rows.append(row)
                del self.rows[:-KEEP]
                self.pending -= 1
                self.store.changed()

    def post(self, row):
        """(status code, GitHub's word for it, answer) of one attempt."""
        url = urllib.parse.urlsplit(self.opts.webhook_url)
        conn = http.client.HTTPConnection(
            url.hostname, url.port or 80, timeout=self.opts.webhook_timeout)
        path = url.path or "/"
        if url.query:
            path += "?" + url.query
        try:
            conn.request("POST", path, self.wire(row), row["headers"])
            answer = conn.getresponse()
            text = answer.read(65536).decode("utf-8", "replace")
        except TimeoutError:
            return 504, "timed out", ""
        except (OSError, http.client.HTTPException):
            return 502, "failed to connect to host", ""
        finally:
            conn.close()
        code = answer.status
        fallback = f"Invalid HTTP Response: {code}"
        return code, REASONS.get(code, fallback), text

    # What the deliveries API shows

    def select(self, scope, status):
        """Newest first, those of one scope ("", "org:x", "repo:x/y")."""
        kind, _, name = scope.lower().partition(":")
        out = []
        for row in reversed(self.rows):
            repo = row["repo"].lower()
            mine = not kind or repo == name or \
                kind == "org" and repo.split("/")[0] == name
            good = row["status"] == "OK"
            if mine and status in (None, "success" if good else "failure"):
                out.append(row)
        return out

    def item(self, row):
        owner = row["repo"].split("/")[0]
        inst = self.store.installation(owner)
        return {
            "id": row["id"], "guid": row["guid"],
            "delivered_at": stamp(row["delivered_at"]),
            "redelivery": row["redelivery"], "duration": row["duration"],
            "status": row["status"], "status_code": row["code"],
            "event": "workflow_job", "action": row["action"],
            "installation_id": inst["id"] if inst else None,
            "repository_id": number(row["repo"]),
            "throttled_at": None,
        }

    def full(self, row):
        out = self.item(row)
        out.update(url=self.opts.webhook_url or "", request={
            "headers": row["headers"], "payload": json.loads(row["body"]),
        }, response={"headers": {}, "payload": row["answer"]})
        return out
