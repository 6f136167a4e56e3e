"""The HTTP API: no client can do the daemon harm, and what the daemon says of itself."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import time

import pytest

from harness.api import NOBODY, healthy, problem, raw, submit, wait
from harness.http import Answer, UnixConnection
from harness.process import wait_until


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
            told = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := sock.recv(65536):
                    told += piece
        # What else is expected of an answer may be ignored (RFC 9110, section 10.1.1).
        answered = [b"200"] if noise.startswith(b"GET /healthz") and b"Expect" in noise else [b"4", b"5"]
        assert told == b"" or told.count(b"HTTP/1.") == 1 and told.split()[1].startswith(tuple(answered)), (noise[:60], told)
        healthy(daemon)
    assert daemon.api.get("/v1/batches").json()["batches"] == []


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


CROWD = r"""
import http.client, json, socket, sys
path, count, speak = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "speak"
clients = [socket.socket(socket.AF_UNIX) for _ in range(count)]
answers = []
for client in clients:
    client.connect(path)
    if speak:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: f\r\n\r\n")
        r = http.client.HTTPResponse(client)
        r.begin()
        answers.append([r.status, dict(r.headers), r.read().decode()])
print(json.dumps(answers), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def crowd_of_nobody(daemon, count, how):
    """So many connections of another user: what each was answered, while they stay."""
    child = subprocess.Popen(
        ["/usr/bin/python3", "-c", CROWD, daemon.socket, str(count), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
    )
    try:
        yield json.loads(child.stdout.readline())
    finally:
        child.communicate()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_one_user_has_half_of_the_connections_and_is_told_so(make_daemon, many_files):
    daemon = make_daemon(socket_mode="0666")
    with crowd_of_nobody(daemon, 510, "speak") as answers:
        assert [status for status, _, _ in answers] == [200] * 500 + [503] * 10
        _, headers, body = answers[-1]
        assert (headers["Connection"], headers["Content-Type"]) == ("close", "application/problem+json"), headers
        assert f"uid {NOBODY} has 500 connections already" in json.loads(body)["detail"], body
        assert daemon.api.get("/healthz").status == 200


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_one_user_who_says_nothing_has_half_of_the_connections_too(make_daemon, many_files):
    daemon = make_daemon(socket_mode="0666")
    with crowd_of_nobody(daemon, 900, "silent"):
        wait_until(lambda: daemon.api.get("/v1/stats").json()["http"]["connections"] <= 502, what="the rest are closed")
        assert daemon.api.get("/v1/stats").json()["http"]["connections"] >= 500


FROZEN_CLOCK = r"""
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
int clock_gettime(clockid_t id, struct timespec *ts)
{
	static struct timespec frozen;
	int rc = (int)syscall(SYS_clock_gettime, id, ts);
	if ((id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE) || access(getenv("FREEZE"), F_OK))
		return rc;
	if (!frozen.tv_sec)
		frozen = *ts;
	*ts = frozen;
	return rc;
}
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_who_stands_behind_a_silent_crowd_does_not_wait_for_the_next_look(make_daemon, many_files, preload, scratch):
    """No timer of libevent's ends meanwhile."""
    shim = preload(FROZEN_CLOCK)
    freeze = scratch / "freeze"
    daemon = make_daemon(socket_mode="0666", env={**{k: shim[k] for k in ("LD_PRELOAD", "ASAN_OPTIONS")}, "FREEZE": str(freeze)})
    freeze.touch()
    healthy(daemon)
    with crowd_of_nobody(daemon, 1800, "silent"):
        healthy(daemon)
        freeze.unlink()


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


def metrics(daemon):
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


def ended(values):
    return {state: values[f'fanout_jobs_ended_total{{state="{state}"}}'] for state in ("done", "failed", "cancelled")}


def test_stats_and_metrics_count_what_happened(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}] * 5 + [{"url": f"{apisim.url}/status/404"}])
    wait(daemon, batch)
    stats = daemon.api.get("/v1/stats").json()
    assert (stats["counts"]["done"], stats["counts"]["failed"]) == (5, 1)
    assert stats["engine"]["attempts"] == stats["engine"]["outcomes"] == 6
    assert len(stats["workers"]) == 2
    wait_until(lambda: all(w["ready"] for w in daemon.api.get("/v1/stats").json()["workers"]), what="both workers are ready")
    assert stats["uptime_us"] > 0 and stats["draining"] is False

    values = metrics(daemon)
    assert values['fanout_jobs{state="done"}'] == 5
    assert ended(values) == {"done": 5, "failed": 1, "cancelled": 0}
    assert values["fanout_engine_attempts_total"] == 6
    assert values["fanout_store_live_batches"] == 0
    assert values["fanout_process_resident_bytes"] > 1 << 20


def test_jobs_that_ended_without_having_run_are_counted_as_ended(daemon, apisim, gate):
    chain = submit(daemon, [{"url": f"{apisim.url}/status/404", "chain": "a"}] + [{"url": f"{apisim.url}/uuid", "chain": "a"}] * 2)
    wait(daemon, chain)
    assert ended(metrics(daemon)) == {"done": 0, "failed": 3, "cancelled": 0}
    expires = submit(daemon, [{"url": f"{gate.url}/a"}] * 3, concurrency=1, deadline="1s")
    wait(daemon, expires)
    assert ended(metrics(daemon)) == {"done": 0, "failed": 6, "cancelled": 0}
    cancelled = submit(daemon, [{"url": f"{gate.url}/b"}] * 3, concurrency=1)
    daemon.api.post(f"/v1/batches/{cancelled}/cancel")
    wait(daemon, cancelled)
    assert ended(metrics(daemon)) == {"done": 0, "failed": 6, "cancelled": 3}


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
    told = answer.json()
    assert (answer.status, told["status"], told["code"]) == (503, "draining", "busy")
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
