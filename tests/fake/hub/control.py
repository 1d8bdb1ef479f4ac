"""The private side: /_fake/ calls of tests, and of the listener.

Tests speak JSON; the listener speaks lines of plain text, because it has
only sed to read them.
"""

import base64
import time

from hub.rest import Answer, error, missing
from hub.store import FINAL, Conflict

LONGEST_POLL = 50
RUNNER_OS = "Linux"


def text(*lines):
    return Answer(200, "".join(line + "\n" for line in lines))


class Control:
    def __init__(self, store, hooks, faults, requests):
        self.store, self.hooks = store, hooks
        self.faults, self.requests = faults, requests

    def call(self, req):
        parts = req.path.split("/")[2:]
        name = "_".join(part for part in parts if not part.isdigit())
        req.ids = [int(part) for part in parts if part.isdigit()]
        handler = getattr(self, f"{req.method.lower()}_{name}", None)
        if handler is None:
            return missing()
        try:
            return handler(req)
        except Answer as answer:
            return answer
        except Conflict as clash:
            return error(*clash.args)
        except (KeyError, IndexError, ValueError, TypeError) as why:
            return error(422, f"bad request: {why!r}")

    # For tests

    def get_state(self, _req):
        out = self.store.dump()
        out["deliveries"] = [self.hooks.item(row) for row in self.hooks.rows]
        out["pending_webhooks"] = self.hooks.pending
        out["faults"] = self.faults.rows
        out["requests"] = len(self.requests)
        out["scalesets"] = [
            dict(row, session=row["session"] is not None,
                 statistics=self.store.scalesets.statistics(row))
            for row in self.store.scalesets.sets.values()]
        return Answer(200, out)

    def get_requests(self, _req):
        return Answer(200, list(self.requests))

    def get_logs(self, req):
        body = self.store.logs.get(req.ids[0])
        return missing() if body is None else Answer(200, body)

    def post_jobs(self, req):
        spec = req.json()
        if spec.get("run_id") not in self.store.runs:
            owner, name = spec["repo"].split("/")
            if not owner or not name or self.store.installation(owner) is None:
                return error(422, "bad repo")
        if spec.get("status", "queued") not in ("queued", "waiting"):
            return error(422, "status must be queued or waiting")
        labels = spec["labels"]
        if not isinstance(labels, list) or not labels:
            return error(422, "labels must be a non-empty array")
        row = self.store.add_job(spec)
        return Answer(201, self.store.shapes.job(row))

    def post_jobs_cancel(self, req):
        self.store.cancel(self.store.jobs[req.ids[0]])
        return Answer(202, {})

    def post_jobs_approve(self, req):
        self.store.approve(self.store.jobs[req.ids[0]])
        return Answer(202, {})

    def post_jobs_finish(self, req):
        """End a job as if some runner elsewhere had run it."""
        self.store.finish(self.store.jobs[req.ids[0]],
                          self.conclusion(req.json()["conclusion"]))
        return Answer(202, {})

    def get_jobs_wait(self, req):
        """Until the job is completed, or ?timeout=S (20) has passed."""
        row = self.store.jobs[req.ids[0]]
        self.wait(float(req.query.get("timeout", 20)),
                  lambda: row["status"] == "completed")
        return Answer(200, self.store.shapes.job(row))

    def post_flush(self, _req):
        """Until every webhook has been tried."""
        self.wait(20, lambda: self.hooks.pending == 0)
        return Answer(200, {"pending_webhooks": self.hooks.pending})

    def post_faults(self, req):
        return Answer(201, self.faults.add(req.json()))

    def delete_faults(self, _req):
        self.faults.clear()
        return Answer(204)

    def post_config(self, req):
        """Change at run time: runner_url_base, webhook_url, rate_limit."""
        for key, value in req.json().items():
            if key == "runner_url_base":
                self.store.runner_url = value
            elif key == "poll":
                self.store.scalesets.poll = value
            elif key in ("webhook_url", "rate_limit", "lost_after",
                         "offline_after", "skew", "token_ttl"):
                setattr(self.store.opts, key, value)
            else:
                return error(422, f"cannot change '{key}'")
        return Answer(200, {})

    def post_tokens_revoke(self, _req):
        """Of installations, and of the Actions service."""
        self.store.tokens.clear()
        self.store.scalesets.admins.clear()
        for row in self.store.scalesets.sets.values():
            if row["session"]:
                row["session"]["token"] = "revoked"
        return Answer(200, {})

    # For the listener

    def wait(self, seconds, ready):
        """Release the lock until ready() or the time is over."""
        self.store.lock.wait_for(ready, max(0, min(seconds, 300)))

    def runner_of(self, req):
        token = req.headers.get("Authorization", "").partition(" ")[2]
        for row in self.store.runners.values():
            if row["key"] == token:
                row["seen"] = time.time()
                return row
        raise text("gone")

    def poll(self, req, row, ready):
        """A long poll; its connection counts as the runner being there."""
        row["polls"] += 1
        seconds = float(req.query.get("wait", LONGEST_POLL))
        deadline = time.monotonic() + min(seconds, LONGEST_POLL)
        try:
            # In this order: one that is gone meanwhile takes no job.
            while row["id"] in self.store.runners and not ready():
                left = deadline - time.monotonic()
                if left <= 0 or req.hung_up():
                    break
                self.store.lock.wait(min(left, 1))
        finally:
            row["polls"] -= 1
            row["seen"] = time.time()
        if row["id"] not in self.store.runners:
            raise text("gone")

    def post_runner_session(self, req):
        row = self.runner_of(req)
        if row["session"] and self.store.online(row):
            return text("conflict")
        row.update(session=True, os=RUNNER_OS)
        self.store.changed()
        return text("ok", f"name {row['name']}")

    def post_runner_end(self, req):
        row = self.runner_of(req)
        row["session"] = False
        if row["job"] is not None:  # a job came in while it was stopping
            self.store.finish(self.store.jobs[row["job"]], "cancelled")
        self.store.changed()
        return text("ok")

    def get_runner_job(self, req):
        row = self.runner_of(req)
        if row["job"] is not None:
            return text("conflict")
        job = None

        def taken():
            nonlocal job
            if row["session"] and not req.hung_up():
                job = self.store.take(row)
            return job is not None

        self.poll(req, row, taken)
        if job is None:
            return text("none")
        script = base64.b64encode(job["script"].encode()).decode()
        owner = job["repo"].split("/")[0]
        return text(
            f"job {job['id']}", f"name {job['name']}", f"script {script}",
            f"env GITHUB_REPOSITORY={job['repo']}",
            f"env GITHUB_REPOSITORY_OWNER={owner}",
            f"env GITHUB_RUN_ID={job['run_id']}",
            f"env GITHUB_JOB={job['name']}",
            f"env GITHUB_SHA={job['sha']}",
            f"env GITHUB_WORKFLOW={job['workflow']}",
            f"env RUNNER_NAME={row['name']}")

    def own_job(self, req):
        row = self.runner_of(req)
        if row["job"] is None:
            raise text("gone")
        return row, self.store.jobs[row["job"]]

    def get_runner_beat(self, req):
        """Tells the server that the job lives, the runner of a cancel."""
        row, job = self.own_job(req)
        self.poll(req, row, lambda: job["cancel"])
        return text("cancel" if job["cancel"] else "ok")

    def post_runner_log(self, req):
        _, job = self.own_job(req)
        self.store.logs[job["id"]] = req.body.decode("utf-8", "replace")
        return text("ok")

    def post_runner_complete(self, req):
        _, job = self.own_job(req)
        word = req.body.decode().strip().partition("=")[2]
        self.store.finish(job, self.conclusion(word))
        return text("ok")

    @staticmethod
    def conclusion(word):
        if word not in FINAL:
            raise ValueError(f"unknown conclusion {word!r}")
        return word
