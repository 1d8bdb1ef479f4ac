"""HTTP: reads requests, applies faults, writes answers, keeps a journal."""

import hashlib
import http.server
import json
import select
import socket
import time
import urllib.parse

from hub.rest import Answer, error, parse_json

MAX_BODY = 1 << 20
JOURNAL = 20000
GHES_PREFIX = "/api/v3"


class Request:
    def __init__(self, handler, method, target):
        url = urllib.parse.urlsplit(target)
        self.method, self.path = method, urllib.parse.unquote(url.path)
        if self.path.startswith(GHES_PREFIX + "/"):
            self.path = self.path[len(GHES_PREFIX):]
        self.query = dict(urllib.parse.parse_qsl(url.query))
        self.headers, self.body = handler.headers, b""
        self.sock = handler.connection
        self.quota, self.token, self.args, self.ids = None, "", {}, []

    def json(self, optional=False):
        return parse_json(self.body, optional)

    def url(self, **query):
        """This call's own address with other query values."""
        host = self.headers.get("Host", "127.0.0.1")
        text = urllib.parse.urlencode({**self.query, **query})
        return f"http://{host}{self.path}?{text}"

    def hung_up(self):
        """The client closed its end while we make it wait."""
        if not select.select([self.sock], [], [], 0)[0]:
            return False
        try:
            return self.sock.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True


class Cut(Exception):
    """Close the connection without (the rest of) an answer."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version, sys_version = "github.com", ""
    hub = None  # the program: api, control, faults, store, note()

    def handle_any(self):
        req = Request(self, self.command, self.path)
        try:
            self.read_body(req)
            self.respond(req)
        except (Cut, BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = handle_any

    def read_body(self, req):
        try:
            size = int(self.headers.get("Content-Length", 0))
        except ValueError:
            size = MAX_BODY + 1
        if self.headers.get("Transfer-Encoding") or size > MAX_BODY:
            self.write(req, error(413, "Payload too large"))
            raise Cut
        req.body = self.rfile.read(size)

    def respond(self, req):
        hub = self.hub
        private = req.path.startswith("/_fake/")
        runner = req.path.startswith("/_fake/runner/")
        fault = None
        if runner or not private:
            fault = hub.faults.take(req.method, req.path)
        answer = None
        if fault is None or fault.get("after"):
            answer = self.act(req, private)
        if fault:
            answer = self.spoil(req, fault, answer)
        if not private:
            answer = self.conditional(req, answer)
            hub.note(req, answer, fault)
        self.write(req, answer)

    def conditional(self, req, answer):
        """304 for what the client has; it costs nothing then."""
        if req.method != "GET" or answer.status != 200:
            return answer
        body, _ = self.encode(answer)
        etag = f'W/"{hashlib.sha256(body).hexdigest()}"'
        answer.headers["ETag"] = etag
        if self.headers.get("If-None-Match") != etag:
            return answer
        if req.quota:
            self.hub.store.used[req.token, req.quota[3]] -= 1
        return Answer(304, None, answer.headers)

    def act(self, req, private):
        hub = self.hub
        with hub.store.lock:
            hub.store.lose_runners()
            return (hub.control if private else hub.api).call(req)

    def spoil(self, req, fault, answer):
        """The answer after a fault; the call was or was not carried out."""
        time.sleep(fault.get("delay_ms", 0) / 1000)
        if fault.get("cut"):
            self.hub.note(req, None, fault)
            if fault["cut"] == "body" and answer is not None:
                self.write(req, answer, half=True)
            raise Cut
        if "status" in fault:
            status = fault["status"]
            body = fault.get("body", error(status, "fault").body)
            return Answer(status, body, fault.get("headers", {}))
        if answer is None:
            answer = self.act(req, req.path.startswith("/_fake/"))
        answer.headers.update(fault.get("headers", {}))
        return answer

    def encode(self, answer):
        if answer.body is None:
            return b"", None
        if isinstance(answer.body, str):
            return answer.body.encode(), "text/plain; charset=utf-8"
        return (json.dumps(answer.body).encode(),
                "application/json; charset=utf-8")

    def write(self, req, answer, half=False):
        body, kind = self.encode(answer)
        headers = dict(answer.headers)
        if kind:
            headers.setdefault("Content-Type", kind)
        self.limits(req, headers)
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers_with(body[:len(body) // 2] if half else body)

    def end_headers_with(self, body):
        """One write for everything, so that nothing waits for an ACK."""
        self._headers_buffer.append(b"\r\n")
        if self.command != "HEAD":
            self._headers_buffer.append(body)
        self.flush_headers()

    def limits(self, req, headers):
        headers["X-GitHub-Request-Id"] = self.hub.request_id()
        if req.quota is None:
            return
        limit, _, reset, bucket = req.quota
        given = {name.lower() for name in headers}
        used = self.hub.store.used[req.token, bucket]
        for name, value in (("limit", limit), ("used", used),
                            ("remaining", max(0, limit - used)),
                            ("reset", reset), ("resource", bucket)):
            if f"x-ratelimit-{name}" not in given:
                headers[f"x-ratelimit-{name}"] = value

    def date_time_string(self, timestamp=None):
        """The Date of answers, by a clock that may be wrong."""
        skew = self.hub.store.opts.skew if self.hub else 0
        return super().date_time_string((timestamp or time.time()) + skew)

    def log_message(self, *_args):
        """The journal is kept by note()."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def server_bind(self):
        """Without the base class's look-up of the host's name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        """Only what is not a client going away is worth a trace."""
        import sys
        if not isinstance(sys.exc_info()[1], (OSError, Cut)):
            super().handle_error(request, client_address)
