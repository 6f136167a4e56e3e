"""The HTTP API as docs/API.md has it: what is answered, to whom, and that no client can do the daemon harm."""

import base64
import concurrent.futures
import json
import os
import re
import resource
import signal
import socket
import subprocess
import time

import pytest

from harness.http import Answer, UnixConnection
from harness.process import memory_kib, sanitized, wait_until

NOBODY = 65534


# ---- Helpers ----


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


def streams(daemon):
    return daemon.api.get("/v1/stats").json()["http"]["streams"]


def healthy(daemon):
    assert daemon.api.get("/healthz").json() == {"status": "ok"}


# ---- A batch from submission to result ----


def test_a_small_batch_goes_from_one_request_to_its_results(daemon, apisim):
    answer = daemon.api.post(
        "/v1/batches", {"name": "cats", "jobs": [{"url": f"{apisim.url}/uuid", "tag": "first"}, {"url": f"{apisim.url}/status/404"}]}
    )
    assert answer.status == 201
    assert answer.json() == {"batch": 1, "existed": False, "closed": True, "jobs": 2, "first_seq": 1}
    batch = wait(daemon, 1)
    assert list(batch) == "batch name key state uid priority concurrency run verdict paused closed counts submitted_at ended_at eta".split()
    assert (batch["name"], batch["state"], batch["uid"], batch["priority"]) == ("cats", "failed", os.getuid(), 5)
    assert batch["counts"] == {"blocked": 0, "queued": 0, "running": 0, "done": 1, "failed": 1, "cancelled": 0}
    assert (batch["eta"], batch["run"], batch["verdict"]) == (None, False, None)
    first, second = results(daemon, 1)
    assert list(first) == (
        "job batch seq chain tag method url state reason status attempts size content_type remote_ip http_version "
        "submitted_at started_at ended_at error timings"
    ).split()
    assert list(first["timings"]) == "queued_us limited_us dns_us connect_us tls_us send_us wait_us receive_us total_us".split()
    assert (first["job"], first["seq"], first["tag"], first["method"]) == ("1.1", 1, "first", "GET")
    assert (first["state"], first["status"], first["error"], first["http_version"]) == ("done", 200, None, "1.1")
    assert (second["state"], second["reason"], second["status"]) == ("failed", "http_status", 404)
    assert "Not Found" in second["error"]
    for row in (first, second):
        for name in ("submitted_at", "started_at", "ended_at"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row[name]), row
        t = row["timings"]
        assert sum(v for k, v in t.items() if k not in ("queued_us", "limited_us", "total_us")) == t["total_us"]


def test_jobs_come_as_lines_in_several_requests(daemon, apisim):
    made = daemon.api.post("/v1/batches", {"concurrency": 8})
    assert made.json() == {"batch": 1, "existed": False, "closed": False, "jobs": 0, "first_seq": None}
    lines = [{"url": f"{apisim.url}/bytes/{i}"} for i in range(300)]
    assert daemon.api.post("/v1/batches/1/jobs", lines[:200]).json() == {"jobs": 200, "first_seq": 1}
    assert daemon.api.get("/v1/batches/1").json()["state"] == "open"
    assert daemon.api.post("/v1/batches/1/jobs", lines[200:]).json() == {"jobs": 100, "first_seq": 201}
    closed = daemon.api.post("/v1/batches/1/close")
    assert (closed.status, closed.json()["closed"]) == (200, True)
    assert daemon.api.post("/v1/batches/1/close").status == 200
    assert "closed" in problem(daemon.api.post("/v1/batches/1/jobs", lines[:1]), 409, "conflict")
    assert wait(daemon, 1)["state"] == "done"
    assert [r["size"] for r in results(daemon, 1)] == list(range(300))


def test_a_malformed_line_among_ten_thousand_is_named_and_nothing_is_taken(daemon, apisim):
    daemon.api.post("/v1/batches", {"hold": True})
    lines = [json.dumps({"url": f"{apisim.url}/uuid"})] * 10000
    lines[4999] = '{"url":"http://h/"'
    answer = daemon.api.post("/v1/batches/1/jobs", "\n".join(lines))
    assert "not JSON" in problem(answer, 400, "input")
    assert answer.json()["line"] == 5000
    assert sum(daemon.api.get("/v1/batches/1").json()["counts"].values()) == 0
    lines[4999] = lines[0]
    assert daemon.api.post("/v1/batches/1/jobs", "\n".join(lines)).json() == {"jobs": 10000, "first_seq": 1}


def test_a_wrong_member_is_named(daemon):
    assert "colour" in problem(daemon.api.post("/v1/batches", {"colour": "red"}), 400, "input")
    assert "job 2" in problem(daemon.api.post("/v1/batches", {"jobs": [{"url": "http://h/"}, {"url": "h"}]}), 400, "input")
    assert problem(daemon.api.post("/v1/batches", b"\xff{}"), 400, "input")
    assert daemon.api.get("/v1/batches").json() == {"batches": [], "next": None}
    daemon.api.post("/v1/batches", {})
    assert "no job" in problem(daemon.api.post("/v1/batches/1/jobs", b"\n\n"), 400, "input")


