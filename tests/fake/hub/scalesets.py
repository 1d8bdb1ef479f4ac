"""Runner scale sets: the Actions service beside the REST API, as
actions/scaleset speaks it: registration, sets, one session each, a queue of
messages by long poll, acquired jobs, JIT configurations.
"""

import json
import secrets
import time

from hub.rest import Answer, error, missing, route
from hub.shapes import stamp

POLL = 50
KINDS = {"success": "succeeded", "failure": "failed",
         "cancelled": "canceled", "skipped": "skipped"}


class ScaleSets:
    """All sets; the store's lock is held by every caller."""

    def __init__(self, store, opts):
        self.store, self.opts = store, opts
        self.sets, self.admins = {}, {}
        self.registrations = {}
        self.poll = POLL

    def owns(self, row, job):
        kind, _, name = row["scope"].partition(":")
        repo = job["repo"].lower()
        mine = repo == name.lower() if kind == "repo" else \
            repo.split("/")[0] == name.lower() or kind == "enterprise"
        has = {row["name"].lower()} | {label.lower()
                                       for label in row["labels"]}
        return mine and {label.lower() for label in job["labels"]} <= has

    def jobs(self, row):
        return [job for job in self.store.jobs.values()
                if job.get("set") == row["id"] and
                job["status"] != "completed"]

    def statistics(self, row):
        jobs = self.jobs(row)
        running = sum(job["status"] == "in_progress" for job in jobs)
        runners = [one for one in self.store.runners.values()
                   if one.get("set") == row["id"]]
        busy = sum(one["job"] is not None for one in runners)
        return {
            "totalAvailableJobs": len(row["available"]),
            "totalAcquiredJobs": len(jobs), "totalAssignedJobs": len(jobs),
            "totalRunningJobs": running,
            "totalRegisteredRunners": len(runners),
            "totalBusyRunners": busy,
            "totalIdleRunners": len(runners) - busy,
        }

    def say(self, row, kind, job, **more):
        owner, name = job["repo"].split("/")
        row["news"].append({
            "messageType": kind, "runnerRequestId": job["request"],
            "ownerName": owner, "repositoryName": name,
            "jobId": f"{job['id']:032x}", "jobDisplayName": job["name"],
            "jobWorkflowRef": f"{job['repo']}/.github/workflows/ci.yml",
            "workflowRunId": job["run_id"], "eventName": "push",
            "requestLabels": job["labels"],
            "queueTime": stamp(job["created"]), **more})

    def tell(self, job):
        """A job changed."""
        job.setdefault("request", job["id"] % 1_000_000_000)
        for row in self.sets.values():
            if job["status"] == "queued" and job.get("set") is None and \
                    self.owns(row, job):
                row["available"].append(job["id"])
                self.say(row, "JobAvailable", job)
            elif job.get("set") == row["id"]:
                self.tell_owner(row, job)
            elif job["id"] in row["available"]:
                row["available"].remove(job["id"])

    def tell_owner(self, row, job):
        more = {"runnerId": job["runner_id"] or 0,
                "runnerName": job["runner_name"] or ""}
        if job["status"] == "in_progress":
            self.say(row, "JobStarted", job, **more)
        elif job["status"] == "completed":
            self.say(row, "JobCompleted", job,
                     result=KINDS.get(job["conclusion"], "failed"), **more)

    def message(self, row):
        """The oldest that was not deleted; new ones are made of the news."""
        if not row["queue"] and row["news"]:
            row["messages"] += 1
            row["queue"].append({
                "messageId": row["messages"],
                "messageType": "RunnerScaleSetJobMessages",
                "body": json.dumps(row["news"][:50]),
                "statistics": self.statistics(row)})
            del row["news"][:50]
        return row["queue"][0] if row["queue"] else None


def denied():
    return Answer(401, {"message": "Unauthorized", "typeName":
                        "VssUnauthorizedException"})


def admin(api, req):
    token = req.headers.get("Authorization", "").partition(" ")[2]
    row = api.store.scalesets.admins.get(token)
    if row is None or row["expires"] < time.time():
        raise denied()
    if req.query.get("api-version") != "6.0-preview":
        raise error(400, "no api-version")
    return row["scope"]


def one_set(api, req):
    scope = admin(api, req)
    row = api.store.scalesets.sets.get(int(req.args["id"]))
    if row is None or row["scope"].lower() != scope.lower():
        raise missing()
    return row


def public(api, row):
    return {"id": row["id"], "name": row["name"],
            "runnerGroupId": row["group"], "runnerGroupName":
            api.store.groups[row["group"]],
            "labels": [{"id": i, "name": name, "type": "System"}
                       for i, name in enumerate(row["labels"])],
            "RunnerSetting": {"ephemeral": True, "disableUpdate": True},
            "statistics": api.store.scalesets.statistics(row)}


@route("POST", "/actions/runner-registration", "none")
def register(api, req):
    scheme, _, token = req.headers.get("Authorization", "").partition(" ")
    scope = api.store.scalesets.registrations.get(token)
    body = req.json()
    if scheme != "RemoteAuth" or scope is None:
        return denied()
    path = "/".join(body.get("url", "").split("/")[3:])
    wanted = scope.partition(":")[2]
    if scope.startswith("enterprise:"):
        wanted = f"enterprises/{wanted}"
    if body.get("runner_event") != "register" or path != wanted:
        return error(400, f"wrong url {path}, not {wanted}")
    own = secrets.token_hex(20)
    ttl = api.opts.token_ttl
    api.store.scalesets.admins[own] = {"scope": scope,
                                       "expires": time.time() + ttl}
    return Answer(200, {"url": f"{api.store.shapes.api}/tenant/",
                        "token": own})


