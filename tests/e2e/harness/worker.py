"""fanout-worker without a daemon: its channel spoken by hand (lib/message.h), and servers that misbehave."""

import contextlib
import os
import select
import signal
import socket
import struct
import threading
import time

from harness.daemon import Scratch
from harness.process import BUILD, SANITIZER, environment, wait_until

VERSION = 4
SETTINGS, JOB, CANCEL, STOP, SLOTS, RECALL = 1, 2, 3, 4, 5, 6
HELLO, CAPACITY, OUTCOME, ALIVE, JUDGING, RETURNED = 65, 66, 67, 68, 69, 70

# lib/reason.h, in its order.
CAUSES = (
    "response url dns connect connect_timeout tls tls_verify reset truncated protocol decode timeout too_large policy "
    "resend cancelled worker_lost storage internal soft_error"
).split()

OK = "HTTP/1.1 200 OK\r\n"
DEADLINE_S = 120  # of what is read; wait_until() has its own


def sanitized():
    """True when the worker was built with a sanitizer (it is slower and larger then)."""
    return b"__asan_init" in (BUILD / "fanout-worker").read_bytes()


def malloc_says_no():
    """An environment in which malloc() fails at a bound of memory, as it does by itself, also under a sanitizer."""
    env = environment()
    return {**env, "ASAN_OPTIONS": env["ASAN_OPTIONS"] + ":allocator_may_return_null=1"}


def text(s):
    b = s if isinstance(s, bytes) else s.encode()
    return data(b + b"\0")


def data(b):
    return struct.pack("=I", len(b)) + b


def frame(kind, payload=b""):
    return struct.pack("=IB", len(payload) + 1, kind) + payload


class Reader:
    """Takes a frame's fields."""

    def __init__(self, payload):
        self.payload, self.at = payload, 0

    def take(self, fmt):
        value = struct.unpack_from("=" + fmt, self.payload, self.at)[0]
        self.at += struct.calcsize("=" + fmt)
        return value

    def data(self):
        n = self.take("I")
        self.at += n
        return self.payload[self.at - n : self.at]

    def text(self):
        b = self.data()
        assert b.endswith(b"\0") and b"\0" not in b[:-1]
        return b[:-1].decode("utf-8", "surrogateescape")


class Page:
    """struct message_page."""

    def __init__(self, r):
        self.items, self.next, self.next_is_url = r.take("q"), r.text(), r.take("?")
        self.has_more, self.stop = r.take("B") - 1, r.take("?")
        self.total_pages, self.total_items = r.take("q"), r.take("q")
        self.since, self.etag, self.last_modified = r.text(), r.text(), r.text()
        self.hash, self.keys = (r.take("Q"), r.take("Q")), r.data()


class Outcome:
    """struct message_outcome."""

    def __init__(self, payload):
        r = Reader(payload)
        self.job, self.n, self.cause, self.status = r.take("Q"), r.take("I"), CAUSES[r.take("I")], r.take("I")
        self.sent, self.body_in_file, self.http_version = r.take("?"), r.take("?"), r.take("I")
        self.started_us, self.first_byte_us, self.ended_us = r.take("q"), r.take("q"), r.take("q")
        self.timings = {name: r.take("q") for name in "dns connect tls send wait receive total".split()}
        self.size, self.wire = r.take("q"), r.take("q")
        self.content_type, self.remote_ip, self.redirect_url = r.text(), r.text(), r.text()
        self.error, self.headers, self.body = r.text(), r.text(), r.data()
        self.retry_after_us, self.remaining, self.reset_us = r.take("q"), r.take("q"), r.take("q")
        self.rate = (r.take("q"), r.take("q"))
        self.page = Page(r) if r.take("?") else None
        assert r.at == len(payload)

    def __repr__(self):
        return f"<{self.cause} {self.status} {self.error!r} size={self.size}>"


