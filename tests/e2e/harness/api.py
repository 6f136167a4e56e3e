"""What tests ask of the API again and again: a batch, its end, its results, as whom; and what a refusal looks like."""

import json
import subprocess

NOBODY = 65534


def submit(daemon, jobs, **members):
    answer = daemon.api.post("/v1/batches", {"jobs": jobs, **members})
    assert answer.status == 201, answer
    return answer.json()["batch"]


def wait(daemon, batch, timeout="3min"):
    answer = daemon.api.get(f"/v1/batches/{batch}/wait?timeout={timeout}")
    assert answer.status == 200, answer
    assert answer.json()["ended_at"], f"batch {batch} did not end in time: {answer.json()}"
    return answer.json()


def results(daemon, batch, query=""):
    answer = daemon.api.get(f"/v1/batches/{batch}/results{query}")
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return answer.rows()


def problem(answer, status, code):
    """A problem document with these; its detail."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert set(body) <= {"type", "title", "status", "code", "detail", "hint", "line"}, body
    assert (body["type"], body["status"], body["code"]) == ("about:blank", status, code), body
    assert body["title"] and body["detail"], body
    return body["detail"]


def raw(daemon, data, until_close=True):
    """Sends bytes, returns all that comes back."""
    with daemon.api.connect() as sock:
        sock.sendall(data)
        received = b""
        while True:
            try:
                piece = sock.recv(65536)
            except ConnectionResetError:
                return received
            if not piece:
                return received
            received += piece
            if not until_close and b"\r\n\r\n" in received:
                return received


def healthy(daemon):
    assert daemon.api.get("/healthz").json() == {"status": "ok"}


SCRIPT = r"""
import http.client, json, socket, sys
class C(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
for line in sys.stdin:
    method, path, body = json.loads(line)
    c = C("f", timeout=30)
    c.request(method, path, body)
    r = c.getresponse()
    print(json.dumps([r.status, r.read().decode()]), flush=True)
"""


def as_user(daemon, uid, requests):
    """Makes requests as another user; [(status, parsed body)]."""
    lines = "".join(json.dumps(r) + "\n" for r in requests)
    child = subprocess.run(
        ["/usr/bin/python3", "-c", SCRIPT, str(daemon.socket)],
        input=lines.encode(),
        stdout=subprocess.PIPE,
        user=uid,
        group=uid,
        extra_groups=[],
        cwd="/",
        timeout=60,
        check=True,
    )
    return [(status, json.loads(body)) for status, body in map(json.loads, child.stdout.splitlines())]
