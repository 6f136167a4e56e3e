"""The HTTP API: results, bodies, events and waits."""

import base64
import json
import socket

import pytest

from harness.api import healthy, problem, results, submit, wait
from harness.process import memory_kib, sanitized, wait_until


def streams(daemon):
    return daemon.api.get("/v1/stats").json()["http"]["streams"]


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
