"""The HTTP API as docs/API.md has it: batches from submission to their end, whose they are, and what their owner may say."""

import base64
import concurrent.futures
import json
import os
import re

import pytest

from harness.api import NOBODY, as_user, healthy, problem, raw, results, submit, wait
from harness.process import memory_kib, sanitized, wait_until


# ---- A batch from submission to result ----


def test_a_small_batch_goes_from_one_request_to_its_results(daemon, apisim):
    answer = daemon.api.post(
        "/v1/batches", {"name": "cats", "jobs": [{"url": f"{apisim.url}/uuid", "tag": "first"}, {"url": f"{apisim.url}/status/404"}]}
    )
    assert answer.status == 201
    assert answer.json() == {"batch": 1, "existed": False, "closed": True, "jobs": 2, "first_seq": 1}
    batch = wait(daemon, 1)
    assert list(batch) == "batch name key state uid priority concurrency run verdict paused closed counts submitted_at ended_at active_us eta expected stalled".split()
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


def test_lines_are_looked_at_and_not_taken(daemon):
    lines = ['{"url":"http://h/"}'] * 100
    assert daemon.api.post("/v1/check", "\n".join(lines)).json() == {"refusals": []}
    for i in (0, 7, *range(50, 90)):
        lines[i] = '{"url":7}'
    lines[99] = "{"
    rows = daemon.api.post("/v1/check", "\n\n" + "\n".join(lines)).json()["refusals"]
    assert [row["line"] for row in rows] == [3, 10, *range(53, 93), 102]
    assert all("url" in row["detail"] for row in rows[:20]) and rows[20] == {"line": 71}
    assert len(daemon.api.post("/v1/check", b"x\n" * 30000).json()["refusals"]) == 30000
    problem(daemon.api.post("/v1/check", b"x\n" * 30001), 413, "too_large")
    assert daemon.api.post("/v1/check", b"").json() == {"refusals": []}
    assert daemon.api.get("/v1/batches").json()["batches"] == []


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


def test_what_was_answered_and_broke_off_is_retried_only_where_that_is_said(daemon, apisim):
    cut = f"{apisim.url}/close-early?n=1000"
    batch = submit(daemon, [{"url": cut, "method": "POST"}, {"url": cut, "method": "PUT"}], max_attempts=1)

    def ended():
        wait(daemon, batch)
        return [(r["reason"], r["status"], r["attempts"]) for r in results(daemon, batch)]

    assert ended() == [("unknown_outcome", 200, 1), ("transport", 200, 1)]
    assert "its status was 200, so the server has most likely carried it out" in results(daemon, batch)[0]["error"]
    assert daemon.api.post(f"/v1/batches/{batch}/retry").status == 200
    assert ended() == [("unknown_outcome", 200, 1), ("transport", 200, 2)]
    problem(daemon.api.post(f"/v1/jobs/{batch}.1/retry"), 409, "conflict")
    assert daemon.api.post(f"/v1/batches/{batch}/retry?unsafe=1").status == 200
    assert ended() == [("unknown_outcome", 200, 2), ("transport", 200, 3)]


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