def test_a_url_of_70000_bytes_is_refused_and_the_rest_goes_on(daemon):
    long = {"url": "http://h/" + "a" * 70000}
    daemon.api.post("/v1/batches", {"hold": True})
    answer = daemon.api.post("/v1/batches/1/jobs", [{"url": "http://h/"}, long])
    assert "65536" in problem(answer, 413, "too_large")
    assert answer.json()["line"] == 2
    assert b" 400 " in raw(daemon, b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: f\r\n\r\n").split(b"\r\n")[0]
    healthy(daemon)


def test_more_than_a_request_may_have_is_refused(daemon):
    daemon.api.post("/v1/batches", {"hold": True})
    big = b" " * (33 << 20)
    assert "33" in problem(daemon.api.post("/v1/batches/1/jobs", big), 413, "too_large")
    jobs = [{"url": "http://h/"}] * 1001
    assert "1001" in problem(daemon.api.post("/v1/batches", {"jobs": jobs}), 413, "too_large")
    assert "30000" in problem(daemon.api.post("/v1/batches/1/jobs", b'{"url":"http://h/"}\n' * 30001), 413, "too_large")
    # Far beyond, it is read and thrown away, so that the client sees the answer.
    before = memory_kib(daemon.pid, "VmHWM")
    assert daemon.api.post("/v1/batches/1/jobs", b" " * (200 << 20)).status == 413
    assert memory_kib(daemon.pid, "VmHWM") < before + 10000 or sanitized()
    healthy(daemon)


def test_a_template_speaks_for_the_jobs(daemon, apisim):
    batch = submit(
        daemon,
        [
            {"url": f"{apisim.url}/echo"},
            {"url": f"{apisim.url}/echo", "headers": {"X-A": None, "X-B": "own", "X-E": "", "Accept": None}, "body": "plain"},
            {"url": f"{apisim.url}/echo", "body_base64": base64.b64encode(b"\0\xff").decode(), "method": "PUT"},
        ],
        headers={"X-A": "template", "X-B": "template"},
        body={"n": 0.10},
        user="me:secret",
    )
    assert wait(daemon, batch)["state"] == "done"
    rows = results(daemon, batch, "?body=1")
    first, second, third = (json.loads(r["body"]) for r in rows)
    headers = {k.lower(): v for k, v in first["headers"].items()}
    assert (first["method"], headers["x-a"], headers["content-type"]) == ("POST", "template", "application/json")
    assert headers["authorization"] == "Basic " + base64.b64encode(b"me:secret").decode()
    headers = {k.lower(): v for k, v in second["headers"].items()}
    assert "x-a" not in headers and "content-type" not in headers
    assert (headers["x-b"], headers["x-e"]) == ("own", "")
    assert "accept" not in headers
    assert third["method"] == "PUT"
    assert [r["method"] for r in rows] == ["POST", "POST", "PUT"]


def test_a_batch_that_is_one_chain_runs_in_order(daemon, apisim):
    jobs = [{"url": f"{apisim.url}/log?channel=c&delay=0.0{9 - i}", "body": f"{i}"} for i in range(8)]
    batch = submit(daemon, jobs[:4], chain=True, close=False)
    assert daemon.api.post(f"/v1/batches/{batch}/jobs", jobs[4:]).status == 201
    daemon.api.post(f"/v1/batches/{batch}/close")
    assert wait(daemon, batch)["state"] == "done"
    assert {r["chain"] for r in results(daemon, batch)} == {"batch"}
    started = [r["started_at"] for r in results(daemon, batch)]
    ended = [r["ended_at"] for r in results(daemon, batch)]
    assert all(e <= s for e, s in zip(ended, started[1:]))


# ---- Submission keys ----


def test_a_key_makes_one_batch_of_any_number_of_submissions(daemon, apisim):
    body = {"key": "k", "jobs": [{"url": f"{apisim.url}/uuid"}]}
    first = daemon.api.post("/v1/batches", body)
    again = daemon.api.post("/v1/batches", body)
    assert (first.status, again.status) == (201, 200)
    assert again.json() == {"batch": 1, "existed": True, "closed": True, "jobs": 1, "first_seq": 1}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: daemon.api.post("/v1/batches", {**body, "key": "k2"}), range(16)))
    assert sorted(a.status for a in answers)[-1] in (201, 503)
    assert sum(a.status == 201 for a in answers) == 1
    assert {a.json()["batch"] for a in answers if a.status != 503} == {2}
    assert sum(daemon.api.get("/v1/batches/2").json()["counts"].values()) == 1


def test_a_submission_that_was_cut_off_is_completed_by_the_next_with_its_key(daemon, apisim):
    # What a daemon that is killed between the steps leaves: the batch without its jobs.
    assert daemon.api.post("/v1/batches", {"key": "k"}).json()["closed"] is False
    body = {"key": "k", "jobs": [{"url": f"{apisim.url}/uuid"}] * 3}
    answer = daemon.api.post("/v1/batches", body)
    assert (answer.status, answer.json()) == (200, {"batch": 1, "existed": True, "closed": True, "jobs": 3, "first_seq": 1})
    assert wait(daemon, 1)["counts"]["done"] == 3
    assert daemon.api.post("/v1/batches", body).json()["jobs"] == 3


# ---- What there is not ----


