"""Batches as users run them: fanned out, one by one, in chains, paused, cancelled, retried."""

import json

from harness.process import wait_until


def asked(apisim, path):
    """How often the simulator was asked for a path that begins so."""
    return sum(n for p, n in apisim.stats()["paths"].items() if p.startswith(path))


def run_batch(daemon, *args, input=None, check=0):
    batch = daemon.ctl("submit", "-p", "--wait", *args, input=input, check=check, timeout=120).out.strip()
    return batch, daemon.ctl("results", batch, "-f", "ndjson").rows()


def test_a_hundred_calls_are_under_way_at_the_same_time(daemon, gate):
    batch = daemon.ctl("submit", "-p", "-n", "100", "--concurrency", "100", gate.url).out.strip()
    wait_until(lambda: len(gate.held) == 100, 20, "a hundred requests wait for their answers")
    gate.open()
    daemon.ctl("wait", batch)
    assert [row["status"] for row in daemon.ctl("results", batch, "-f", "ndjson").rows()] == [200] * 100


def test_a_hundred_answers_are_a_hundred_different_bodies(daemon, apisim):
    batch, rows = run_batch(daemon, "-n", "100", f"{apisim.url}/uuid")
    bodies = daemon.ctl("results", batch, "--body", "-f", "ndjson").rows()
    assert len({json.loads(row["body"])["uuid"] for row in bodies}) == 100
    assert [row["seq"] for row in rows] == list(range(1, 101))


def test_concurrency_1_is_one_after_the_other_in_order(daemon, apisim):
    jobs = [{"url": f"{apisim.url}/log?channel=seq&delay=0.01", "body": str(i)} for i in range(30)]
    run_batch(daemon, "--concurrency", "1", "-i", "-", input="".join(json.dumps(job) + "\n" for job in jobs))
    log = apisim.log_of("seq")
    assert [int(entry["body"]) for entry in log] == list(range(30))
    assert all(a["end_us"] <= b["start_us"] for a, b in zip(log, log[1:]))


def test_hosts_of_all_kinds_in_one_batch(daemon, apisim, nginx, httpbin):
    urls = [f"{apisim.url}/delay/0.2", f"{nginx.url}/x", f"{httpbin.url}/status/418", f"{httpbin.url}/get", "http://127.0.0.1:1/"]
    _, rows = run_batch(daemon, "--max-attempts", "1", "-i", "-", input="\n".join(urls) + "\n", check=1)
    assert [row["url"] for row in rows] == urls
    assert [row["status"] for row in rows] == [200, 200, 418, 200, None]
    assert [row["state"] for row in rows] == ["done", "done", "failed", "done", "failed"]
    assert rows[2]["error"].startswith("418")
    assert "refused" in rows[4]["error"]
    phases = ("dns_us", "connect_us", "tls_us", "send_us", "wait_us", "receive_us")
    for row in rows:
        assert sum(row["timings"][p] for p in phases) == row["timings"]["total_us"]
    assert rows[0]["timings"]["total_us"] >= 199000


def test_chains_run_side_by_side_and_each_in_order(daemon, apisim):
    sizes = {"a": 2, "b": 3, "c": 2}
    jobs = [
        {"url": f"{apisim.url}/log?channel={chain}&delay=0.1", "chain": chain, "tag": f"{chain}{i}", "body": {"step": i}}
        for i in range(3)
        for chain, size in sizes.items()
        if i < size
    ]
    lines = "".join(json.dumps(job) + "\n" for job in jobs)
    result = daemon.ctl("submit", "-i", "-", "--follow", "-f", "ndjson", input=lines)
    followed = [row for row in result.rows() if "job" in row]
    assert len(followed) == 7
    for chain, size in sizes.items():
        log = apisim.log_of(chain)
        assert [json.loads(entry["body"])["step"] for entry in log] == list(range(size))
        assert all(a["end_us"] <= b["start_us"] for a, b in zip(log, log[1:]))
        assert [row["tag"] for row in followed if row["chain"] == chain] == [f"{chain}{i}" for i in range(size)]


