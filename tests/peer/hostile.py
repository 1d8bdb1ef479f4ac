#!/usr/bin/python3
"""hostile.py PORT MODE [N]: what no client of HTTP/2 should do, frame by frame.
hostile.py PORT everything SECONDS | held N [HEX] | proxy HEX | forward PORT HEX

Each thing that comes back is a word of the only line: "settings", "alive" (our
last PING was answered), "goaway N" and "reset N" with their error,
"closed"; at last how many lists of headers came.  Sent by hand, since libraries refuse to send most of it.
"""
import socket
import ssl
import struct
import sys
import threading
import time

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
REFLECT = b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
WATCH = b"/grpc.health.v1.Health/Watch"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def text(s):
    if len(s) < 127:
        return bytes([len(s)]) + s
    n, out = len(s) - 127, b"\x7f"
    while n > 127:
        out += bytes([n % 128 + 128])
        n //= 128
    return out + bytes([n]) + s


def field(name, value):  # literal, never in the table
    return b"\x10" + text(name) + text(value)


def request(path, more=()):
    fields = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", path),
              (b":authority", b"localhost"), (b"content-type", b"application/grpc"),
              (b"te", b"trailers"), *more]
    return b"".join(field(*f) for f in fields)


class Client:
    def __init__(self, port, greet=True, before=b"", deadline=60):
        self.raw = socket.create_connection(("127.0.0.1", port), deadline)
        self.raw.sendall(before)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        self.tls = context.wrap_socket(self.raw)
        self.got, self.buffer, self.seen = [], b"", 0
        if greet:
            self.send(PREFACE + frame(SETTINGS))

    def send(self, data):
        try:
            self.tls.sendall(data)
            return True
        except (OSError, ssl.SSLError):
            return False

    def note(self, word):
        if word not in self.got:
            self.got.append(word)

    def take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            self.note("settings")
            self.send(frame(SETTINGS, ACK))
        elif kind == GOAWAY:
            self.note("goaway %d" % struct.unpack(">I", payload[4:8]))
        elif kind == RESET:
            self.note("reset %d" % struct.unpack(">I", payload))
        elif kind == HEADERS:
            self.seen += 1
        elif kind == PING and flags & ACK and payload == b"the last":
            self.note("alive")

    def read(self, until=("alive", "goaway", "closed", "silence"), limit=60):
        end = time.monotonic() + limit
        while not any(g.startswith(until) for g in self.got):
            if not self.receive(max(0.01, end - time.monotonic())):
                self.note("silence")

    def receive(self, seconds):  # False: there was nothing
        self.tls.settimeout(seconds)
        try:
            data = self.tls.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError, BlockingIOError):
            return False
        except (OSError, ssl.SSLError):
            data = b""
        if not data:
            new = "closed" not in self.got
            self.note("closed")
            return new
        self.buffer += data
        while len(self.buffer) >= 9:
            n = int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < 9 + n:
                break
            kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
            self.take(kind, flags, stream, self.buffer[9:9 + n])
            self.buffer = self.buffer[9 + n:]
        return True

    def drain(self):  # so that answers do not pile up
        while self.receive(0):
            pass
        self.tls.settimeout(60)

    def ask(self):  # is it there, after all that?
        self.send(frame(PING, 0, 0, b"the last"))
        self.read()


def rapid_reset(c, n):
    head = request(WATCH)
    for i in range(n):
        if not c.send(frame(HEADERS, END_HEADERS, 2 * i + 1, head) +
                      frame(RESET, 0, 2 * i + 1, b"\0\0\0\x08")):
            break
        if i % 50 == 0:
            c.drain()