def test_every_path_of_an_unknown_batch_or_job_is_404(daemon):
    for path in ("", "/wait", "/results", "/events"):
        assert problem(daemon.api.get(f"/v1/batches/9{path}"), 404, "not_found") == "there is no batch 9"
    for path in ("/jobs", "/close", "/cancel", "/retry", "/pause", "/resume"):
        body = [{"url": "http://h/"}] if path == "/jobs" else None
        assert problem(daemon.api.post(f"/v1/batches/9{path}", body), 404, "not_found") == "there is no batch 9"
    assert problem(daemon.api.delete("/v1/batches/9"), 404, "not_found") == "there is no batch 9"
    for path in ("", "/attempts", "/body"):
        assert problem(daemon.api.get(f"/v1/jobs/9.1{path}"), 404, "not_found") == "there is no job 9.1"
    for path in ("/cancel", "/retry"):
        assert problem(daemon.api.post(f"/v1/jobs/9.1{path}"), 404, "not_found") == "there is no job 9.1"
    daemon.api.post("/v1/batches", {})
    assert problem(daemon.api.get("/v1/jobs/1.1"), 404, "not_found") == "there is no job 1.1"
    for name in ("0", "01", "-1", "x", "99999999999", "1.1"):
        problem(daemon.api.get(f"/v1/batches/{name}"), 404, "not_found")
    for name in ("1", "0.1", "1.0", "1.1.1", "1.99999999999"):
        problem(daemon.api.get(f"/v1/jobs/{name}"), 404, "not_found")


def test_paths_match_exactly(daemon):
    daemon.api.post("/v1/batches", {})
    for path in ("/", "/v1", "/v1/batches/", "/v1/batches/1/", "/v1//batches", "/V1/batches", "/v1/batches/%31", "/healthz/", "/v1/batches/1/x"):
        problem(daemon.api.get(path), 404, "not_found")
    # An absolute URI is for proxies.
    assert b" 404 " in raw(daemon, b"GET http://f/healthz HTTP/1.1\r\nHost: f\r\n\r\n").split(b"\r\n")[0]


def test_a_method_that_a_path_has_not_is_405_with_those_it_has(daemon):
    answer = daemon.api.request("PUT", "/v1/batches/1")
    problem(answer, 405, "usage")
    assert answer.headers["Allow"] == "GET, HEAD, DELETE"
    answer = daemon.api.request("BREW", "/v1/batches")
    problem(answer, 405, "usage")
    assert answer.headers["Allow"] == "POST, GET, HEAD"
    answer = daemon.api.get("/v1/batches/1/close")
    problem(answer, 405, "usage")
    assert answer.headers["Allow"] == "POST"


def test_the_query_is_read_strictly(daemon):
    daemon.api.post("/v1/batches", {})
    for path, word in {
        "/v1/batches/1?verbose=1": "verbose",
        "/v1/batches?limit=0": "limit",
        "/v1/batches?limit=1001": "limit",
        "/v1/batches?limit=1x": "limit",
        "/v1/batches?limit=+1": "limit",
        "/v1/batches?limit": "limit",
        "/v1/batches?limit=1&limit=2": "limit",
        "/v1/batches?": '""',
        "/v1/batches/1/results?state=finished": "finished",
        "/v1/batches/1/results?state=": "state",
        "/v1/batches/1/results?body=yes": "body",
        "/v1/batches/1/results?after=%zz": "after",
        "/v1/batches/1/results?after=1%00": "after",
        "/v1/batches/1/wait?timeout=soon": "timeout",
        "/healthz?x=1": "x",
    }.items():
        assert word in problem(daemon.api.get(path), 400, "input"), path
    assert daemon.api.get("/v1/batches/1/results?state=done%2Cfailed&after=0").status == 200


# ---- Whose it is ----

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


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_a_batch_of_another_user_does_not_exist(make_daemon, apisim):
    daemon = make_daemon(socket_mode="0666")
    mine = submit(daemon, [{"url": f"{apisim.url}/uuid"}], key="k")
    wait(daemon, mine)
    theirs = json.dumps({"key": "k", "jobs": [{"url": f"{apisim.url}/uuid"}]})
    answers = as_user(
        daemon,
        NOBODY,
        [("POST", "/v1/batches", theirs)]
        + [("GET", f"/v1/{p}", None) for p in ("batches", f"batches/{mine}", "batches/99", f"batches/{mine}/results", f"jobs/{mine}.1")]
        + [("GET", f"/v1/jobs/{mine}.1/body", None), ("POST", f"/v1/batches/{mine}/cancel", ""), ("DELETE", f"/v1/batches/{mine}", None)],
    )
    status, made = answers[0]
    assert (status, made["batch"], made["existed"]) == (201, mine + 1, False)
    assert [b["batch"] for b in answers[1][1]["batches"]] == [mine + 1]
    missing, unknown = answers[2], answers[3]
    assert missing[0] == unknown[0] == 404
    assert missing[1]["detail"].replace(str(mine), "99") == unknown[1]["detail"]
    assert [status for status, _ in answers[4:]] == [404] * 5
    # Root sees both, and may change both.
    assert [b["batch"] for b in daemon.api.get("/v1/batches").json()["batches"]] == [mine + 1, mine]
    assert daemon.api.get(f"/v1/batches/{mine + 1}").json()["uid"] == NOBODY
    wait(daemon, mine + 1)
    assert daemon.api.delete(f"/v1/batches/{mine + 1}").status == 200
    assert as_user(daemon, NOBODY, [("GET", "/v1/batches", None)])[0][1] == {"batches": [], "next": None}


def test_the_socket_has_the_mode_that_was_asked_for(make_daemon):
    assert os.stat(make_daemon(socket_mode="0666").socket).st_mode & 0o777 == 0o666
    assert os.stat(make_daemon(socket_mode="0600").socket).st_mode & 0o777 == 0o600


# ---- The owner's words ----


