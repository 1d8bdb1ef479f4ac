"""The public REST calls. A handler gets (api, request) and gives an Answer;
it runs with the store's lock held.
"""

import json
import re
import time

from hub import auth
from hub.shapes import number, stamp
from hub.store import Conflict

DOCS = "https://docs.github.com/rest"
REGISTRATION = "actions_runner_registration"


class Answer(Exception):
    """What to send; raised or returned, whichever is handier."""

    def __init__(self, status, body=None, headers=None):
        super().__init__(status)
        self.status, self.body = status, body
        self.headers = headers or {}


def error(status, message, **more):
    body = {"message": message, "documentation_url": DOCS}
    body.update(more, status=str(status))
    return Answer(status, body)


def invalid(*reasons):
    return error(422, "Invalid request.\n\n" + "\n".join(reasons),
                 errors=list(reasons))


def missing():
    return error(404, "Not Found")


def denied(message="Bad credentials"):
    return error(401, message)


# Routes: (method, compiled path, who may call, rate bucket, handler)

ROUTES = []
SCOPES = (r"/(?P<repo>repos/[^/]+/[^/]+)", r"/(?P<org>orgs/[^/]+)",
          r"/(?P<enterprise>enterprises/[^/]+)")


def route(method, path, who="token", bucket="core", scopes=None):
    def keep(handler):
        for prefix in scopes or ("",):
            pattern = re.compile(prefix + path + "$")
            ROUTES.append((method, pattern, who, bucket, handler))
        return handler
    return keep