class Worker:
    """A worker that has its settings.

    `capacity` is the last it told, `judging` the jobs it said JUDGING of, `returned` those that did not begin.
    """

    def __init__(self, deny=(), heartbeat_ms=10000, capacity_max=1024, ca_file="", greet=True, env=None):
        self.scratch = Scratch()
        self.dir = self.scratch.path
        self.bodies = self.dir / "bodies"
        self.bodies.mkdir()
        self.log_path = self.dir / "log"
        self.seq, self.buffer, self.capacity, self.alive, self.outcomes, self.judging, self.returned = 0, b"", None, 0, [], [], []
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(DEADLINE_S)
        self.pid, self.status = self.start(theirs, env), None
        theirs.close()
        if greet:
            self.send(self.settings(deny, heartbeat_ms, capacity_max, ca_file=ca_file))
            self.hello = self.wait_for(HELLO)
            self.wait_for(CAPACITY)

    def start(self, theirs, env):
        """Channel on 3, bodies on 4, log on 2; everything else of ours is closed at exec."""
        bodies = os.open(self.bodies, os.O_RDONLY | os.O_DIRECTORY)
        log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT)
        actions, spare = [], []
        for fd, number in ((theirs.fileno(), 3), (bodies, 4), (log, 2)):
            spare.append(os.dup(fd))
            while spare[-1] < 10:
                spare.append(os.dup(fd))
            actions.append((os.POSIX_SPAWN_DUP2, spare[-1], number))
        program = str(BUILD / "fanout-worker")
        pid = os.posix_spawn(program, [program], env or environment(), file_actions=actions)
        for fd in spare + [bodies, log]:
            os.close(fd)
        return pid

    @staticmethod
    def settings(deny=(), heartbeat_ms=10000, capacity_max=1024, version=VERSION, ca_file=""):
        head = struct.pack("=5I", version, 3, heartbeat_ms, capacity_max, len(deny))
        return frame(SETTINGS, head + b"".join(text(d) for d in deny) + text("fanout-test") + text(ca_file))

    def send(self, b):
        self.socket.sendall(b)

    def job_frame(
        self, url, job=None, n=1, method="GET", headers="", body=None, user="", timeout_ms=120000, connect_ms=60000, max_body=1 << 30, fail_if="",
        page_program="", page_context="", page_param="", from_public=False,
        lane=1, slots=0
    ):
        if job is None:
            self.seq += 1
            job = 1 << 32 | self.seq
        payload = struct.pack("=IQ", slots, lane) + struct.pack("=QIqqq", job, n, timeout_ms, connect_ms, max_body)
        payload += text(method) + text(url) + text(headers) + text(user) + data(body or b"") + struct.pack("=??", body is not None, from_public)
        payload += text(fail_if) + text(page_program) + text(page_context) + text(page_param)
        return frame(JOB, payload)

    def job(self, url, **options):
        """Sends a job and returns its number."""
        self.send(self.job_frame(url, **options))
        return options.get("job") or 1 << 32 | self.seq

    def cancel(self, job, n=1):
        self.send(frame(CANCEL, struct.pack("=QI", job, n)))

    def slots(self, lane, slots):
        self.send(frame(SLOTS, struct.pack("=QI", lane, slots)))

    def recall(self, lane, answers=False):
        self.send(frame(RECALL, struct.pack("=Q?", lane, answers)))

    def read(self):
        """Takes one frame and returns its type; what it says is noted."""
        while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack_from("=I", self.buffer)[0]:
            got = self.socket.recv(1 << 20)
            if not got:
                raise EOFError(f"the worker closed the channel:\n{self.log()}")
            self.buffer += got
        length = struct.unpack_from("=I", self.buffer)[0]
        kind, payload = self.buffer[4], self.buffer[5 : 4 + length]
        self.buffer = self.buffer[4 + length :]
        if kind == OUTCOME:
            self.outcomes.append(Outcome(payload))
        elif kind == CAPACITY:
            self.capacity = struct.unpack("=I", payload)[0]
        elif kind == ALIVE:
            self.alive += 1
        elif kind == JUDGING:
            job, n = struct.unpack("=QI", payload)
            assert n > 0
            self.judging.append(job)
        elif kind == RETURNED:
            job, n = struct.unpack("=QI", payload)
            assert n > 0
            self.returned.append(job)
        elif kind == HELLO:
            assert struct.unpack("=II", payload) == (VERSION, self.pid)
        else:
            raise AssertionError(f"a frame of type {kind}")
        return kind

    def wait_for(self, kind):
        while self.read() != kind:
            pass

    def outcome(self):
        """The next outcome."""
        while not self.outcomes:
            self.read()
        return self.outcomes.pop(0)

    def quiet(self, seconds):
        """True when there is nothing to read for so long."""
        return not self.buffer and not select.select([self.socket], [], [], seconds)[0]

    def fetch(self, url, **options):
        job = self.job(url, **options)
        outcome = self.outcome()
        assert outcome.job == job
        t = outcome.timings
        assert sum(t.values()) == 2 * t["total"], f"phases do not add up: {t}"
        assert all(v >= 0 for v in t.values())
        return outcome

    def files(self):
        return sorted(str(p.relative_to(self.bodies)) for p in self.bodies.rglob("*") if p.is_file())

    def log(self):
        return self.log_path.read_text(errors="replace")

    def exit_status(self, timeout=20):
        """Waits for its end."""

        def ended():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return (os.waitstatus_to_exitcode(status),) if pid else None

        if self.status is None:
            self.status = wait_until(ended, timeout, f"the worker's end:\n{self.log()}")[0]
        return self.status

    def close(self):
        self.socket.close()
        try:
            status = self.exit_status()
        except AssertionError:
            os.kill(self.pid, signal.SIGKILL)
            self.exit_status()
            raise
        log, files = self.log(), self.files()
        self.scratch.remove()
        assert not SANITIZER.search(log.encode()), log
        assert status in (0, 1, 2, -signal.SIGKILL), f"ended with {status}:\n{log}"
        return files