def test_no_chain_waits_for_another(daemon, gate):
    lines = "".join(json.dumps({"url": f"{gate.url}/{chain}{i}", "chain": chain}) + "\n" for i in range(2) for chain in "abc")
    batch = daemon.ctl("submit", "-p", "-i", "-", input=lines).out.strip()
    wait_until(lambda: sorted(gate.held) == ["/a0", "/b0", "/c0"], what="the first of each is under way, and no other")
    gate.let("/b0")
    wait_until(lambda: sorted(gate.held) == ["/a0", "/b1", "/c0"], what="one goes on while the others stand")
    gate.open()
    daemon.ctl("wait", batch)


def test_the_rest_of_a_chain_fails_when_one_of_it_does(daemon, apisim):
    urls = "".join(f"{apisim.url}/{path}\n" for path in ("uuid", "status/404", "uuid", "uuid"))
    _, rows = run_batch(daemon, "--chain", "-i", "-", input=urls, check=1)
    assert [(row["state"], row["reason"]) for row in rows] == [
        ("done", None),
        ("failed", "http_status"),
        ("failed", "predecessor"),
        ("failed", "predecessor"),
    ]
    assert rows[1]["job"] in rows[3]["error"]


def test_the_rest_of_a_chain_says_which_job_of_it_was_cancelled(daemon, gate):
    lines = "".join(json.dumps({"url": f"{gate.url}/{chain}{i}", "chain": chain}) + "\n" for chain in "ab" for i in range(3))
    batch = daemon.ctl("submit", "-p", "-i", "-", input=lines).out.strip()
    wait_until(lambda: sorted(gate.held) == ["/a0", "/b0"], what="the first of each is under way")
    daemon.ctl("cancel", f"{batch}.1", f"{batch}.5")
    gate.open()
    daemon.ctl("wait", batch, check=1)
    rows = daemon.ctl("results", batch, "-f", "ndjson").rows()
    assert [row["state"] for row in rows] == ["cancelled", "failed", "failed", "done", "cancelled", "failed"]
    for number, by in ((2, 1), (3, 1), (6, 5)):
        assert rows[number - 1]["error"] == f"job {batch}.{by} of its chain was cancelled", rows[number - 1]


def test_a_retried_chain_goes_on_where_it_failed(daemon, apisim):
    urls = "".join(f"{apisim.url}/{p}\n" for p in ("log?channel=r", "flaky?id=r&fail=1&code=404", "log?channel=r"))
    batch, rows = run_batch(daemon, "--chain", "-X", "POST", "-i", "-", input=urls, check=1)
    assert [row["state"] for row in rows] == ["done", "failed", "failed"]
    daemon.ctl("retry", batch)
    daemon.ctl("wait", batch)
    rows = daemon.ctl("results", batch, "-f", "ndjson").rows()
    assert [row["state"] for row in rows] == ["done", "done", "done"]
    assert len(apisim.log_of("r")) == 2, "what was done is not done again"


def test_a_transient_error_is_tried_again_until_it_works(daemon, apisim):
    _, rows = run_batch(daemon, f"{apisim.url}/flaky?id=t&fail=2&code=503")
    assert [(row["state"], row["attempts"], row["status"]) for row in rows] == [("done", 3, 200)]


def test_attempts_end_at_their_maximum(daemon, apisim):
    batch, rows = run_batch(daemon, "--max-attempts", "2", f"{apisim.url}/flaky?id=m&fail=9&code=502", check=1)
    assert [(row["state"], row["reason"], row["attempts"]) for row in rows] == [("failed", "http_status", 2)]
    attempts = daemon.api.get(f"/v1/jobs/{batch}.1/attempts").json()["attempts"]
    assert [(a["attempt"], a["status"]) for a in attempts] == [(1, 502), (2, 502)]


def test_a_paused_batch_starts_nothing_until_it_is_resumed(daemon, apisim, gate):
    batch = daemon.ctl("submit", "-p", "-n", "50", "--concurrency", "2", gate.url).out.strip()
    wait_until(lambda: len(gate.held) == 2, what="two run")
    daemon.ctl("pause", batch)
    gate.open()
    wait_until(lambda: daemon.api.get(f"/v1/batches/{batch}").json()["counts"]["running"] == 0, 20, "nothing runs")
    other = daemon.ctl("submit", "-p", "--wait", "-n", "5", f"{apisim.url}/uuid").out.strip()
    assert other != batch
    counts = daemon.api.get(f"/v1/batches/{batch}").json()
    assert counts["state"] == "paused" and (counts["counts"]["done"], counts["counts"]["queued"]) == (2, 48)
    assert len(gate.seen) == 2
    daemon.ctl("resume", batch)
    daemon.ctl("wait", batch)


