"""What the stand-ins for cloud-hypervisor and firecracker have in common.

They take the command lines, files and requests of the real ones, as their
projects' descriptions of the interface have them, and refuse everything else;
the guest is the forge-init of the given initramfs as the first process of
namespaces, in a copy of the given root, at the other end of hybrid vsock.

$FAKE_VMM makes one of them misbehave: "panic", "reset" (the guest is reset a
moment after it came up), "mute" (the guest never connects), "deaf" (the guest
is not told to shut down), "broken" (ends at once with words on stderr).
"""
import http.server
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

FAKE = os.environ.get("FAKE_VMM", "")
PORT = 1024
SHUTDOWN = b"\xf7frg\x12"  # how such a frame begins


def elf(path):
    with open(path, "rb") as f:
        return f.read(4) == b"\x7fELF"


class Guest:
    """One boot of the machine: bwrap around forge-init."""

    def __init__(self, initramfs, root, memory, socket_path, halt):
        self.halt = halt  # what CONFIG must say
        self.wrong = None
        self.paused = False
        # In the VM's own directory: it goes with it, however we end.
        self.dir = tempfile.mkdtemp(prefix="fake-vmm.", dir=os.getcwd())
        tree = self.dir + "/root"
        subprocess.run(["fsck.erofs", "--extract=" + tree, root], check=True,
                       stdout=subprocess.DEVNULL)
        with open(initramfs, "rb") as f:
            subprocess.run(["busybox", "cpio", "-i", "init"], stdin=f,
                           cwd=self.dir, check=True,
                           stderr=subprocess.DEVNULL)
        self.host = socket.socket(socket.AF_UNIX)
        self.host.connect("%s_%d" % (socket_path, PORT))
        mine, theirs = socket.socketpair()
        self.inside = mine
        with theirs:
            self.process = subprocess.Popen(
                ["bwrap", "--unshare-all", "--die-with-parent", "--as-pid-1",
                 "--clearenv", "--bind", tree, "/", "--proc", "/proc",
                 "--dev", "/dev", "--perms", "1777", "--size", str(memory),
                 "--tmpfs", "/tmp", "--cap-add", "ALL",
                 "--ro-bind", self.dir + "/init", "/run/init",
                 "--", "/run/init", "--place", str(theirs.fileno())],
                pass_fds=[theirs.fileno()])
        for pair in ((self.host, mine), (mine, self.host)):
            threading.Thread(target=self.relay, args=pair,
                             daemon=True).start()

    def relay(self, source, sink):
        seen = b""
        try:
            while data := source.recv(65536):
                if source is self.host and len(seen) < 4096:
                    seen += data
                    if b"halt=" in seen and self.halt not in seen:
                        self.wrong = "CONFIG does not say %r" % self.halt
                if FAKE == "deaf" and SHUTDOWN in data:
                    continue
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def first(self):
        """forge-init's pid out here."""
        pid = self.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return int(f.read().split()[0])

    def freeze(self, on):
        os.kill(self.first(), signal.SIGSTOP if on else signal.SIGCONT)
        self.paused = on

    def end(self):
        self.process.kill()

    def wait(self):
        self.process.wait()
        self.host.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Api(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """HTTP on a Unix socket; answer(method, path, body) -> status, object."""
    address_family = socket.AF_UNIX
    daemon_threads = True

    def __init__(self, path, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                n = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(n)
                try:
                    status, value = answer(
                        self.command, self.path,
                        json.loads(body) if body else None)
                except ValueError as e:
                    status, value = 400, {"fault_message": str(e)}
                text = b"" if value is None else json.dumps(value).encode()
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_PATCH = handle_one

            def log_message(self, *args):
                pass

            def address_string(self):
                return "unix"

        os.umask(0o077)
        socketserver.TCPServer.__init__(self, path, Handler)
        self.server_name, self.server_port = "localhost", 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


def listen(path):
    """For connections to the guest; there is nobody, so they are closed."""
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen()

    def serve():
        while True:
            c, _ = s.accept()
            c.recv(32)
            c.close()

    threading.Thread(target=serve, daemon=True).start()


def misbehave(guest, panic, reset):
    """What $FAKE_VMM wants of a guest that runs."""
    if FAKE in ("panic", "reset"):
        time.sleep(0.3)
        guest.end()
        (panic if FAKE == "panic" else reset)()


def die(status, text):
    print(text, file=sys.stderr)
    sys.stderr.flush()
    os._exit(status)