def flood(kind, payload=b"", stream=0):
    def run(c, n):
        for _ in range(n // 100):
            if not c.send(frame(kind, 0, stream, payload) * 100):
                break
            c.drain()
    return run


def empty_data(c, n):
    c.send(frame(HEADERS, END_HEADERS, 1, request(REFLECT)))
    for _ in range(n // 100):
        if not c.send(frame(DATA, 0, 1) * 100):
            break
        c.drain()


def continuation(c, n):
    c.send(frame(HEADERS, 0, 1, request(WATCH)))
    for _ in range(n):
        if not c.send(frame(CONTINUATION, 0, 1, field(b"x-more", b"y" * 100))):
            break
        c.drain()


def big_headers(c, n):
    head = request(WATCH, [(b"x-%d" % i, b"y" * 1000) for i in range(n)])
    c.send(frame(HEADERS, 0, 1, head[:16000]) + frame(CONTINUATION, END_HEADERS, 1, head[16000:]))


def big_frame(c, n):
    c.send(frame(DATA, 0, 1, b"z" * n))


def many_streams(c, n):
    for i in range(n):  # a Watch goes on until it is ended
        c.send(frame(HEADERS, END_HEADERS, 2 * i + 1, request(WATCH)) +
               frame(DATA, END_STREAM, 2 * i + 1, b"\0\0\0\0\0"))


def slow_reader(c, n):
    """Asks on and on for what is large, and gives no window."""
    name = b"\x22\x1acirunner.agent.AgentService"
    name = bytes([0x22, len(name) - 2]) + name[2:]
    ask = struct.pack(">BI", 0, len(name)) + name
    for stream in range(1, 2 * n, 2):
        c.send(frame(HEADERS, END_HEADERS, stream, request(REFLECT)))
    for _ in range(40):
        for stream in range(1, 2 * n, 2):
            if not c.send(frame(DATA, 0, stream, ask * 30)):
                return


MODES = {
    "rapid-reset": rapid_reset, "settings": flood(SETTINGS), "ping": flood(PING, b"pingpong"),
    "priority": flood(2, b"\0\0\0\0\x10", 1), "empty-data": empty_data,
    "continuation": continuation, "big-headers": big_headers, "big-frame": big_frame,
    "many-streams": many_streams, "slow-reader": slow_reader,
}


def held(port, n, what):
    """Connections that say nothing, or half a greeting: how they end."""
    began, all_of_them, ended = time.monotonic(), [], 0
    for _ in range(n):
        s = socket.create_connection(("127.0.0.1", port), 60)
        s.sendall(what)
        all_of_them.append(s)
    for s in all_of_them:
        s.settimeout(60)
        try:
            while s.recv(4096):
                pass
        except TimeoutError:
            continue
        except OSError:
            pass
        ended += 1
    print("ended", ended, "after", round(time.monotonic() - began))


def everything(port, seconds):
    end, n = time.monotonic() + seconds, 0
    often = {"rapid-reset": 2000, "settings": 9000, "ping": 9000, "priority": 9000,
             "empty-data": 9000, "continuation": 100, "big-headers": 30, "big-frame": 20000,
             "many-streams": 120, "slow-reader": 60}
    while time.monotonic() < end:
        for mode, many in often.items():
            try:
                MODES[mode](Client(port), many)
            except (OSError, ssl.SSLError):
                pass
            n += 1
    print("attacks", n)


def forward(port, listen, header):
    """What a load balancer does: each connection, with a header before it."""
    server = socket.create_server(("127.0.0.1", listen))
    print("ready", flush=True)

    def copy(source, to):
        try:
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    while True:
        one = server.accept()[0]
        two = socket.create_connection(("127.0.0.1", port), 60)
        for byte in header:  # as slowly as a header may come
            two.sendall(bytes([byte]))
        threading.Thread(target=copy, args=(one, two), daemon=True).start()
        threading.Thread(target=copy, args=(two, one), daemon=True).start()


def main():
    port, mode = int(sys.argv[1]), sys.argv[2]
    n = int(sys.argv[3]) if len(sys.argv) > 3 and mode != "proxy" else 0
    if mode == "held":
        held(port, n, bytes.fromhex(sys.argv[4]) if len(sys.argv) > 4 else b"")
        return
    if mode == "everything":
        everything(port, n)
        return
    if mode == "forward":
        forward(port, n, bytes.fromhex(sys.argv[4]))
    if mode == "proxy":
        c = Client(port, before=bytes.fromhex(sys.argv[3]))
    elif mode == "mute":
        c = Client(port, greet=False)
        c.read(until=("goaway", "closed"))
    else:
        c = Client(port)
        c.read(until=("settings", "closed"))
        MODES[mode](c, n)
    c.ask()
    print(*c.got, c.seen)


try:
    main()
except (OSError, ssl.SSLError) as e:
    print("closed", file=sys.stdout)