def test_a_held_batch_starts_when_it_is_closed(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/once/a"}], hold=True, close=False)
    assert daemon.api.get(f"/v1/batches/{batch}").json()["state"] == "held"
    other = submit(daemon, [{"url": f"{apisim.url}/uuid"}] * 20)
    wait(daemon, other)
    assert apisim.once() == {} or not apisim.once().get("ids")
    daemon.api.post(f"/v1/batches/{batch}/close")
    assert wait(daemon, batch)["state"] == "done"


def test_a_paused_batch_starts_nothing_until_it_is_resumed(daemon, apisim, gate):
    batch = submit(daemon, [{"url": f"{gate.url}/{i}"} for i in range(40)], concurrency=1)
    wait_until(lambda: gate.held, what="one runs")
    paused = daemon.api.post(f"/v1/batches/{batch}/pause").json()
    assert (paused["state"], paused["paused"], paused["eta"]) == ("paused", True, None)
    gate.open()
    wait_until(lambda: daemon.api.get(f"/v1/batches/{batch}").json()["counts"]["running"] == 0, what="what ran has ended")
    before = daemon.api.get(f"/v1/batches/{batch}").json()["counts"]
    wait(daemon, submit(daemon, [{"url": f"{apisim.url}/uuid"}] * 20))
    assert daemon.api.get(f"/v1/batches/{batch}").json()["counts"] == before
    assert (before["done"], before["queued"]) == (1, 39) and len(gate.seen) == 1
    assert daemon.api.post(f"/v1/batches/{batch}/resume").json()["state"] == "running"
    assert wait(daemon, batch)["counts"]["done"] == 40


def test_no_more_jobs_are_shown_running_than_run(daemon, apisim):
    # The last four stay: as many as may run are seen running, whatever a look takes.
    batch = submit(daemon, [{"url": f"{apisim.url}/delay/0.1"}] * 36 + [{"url": f"{apisim.url}/hang"}] * 4, concurrency=4)
    most, counts = 0, {"done": 0, "running": 0}
    while counts["done"] < 36 or counts["running"] < 4:
        counts = daemon.api.get(f"/v1/batches/{batch}").json()["counts"]
        assert sum(counts.values()) == 40 and counts["running"] <= 4, counts
        most = max(most, counts["running"])
        assert len(results(daemon, batch, "?state=running")) <= 4
        states = [r["state"] for r in results(daemon, batch)]
        assert states.count("running") <= 4 and states.count("running") + states.count("queued") + states.count("done") == 40
        waiting = results(daemon, batch, "?state=queued")
        for r in waiting:
            assert (r["state"], r["attempts"], r["started_at"]) == ("queued", 0, None), r
        if waiting:
            job = daemon.api.get(f"/v1/jobs/{waiting[-1]['job']}").json()
            assert len(job["attempt_list"]) == job["attempts"]
        assert daemon.api.get("/v1/stats").json()["counts"]["running"] <= 4
    assert most == 4
    daemon.api.post(f"/v1/batches/{batch}/cancel")


def test_a_cancelled_batch_ends_and_can_be_retried(daemon, gate):
    batch = submit(daemon, [{"url": f"{gate.url}/{i}"} for i in range(50)], concurrency=5)
    wait_until(lambda: daemon.api.get(f"/v1/batches/{batch}").json()["counts"]["running"] == 5, what="five run")
    problem(daemon.api.post(f"/v1/batches/{batch}/retry"), 409, "conflict")
    problem(daemon.api.delete(f"/v1/batches/{batch}"), 409, "conflict")
    assert daemon.api.post(f"/v1/batches/{batch}/cancel").status == 200
    ended = wait(daemon, batch)
    assert ended["state"] == "cancelled"
    assert ended["counts"]["cancelled"] == 50
    assert {r["state"] for r in results(daemon, batch, "?state=cancelled")} == {"cancelled"}
    gate.open()
    assert daemon.api.post(f"/v1/batches/{batch}/retry").status == 200
    assert wait(daemon, batch)["counts"]["done"] == 50


def test_what_may_have_been_carried_out_is_retried_only_where_that_is_said(daemon, apisim):
    lost, plain = {"url": f"{apisim.url}/reset?bytes=0", "method": "POST"}, {"url": f"{apisim.url}/status/404"}
    batch = submit(daemon, [lost, plain, {**lost, "chain": "a"}, {**plain, "chain": "a"}])

    def ended():
        wait(daemon, batch)
        return [(r["reason"], r["attempts"]) for r in results(daemon, batch)]

    assert ended() == [("unknown_outcome", 1), ("http_status", 1), ("unknown_outcome", 1), ("predecessor", 0)]
    assert daemon.api.post(f"/v1/batches/{batch}/retry").status == 200
    assert ended() == [("unknown_outcome", 1), ("http_status", 2), ("unknown_outcome", 1), ("predecessor", 0)]
    assert daemon.api.post(f"/v1/batches/{batch}/retry?unsafe=1").status == 200
    assert ended() == [("unknown_outcome", 2), ("http_status", 3), ("unknown_outcome", 2), ("predecessor", 0)]
    assert daemon.api.post(f"/v1/batches/{batch}/retry?unsafe=0").status == 200
    assert ended() == [("unknown_outcome", 2), ("http_status", 4), ("unknown_outcome", 2), ("predecessor", 0)]
    problem(daemon.api.post(f"/v1/jobs/{batch}.1/retry"), 409, "conflict")
    assert daemon.api.post(f"/v1/jobs/{batch}.1/retry?unsafe=1").status == 200
    assert ended()[0] == ("unknown_outcome", 3)
    problem(daemon.api.post(f"/v1/batches/{batch}/retry?unsafe=yes"), 400, "input")
    problem(daemon.api.post(f"/v1/jobs/{batch}.1/retry?unsafe=2"), 400, "input")


def test_a_removed_batch_is_gone_for_everybody(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/bytes/100000"}])
    wait(daemon, batch)
    assert daemon.api.delete(f"/v1/batches/{batch}").json() == {"batch": batch, "removed": True}
    problem(daemon.api.get(f"/v1/batches/{batch}"), 404, "not_found")
    problem(daemon.api.get(f"/v1/jobs/{batch}.1/body"), 404, "not_found")
    problem(daemon.api.delete(f"/v1/batches/{batch}"), 404, "not_found")
    assert daemon.api.get("/v1/batches").json()["batches"] == []


def test_one_job_can_be_cancelled_and_retried(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/hang"}, {"url": f"{apisim.url}/uuid"}], concurrency=1)
    waiting, running = f"{batch}.2", f"{batch}.1"
    wait_until(lambda: daemon.api.get(f"/v1/jobs/{running}").json()["state"] == "running", what="the first runs")
    problem(daemon.api.post(f"/v1/jobs/{waiting}/retry"), 409, "conflict")
    assert daemon.api.post(f"/v1/jobs/{waiting}/cancel").json()["state"] == "cancelled"
    problem(daemon.api.post(f"/v1/jobs/{waiting}/cancel"), 409, "conflict")
    assert daemon.api.post(f"/v1/jobs/{running}/cancel").json()["state"] == "cancelled"
    assert wait(daemon, batch)["counts"]["cancelled"] == 2
    again = daemon.api.post(f"/v1/jobs/{waiting}/retry")
    assert (again.status, again.json()["job"]) == (200, waiting)
    assert wait(daemon, batch)["counts"] == {"blocked": 0, "queued": 0, "running": 0, "done": 1, "failed": 0, "cancelled": 1}


def test_batches_are_listed_newest_first_page_by_page(daemon):
    for i in range(7):
        daemon.api.post("/v1/batches", {"name": f"n{i}"})
    seen, query = [], "?limit=3"
    while True:
        page = daemon.api.get(f"/v1/batches{query}").json()
        seen += [b["batch"] for b in page["batches"]]
        if page["next"] is None:
            break
        query = f"?limit=3&before={page['next']}"
    assert seen == [7, 6, 5, 4, 3, 2, 1]


# ---- Results and bodies ----


def test_results_can_be_asked_for_in_parts(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/status/{404 if i % 3 == 0 else 200}"} for i in range(900)])
    wait(daemon, batch)
    assert [r["seq"] for r in results(daemon, batch)] == list(range(1, 901))
    assert [r["seq"] for r in results(daemon, batch, "?after=890")] == list(range(891, 901))
    assert [r["seq"] for r in results(daemon, batch, "?after=5&limit=300")] == list(range(6, 306))
    assert [r["seq"] for r in results(daemon, batch, "?state=failed")] == list(range(1, 901, 3))
    assert [r["seq"] for r in results(daemon, batch, "?state=failed&limit=2&after=800")] == [802, 805]
    assert len(results(daemon, batch, "?state=done,failed")) == 900
    assert results(daemon, batch, "?after=900") == []
    assert results(daemon, batch, "?state=cancelled") == []


def expected_bytes(n):
    return bytes(i % 251 for i in range(n))


def test_bodies_come_with_the_results_whatever_their_size(daemon, apisim):
    sizes = [0, 3, 65536, 65537, 300000, 1, 200000]
    batch = submit(daemon, [{"url": f"{apisim.url}/bytes/{n}"} for n in sizes] + [{"url": f"{apisim.url}/json"}])
    assert wait(daemon, batch)["state"] == "done"
    rows = results(daemon, batch, "?body=1")
    for row, n in zip(rows, sizes):
        body = base64.b64decode(row["body_base64"]) if "body_base64" in row else row["body"].encode()
        assert body == expected_bytes(n), n
        assert row["size"] == n
    assert json.loads(rows[-1]["body"])
    assert "body" not in results(daemon, batch)[0]


def test_a_body_is_served_as_it_came(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/bytes/{n}"} for n in (0, 500, 3000000)] + [{"url": f"{apisim.url}/json"}])
    wait(daemon, batch)
    for seq, n in enumerate((0, 500, 3000000), 1):
        answer = daemon.api.get(f"/v1/jobs/{batch}.{seq}/body")
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(n))
        assert answer.body == expected_bytes(n)
        head = daemon.api.request("HEAD", f"/v1/jobs/{batch}.{seq}/body")
        assert (head.status, head.headers["Content-Length"], head.body) == (200, str(n), b"")
    assert daemon.api.get(f"/v1/jobs/{batch}.4/body").headers["Content-Type"] == "application/json"


def test_a_body_that_is_not_there_is_a_conflict(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/hang"}, {"url": "http://127.0.0.1:1/", "max_attempts": 1}])
    wait_until(lambda: daemon.api.get(f"/v1/jobs/{batch}.2").json()["state"] == "failed", what="the connection is refused")
    assert "no body yet" in problem(daemon.api.get(f"/v1/jobs/{batch}.1/body"), 409, "conflict")
    assert "without a response" in problem(daemon.api.get(f"/v1/jobs/{batch}.2/body"), 409, "conflict")
    daemon.api.post(f"/v1/batches/{batch}/cancel")


def test_attempts_are_listed_oldest_first(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/flaky?id=a&fail=2"}])
    wait(daemon, batch)
    job = daemon.api.get(f"/v1/jobs/{batch}.1").json()
    assert (job["state"], job["attempts"]) == ("done", 3)
    attempts = daemon.api.get(f"/v1/jobs/{batch}.1/attempts").json()["attempts"]
    assert attempts == job["attempt_list"]
    assert [a["attempt"] for a in attempts] == [1, 2, 3]
    assert [a["status"] for a in attempts] == [503, 503, 200]
    assert [a["cause"] for a in attempts] == ["response"] * 3
    assert attempts[0]["headers"].startswith("HTTP/1.1 503")
    assert attempts[2]["error"] is None and attempts[2]["first_byte_at"]


def test_head_has_the_headers_of_get_and_no_body(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}])
    wait(daemon, batch)
    for path in ("/healthz", f"/v1/batches/{batch}", f"/v1/batches/{batch}/results", f"/v1/batches/{batch}/events", "/metrics"):
        head = daemon.api.request("HEAD", path)
        assert (head.status, head.body) == (200, b""), path
        assert head.headers["Content-Type"] == daemon.api.get(path).headers["Content-Type"]
    assert streams(daemon) == 0


def test_a_client_that_leaves_in_mid_answer_is_cleaned_up(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/bytes/60000"}] * 900)
    wait(daemon, batch)
    size = len(daemon.api.get(f"/v1/batches/{batch}/results?body=1").body)
    assert size > 40 << 20
    before = memory_kib(daemon.pid)
    for i in range(30):
        sock = daemon.api.connect()
        sock.sendall(f"GET /v1/batches/{batch}/results?body=1 HTTP/1.1\r\nHost: f\r\n\r\n".encode())
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        if i % 2:
            wait_until(lambda: streams(daemon) >= 1, what="it streams")
        sock.close()
    wait_until(lambda: streams(daemon) == 0, what="all streams have ended")
    wait_until(lambda: daemon.api.get("/v1/stats").json()["http"]["connections"] <= 2, what="all connections have gone")
    if not sanitized():
        assert memory_kib(daemon.pid) < before + 40000
    healthy(daemon)


def test_many_slow_readers_cost_little_memory(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/bytes/60000"}] * 600)
    wait(daemon, batch)
    before = memory_kib(daemon.pid)
    socks = []
    for _ in range(20):
        sock = daemon.api.connect()
        sock.sendall(f"GET /v1/batches/{batch}/results?body=1 HTTP/1.1\r\nHost: f\r\n\r\n".encode())
        assert sock.recv(100)
        socks.append(sock)
    assert streams(daemon) == 20
    if not sanitized():  # 20 × 48 MB of answers; a page of each is in memory
        assert memory_kib(daemon.pid) < before + 100 * 1024
    for sock in socks:
        sock.close()
    wait_until(lambda: streams(daemon) == 0, what="all streams have ended")


# ---- Events ----


def test_events_tell_each_job_once_in_order_and_then_the_batch(daemon, gate):
    batch = submit(daemon, [{"url": f"{gate.url}/{seq}"} for seq in range(1, 5)])
    stream, events = daemon.api.events(f"/v1/batches/{batch}/events"), []
    for seq in (4, 2, 3, 1):
        gate.let(f"/{seq}")
        events.append(next(stream))
    events += stream
    assert [e[1] for e in events] == ["job"] * 4 + ["batch"]
    assert [e[2]["seq"] for e in events[:4]] == [4, 2, 3, 1]
    ids = [int(e[0]) for e in events[:4]]
    assert ids == sorted(set(ids))
    assert events[0][2] == results(daemon, batch)[3]
    assert events[4][2] == daemon.api.get(f"/v1/batches/{batch}").json()
    assert list(daemon.api.events(f"/v1/batches/{batch}/events")) == events


def test_events_go_on_behind_the_last_id(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}] * 700)
    stream = daemon.api.events(f"/v1/batches/{batch}/events")
    first = [next(stream) for _ in range(250)]
    stream.close()
    rest = list(daemon.api.events(f"/v1/batches/{batch}/events", last=first[-1][0]))
    jobs = [e[2]["seq"] for e in first + rest if e[1] == "job"]
    assert sorted(jobs) == list(range(1, 701))
    assert rest[-1][1] == "batch"
    assert [e[1] for e in daemon.api.events(f"/v1/batches/{batch}/events", last=rest[-2][0])] == ["batch"]
    answer = daemon.api.get(f"/v1/batches/{batch}/events", headers={"Last-Event-ID": "x1"})
    problem(answer, 400, "input")
    wait_until(lambda: streams(daemon) == 0, what="all streams have ended")


def test_events_of_jobs_that_never_ran_are_told_too(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}] * 20, hold=True, close=False)
    connection, response = daemon.api.stream(f"/v1/batches/{batch}/events")
    daemon.api.post(f"/v1/batches/{batch}/cancel")
    text = response.read().decode()
    connection.close()
    assert text.count("event: job") == 20
    assert text.rstrip().rpartition("event: ")[2].startswith("batch")
    assert text.count('"state":"cancelled"') == 21


def test_events_of_a_batch_that_is_removed_end(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}])
    wait(daemon, batch)
    daemon.api.delete(f"/v1/batches/{batch}")
    problem(daemon.api.get(f"/v1/batches/{batch}/events"), 404, "not_found")
    assert streams(daemon) == 0


