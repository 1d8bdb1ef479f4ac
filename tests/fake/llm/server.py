"""HTTP for the model: one thread a connection, answers streamed."""

import http.server
import json
import os
import socketserver
import threading
import time
import urllib.parse

from llm import anthropic, gemini, openai
from llm.script import decide

MAX_BODY = 64 << 20


def publish(path, content):
    with open(path + ".tmp", "wb") as out:
        out.write(content)
    os.rename(path + ".tmp", path)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64
    tls = None

    def finish_request(self, request, client_address):
        if self.tls:  # in the connection's own thread
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        pass  # a client that went away


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version, sys_version = "model", ""
    folder, key, script = "", None, []
    count, lock, failed = 0, threading.Lock(), {}

    def log_message(self, *_args):
        pass

    # ---- in ----

    def handle_any(self):
        self.body, self.turn = {}, None
        raw = self.read_body()
        try:
            self.body = json.loads(raw or b"{}")
        except ValueError:
            pass
        self.path = urllib.parse.urlsplit(self.path).path
        while self.path.startswith("//"):
            self.path = self.path[1:]
        answer = self.route()
        self.note(raw)
        try:
            answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = handle_any

    def read_body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts, total = [], 0
            while total <= MAX_BODY:
                size = int(self.rfile.readline().split(b";")[0], 16)
                parts.append(self.rfile.read(size))
                self.rfile.readline()
                total += size
                if not size:
                    break
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def note(self, raw):
        with Handler.lock:
            Handler.count += 1
            number = Handler.count
            publish(f"{self.folder}/{number}.body", raw)
            line = {"n": number, "at": time.time(), "method": self.command,
                    "path": self.path, "headers":
                    {k.lower(): v for k, v in self.headers.items()}}
            if self.turn:
                line.update(model=self.turn.model, stream=self.turn.stream,
                            tools=self.turn.tools, step=self.turn.step,
                            prompt=self.turn.prompt)
            with open(f"{self.folder}/requests.ndjson", "a",
                      encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")

    def allowed(self):
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return self.key is None or self.key in (
            given, self.headers.get("x-api-key"),
            self.headers.get("x-goog-api-key"))

    def route(self):
        api = anthropic
        if self.path.startswith("/v1beta/"):
            api = gemini
        elif not self.headers.get("anthropic-version"):
            api = openai
        if not self.allowed():
            return lambda: self.json(401, api.error(401, "invalid x-api-key"))
        if self.command == "POST":
            return self.post(api)
        if self.path == "/v1/models":
            return lambda: self.json(200, api.models())
        return lambda: self.json(404, api.error(404, "no such path"))

    def post(self, api):
        path, verb = self.path, self.path.partition(":")[2]
        if path == "/v1/messages":
            return self.reply(anthropic, anthropic.read(self.body),
                              anthropic.whole, anthropic.stream)
        if path == "/v1/messages/count_tokens":
            return lambda: self.json(200, anthropic.count(self.body))
        if path == "/v1/chat/completions":
            return self.reply(openai, openai.read_chat(self.body),
                              openai.whole_chat, openai.stream_chat)
        if path == "/v1/responses":
            return self.reply(openai, openai.read_responses(self.body),
                              openai.whole_responses, openai.stream_responses)
        if verb == "countTokens":
            return lambda: self.json(200, gemini.count(self.body))
        if verb in ("generateContent", "streamGenerateContent"):
            turn = gemini.read(self.body, path.split("/")[-1].split(":")[0])
            turn.stream = verb.startswith("stream")
            return self.reply(gemini, turn, gemini.whole, gemini.stream)
        return lambda: self.json(404, api.error(404, "no such path"))

    # ---- out ----

    def reply(self, api, turn, whole, stream):
        self.turn = turn
        reply = decide(turn, self.script)
        if reply.status and self.fails(turn, reply):
            return lambda: self.refuse(api, *reply.status[:2])
        if turn.stream:
            return lambda: self.stream(reply, stream(turn, reply))
        return lambda: self.json(200, whole(turn, reply))

    def fails(self, turn, reply):
        """A status is for ever, or so many times for this step."""
        times = reply.status[2]
        if times < 0:
            return True
        with Handler.lock:
            key = (turn.prompt, turn.step)
            Handler.failed[key] = Handler.failed.get(key, 0) + 1
            return Handler.failed[key] <= times

    def refuse(self, api, status, after):
        headers = {"retry-after": str(after)} if after else {}
        if api is anthropic:
            headers.update(anthropic.limits(status, after, time.time()))
        self.json(status, api.error(status, "as the script says"), headers)

    def json(self, status, body, headers=None):
        text = b"" if self.command == "HEAD" else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def chunk(self, text):
        raw = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
        self.wfile.flush()

    def stream(self, reply, events):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(events):
            if number == 1 and reply.hang:
                self.connection.recv(1)  # until the client goes
                self.close_connection = True
                return
            self.chunk(event)
            if number == 1 and reply.garbage:
                self.chunk("data: {\x01\xff not what you think\n\n")
            if number == 2 and reply.cut:
                self.close_connection = True
                return
            time.sleep(reply.delay)
        self.chunk("")
