"""GitHub's JSON objects, with every field that its schemas require."""

import datetime
import hashlib
import time
import zlib


def stamp(when):
    """Epoch seconds as GitHub writes times, or None."""
    if when is None:
        return None
    moment = datetime.datetime.fromtimestamp(int(when), datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


PUSHED = stamp(time.time())


def number(text):
    """A stable positive id for a name."""
    return zlib.crc32(text.lower().encode()) & 0x7FFFFFFF or 1


def node(kind, ident):
    return f"{kind}_{ident:012x}"


def sha(text):
    return hashlib.sha1(text.encode()).hexdigest()


class Shapes:
    """Knows where the API and the web pages of this fake live."""

    def __init__(self, api, types):
        self.api = api
        self.web = api
        self.types = types  # login -> "User", everything else is an org

    def account(self, login):
        user = f"{self.api}/users/{login}"
        return {
            "login": login, "id": number(login),
            "node_id": node("O", number(login)),
            "avatar_url": f"{self.web}/avatars/{login}",
            "gravatar_id": "", "url": user,
            "html_url": f"{self.web}/{login}",
            "followers_url": f"{user}/followers",
            "following_url": f"{user}/following{{/other_user}}",
            "gists_url": f"{user}/gists{{/gist_id}}",
            "starred_url": f"{user}/starred{{/owner}}{{/repo}}",
            "subscriptions_url": f"{user}/subscriptions",
            "organizations_url": f"{user}/orgs",
            "repos_url": f"{user}/repos",
            "events_url": f"{user}/events{{/privacy}}",
            "received_events_url": f"{user}/received_events",
            "type": self.types.get(login.lower(), "Organization"),
            "site_admin": False,
        }

    def organization(self, login):
        org = f"{self.api}/orgs/{login}"
        return {
            "login": login, "id": number(login),
            "node_id": node("O", number(login)), "url": org,
            "repos_url": f"{org}/repos", "events_url": f"{org}/events",
            "hooks_url": f"{org}/hooks", "issues_url": f"{org}/issues",
            "members_url": f"{org}/members{{/member}}",
            "public_members_url": f"{org}/public_members{{/member}}",
            "avatar_url": f"{self.web}/avatars/{login}",
            "description": "",
        }

    def minimal_repository(self, name):
        owner, short = name.split("/")
        repo = f"{self.api}/repos/{name}"
        urls = {
            "archive": "/{archive_format}{/ref}",
            "assignees": "/assignees{/user}", "blobs": "/git/blobs{/sha}",
            "branches": "/branches{/branch}",
            "collaborators": "/collaborators{/collaborator}",
            "comments": "/comments{/number}", "commits": "/commits{/sha}",
            "compare": "/compare/{base}...{head}",
            "contents": "/contents/{+path}", "contributors": "/contributors",
            "deployments": "/deployments", "downloads": "/downloads",
            "events": "/events", "forks": "/forks",
            "git_commits": "/git/commits{/sha}",
            "git_refs": "/git/refs{/sha}", "git_tags": "/git/tags{/sha}",
            "hooks": "/hooks",
            "issue_comment": "/issues/comments{/number}",
            "issue_events": "/issues/events{/number}",
            "issues": "/issues{/number}", "keys": "/keys{/key_id}",
            "labels": "/labels{/name}", "languages": "/languages",
            "merges": "/merges", "milestones": "/milestones{/number}",
            "notifications": "/notifications{?since,all,participating}",
            "pulls": "/pulls{/number}", "releases": "/releases{/id}",
            "stargazers": "/stargazers", "statuses": "/statuses/{sha}",
            "subscribers": "/subscribers", "subscription": "/subscription",
            "tags": "/tags", "teams": "/teams", "trees": "/git/trees{/sha}",
        }
        out = {
            "id": number(name), "node_id": node("R", number(name)),
            "name": short, "full_name": name, "private": True,
            "owner": self.account(owner), "html_url": f"{self.web}/{name}",
            "description": None, "fork": False, "url": repo,
        }
        out.update({f"{key}_url": repo + tail for key, tail in urls.items()})
        return out

    def repository(self, name):
        out = self.minimal_repository(name)
        born = stamp(1700000000)
        out.update({
            "created_at": born, "updated_at": born, "pushed_at": PUSHED,
            "git_url": f"git://127.0.0.1/{name}.git",
            "ssh_url": f"git@127.0.0.1:{name}.git",
            "clone_url": f"{self.web}/{name}.git",
            "svn_url": f"{self.web}/{name}", "homepage": None, "size": 0,
            "stargazers_count": 0, "watchers_count": 0, "language": None,
            "has_issues": True, "has_projects": True, "has_downloads": True,
            "has_wiki": False, "has_pages": False, "forks_count": 0,
            "mirror_url": None, "archived": False, "disabled": False,
            "open_issues_count": 0, "license": None, "forks": 0,
            "open_issues": 0, "watchers": 0, "default_branch": "main",
            "is_template": False, "topics": [], "visibility": "private",
            "allow_forking": True, "web_commit_signoff_required": False,
            "custom_properties": {},
        })
        return out

    def installation(self, inst, app_id):
        login, ident = inst["login"], inst["id"]
        kind = self.types.get(login.lower(), "Organization")
        own = f"{self.api}/app/installations/{ident}"
        return {
            "id": ident, "account": self.account(login),
            "repository_selection": "all",
            "access_tokens_url": f"{own}/access_tokens",
            "repositories_url": f"{self.api}/installation/repositories",
            "html_url": f"{self.web}/settings/installations/{ident}",
            "app_id": app_id, "app_slug": "forge-fake",
            "target_id": number(login), "target_type": kind,
            "permissions": {
                "actions": "read", "administration": "write",
                "metadata": "read",
                "organization_self_hosted_runners": "write",
            },
            "events": ["workflow_job"],
            "created_at": stamp(1700000000), "updated_at": stamp(1700000000),
            "single_file_name": None, "suspended_by": None,
            "suspended_at": None,
        }

    @staticmethod
    def runner(row, online):
        return {
            "id": row["id"], "name": row["name"], "os": row["os"],
            "status": "online" if online else "offline",
            "busy": row["job"] is not None, "ephemeral": True,
            "runner_group_id": row["group"],
            "labels": [{"id": number(label), "name": label, "type": "custom"}
                       for label in row["labels"]],
        }

    def job(self, row):
        repo = f"{self.api}/repos/{row['repo']}"
        run, ident = row["run_id"], row["id"]
        page = f"{self.web}/{row['repo']}/actions/runs/{run}"
        return {
            "id": ident, "run_id": run, "workflow_name": row["workflow"],
            "head_branch": row["branch"],
            "run_url": f"{repo}/actions/runs/{run}",
            "run_attempt": row["attempt"], "node_id": node("CR", ident),
            "head_sha": row["sha"], "url": f"{repo}/actions/jobs/{ident}",
            "html_url": f"{page}/job/{ident}", "status": row["status"],
            "conclusion": row["conclusion"],
            "created_at": stamp(row["created"]),
            "started_at": stamp(row["started"] or row["created"]),
            "completed_at": stamp(row["completed"]),
            "name": row["name"], "steps": self.steps(row),
            "check_run_url": f"{repo}/check-runs/{ident}",
            "labels": row["labels"], "runner_id": row["runner_id"],
            "runner_name": row["runner_name"],
            "runner_group_id": row["group"],
            "runner_group_name": row["group_name"],
        }

    @staticmethod
    def steps(row):
        if row["started"] is None:
            return []
        done = row["completed"] is not None
        conclusion = row["conclusion"] if done else None
        if conclusion not in ("success", "failure", "cancelled", "skipped"):
            conclusion = "failure" if done else None
        begun, ended = stamp(row["started"]), stamp(row["completed"])
        return [
            {"name": "Set up job", "status": "completed",
             "conclusion": "success", "number": 1,
             "started_at": begun, "completed_at": begun},
            {"name": "Run script", "number": 2,
             "status": "completed" if done else "in_progress",
             "conclusion": conclusion,
             "started_at": begun, "completed_at": ended},
        ]

    def hook(self, scope, url, content):
        kind, _, name = scope.partition(":")
        own = f"{self.api}/{kind}s/{name}/hooks/1"
        out = {
            "type": "Repository" if kind == "repo" else "Organization",
            "id": 1, "name": "web", "active": True,
            "events": ["workflow_job"],
            "config": {"url": url, "content_type": content,
                       "insecure_ssl": "0", "secret": "********"},
            "updated_at": stamp(1700000000), "created_at": stamp(1700000000),
            "url": own, "ping_url": f"{own}/pings",
            "deliveries_url": f"{own}/deliveries",
        }
        if kind == "repo":
            out["test_url"] = f"{own}/test"
            out["last_response"] = {"code": None, "status": "unused",
                                    "message": None}
        return out

    def run(self, row, status, conclusion, updated):
        repo = f"{self.api}/repos/{row['repo']}"
        own = f"{repo}/actions/runs/{row['id']}"
        workflow = number(row["repo"] + row["workflow"])
        suite = number(f"suite{row['id']}")
        person = {"name": "Forge Tester", "email": "tester@example.com"}
        return {
            "id": row["id"], "name": row["workflow"],
            "node_id": node("WFR", row["id"]),
            "check_suite_id": suite, "check_suite_node_id": node("CS", suite),
            "head_branch": row["branch"], "head_sha": row["sha"],
            "path": ".github/workflows/ci.yml", "run_number": row["number"],
            "run_attempt": 1, "event": row["event"],
            "display_title": row["workflow"], "status": status,
            "conclusion": conclusion, "workflow_id": workflow,
            "url": own, "pull_requests": [], "referenced_workflows": [],
            "html_url": f"{self.web}/{row['repo']}/actions/runs/{row['id']}",
            "created_at": stamp(row["created"]),
            "updated_at": stamp(updated),
            "run_started_at": stamp(row["created"]),
            "jobs_url": f"{own}/jobs", "logs_url": f"{own}/logs",
            "check_suite_url": f"{repo}/check-suites/{suite}",
            "artifacts_url": f"{own}/artifacts",
            "cancel_url": f"{own}/cancel", "rerun_url": f"{own}/rerun",
            "previous_attempt_url": None,
            "workflow_url": f"{repo}/actions/workflows/{workflow}",
            "head_commit": {
                "id": row["sha"], "tree_id": sha("tree" + row["sha"]),
                "message": "change", "timestamp": stamp(row["created"]),
                "author": person, "committer": person,
            },
            "actor": self.account("tester"),
            "triggering_actor": self.account("tester"),
            "repository": self.minimal_repository(row["repo"]),
            "head_repository": self.minimal_repository(row["repo"]),
        }