class Api:
    def __init__(self, store, hooks, opts):
        self.store, self.hooks, self.opts = store, hooks, opts
        self.key = None
        if opts.app_key_pub:
            with open(opts.app_key_pub, encoding="ascii") as pem:
                self.key = auth.load_key(pem.read())
        self.issuers = (str(opts.app_id), opts.client_id)

    def call(self, req):
        """Find the route, check who calls, run its handler."""
        found = False
        for method, pattern, who, bucket, handler in ROUTES:
            match = pattern.match(req.path)
            if not match:
                continue
            found = True
            if method == req.method:
                req.args = match.groupdict()
                try:
                    self.admit(req, who, bucket)
                    return handler(self, req)
                except Conflict as clash:
                    return error(*clash.args)
                except Answer as answer:
                    return answer
        return error(405, "Method Not Allowed") if found else missing()

    def admit(self, req, who, bucket):
        if not req.headers.get("User-Agent"):
            raise error(403, "Request forbidden by administrative rules. "
                        "Please make sure your request has a User-Agent "
                        "header")
        scheme, _, token = req.headers.get("Authorization", "") \
            .partition(" ")
        req.token = token.strip()
        req.known = scheme.lower() in ("bearer", "token") and req.token
        req.owner = None
        if who == "none":
            return
        if not req.known:
            raise denied("Requires authentication")
        if who == "jwt":
            self.check_jwt(req.token)
        else:
            self.check_token(req)
        self.meter(req, bucket)

    def check_jwt(self, token):
        try:
            auth.check_jwt(token, self.key, self.issuers,
                           int(time.time() + self.opts.skew))
        except auth.Refused as why:
            if str(why) == "Integration not found":
                raise error(404, str(why)) from None
            raise denied(str(why)) from None

    def check_token(self, req):
        if self.opts.pat and req.token == self.opts.pat:
            return
        row = self.store.tokens.get(req.token)
        if row is None or row["expires"] <= time.time():
            raise denied()
        req.owner = row["login"]
        args = req.args
        if args.get("enterprise"):
            raise error(403, "Resource not accessible by integration")
        for key in ("repo", "org"):
            if args.get(key):
                if args[key].split("/")[1].lower() != req.owner.lower():
                    raise missing()

    def meter(self, req, bucket):
        limit, used, reset = self.store.spend(req.token, bucket)
        req.quota = (limit, used, reset, bucket)
        if used > limit:
            raise error(403, "API rate limit exceeded")

    def scope(self, req):
        """The scope named by the path, as "repo:o/r", "org:o", ..."""
        for kind in ("repo", "org", "enterprise"):
            text = req.args.get(kind)
            if text:
                name = text.partition("/")[2]
                if kind != "enterprise" and \
                        self.store.installation(name.split("/")[0]) is None:
                    raise missing()
                return f"{kind}:{name}"
        return ""

    def paged(self, req, rows, key=None, **more):
        """One page of rows with its Link header."""
        try:
            size = int(req.query.get("per_page", 30))
            page = max(1, int(req.query.get("page", 1)))
        except ValueError:
            raise invalid("per_page and page must be integers") from None
        size = min(max(1, size), 100)
        last = max(1, -(-len(rows) // size))
        links = []
        for rel, number_ in (("prev", page - 1), ("next", page + 1),
                             ("last", last), ("first", 1)):
            wanted = page < last if rel in ("next", "last") else page > 1
            if wanted:
                url = req.url(per_page=size, page=number_)
                links.append(f'<{url}>; rel="{rel}"')
        part = rows[(page - 1) * size:page * size]
        body = part if key is None else \
            {"total_count": len(rows), key: part, **more}
        return Answer(200, body, {"Link": ", ".join(links)} if links else {})


# The App

@route("GET", "/app", "jwt")
def app(api, _req):
    shapes, opts = api.store.shapes, api.opts
    return Answer(200, {
        "id": opts.app_id, "slug": "forge-fake", "node_id": "A_1",
        "client_id": opts.client_id, "owner": shapes.account("acme"),
        "name": "forge fake", "description": None,
        "external_url": shapes.web, "html_url": f"{shapes.web}/apps/forge",
        "created_at": stamp(1700000000), "updated_at": stamp(1700000000),
        "permissions": {"actions": "read"}, "events": ["workflow_job"],
        "installations_count": len(api.store.installs),
    })


def installation_json(api, inst):
    return api.store.shapes.installation(inst, api.opts.app_id)


@route("GET", "/app/installations", "jwt")
def app_installations(api, req):
    for login in api.opts.install:
        api.store.installation(login)
    return api.paged(req, [installation_json(api, inst)
                           for inst in api.store.installs.values()])


@route("GET", r"/app/installations/(?P<id>\d+)", "jwt")
def app_installation(api, req):
    inst = api.store.installs.get(int(req.args["id"]))
    return Answer(200, installation_json(api, inst)) if inst else missing()


@route("GET", r"/orgs/(?P<login>[^/]+)/installation", "jwt")
@route("GET", r"/users/(?P<login>[^/]+)/installation", "jwt")
@route("GET", r"/repos/(?P<login>[^/]+)/[^/]+/installation", "jwt")
def account_installation(api, req):
    inst = api.store.installation(req.args["login"])
    return Answer(200, installation_json(api, inst)) if inst else missing()


@route("POST", r"/app/installations/(?P<id>\d+)/access_tokens", "jwt")
def access_tokens(api, req):
    inst = api.store.installs.get(int(req.args["id"]))
    if inst is None:
        return missing()
    body = req.json(optional=True)
    permissions = body.get("permissions") or \
        installation_json(api, inst)["permissions"]
    if not isinstance(permissions, dict):
        return invalid("permissions is not an object.")
    token, row = api.store.mint(inst)
    return Answer(201, {
        "token": token, "expires_at": stamp(row["expires"]),
        "permissions": permissions, "repository_selection": "all",
    })


@route("GET", "/installation/repositories")
def installation_repositories(api, req):
    names = sorted({run["repo"] for run in api.store.runs.values()})
    rows = [api.store.shapes.repository(name) for name in names
            if req.owner is None or
            name.split("/")[0].lower() == req.owner.lower()]
    return api.paged(req, rows, "repositories", repository_selection="all")


@route("GET", "/repos", scopes=SCOPES[1:2])
def org_repositories(api, req):
    login = api.scope(req).partition(":")[2].lower()
    names = sorted({run["repo"] for run in api.store.runs.values()})
    return api.paged(req, [api.store.shapes.minimal_repository(name)
                           for name in names
                           if name.split("/")[0].lower() == login])


@route("GET", "/rate_limit", "none")
def rate_limit(api, req):
    def bucket(name):
        limit, used, reset = api.store.quota(req.token, name)
        return {"limit": limit, "used": used, "reset": reset,
                "remaining": max(0, limit - used)}
    core = bucket("core")
    return Answer(200, {"rate": core, "resources": {
        "core": core, "search": bucket("search"),
        REGISTRATION: bucket(REGISTRATION)}})


# Runners

def registration(api, req):
    scope = api.scope(req)
    token = "A" + f"{number(scope + str(time.time_ns())):028X}"
    api.store.scalesets.registrations[token] = scope
    return Answer(201, {"token": token,
                        "expires_at": stamp(time.time() + 3600)})


for word in ("registration-token", "remove-token"):
    route("POST", f"/actions/runners/{word}", bucket=REGISTRATION,
          scopes=SCOPES)(registration)


def jit_reasons(body):
    """What is wrong with a generate-jitconfig body."""
    name, group = body.get("name"), body.get("runner_group_id")
    labels = body.get("labels")
    if not isinstance(name, str) or not 0 < len(name) <= 64:
        yield "name must be a string of 1 to 64 characters."
    if not isinstance(group, int) or isinstance(group, bool):
        yield "runner_group_id must be an integer."
    if not isinstance(labels, list) or not 1 <= len(labels) <= 100 or \
            not all(isinstance(label, str) and label for label in labels):
        yield "labels must be an array of 1 to 100 strings."
    if not isinstance(body.get("work_folder", "_work"), str):
        yield "work_folder must be a string."


@route("POST", "/actions/runners/generate-jitconfig", bucket=REGISTRATION,
       scopes=SCOPES)
def jitconfig(api, req):
    scope, body = api.scope(req), req.json()
    reasons = list(jit_reasons(body))
    if reasons:
        return invalid(*reasons)
    group = body["runner_group_id"]
    if group not in api.store.groups or \
            scope.startswith("repo:") and group != 1:
        return missing()
    if not api.store.may_mint():
        return error(403, "You have exceeded a secondary rate limit. Please "
                     "wait a few minutes before you try again.")
    row, encoded = api.store.jit(scope, body)
    return Answer(201, {"runner": api.store.runner_json(row),
                        "encoded_jit_config": encoded})


@route("GET", "/actions/runners", scopes=SCOPES)
def runners(api, req):
    rows, name = api.store.in_scope(api.scope(req)), req.query.get("name")
    return api.paged(req, [api.store.runner_json(row) for row in rows
                           if name is None or row["name"] == name],
                     "runners")


def one_runner(api, req):
    row = api.store.runner(api.scope(req), int(req.args["id"]))
    if row is None:
        raise missing()
    return row


@route("GET", r"/actions/runners/(?P<id>\d+)", scopes=SCOPES)
def runner(api, req):
    return Answer(200, api.store.runner_json(one_runner(api, req)))


@route("DELETE", r"/actions/runners/(?P<id>\d+)", scopes=SCOPES)
def runner_delete(api, req):
    api.store.delete_runner(one_runner(api, req))
    return Answer(204)


@route("GET", "/actions/runners/downloads", scopes=SCOPES)
def downloads(api, _req):
    files = []
    for arch in ("x64", "arm64"):
        name = f"actions-runner-linux-{arch}-2.329.0.tar.gz"
        files.append({
            "os": "linux", "architecture": arch, "filename": name,
            "download_url": f"{api.store.shapes.web}/_fake/download/{name}",
        })
    return Answer(200, files)


@route("GET", "/actions/runner-groups", scopes=SCOPES[1:])
def runner_groups(api, req):
    here = f"{api.store.shapes.api}{req.path}"
    return api.paged(req, [{
        "id": ident, "name": name, "visibility": "all",
        "default": ident == 1, "inherited": False,
        "allows_public_repositories": False,
        "restricted_to_workflows": False, "selected_workflows": [],
        "runners_url": f"{here}/{ident}/runners",
    } for ident, name in api.store.groups.items()], "runner_groups")


# Runs and jobs

def mine(api, req, table):
    """The row of a run or job that the path names."""
    repo = api.scope(req).partition(":")[2]
    row = table.get(int(req.args["id"]))
    if row is None or row["repo"].lower() != repo.lower():
        raise missing()
    return row


@route("GET", r"/actions/jobs/(?P<id>\d+)", scopes=SCOPES[:1])
def job(api, req):
    return Answer(200, api.store.shapes.job(mine(api, req, api.store.jobs)))


@route("GET", r"/actions/jobs/(?P<id>\d+)/logs", scopes=SCOPES[:1])
def job_logs(api, req):
    row = mine(api, req, api.store.jobs)
    if row["id"] not in api.store.logs:
        return missing()
    url = f"{api.store.shapes.web}/_fake/logs/{row['id']}"
    return Answer(302, None, {"Location": url})


@route("GET", "/actions/runs", scopes=SCOPES[:1])
def runs(api, req):
    repo = api.scope(req).partition(":")[2].lower()
    status = req.query.get("status")
    rows = [api.store.run_json(run)
            for run in reversed(api.store.runs.values())
            if run["repo"].lower() == repo]
    return api.paged(req, [row for row in rows if status is None or
                           status in (row["status"], row["conclusion"])],
                     "workflow_runs")


@route("GET", r"/actions/runs/(?P<id>\d+)", scopes=SCOPES[:1])
def run(api, req):
    return Answer(200, api.store.run_json(mine(api, req, api.store.runs)))


@route("GET", r"/actions/runs/(?P<id>\d+)/jobs", scopes=SCOPES[:1])
def run_jobs(api, req):
    row = mine(api, req, api.store.runs)
    return api.paged(req, [api.store.shapes.job(each)
                           for each in api.store.run_jobs(row)], "jobs")


@route("POST", r"/actions/runs/(?P<id>\d+)/cancel", scopes=SCOPES[:1])
def run_cancel(api, req):
    live = [row for row in
            api.store.run_jobs(mine(api, req, api.store.runs))
            if row["status"] != "completed"]
    if not live:
        return error(409, "Cannot cancel a workflow run that is completed.")
    for row in live:
        api.store.cancel(row)
    return Answer(202, {})


# Webhook deliveries

HOOKS = (("/app/hook", "jwt", None),
         (r"/hooks/\d+", "token", SCOPES[:2]))


@route("GET", "/hooks", scopes=SCOPES[:2])
def hooks(api, req):
    """One hook, number 1, or none without a webhook URL."""
    if not api.opts.webhook_url:
        return api.paged(req, [])
    return api.paged(req, [api.store.shapes.hook(
        api.scope(req), api.opts.webhook_url,
        "form" if api.opts.webhook_form else "json")])


def deliveries(api, req):
    rows = api.hooks.select(api.scope(req), req.query.get("status"))
    try:
        size = min(max(1, int(req.query.get("per_page", 30))), 100)
        cursor = int(req.query.get("cursor", 1 << 62))
    except ValueError:
        return error(400, "Invalid cursor")
    rows = [row for row in rows if row["id"] <= cursor]
    headers = {}
    if len(rows) > size:
        url = req.url(per_page=size, cursor=rows[size]["id"])
        headers["Link"] = f'<{url}>; rel="next"'
    return Answer(200, [api.hooks.item(row) for row in rows[:size]], headers)


def one_delivery(api, req):
    for row in api.hooks.select(api.scope(req), None):
        if row["id"] == int(req.args["id"]):
            return row
    raise missing()


def delivery(api, req):
    return Answer(200, api.hooks.full(one_delivery(api, req)))


def attempt(api, req):
    api.hooks.redeliver(one_delivery(api, req))
    return Answer(202, {})


for base, caller, where in HOOKS:
    own = base + r"/deliveries/(?P<id>\d+)"
    route("GET", f"{base}/deliveries", caller, scopes=where)(deliveries)
    route("GET", own, caller, scopes=where)(delivery)
    route("POST", f"{own}/attempts", caller, scopes=where)(attempt)


def parse_json(body, optional):
    """The object in a request body, or an error as GitHub answers."""
    if not body and optional:
        return {}
    try:
        value = json.loads(body)
    except ValueError:
        raise error(400, "Problems parsing JSON") from None
    if not isinstance(value, dict):
        raise error(400, "Body should be a JSON object")
    return value