def end_listening(listener, thread):
    """A thread that is about to accept would else do so at whatever socket has the number next, that of another test's server."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


class Hostile:
    """A server on a free port that runs `behave(connection)` in a thread for each connection."""

    def __init__(self, behave, address="127.0.0.1", backlog=512):
        self.behave = behave
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.create_server((address, 0), family=family, backlog=backlog)
        self.port = self.listener.getsockname()[1]
        self.address = f"[{address}]" if ":" in address else address
        self.url = f"http://{self.address}:{self.port}"
        self.connections = 0
        self.requests = []
        self.begin()

    def begin(self):
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.run, args=(Connection(sock, self),), daemon=True).start()

    def run(self, connection):
        try:
            self.behave(connection)
        except OSError:
            pass  # the worker hung up
        finally:
            connection.close()

    def close(self):
        end_listening(self.listener, self.thread)


class Connection:
    """What a misbehaving server needs of a socket."""

    def __init__(self, sock, server):
        self.sock, self.server, self.buffer = sock, server, b""
        sock.settimeout(DEADLINE_S)

    def request(self):
        """Reads a request with its body; None at the end of the connection. It is noted at the server too."""
        while b"\r\n\r\n" not in self.buffer:
            got = self.sock.recv(65536)
            if not got:
                return None
            self.buffer += got
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(rest) < length:
            rest += self.sock.recv(65536)
        self.buffer = rest[length:]
        self.server.requests.append((head.decode(), rest[:length]))
        return head.decode()

    def say(self, *parts):
        self.sock.sendall(b"".join(p if isinstance(p, bytes) else p.encode() for p in parts))

    def answer(self, body=b"", status="200 OK", headers=()):
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.say("\r\n".join(head) + "\r\n\r\n", body)

    def reset(self):
        """Closes with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_for_close(self):
        """Until the worker hangs up."""
        while self.sock.recv(65536):
            pass

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass


def boot_us():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def echo(c):
    """Answers every request with its own head and body."""
    while head := c.request():
        body = head.encode() + b"\n\n" + c.server.requests[-1][1]
        c.answer(b"" if head.startswith("HEAD") else body)