APIS = "/tenant/_apis/runtime"


@route("GET", f"{APIS}/runnergroups/", "none")
def groups(api, req):
    admin(api, req)
    rows = [{"id": ident, "name": name, "isDefaultGroup": ident == 1}
            for ident, name in api.store.groups.items()
            if req.query.get("groupName") in (None, name)]
    return Answer(200, {"count": len(rows), "value": rows})


@route("GET", f"{APIS}/runnerscalesets", "none")
def find(api, req):
    scope = admin(api, req)
    rows = [public(api, row) for row in api.store.scalesets.sets.values()
            if row["scope"].lower() == scope.lower() and
            row["name"] == req.query.get("name") and
            row["group"] == int(req.query.get("runnerGroupId", 1))]
    return Answer(200, {"count": len(rows), "value": rows})


@route("POST", f"{APIS}/runnerscalesets", "none")
def create(api, req):
    scope, body = admin(api, req), req.json()
    if body["runnerGroupId"] not in api.store.groups:
        return missing()
    row = {"id": api.store.next_id(), "name": body["name"], "scope": scope,
           "group": body["runnerGroupId"], "session": None, "queue": [],
           "labels": [one["name"] for one in body.get("labels", [])],
           "messages": 0, "news": [], "available": []}
    api.store.scalesets.sets[row["id"]] = row
    for job in api.store.jobs.values():
        if job["status"] == "queued":
            api.store.scalesets.tell(job)
    return Answer(200, public(api, row))


ONE = APIS + r"/runnerscalesets/(?P<id>\d+)"


def session_json(api, row):
    session = row["session"]
    return {"sessionId": session["id"], "ownerName": session["owner"],
            "runnerScaleSet": public(api, row),
            "messageQueueUrl":
            f"{api.store.shapes.api}/queue/{row['id']}?session="
            f"{session['id']}",
            "messageQueueAccessToken": session["token"],
            "statistics": api.store.scalesets.statistics(row)}


@route("POST", f"{ONE}/sessions", "none")
def session(api, req):
    row = one_set(api, req)
    if row["session"] is not None:
        return Answer(409, {"message": "The runner scale set "
                            f"{row['name']} already has an active session "
                            f"for owner {row['session']['owner']}.",
                            "typeName": "RunnerScaleSetSessionConflict"
                            "Exception"})
    row["session"] = {"id": secrets.token_hex(16), "token":
                      secrets.token_hex(20), "owner":
                      req.json()["ownerName"]}
    return Answer(200, session_json(api, row))


def own_session(api, req):
    row = one_set(api, req)
    if row["session"] is None or row["session"]["id"] != req.args["session"]:
        raise missing()
    return row


@route("PATCH", ONE + r"/sessions/(?P<session>[0-9a-f]+)", "none")
def refresh(api, req):
    row = own_session(api, req)
    row["session"]["token"] = secrets.token_hex(20)
    return Answer(200, session_json(api, row))


@route("DELETE", ONE + r"/sessions/(?P<session>[0-9a-f]+)", "none")
def session_end(api, req):
    row = own_session(api, req)
    row["session"] = None
    api.store.changed()
    return Answer(204)


@route("POST", f"{ONE}/acquirejobs", "none")
def acquire(api, req):
    row, got = one_set(api, req), []
    for job in api.store.jobs.values():
        if job["id"] in row["available"] and \
                job.get("request") in json.loads(req.body):
            row["available"].remove(job["id"])
            job["set"] = row["id"]
            got.append(job["request"])
            api.store.scalesets.say(row, "JobAssigned", job)
    api.store.changed()
    return Answer(200, {"count": len(got), "value": got})


@route("POST", f"{ONE}/generatejitconfig", "none")
def jit(api, req):
    row, body = one_set(api, req), req.json()
    runner, encoded = api.store.jit(row["scope"], {
        "name": body["name"], "labels": [row["name"]],
        "runner_group_id": row["group"],
        "work_folder": body.get("workFolder", "_work")})
    runner["set"] = row["id"]
    return Answer(200, {"runner": {"id": runner["id"], "name":
                                   runner["name"], "runnerScaleSetId":
                                   row["id"]},
                        "encodedJITConfig": encoded})


def queue(api, req):
    token = req.headers.get("Authorization", "").partition(" ")[2]
    row = api.store.scalesets.sets.get(int(req.args["id"]))
    if row is None or row["session"] is None or \
            row["session"]["id"] != req.query.get("session"):
        raise missing()
    if row["session"]["token"] != token:
        raise Answer(401, {"message": "expired", "typeName":
                           "MessageQueueTokenExpiredException"})
    return row


@route("GET", r"/queue/(?P<id>\d+)", "none")
def messages(api, req):
    row = queue(api, req)
    if not req.headers.get("X-ScaleSetMaxCapacity", "").isdigit():
        return error(400, "X-ScaleSetMaxCapacity")
    mine, sets = row["session"], api.store.scalesets
    api.store.lock.wait_for(
        lambda: sets.message(row) or row["session"] is not mine or
        req.hung_up(), sets.poll)
    queue(api, req)
    found = sets.message(row)
    return Answer(200, found) if found else Answer(202)


@route("DELETE", r"/queue/(?P<id>\d+)/(?P<message>\d+)", "none")
def acknowledge(api, req):
    row = queue(api, req)
    row["queue"] = [one for one in row["queue"]
                    if one["messageId"] != int(req.args["message"])]
    return Answer(204)