# ---- Waits ----


def test_a_wait_ends_with_its_batch_or_in_time(daemon, gate):
    batch = submit(daemon, [{"url": f"{gate.url}/"}])
    early = daemon.api.get(f"/v1/batches/{batch}/wait?timeout=0.1s").json()
    assert early["ended_at"] is None
    with daemon.api.connect() as sock:
        sock.sendall(f"GET /v1/batches/{batch}/wait?timeout=1h HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n".encode())
        wait_until(lambda: streams(daemon) == 1, what="it waits")
        gate.open()
        text = b""
        while piece := sock.recv(65536):
            text += piece
    assert b'"state":"done"' in text
    assert daemon.api.get(f"/v1/batches/{batch}/wait?timeout=1h").json()["state"] == "done"
    assert streams(daemon) == 0


def test_a_wait_ends_when_the_client_goes_away(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/hang"}])
    socks = []
    for _ in range(5):
        sock = daemon.api.connect()
        sock.sendall(f"GET /v1/batches/{batch}/wait HTTP/1.1\r\nHost: f\r\n\r\n".encode())
        socks.append(sock)
    wait_until(lambda: streams(daemon) == 5, what="five wait")
    for sock in socks:
        sock.close()
    wait_until(lambda: streams(daemon) == 0, what="nobody waits")
    daemon.api.post(f"/v1/batches/{batch}/cancel")
    wait(daemon, batch)


def test_a_client_that_sends_on_while_it_waits_does_no_harm(daemon, gate):
    batch = submit(daemon, [{"url": f"{gate.url}/"}])
    with daemon.api.connect() as sock:
        sock.sendall(f"GET /v1/batches/{batch}/wait HTTP/1.1\r\nHost: f\r\n\r\n".encode())
        wait_until(lambda: streams(daemon) == 1, what="it waits")
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n")
        gate.open()
        text = b""
        while piece := sock.recv(65536):
            text += piece
    assert text.count(b"HTTP/1.1 200") == 2
    assert text.endswith(b'{"status":"ok"}\n')
    # And one who never stops.
    gate.shut()
    batch = submit(daemon, [{"url": f"{gate.url}/"}])
    before = memory_kib(daemon.pid)
    with daemon.api.connect() as sock:
        sock.sendall(f"GET /v1/batches/{batch}/wait HTTP/1.1\r\nHost: f\r\n\r\n".encode())
        wait_until(lambda: streams(daemon) == 1, what="it waits")
        sock.settimeout(0.3)
        with pytest.raises((TimeoutError, socket.timeout)):
            sock.sendall(b"x" * (64 << 20))
    assert memory_kib(daemon.pid) < before + 16 * 1024
    gate.open()
    wait_until(lambda: streams(daemon) == 0, what="it has gone")
    healthy(daemon)


def test_there_is_room_for_so_many_waits_and_no_more(daemon, apisim, many_files):
    batch = submit(daemon, [{"url": f"{apisim.url}/hang"}])
    socks = []
    for _ in range(512):
        sock = daemon.api.connect()
        sock.sendall(f"GET /v1/batches/{batch}/wait HTTP/1.1\r\nHost: f\r\n\r\n".encode())
        socks.append(sock)
    wait_until(lambda: streams(daemon) == 512, what="512 wait")
    answer = daemon.api.get(f"/v1/batches/{batch}/wait")
    problem(answer, 503, "busy")
    assert answer.headers["Retry-After"]
    problem(daemon.api.get(f"/v1/batches/{batch}/results"), 503, "busy")
    socks.pop().close()
    wait_until(lambda: streams(daemon) == 511, what="one has gone")
    assert daemon.api.get(f"/v1/batches/{batch}/results").status == 200
    for sock in socks:
        sock.close()
    daemon.api.post(f"/v1/batches/{batch}/cancel")


# ---- Misspeaking clients ----


def test_where_a_body_ends_must_not_be_a_matter_of_opinion(daemon):
    post = b"POST /v1/batches HTTP/1.1\r\nHost: f\r\n"
    for headers, status in {
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n": b"411",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n": b"411",
        b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}": b"400",
        b"Content-Length: +2\r\n\r\n{}": b"400",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n": b"400",
        b"Content-Length: -2\r\n\r\n": b"400",
        b"Content-Length: 0x2\r\n\r\n{}": b"400",
        b"\r\n": b"411",
    }.items():
        answer = raw(daemon, post + headers)
        assert answer.split(b" ")[1] == status, (headers, answer[:500])
        assert b"Connection: close" in answer, headers
    answer = raw(daemon, b"GET /healthz HTTP/1.1\r\nHost: f\r\nContent-Length: 30\r\n\r\nDELETE /v1/batches/1 HTTP/1.1\r\n")
    assert answer.startswith(b"HTTP/1.1 400") and answer.count(b"HTTP/1.1 ") == 1
    assert daemon.api.get("/v1/batches").json()["batches"] == []


