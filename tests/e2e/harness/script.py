"""A daemon that is played by a script, answer by answer: one that breaks off, hangs up, says no, or has seen anything."""

import datetime
import http.server
import json
import socketserver
import threading

import pytest

from harness.daemon import run
from harness.process import BUILD, environment


class Script(socketserver.ThreadingUnixStreamServer):
    """Answers requests by `answers`: (method, path without query) → a list of answers, the last one again and again.

    An answer is (status, JSON), or a function of the handler, or None: the connection is closed without one.
    """

    daemon_threads = True

    def __init__(self, path, answers):
        self.answers = {key: list(value) for key, value in answers.items()}
        self.seen = []
        self.lock = threading.Lock()
        super().__init__(str(path), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def next_answer(self, key):
        with self.lock:
            answers = self.answers.get(key, [(404, {"detail": "no such thing", "code": "not_found"})])
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def requests(self, method, path):
        return [body for m, p, body in self.seen if (m, p.partition("?")[0]) == (method, path)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, body))
        answer = self.server.next_answer((self.command, self.path.partition("?")[0]))
        if answer is None:
            self.close_connection = True
            self.connection.close()
        elif callable(answer):
            answer(self)
        else:
            self.reply(*answer)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status < 300 else "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "unix"

    def log_message(self, *args):
        pass


def problem(status, code, detail, **more):
    return (status, {"type": "about:blank", "title": "x", "status": status, "code": code, "detail": detail, **more})


@pytest.fixture
def play(scratch):
    """play({("GET", "/v1/stats"): [(200, {})]}) listens at scratch / "s"; what was asked is in .seen."""
    servers = []

    def start(answers):
        (scratch / "s").unlink(missing_ok=True)  # a later script takes the place of the one before
        server = Script(scratch / "s", answers)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def ctl(scratch):
    """fanoutctl against the daemon that is played."""

    def call(*args, **options):
        options.setdefault("env", environment(TZ="UTC"))
        return run([BUILD / "fanoutctl", "-S", scratch / "s", *args], **options)

    return call


def rfc3339(us):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rule(name="cats", **members):
    return {"name": name, "match": "catfact.ninja", "source": "conf", "rates": ["100/1min"], "concurrency": None, "pace": False,
            "shadowed": False, "state": [], **members}


def asked(server, method, path):
    """The queries with which that path was asked for."""
    return [p.partition("?")[2] for m, p, _ in server.seen if (m, p.partition("?")[0]) == (method, path)]