def test_cancel_ends_what_waits_and_what_runs(daemon, apisim):
    batch = daemon.ctl("submit", "-p", "-n", "2000", "--concurrency", "20", f"{apisim.url}/hang").out.strip()
    wait_until(lambda: asked(apisim, "/hang") >= 20, 20, "twenty are running")
    daemon.ctl("cancel", batch)
    daemon.ctl("wait", batch, check=7)
    rows = daemon.ctl("results", batch, "-f", "ndjson").rows()
    assert {row["state"] for row in rows} == {"cancelled"} and len(rows) == 2000
    assert asked(apisim, "/hang") == 20


def test_a_cancelled_batch_can_be_retried(daemon, gate):
    batch = daemon.ctl("submit", "-p", "-n", "300", "--concurrency", "1", gate.url).out.strip()
    daemon.ctl("cancel", batch)
    daemon.ctl("wait", batch, check=7)
    daemon.ctl("rm", batch)
    daemon.ctl("status", batch, check=4)
    batch = daemon.ctl("submit", "-p", "-n", "30", "--concurrency", "5", gate.url).out.strip()
    daemon.ctl("cancel", batch)
    daemon.ctl("wait", batch, check=7)
    gate.open()
    daemon.ctl("retry", batch)
    daemon.ctl("wait", batch)
    assert daemon.api.get(f"/v1/batches/{batch}").json()["counts"]["done"] == 30


def test_a_small_batch_does_not_wait_for_a_big_one_on_the_same_host(daemon, apisim):
    # More than a minute's work, at 64 at a time.
    big = daemon.ctl("submit", "-p", "-n", "50000", f"{apisim.url}/delay/0.1").out.strip()
    wait_until(lambda: asked(apisim, "/delay") >= 64, 20, "the big one is under way")
    daemon.ctl("submit", "-p", "--wait", "-n", "10", f"{apisim.url}/uuid")
    counts = daemon.api.get(f"/v1/batches/{big}").json()["counts"]
    assert counts["queued"] > 1000
    daemon.ctl("cancel", big)


def test_a_host_that_hangs_does_not_delay_another(daemon, apisim):
    stuck = daemon.ctl("submit", "-p", "-n", "500", "--timeout", "1h", f"{apisim.url}/hang").out.strip()
    wait_until(lambda: asked(apisim, "/hang") >= 64, 20, "the host's share is used up")
    other = apisim.url.replace("127.0.0.1", "127.0.0.2")
    daemon.ctl("submit", "-p", "--wait", "-n", "200", f"{other}/uuid")
    assert daemon.api.get(f"/v1/batches/{stuck}").json()["counts"]["queued"] > 0
    daemon.ctl("cancel", stuck)


def test_large_bodies_come_back_whole(daemon, apisim):
    sizes = [0, 1, 65535, 65536, 65537, 5000000]
    batch, rows = run_batch(daemon, "-i", "-", input="".join(f"{apisim.url}/bytes/{n}\n" for n in sizes))
    assert [row["size"] for row in rows] == sizes
    pattern = bytes(i % 251 for i in range(251)) * (5000000 // 251 + 1)
    for seq, size in enumerate(sizes, 1):
        assert daemon.api.get(f"/v1/jobs/{batch}.{seq}/body").body == pattern[:size]
    daemon.ctl("rm", batch)
    wait_until(lambda: not list((daemon.state / "bodies").iterdir()), 20, "its files are gone")


def test_the_same_submission_key_makes_one_batch(daemon, apisim):
    first = daemon.ctl("submit", "-p", "--key", "today", "--wait", f"{apisim.url}/once/k").out.strip()
    second = daemon.ctl("submit", "-p", "--key", "today", "--wait", f"{apisim.url}/once/k").out.strip()
    assert first == second
    assert apisim.once()["distinct"] == 1 and apisim.once()["repeated"] == {}