def test_noise_is_answered_or_cut_off_and_never_more(daemon):
    for noise in (
        b"\0" * 100 + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHeader without colon\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nA: " + b"b" * 100000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST /v1/batches HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
        b"CONNECT f:80 HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nExpect: something\r\nConnection: close\r\n\r\n",
        b"POST /v1/batches HTTP/1.1\r\nExpect: something\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    ):
        with daemon.api.connect() as sock:
            sock.sendall(noise)
            sock.shutdown(socket.SHUT_WR)
            try:
                while sock.recv(65536):
                    pass
            except ConnectionResetError:
                pass
        healthy(daemon)


def test_connections_are_kept_and_requests_may_come_ahead(daemon):
    with daemon.api.connect() as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: f\r\n\r\n" * 50 + b"GET /healthz HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n")
        text = b""
        while piece := sock.recv(65536):
            text += piece
    assert text.count(b'{"status":"ok"}') == 51
    old = raw(daemon, b"GET /v1/batches HTTP/1.0\r\n\r\n")
    assert old.startswith(b"HTTP/1.0 200") and old.endswith(b'{"batches":[],"next":null}\n')


def test_a_drip_feeding_client_is_swept_and_an_idle_one_is_not(make_daemon):
    daemon = make_daemon(start=False).spawn("--request", "1")
    wait_until(daemon.ready, what="it answers")
    idle = daemon.api.connect()
    line, header, body = (daemon.api.connect() for _ in range(3))
    header.sendall(b"POST /v1/batches HTTP/1.1\r\n")
    body.sendall(b"POST /v1/batches HTTP/1.1\r\nHost: f\r\nContent-Length: 1000\r\n\r\n")
    open_ones = {line: b"G", header: b"A: b\r\n", body: b" "}
    begin = time.monotonic()

    def drip():
        for sock, piece in list(open_ones.items()):
            try:
                sock.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                del open_ones[sock]
        return not open_ones

    wait_until(drip, 10, "all three are cut off")
    assert time.monotonic() - begin > 0.9
    idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n")
    assert idle.recv(1000).startswith(b"HTTP/1.1 200")
    wait_until(lambda: daemon.api.get("/v1/stats").json()["http"]["connections"] <= 2, what="all connections have gone")
    for sock in (idle, line, header, body):
        sock.close()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_without_descriptors_the_daemon_waits_instead_of_spinning(daemon):
    used = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + 4, hard))
    socks = [daemon.api.connect() for _ in range(20)]
    wait_until(lambda: "cannot accept" in daemon.log(), what="it says so")
    begin, spent = time.monotonic(), cpu_seconds(daemon.pid)
    wait_until(lambda: time.monotonic() - begin > 0.5, what="half a second has passed")
    assert cpu_seconds(daemon.pid) - spent < 0.25
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (hard, hard))
    socks[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: f\r\n\r\n")
    assert socks[-1].recv(1000).startswith(b"HTTP/1.1 200")
    for sock in socks:
        sock.close()


def test_more_connections_than_there_may_be_wait_for_their_turn(daemon, many_files):
    socks = [daemon.api.connect() for _ in range(1050)]
    socks[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: f\r\n\r\n")
    for sock in socks[:200]:
        sock.close()
    assert socks[-1].recv(1000).startswith(b"HTTP/1.1 200")
    for sock in socks:
        sock.close()
    healthy(daemon)


# ---- The daemon itself ----


def test_stats_and_metrics_count_what_happened(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}] * 5 + [{"url": f"{apisim.url}/status/404"}])
    wait(daemon, batch)
    stats = daemon.api.get("/v1/stats").json()
    assert (stats["counts"]["done"], stats["counts"]["failed"]) == (5, 1)
    assert stats["engine"]["attempts"] == stats["engine"]["outcomes"] == 6
    assert len(stats["workers"]) == 2
    wait_until(lambda: all(w["ready"] for w in daemon.api.get("/v1/stats").json()["workers"]), what="both workers are ready")
    assert stats["uptime_us"] > 0 and stats["draining"] is False

    def metrics():
        answer = daemon.api.get("/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain")
        values = {}
        for line in answer.body.decode().splitlines():
            if line.startswith("# "):
                assert re.match(r"# (HELP|TYPE) fanout_\w+ .+", line), line
            else:
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    # The batch has ended for those who ask as soon as it is written; it is counted when that is on disk.
    wait_until(lambda: sum(v for k, v in metrics().items() if k.startswith("fanout_jobs_ended_total")) == 6, what="all is on disk")
    values = metrics()
    assert values['fanout_jobs{state="done"}'] == 5
    assert values['fanout_jobs_ended_total{state="failed"}'] == 1
    assert values["fanout_engine_attempts_total"] == 6
    assert values["fanout_store_live_batches"] == 0
    assert values["fanout_process_resident_bytes"] > 1 << 20


def test_a_draining_daemon_takes_nothing_new_and_says_so(daemon, gate):
    submit(daemon, [{"url": f"{gate.url}/"}])
    wait_until(lambda: daemon.api.get("/v1/batches/1").json()["counts"]["running"] == 1, what="it runs")
    connection = UnixConnection(daemon.socket, 240)
    connection.request("GET", "/healthz")
    assert Answer(connection.getresponse()).status == 200
    daemon.kill(signal.SIGTERM)
    wait_until(lambda: not daemon.socket.exists(), what="the socket is gone")
    connection.request("GET", "/healthz")
    answer = Answer(connection.getresponse())
    assert (answer.status, answer.json()) == (503, {"status": "draining"})
    connection.request("POST", "/v1/batches", json.dumps({"jobs": [{"url": "http://h/"}]}))
    problem(Answer(connection.getresponse()), 503, "busy")
    connection.request("GET", "/v1/batches/1")
    assert Answer(connection.getresponse()).status == 200
    connection.close()
    gate.open()
    assert daemon.wait() == 0
    daemon.start()
    assert wait(daemon, 1)["counts"]["done"] == 1
    assert daemon.api.get("/v1/jobs/1.1").json()["attempts"] == 1
