"""What GitHub remembers: tokens, runners, runs, jobs; and the rules on them.

Every method is called with Store.lock held; anything that a long poll may
be waiting for ends in Store.changed().
"""

import base64
import collections
import json
import secrets
import threading
import time

from hub.shapes import Shapes, number, sha, stamp

RUN_IDS, JOB_IDS = 20_000_000_000, 40_000_000_000
DELIVERY_IDS = 150_000_000_000
FINAL = ("success", "failure", "cancelled", "skipped", "neutral",
         "timed_out", "action_required")


class Conflict(Exception):
    """The call contradicts what is there; args: HTTP status, message."""


class Store:
    def __init__(self, opts, api):
        self.opts = opts
        self.lock = threading.Condition()
        self.shapes = Shapes(api, {"tester": "User"})
        self.runner_url = opts.runner_url_base or api
        self.installs = {}
        self.tokens = {}
        self.runners = {}
        self.runs = {}
        self.jobs = {}
        self.logs = {}
        self.mints = []  # when, of the last ones
        self.refused = 0  # mints beyond opts.mints_a_minute
        self.groups = {1: "Default"}
        for index, name in enumerate(opts.runner_group, 2):
            self.groups[index] = name
        self.used = collections.Counter()
        self.hour = int(time.time())
        self.count = 0
        self.hooks = None  # set by the server: send(action, job)
        self.scalesets = None  # likewise: tell(job)

    def next_id(self, base=0):
        """Run, job and delivery ids are beyond 32 bits, as GitHub's are."""
        self.count += 1
        return base + self.count

    def changed(self):
        self.lock.notify_all()

    # Installations and tokens

    def installation(self, login):
        """The App's installation on an account, or None."""
        known = [name.lower() for name in self.opts.install]
        if known and login.lower() not in known:
            return None
        return self.installs.setdefault(
            number(login), {"id": number(login), "login": login})

    def mint(self, inst):
        token = "ghs_" + secrets.token_hex(18)
        row = {"login": inst["login"], "installation": inst["id"],
               "expires": time.time() + self.opts.token_ttl}
        self.tokens[token] = row
        return token, row

    def spend(self, who, resource):
        """Count one call; (limit, used, reset) of its hour."""
        now = int(time.time())
        if now >= self.hour + 3600:
            self.hour, self.used = now, collections.Counter()
        self.used[who, resource] += 1
        return self.quota(who, resource)

    def quota(self, who, resource):
        limit = self.opts.rate_limit
        if resource == "actions_runner_registration":
            limit *= 2
        return limit, self.used[who, resource], self.hour + 3600

    # Runners

    def in_scope(self, scope):
        return [row for row in self.runners.values()
                if row["scope"].lower() == scope.lower()]

    def runner(self, scope, ident):
        row = self.runners.get(ident)
        if row and row["scope"].lower() == scope.lower():
            return row
        return None

    def online(self, row):
        fresh = time.time() - row["seen"] < self.opts.offline_after
        return row["session"] and (row["polls"] > 0 or fresh)

    def runner_json(self, row):
        return self.shapes.runner(row, self.online(row))

    def may_mint(self):
        """Is there one left of this minute?  It is taken."""
        now, most = time.time(), self.opts.mints_a_minute
        self.mints = [at for at in self.mints if at > now - 60]
        if most and len(self.mints) >= most:
            self.refused += 1
            return False
        self.mints.append(now)
        return True

    def jit(self, scope, body):
        name = body["name"]
        for row in self.in_scope(scope):
            if row["name"].lower() == name.lower():
                raise Conflict(409, "Already exists - A runner with the name "
                               f"{name} already exists.")
        row = {
            "id": self.next_id(), "name": name, "scope": scope,
            "labels": body["labels"], "group": body["runner_group_id"],
            "os": "unknown", "job": None, "session": False, "polls": 0,
            "seen": 0, "key": secrets.token_hex(20),
            "created": time.time(), "work": body.get("work_folder", "_work"),
        }
        self.runners[row["id"]] = row
        return row, self.encode_jit(row)

    def encode_jit(self, row):
        files = {
            ".runner": {
                "agentId": row["id"], "agentName": row["name"],
                "poolId": 1, "poolName": self.groups[row["group"]],
                "ephemeral": True, "serverUrl": self.runner_url,
                "gitHubUrl": f"{self.runner_url}/{row['scope']}",
                "workFolder": row["work"],
            },
            ".credentials": {
                "scheme": "OAuth",
                "data": {"clientId": f"agent-{row['id']}",
                         "authorizationUrl": f"{self.runner_url}/_oauth",
                         "token": row["key"]},
            },
            ".credentials_rsaparams": {
                "d": secrets.token_urlsafe(32), "modulus":
                secrets.token_urlsafe(32), "exponent": "AQAB"},
        }

        def pack(value):
            text = json.dumps(value, separators=(",", ":"))
            return base64.b64encode(text.encode()).decode()

        return pack({name: pack(value) for name, value in files.items()})

    def delete_runner(self, row):
        if row["job"] is not None:
            raise Conflict(422, f'Bad request - Runner "{row["name"]}" is '
                           "still running a job")
        self.drop_runner(row)

    def drop_runner(self, row):
        del self.runners[row["id"]]
        self.changed()

    # Runs and jobs

    def add_job(self, spec):
        now = time.time()
        run = self.runs.get(spec.get("run_id"))
        if run is None:
            run = self.add_run(spec, now)
        row = {
            "id": self.next_id(JOB_IDS), "run_id": run["id"],
            "repo": run["repo"],
            "labels": spec["labels"], "name": spec.get("name", "build"),
            "script": spec.get("script", "true\n"),
            "workflow": run["workflow"], "branch": run["branch"],
            "sha": run["sha"], "attempt": 1,
            "status": spec.get("status", "queued"), "conclusion": None,
            "created": now, "started": None, "completed": None,
            "runner_id": None, "runner_name": None, "group": None,
            "group_name": None, "cancel": False,
        }
        self.jobs[row["id"]] = row
        self.tell(row)
        return row

    def add_run(self, spec, now):
        ident = self.next_id(RUN_IDS)
        row = {
            "id": ident, "repo": spec["repo"], "created": now,
            "workflow": spec.get("workflow_name", "CI"),
            "branch": spec.get("head_branch", "main"),
            "sha": spec.get("head_sha", sha(f"commit {ident}")),
            "event": spec.get("event", "push"),
            "number": 1 + sum(other["repo"] == spec["repo"]
                              for other in self.runs.values()),
        }
        self.runs[ident] = row
        return row

    def run_jobs(self, run):
        return [row for row in self.jobs.values()
                if row["run_id"] == run["id"]]

    def run_json(self, run):
        rows = self.run_jobs(run)
        states = [row["status"] for row in rows]
        conclusion = None
        if all(state == "completed" for state in states):
            status = "completed"
            ends = [row["conclusion"] for row in rows]
            conclusion = next((bad for bad in ("failure", "cancelled")
                               if bad in ends), ends[0])
        elif "in_progress" in states or "completed" in states:
            status = "in_progress"
        else:
            status = states[0]
        updated = max(row["completed"] or row["started"] or row["created"]
                      for row in rows)
        return self.shapes.run(run, status, conclusion, updated)

    def tell(self, row):
        """A job changed: wake pollers, send the webhook."""
        self.hooks.send(row["status"], row)
        self.scalesets.tell(row)
        self.changed()

    def fits(self, runner, job):
        if runner.get("set") != job.get("set"):
            return False
        if runner.get("set"):
            return True
        kind, _, name = runner["scope"].partition(":")
        repo = job["repo"].lower()
        if kind == "repo" and repo != name.lower():
            return False
        if kind == "org" and repo.split("/")[0] != name.lower():
            return False
        has = {label.lower() for label in runner["labels"]}
        return {label.lower() for label in job["labels"]} <= has

    def take(self, runner):
        """The oldest queued job that the runner fits, now in progress."""
        for job in self.jobs.values():
            if job["status"] == "queued" and self.fits(runner, job):
                job.update(
                    status="in_progress", started=time.time(),
                    runner_id=runner["id"], runner_name=runner["name"],
                    group=runner["group"],
                    group_name=self.groups[runner["group"]])
                runner["job"] = job["id"]
                self.tell(job)
                return job
        return None

    def finish(self, job, conclusion):
        """The job is over; its ephemeral runner goes with it."""
        if job["status"] == "completed":
            return
        runner = self.runners.get(job["runner_id"])
        if job["runner_id"] is None:
            job.update(runner_id=0, runner_name="", group=0, group_name="")
        job.update(status="completed", conclusion=conclusion,
                   completed=time.time())
        if runner is not None:
            runner["job"] = None
            self.drop_runner(runner)
        self.tell(job)

    def cancel(self, job):
        if job["status"] in ("queued", "waiting"):
            self.finish(job, "cancelled")
        elif job["status"] == "in_progress":
            job["cancel"] = True
            self.changed()
        else:
            raise Conflict(409, "Cannot cancel a job that is completed.")

    def approve(self, job):
        if job["status"] != "waiting":
            raise Conflict(409, "The job is not waiting.")
        job["status"] = "queued"
        self.tell(job)

    def lose_runners(self):
        """Jobs whose runner fell silent fail, as they do at GitHub."""
        now = time.time()
        for row in list(self.runners.values()):
            silent = row["polls"] == 0 and \
                now - row["seen"] > self.opts.lost_after
            if row["job"] is not None and silent:
                self.finish(self.jobs[row["job"]], "failure")

    def dump(self):
        def public(row):
            return {key: stamp(value) if key in ("created", "started",
                    "completed") else value
                    for key, value in row.items() if key != "key"}

        return {
            "runners": [dict(public(row), status="online" if self.online(row)
                             else "offline", busy=row["job"] is not None)
                        for row in self.runners.values()],
            "runs": [public(row) for row in self.runs.values()],
            "jobs": [public(row) for row in self.jobs.values()],
            "installations": list(self.installs.values()),
            "refused_mints": self.refused,
        }
