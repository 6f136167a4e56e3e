"""Limits, explanations and audits as the API shows them: docs/API.md, section Limits. That limits are kept is
test_limits.py's to show."""

import datetime
import json
import os
import re
import signal
import sqlite3
import time
import urllib.parse

import pytest

from harness.api import NOBODY, as_user, problem, results, submit, wait
from harness.process import wait_until

CATS = {"name": "cats", "match": "catfact.ninja", "rates": ["100/min", "5000/h"], "concurrency": 7, "pace": True}


def name(text):
    return urllib.parse.quote(text, safe="")


def limits(daemon, query=""):
    answer = daemon.api.get(f"/v1/limits{query}")
    assert answer.status == 200, answer
    return answer.json()


def put(daemon, limit, **members):
    answer = daemon.api.request("PUT", f"/v1/limits/{name(limit)}", members)
    assert answer.status == 200, answer
    return answer.json()


def host_of(apisim):
    return urllib.parse.urlsplit(apisim.url).netloc


# ---- Rules ----


def test_rules_of_the_configuration_are_listed_by_name_or_match(make_daemon):
    daemon = make_daemon(limits=[CATS, {"match": "*.example.org:8443/v1/*", "concurrency": 2}])
    assert limits(daemon) == {
        "limits": [
            {
                "name": "cats",
                "match": "catfact.ninja",
                "source": "conf",
                "rates": ["100/1min", "5000/1h"],
                "concurrency": 7,
                "pace": True,
                "shadowed": False,
                "since": None,
                "state": [],
            },
            {
                "name": "*.example.org:8443/v1/*",
                "match": "*.example.org:8443/v1/*",
                "source": "conf",
                "rates": [],
                "concurrency": 2,
                "pace": False,
                "shadowed": False,
                "since": None,
                "state": [],
            },
        ],
        "hosts": [],
        "batches": [],
    }


def test_a_host_chooses_the_rules_that_match_it(make_daemon):
    daemon = make_daemon(limits=[{"match": "a.example", "rate": "1/s"}, {"match": "*", "rate": "2/s"}])
    assert [r["name"] for r in limits(daemon, "?host=a.example:443")["limits"]] == ["a.example", "*"]
    assert [r["name"] for r in limits(daemon, "?host=B.example:80")["limits"]] == ["*"]
    for wrong in ("a.example", "a.example:", "http://a.example:80", "a%20b:80", ":80", "a:80/x"):
        assert "host=" in problem(daemon.api.get(f"/v1/limits?host={wrong}"), 400, "input")


def test_a_rule_says_since_when_it_is_as_it_is(make_daemon):
    daemon = make_daemon(limits=[{"name": "cats", "match": "catfact.ninja", "rate": "5/s"}])

    def since(name="cats"):
        return [r["since"] for r in limits(daemon)["limits"] if r["name"] == name and not r["shadowed"]][0]

    first = put(daemon, "a.example", rate="10/s")["since"]
    assert put(daemon, "a.example", rates=["10/1s"])["since"] == first, "it is the same rule"
    daemon.restart()
    assert since("a.example") == first and since() is None
    assert put(daemon, "a.example", rate="10/s")["since"] == first
    second = put(daemon, "a.example", rate="10/s", pace=True)["since"]
    assert second > first
    daemon.api.delete("/v1/limits/a.example")
    assert put(daemon, "a.example", rate="10/s", pace=True)["since"] > second
    shadowing = put(daemon, "cats", rate="5/s")["since"]
    assert since() == shadowing
    daemon.api.delete("/v1/limits/cats")
    assert since() > shadowing, "fanout.conf's is in force again from now on"


def at_once(daemon, requests):
    """Requests that the daemon reads in one turn; their statuses in order."""
    os.kill(daemon.pid, signal.SIGSTOP)
    body = json.dumps({"match": "a.example", "rate": "1/s"}).encode()
    socks = [daemon.api.connect() for _ in requests]
    for sock, (method, one) in zip(socks, requests):
        sent = body if method == "PUT" else b""
        sock.sendall(b"%s /v1/limits/%s HTTP/1.1\r\nHost: f\r\nContent-Length: %d\r\n\r\n%s" % (method.encode(), one.encode(), len(sent), sent))
    os.kill(daemon.pid, signal.SIGCONT)
    answers = [int(sock.recv(65536).split()[1]) for sock in socks]
    for sock in socks:
        sock.close()
    return answers


def test_rules_that_come_at_once_are_bounded_together(daemon):
    put(daemon, "n0", match="a.example", rate="1/s")
    daemon.stop()
    db = sqlite3.connect(daemon.state / "fanout.db")
    db.executemany("INSERT INTO limits SELECT ?, match, rates, concurrency, pace FROM limits WHERE name = 'n0'", [(f"n{i}",) for i in range(1, 999)])
    db.commit()
    db.close()
    daemon.start()
    assert sorted(at_once(daemon, [("PUT", "x"), ("PUT", "y"), ("PUT", "z")])) == [200, 413, 413]
    assert at_once(daemon, [("PUT", "n7"), ("PUT", "n8")]) == [200, 200], "they are replaced"
    daemon.configure(limits=[{"match": "b.example", "rate": "1/s"}])
    daemon.kill(signal.SIGHUP)
    wait_until(lambda: [r["name"] for r in limits(daemon, "?host=b.example:80")["limits"]] == ["b.example"], what="it is read anew")


def test_a_rule_that_is_removed_while_it_is_set_is_gone(daemon):
    for _ in range(5):  # which of them is read first is the daemon's affair
        said = at_once(daemon, [("PUT", "x"), ("DELETE", "x"), ("PUT", "x"), ("DELETE", "x")])
        assert set(said[0::2]) <= {200, 409} and set(said[1::2]) <= {200, 404}, said
        daemon.api.delete("/v1/limits/x")
        assert limits(daemon)["limits"] == []
    daemon.restart()
    assert limits(daemon)["limits"] == []


def test_a_rule_can_be_set_replaced_and_removed(daemon):
    rule = put(daemon, "a.example", rate="10/s")
    assert rule.pop("since")
    assert rule == {
        "name": "a.example",
        "match": "a.example",
        "source": "runtime",
        "rates": ["10/1s"],
        "concurrency": None,
        "pace": False,
        "shadowed": False,
        "state": [],
    }
    replaced = put(daemon, "a.example", match="*.a.example", rates=["90/90s", "7/week"], concurrency=3, pace=True)
    assert (replaced["match"], replaced["rates"]) == ("*.a.example", ["90/90s", "7/1w"])
    assert (replaced["concurrency"], replaced["pace"]) == (3, True)
    assert limits(daemon)["limits"] == [replaced]
    removed = daemon.api.delete("/v1/limits/a.example")
    assert (removed.status, removed.json()) == (200, {"name": "a.example", "removed": True})
    assert limits(daemon)["limits"] == []
    assert "no limit a.example" in problem(daemon.api.delete("/v1/limits/a.example"), 404, "not_found")


def test_a_rule_that_was_set_outlives_the_daemon(daemon):
    put(daemon, "api.example/v1/*", rates=["100/6s", "5000/h"], concurrency=4)
    before = limits(daemon)
    daemon.restart()
    assert limits(daemon) == before
    assert daemon.api.delete(f"/v1/limits/{name('api.example/v1/*')}").status == 200
    daemon.restart()
    assert limits(daemon)["limits"] == []


def test_a_rule_that_is_set_shadows_one_of_the_configuration(make_daemon):
    daemon = make_daemon(limits=[CATS])
    put(daemon, "cats", match="catfact.ninja", rate="1/s")
    assert [(r["source"], r["shadowed"]) for r in limits(daemon)["limits"]] == [("conf", True), ("runtime", False)]
    assert daemon.api.delete("/v1/limits/cats").status == 200
    assert [(r["source"], r["shadowed"]) for r in limits(daemon)["limits"]] == [("conf", False)]
    assert "configuration" in problem(daemon.api.delete("/v1/limits/cats"), 409, "conflict")


def test_names_come_percent_encoded(daemon):
    for odd in ("*.a.example:8080", "a.example/v1/*", "50 % of it?", "kätzchen"):
        assert put(daemon, odd, match="a.example", rate="1/s")["name"] == odd
    assert len(limits(daemon)["limits"]) == 4
    for wrong in ("%", "%0", "%00", "a%0Ab", "%ff"):
        problem(daemon.api.request("PUT", f"/v1/limits/{wrong}", {"match": "a", "rate": "1/s"}), 400, "input")
    problem(daemon.api.request("PUT", f"/v1/limits/{'a' * 101}", {"match": "a", "rate": "1/s"}), 400, "input")
    problem(daemon.api.request("PUT", f"/v1/limits/{'a' * 400}", {"match": "a", "rate": "1/s"}), 404, "not_found")


@pytest.mark.parametrize(
    "body, word",
    [
        ({}, "limits nothing"),
        ({"match": "https://a.example", "rate": "1/s"}, "URL"),
        ({"match": "a b", "rate": "1/s"}, "space"),
        ({"match": 7, "rate": "1/s"}, '"match"'),
        ({"rate": "1"}, '"rate"'),
        ({"rate": 1}, '"rate"'),
        ({"rates": "1/s"}, '"rates"'),
        ({"rates": ["1/s"] * 5}, "at most 4"),
        ({"rate": "1/s", "concurrency": 0}, '"concurrency"'),
        ({"rate": "1/s", "concurrency": 10001}, '"concurrency"'),
        ({"rate": "1/s", "pace": 1}, '"pace"'),
        ({"concurrency": 1, "pace": True}, "pace without a rate"),
        ({"rate": "1/s", "burst": 3}, '"burst" is no member'),
        ('{"rate":"1/s","rate":"2/s"}', "JSON"),
        ("[]", "object"),
        ("", "JSON"),
    ],
)
def test_what_makes_no_rule_is_refused_with_the_reason(daemon, body, word):
    assert word in problem(daemon.api.request("PUT", "/v1/limits/a.example", body), 400, "input")
    assert limits(daemon)["limits"] == []


def test_paths_of_limits_have_their_methods(daemon):
    for method, path, allow in (
        ("GET", "/v1/limits/x", "PUT, DELETE"),
        ("PUT", "/v1/limits", "GET, HEAD"),
        ("GET", "/v1/limits/resume", "POST, PUT, DELETE"),
        ("POST", "/v1/audit", "GET, HEAD"),
    ):
        answer = daemon.api.request(method, path, b"")
        problem(answer, 405, "usage")
        assert answer.headers["Allow"] == allow, path
    problem(daemon.api.request("PUT", "/v1/limits/a/b", {"rate": "1/s"}), 404, "not_found")
    assert daemon.api.request("PUT", "/v1/limits/resume", {"match": "a", "rate": "1/s"}).status == 200
    no_length = daemon.api.connect()
    with no_length:
        no_length.sendall(b"PUT /v1/limits/x HTTP/1.1\r\nHost: fanout\r\n\r\n")
        assert b" 411 " in no_length.recv(4096)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_others_may_read_limits_and_not_change_them(make_daemon):
    daemon = make_daemon(socket_mode="0666", limits=[CATS])
    daemon.dir.chmod(0o755)
    body = '{"rate":"1/s"}'
    answers = as_user(
        daemon,
        NOBODY,
        [("GET", "/v1/limits", None), ("PUT", "/v1/limits/cats", body), ("DELETE", "/v1/limits/cats", None)]
        + [("POST", "/v1/limits/resume?host=a.example:80", "")],
    )
    assert answers[0][0] == 200 and answers[0][1]["limits"][0]["name"] == "cats"
    for status, refused in answers[1:]:
        assert (status, refused["code"]) == (403, "permission")
        assert "fanout-admin" in refused["detail"] and refused["hint"]
    assert "rate of its own" in answers[1][1]["hint"] and "goes on by itself" in answers[3][1]["hint"]
    assert [r["source"] for r in limits(daemon)["limits"]] == ["conf"]


def test_a_host_that_is_not_paused_cannot_be_resumed(daemon):
    assert "a.example:80 is not paused" in problem(
        daemon.api.post("/v1/limits/resume?host=a.example:80"), 404, "not_found"
    )
    problem(daemon.api.post("/v1/limits/resume"), 400, "input")
    problem(daemon.api.post("/v1/limits/resume?host=a.example"), 400, "input")


def test_a_reload_changes_the_rules(make_daemon):
    daemon = make_daemon(limits=[CATS])
    daemon.configure(limits=[{"match": "dogs.example", "rate": "3/s"}])
    daemon.kill(signal.SIGHUP)
    wait_until(lambda: [r["name"] for r in limits(daemon)["limits"]] == ["dogs.example"], 10, "the new rule is in force")
    daemon.configure(limits=[{"match": "dogs.example:x", "rate": "3/s"}])
    daemon.kill(signal.SIGHUP)
    wait_until(lambda: "configuration not reloaded" in daemon.log(), 10, "the bad one is refused")
    assert [r["name"] for r in limits(daemon)["limits"]] == ["dogs.example"]


# ---- State ----


WINDOW_S = 1000  # far longer than a test lasts, whatever else the machine does


def limited(make_daemon, apisim, rate=f"3/{WINDOW_S}s", jobs=10, **members):
    """A daemon that may ask `apisim` three times in a window, and a batch whose first three jobs are done."""
    daemon = make_daemon(limits=[{"name": "slow", "match": host_of(apisim), "rate": rate}])
    batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}] * jobs, **members)
    wait_until(lambda: daemon.api.get(f"/v1/batches/{batch}").json()["counts"]["done"] == 3, 10, "three are done")
    return daemon, batch


def seconds(later, earlier):
    return (datetime.datetime.fromisoformat(later[:-1]) - datetime.datetime.fromisoformat(earlier[:-1])).total_seconds()


def test_a_rule_shows_what_each_host_has_used_of_it(make_daemon, apisim):
    daemon, batch = limited(make_daemon, apisim)
    (rule,) = limits(daemon)["limits"]
    (state,) = rule["state"]
    assert (state["host"], state["in_flight"]) == (host_of(apisim), 0)
    (window,) = state["windows"]
    assert (window["rate"], window["used"]) == (f"3/{WINDOW_S}s", 3)
    started = daemon.api.get(f"/v1/jobs/{batch}.1").json()["started_at"]
    assert WINDOW_S <= seconds(window["free_at"], started) < 1.2 * WINDOW_S
    assert limits(daemon, f"?host={host_of(apisim)}")["limits"] == [rule]
    assert limits(daemon, "?host=other.example:80")["limits"] == []
    text = daemon.api.get("/metrics").body.decode()
    labels = f'limit="slow",host="{host_of(apisim)}"'
    assert f"fanout_limit_in_flight{{{labels}}} 0\n" in text
    assert f'fanout_limit_used{{{labels},window="3/{WINDOW_S}s"}} 3\n' in text
    assert f'fanout_limit_size{{{labels},window="3/{WINDOW_S}s"}} 3\n' in text


def test_every_job_in_memory_that_a_rule_holds_up_waits_for_it_whatever_batch_it_is_of(make_daemon, apisim):
    daemon, _ = limited(make_daemon, apisim)
    submit(daemon, [{"url": f"{apisim.url}/uuid"}] * 5)
    wait_until(lambda: limits(daemon)["limits"][0]["state"][0]["waiting"] == 7 + 5, 10, "both batches are loaded")
    assert f'fanout_limit_waiting{{limit="slow",host="{host_of(apisim)}"}} 12\n' in daemon.api.get("/metrics").body.decode()
    assert daemon.ctl("limits", "-f", "csv").out.splitlines()[1].split(",").count("12") == 1


def test_a_host_that_refused_is_shown_with_its_pause_and_can_be_resumed(make_daemon, apisim):
    daemon = make_daemon()
    strict = apisim.limit("strict", n=1, window=900)
    batch = submit(daemon, [{"url": f"{strict.url}/json"}] * 3, concurrency=1)
    wait_until(lambda: limits(daemon)["hosts"], 10, "the host is paused")
    (host,) = limits(daemon)["hosts"]
    assert host["host"] == host_of(apisim) and host["refusals"] == 1
    assert seconds(host["paused_until"], daemon.api.get(f"/v1/jobs/{batch}.1").json()["ended_at"]) > 600
    text = daemon.api.get("/metrics").body.decode()
    assert f'fanout_host_refusals{{host="{host_of(apisim)}"}} 1\n' in text
    assert re.search(rf'^fanout_host_paused_seconds{{host="{re.escape(host_of(apisim))}"}} [6789]\d\d\.\d+$', text, re.M), text
    (why,) = daemon.api.get(f"/v1/batches/{batch}/explain").json()["waits"]
    assert (why["why"], why["until"]) == ("pause", host["paused_until"])
    resumed = daemon.api.post(f"/v1/limits/resume?host={host_of(apisim)}")
    assert (resumed.status, resumed.json()) == (200, {"host": host_of(apisim), "resumed": True})
    daemon.api.post(f"/v1/batches/{batch}/cancel")


def test_a_pause_is_no_longer_than_the_configuration_allows(make_daemon, apisim):
    daemon = make_daemon(defaults={"max_pause": "1s"})
    strict = apisim.limit("strict", n=1, window=2, tell=600)
    batch = submit(daemon, [{"url": f"{strict.url}/json"}] * 2, concurrency=1)
    assert wait(daemon, batch)["counts"]["done"] == 2
    refused, answered = daemon.api.get(f"/v1/jobs/{batch}.2/attempts").json()["attempts"][:2]
    assert refused["status"] == 429
    assert 0.9 < seconds(answered["started_at"], refused["ended_at"]) < 300, "the server said 600"


def test_a_reload_forgets_nothing_of_a_rule_whose_name_stays(make_daemon, apisim):
    daemon, _ = limited(make_daemon, apisim)
    daemon.configure(limits=[{"name": "slow", "match": host_of(apisim), "rate": f"4/{WINDOW_S}s"}])
    daemon.kill(signal.SIGHUP)
    wait_until(lambda: limits(daemon)["limits"][0]["rates"] == [f"4/{WINDOW_S}s"], 10, "the new rate is in force")
    wait_until(lambda: limits(daemon)["limits"][0]["state"][0]["windows"][0]["used"] == 4, 10, "one more goes, and no more")
    daemon.configure(limits=[])
    daemon.kill(signal.SIGHUP)
    wait_until(lambda: limits(daemon)["limits"] == [], 10, "the rule is gone")


@pytest.mark.parametrize("path", ["", "/*"])
@pytest.mark.parametrize("how", ["put", "reload"])
def test_what_a_job_has_waited_for_a_limit_is_not_forgotten_when_another_rule_comes(make_daemon, apisim, path, how):
    slow = {"name": "slow", "match": host_of(apisim) + path, "rate": f"1/{WINDOW_S}s"}
    daemon = make_daemon(limits=[slow])
    batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}] * 2)
    wait_until(lambda: [w["why"] for w in explain(daemon, f"jobs/{batch}.2")["waits"]] == ["rate"], 10, "the second is held")
    held = time.monotonic()
    for _ in range(200):
        daemon.api.get("/metrics")
    waited_us = (time.monotonic() - held) * 1e6
    if how == "put":
        put(daemon, "other.example", rate="1/s")
    else:
        daemon.configure(limits=[slow, {"name": "other.example", "match": "other.example", "rate": "1/s"}])
        daemon.kill(signal.SIGHUP)
    wait_until(lambda: len(limits(daemon)["limits"]) == 2, 10, "the other rule is in force")
    put(daemon, "slow", match=slow["match"], rate=f"100/{WINDOW_S}s")
    wait(daemon, batch)
    timings = results(daemon, batch)[1]["timings"]
    assert timings["limited_us"] >= waited_us, timings


# ---- Explanations ----


def explain(daemon, path):
    answer = daemon.api.get(f"/v1/{path}/explain")
    assert answer.status == 200, answer
    body = answer.json()
    assert set(body) - {"starts_at"} == {"state", "waits", "eta", "left"} and ("starts_at" in body) == path.startswith("jobs"), body
    for why in body["waits"]:
        assert set(why) == {"why", "limit", "host", "until", "text"} and why["text"], why
    return body


def test_a_batch_and_its_jobs_tell_which_rate_they_wait_for_and_until_when(make_daemon, apisim):
    daemon, batch = limited(make_daemon, apisim)
    started = daemon.api.get(f"/v1/jobs/{batch}.1").json()["started_at"]
    for path, state in ((f"batches/{batch}", "running"), (f"jobs/{batch}.9", "queued")):
        told = explain(daemon, path)
        assert told["state"] == state
        (why,) = told["waits"]
        assert (why["why"], why["limit"], why["host"]) == ("rate", "slow", host_of(apisim))
        assert "slow" in why["text"]
        # 7 are left, 3 go at a time: the last one begins after three windows, and the ninth after two.
        if path.startswith("jobs"):
            assert why["until"] is None and why["text"].startswith("5 others of its batch go first; "), why
            assert 2 * WINDOW_S <= seconds(told["starts_at"], started) < 2.2 * WINDOW_S, told
        else:
            assert WINDOW_S <= seconds(why["until"], started) < 1.2 * WINDOW_S
        assert 3 * WINDOW_S <= seconds(told["eta"], started) < 3.4 * WINDOW_S, told
    assert daemon.api.get(f"/v1/batches/{batch}").json()["eta"] is not None
    assert explain(daemon, f"jobs/{batch}.1") == {"state": "done", "waits": [], "left": None, "eta": None, "starts_at": None}


def test_a_forecast_reckons_with_what_else_waits_for_the_same_rate(make_daemon, apisim):
    """Beside a batch of as many jobs, taken in turns: twice as many windows."""
    daemon, first = limited(make_daemon, apisim, jobs=40)
    alone = explain(daemon, f"batches/{first}")["eta"]
    second = submit(daemon, [{"url": f"{apisim.url}/uuid"}] * 9)
    wait_until(lambda: limits(daemon)["limits"][0]["state"][0]["waiting"] == 37 + 9, 10, "both batches are loaded")
    told = explain(daemon, f"batches/{second}")
    started = daemon.api.get(f"/v1/jobs/{first}.1").json()["started_at"]
    # 9 of the one and 9 of the other, 3 at a time.
    assert 6 * WINDOW_S <= seconds(told["eta"], started) < 6.5 * WINDOW_S, told
    assert 3 * WINDOW_S - 1 <= seconds(explain(daemon, f"batches/{first}")["eta"], alone) < 3.5 * WINDOW_S
    last = explain(daemon, f"jobs/{second}.9")
    assert 6 * WINDOW_S <= seconds(last["starts_at"], started) < 6.5 * WINDOW_S, last


def test_a_batchs_own_rate_is_told_and_forecast_too(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}] * 6, rate=f"2/{WINDOW_S}s")
    wait_until(lambda: daemon.api.get(f"/v1/batches/{batch}").json()["counts"]["done"] == 2, 10, "two are done")
    told = explain(daemon, f"batches/{batch}")
    started = daemon.api.get(f"/v1/jobs/{batch}.1").json()["started_at"]
    (why,) = told["waits"]
    assert (why["why"], why["limit"]) == ("rate", f"batch {batch}")
    assert 2 * WINDOW_S <= seconds(told["eta"], started) < 2.2 * WINDOW_S, told
    daemon.api.post(f"/v1/batches/{batch}/cancel")
    assert explain(daemon, f"batches/{batch}")["waits"] == []


def test_the_end_moves_away_while_the_last_answer_hangs(daemon, apisim, gate):
    """By the speed of the 400 alone it would be a second away after more than six minutes."""
    batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}] * 400 + [{"url": f"{gate.url}/last"}])
    path = f"batches/{batch}"
    wait_until(lambda: daemon.api.get(f"/v1/{path}").json()["counts"]["done"] == 400, 20, "all but one are done")
    last = max(row["ended_at"] for row in results(daemon, batch, "?state=done"))

    def eta_after(quiet_s):
        asked = datetime.datetime.utcnow().isoformat() + "Z"
        eta = explain(daemon, path)["eta"]
        return eta if seconds(asked, last) > quiet_s else None

    for quiet_s in (1, 2):
        eta = wait_until(lambda: eta_after(quiet_s), 20, "nothing ended for a while")
        assert seconds(eta, last) >= 2 * quiet_s - 0.1, "as long again as nothing ended"
    gate.open()
    assert wait(daemon, batch)["eta"] is None


def test_of_a_batch_that_is_being_cancelled_no_end_is_forecast(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}] * 500, rate=f"2/{WINDOW_S}s")
    wait_until(lambda: daemon.api.get(f"/v1/batches/{batch}").json()["counts"]["done"] == 2, 10, "two are done")
    assert daemon.api.get(f"/v1/batches/{batch}").json()["eta"]
    told = daemon.api.post(f"/v1/batches/{batch}/cancel").json()
    assert (told["state"], told["eta"]) == ("cancelling", None)
    assert explain(daemon, f"batches/{batch}")["eta"] is None
    wait(daemon, batch)


def test_what_else_can_hold_a_job_back_is_told(daemon, apisim):
    url = f"{apisim.url}/hang"
    batch = submit(daemon, [{"url": url, "chain": "a"}, {"url": url, "chain": "a"}, {"url": url}, {"url": url}], concurrency=1)
    running = f"/v1/batches/{batch}"
    wait_until(lambda: daemon.api.get(running).json()["counts"]["running"] == 1, 10, "one runs")
    states = {n: explain(daemon, f"jobs/{batch}.{n}") for n in (1, 2, 3, 4)}
    assert (states[1]["state"], states[1]["waits"]) == ("running", [])
    assert [w["why"] for w in states[2]["waits"]] == ["chain"] and states[2]["state"] == "blocked"
    assert [w["why"] for w in states[4]["waits"]] == ["batch_concurrency"]
    daemon.api.post(f"{running}/pause")
    told = explain(daemon, f"batches/{batch}")
    assert ([w["why"] for w in told["waits"]], told["eta"]) == (["paused"], None)
    held = submit(daemon, [{"url": url}], hold=True, close=False)
    assert [w["why"] for w in explain(daemon, f"jobs/{held}.1")["waits"]] == ["held"]
    daemon.api.post(f"{running}/cancel")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_anothers_batch_is_not_explained(make_daemon, apisim):
    daemon = make_daemon(socket_mode="0666")
    daemon.dir.chmod(0o755)
    batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}])
    paths = [f"/v1/batches/{batch}/explain", f"/v1/jobs/{batch}.1/explain", "/v1/batches/99/explain"]
    assert [status for status, _ in as_user(daemon, NOBODY, [("GET", p, None) for p in paths])] == [404] * 3
    problem(daemon.api.get(f"/v1/jobs/{batch}.2/explain"), 404, "not_found")


def test_no_spelling_of_a_path_escapes_its_rule(make_daemon, apisim):
    daemon = make_daemon(limits=[{"name": "path", "match": f"{host_of(apisim)}/uuid", "rate": "2/600s"}])
    spellings = ["/uuid#1", "/x/../uuid", "/./uuid?q", "/uuid?q#/y"]
    batch = submit(daemon, [{"url": apisim.url + s} for s in spellings])
    wait_until(lambda: daemon.api.get(f"/v1/batches/{batch}").json()["counts"]["done"] >= 2, 10, "two are done")
    (why,) = explain(daemon, f"batches/{batch}")["waits"]
    assert (why["why"], why["limit"]) == ("rate", "path")
    counts = daemon.api.get(f"/v1/batches/{batch}").json()["counts"]
    assert (counts["done"], counts["queued"]) == (2, len(spellings) - 2)
    assert [row["limits"] for row in audit(daemon, f"host={host_of(apisim)}")] == [["path"]] * 2


# ---- Audits ----


def audit(daemon, query):
    answer = daemon.api.get(f"/v1/audit?{query}")
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/x-ndjson", answer
    return answer.rows()


def test_an_audit_tells_every_request_with_its_times_and_rules(make_daemon, apisim):
    host = host_of(apisim)
    rules = [
        {"name": "all", "match": host, "rate": "1000/min"},
        {"name": "path", "match": f"{host}/status/*", "rate": "500/min"},
        {"name": "query", "match": f"{host}/*x=1*", "concurrency": 9},
        {"name": "other", "match": "other.example", "rate": "1/s"},
    ]
    daemon = make_daemon(limits=rules)
    urls = [f"{apisim.url}/uuid", f"{apisim.url}/status/204", f"{apisim.url}/uuid?x=1#status", f"{apisim.url}/status/404"]
    batch = submit(daemon, [{"url": u} for u in urls])
    wait(daemon, batch)
    rows = sorted(audit(daemon, f"host={host}"), key=lambda row: int(row["job"].split(".")[1]))
    assert [(r["job"], r["attempt"], r["status"], r["limits"]) for r in rows] == [
        (f"{batch}.1", 1, 200, ["all"]),
        (f"{batch}.2", 1, 204, ["all", "path"]),
        (f"{batch}.3", 1, 200, ["all", "query"]),
        (f"{batch}.4", 1, 404, ["all", "path"]),
    ]
    for row in rows:
        assert set(row) == {"job", "attempt", "boot", "sent_us", "counted_us", "sent_at", "status", "refused", "limits"}
        assert not row["refused"]
        assert 0 < row["sent_us"] <= row["counted_us"]
    assert len({row["boot"] for row in rows}) == 1
    assert audit(daemon, "host=other.example:80") == []


def test_an_audit_calls_refused_what_a_receipt_does(daemon, apisim):
    """429, and 503 that says when to come again; a 503 that does not is a server in trouble."""
    strict = apisim.limit("strict", n=1, window=900)
    wait(daemon, submit(daemon, [{"url": f"{apisim.url}/status/503"}], max_attempts=1))
    wait(daemon, submit(daemon, [{"url": f"{strict.url}/json"}] * 2, concurrency=1, on_limit="drop"))
    rows = audit(daemon, f"host={host_of(apisim)}")
    assert [(row["status"], row["refused"]) for row in rows] == [(503, False), (200, False), (429, True)]


def test_an_open_attempt_is_in_the_audit_and_not_counted_yet(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/hang"}])
    wait_until(lambda: daemon.api.get(f"/v1/batches/{batch}").json()["counts"]["running"] == 1, 10, "it runs")
    (row,) = audit(daemon, f"host={host_of(apisim)}")
    assert (row["job"], row["counted_us"], row["status"]) == (f"{batch}.1", None, None)
    daemon.api.post(f"/v1/batches/{batch}/cancel")


def test_an_audits_span_is_given_by_times_or_durations(daemon, apisim):
    host = host_of(apisim)
    batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}])
    wait(daemon, batch)
    (row,) = audit(daemon, f"host={host}")
    sent = row["sent_at"]
    at = datetime.datetime.fromisoformat(sent[:-1]).replace(tzinfo=datetime.timezone.utc)
    before, after = at - datetime.timedelta(seconds=1), at + datetime.timedelta(seconds=1)

    def text(time, zone=0):
        return name(time.astimezone(datetime.timezone(datetime.timedelta(hours=zone))).isoformat())

    for span, rows in (
        ("since=1h", 1),
        ("until=1h", 0),
        (f"since={name(sent)}", 1),
        (f"until={name(sent)}", 0),
        (f"since={text(before)}&until={text(after)}", 1),
        (f"since={text(before, 5)}&until={text(after, -3)}", 1),
        (f"since={text(after)}", 0),
    ):
        assert len(audit(daemon, f"host={host}&{span}")) == rows, span
    for wrong in ("since=yesterday", "until=2026-13-01T00:00:00Z", "since=2026-01-02", "since=2026-01-02T03:04:05", "since=1h&until=2h"):
        assert "since" in problem(daemon.api.get(f"/v1/audit?host={host}&{wrong}"), 400, "input") or "until" in wrong
    problem(daemon.api.get("/v1/audit"), 400, "input")
    problem(daemon.api.get("/v1/audit?host=nowhere"), 400, "input")


def test_a_long_audit_streams_step_by_step(daemon, apisim):
    for batch in [submit(daemon, [{"url": f"{apisim.url}/uuid"}] * 1000) for _ in range(3)]:
        wait(daemon, batch)
    rows = audit(daemon, f"host={host_of(apisim)}")
    assert len(rows) == len({r["job"] for r in rows}) == 3000
    head = daemon.api.request("HEAD", f"/v1/audit?host={host_of(apisim)}")
    assert (head.status, head.body) == (200, b"")
    connection, response = daemon.api.stream(f"/v1/audit?host={host_of(apisim)}")
    response.read(100)
    connection.close()
    wait_until(lambda: daemon.api.get("/v1/stats").json()["http"]["streams"] == 0, 10, "the stream is over")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_an_audit_is_for_everybody_and_tells_no_url(make_daemon, apisim):
    daemon = make_daemon(socket_mode="0666")
    daemon.dir.chmod(0o755)
    batch = submit(daemon, [{"url": f"{apisim.url}/echo?secret"}])
    wait(daemon, batch)
    ((status, row),) = as_user(daemon, NOBODY, [("GET", f"/v1/audit?host={host_of(apisim)}", None)])
    assert (status, row["job"]) == (200, f"{batch}.1") and "secret" not in str(row)


# ---- Members of batches and jobs ----


@pytest.mark.parametrize(
    "members, word",
    [
        ({"rate": 100}, '"rate"'),
        ({"rate": "100"}, '"rate"'),
        ({"on_limit": "retry"}, '"on_limit"'),
        ({"deadline": "0.5s"}, "1 s and at most 30 days"),
        ({"deadline": "31d"}, "1 s and at most 30 days"),
        ({"fail_if": 1}, '"fail_if"'),
        ({"max_redirects": 51}, '"max_redirects"'),
        ({"idempotency_key": "one"}, '"auto"'),
    ],
)
def test_what_limits_and_redirects_are_told_strictly(daemon, members, word):
    assert word in problem(daemon.api.post("/v1/batches", members), 400, "input")


def test_an_idempotency_key_is_made_for_each_job(daemon, apisim):
    url = f"{apisim.url}/echo"
    batch = submit(daemon, [{"url": url, "method": "POST"}, {"url": url}, {"url": url, "idempotency_key": "own"}], idempotency_key="auto")
    wait(daemon, batch)
    rows = daemon.api.get(f"/v1/batches/{batch}/results?body=1").rows()
    keys = [{k.lower(): v for k, v in json.loads(r["body"])["headers"].items()}["idempotency-key"] for r in rows]
    assert re.fullmatch(rf"fanout-[0-9a-f]+-{batch}\.1", keys[0]) and re.fullmatch(rf"fanout-[0-9a-f]+-{batch}\.2", keys[1])
    assert keys[2] == "own"


def echo_of(daemon, job):
    """What /echo told of the request that `job` ended with: (method, headers by lower-case name, body)."""
    told = daemon.api.get(f"/v1/jobs/{job}/body").json()
    return told["method"], {k.lower(): v for k, v in told["headers"].items()}, told["body"]


SECRETS = {"X-Api-Key": "s3cret", "Cookie": "a=b", "Accept-Language": "de"}


def redirected(apisim, to, code):
    return f"{apisim.url}/redirect-to?code={code}&url={name(to)}"


def test_a_redirect_within_an_origin_keeps_what_was_said(daemon, apisim):
    job = {"url": redirected(apisim, f"{apisim.url}/echo", 307), "method": "PUT", "body": {"a": 1}, "user": "me:it", "headers": SECRETS}
    batch = submit(daemon, [job])
    wait(daemon, batch)
    method, headers, body = echo_of(daemon, f"{batch}.1")
    assert (method, body) == ("PUT", '{"a": 1}')
    assert headers["x-api-key"] == "s3cret" and headers["cookie"] == "a=b" and headers["authorization"].startswith("Basic ")
    shown = daemon.api.get(f"/v1/jobs/{batch}.1").json()
    assert shown["url"] == job["url"] and shown["attempts"] == 2
    assert [(a["status"], a["url"]) for a in shown["attempt_list"]] == [(307, job["url"]), (200, f"{apisim.url}/echo")]


def test_a_redirect_to_another_origin_takes_no_credentials_along(daemon, apisim):
    job = {"url": redirected(apisim, f"{apisim.host(2)}/echo", 308), "method": "POST", "body": "text", "user": "me:it", "headers": SECRETS}
    batch = submit(daemon, [job], idempotency_key="auto")
    wait(daemon, batch)
    method, headers, body = echo_of(daemon, f"{batch}.1")
    assert (method, body) == ("POST", "text")
    assert not {"x-api-key", "cookie", "authorization"} & set(headers), headers
    assert headers["accept-language"] == "de" and headers["idempotency-key"].startswith("fanout-")


def test_a_redirect_after_a_post_is_a_get_without_the_body(daemon, apisim):
    job = {"url": redirected(apisim, f"{apisim.url}/echo", 303), "body": {"a": 1}, "headers": SECRETS}
    batch = submit(daemon, [job], idempotency_key="auto")
    wait(daemon, batch)
    method, headers, body = echo_of(daemon, f"{batch}.1")
    assert (method, body) == ("GET", "")
    assert not {"content-type", "content-length", "idempotency-key"} & set(headers) and headers["x-api-key"] == "s3cret", headers


def test_redirects_are_followed_as_far_as_was_said(daemon, apisim):
    batch = submit(daemon, [{"url": f"{apisim.url}/redirect/3", "max_redirects": n} for n in (3, 2, 0)] + [{"url": f"{apisim.url}/status/300"}])
    wait(daemon, batch)
    rows = daemon.api.get(f"/v1/batches/{batch}/results").rows()
    assert [(r["state"], r["reason"], r["attempts"]) for r in rows] == [
        ("done", None, 4),
        ("failed", "policy", 3),
        ("done", None, 1),
        ("failed", "http_status", 1),
    ]
    assert "max_redirects" in rows[1]["error"]


def test_where_no_redirect_is_to_be_followed_it_is_the_answer(daemon, apisim):
    batch = submit(daemon, [{"url": redirected(apisim, f"{apisim.url}/echo", code)} for code in (301, 302, 303, 307, 308)], max_redirects=0)
    assert wait(daemon, batch)["state"] == "done"
    rows = daemon.api.get(f"/v1/batches/{batch}/results").rows()
    assert [(r["state"], r["status"], r["attempts"], r["error"]) for r in rows] == [("done", c, 1, None) for c in (301, 302, 303, 307, 308)]
    (attempt,) = daemon.api.get(f"/v1/jobs/{batch}.1/attempts").json()["attempts"]
    assert f"Location: {apisim.url}/echo" in attempt["headers"]
    body = daemon.api.get(f"/v1/jobs/{batch}.1/body")
    assert (body.status, len(body.body)) == (200, rows[0]["size"])


def test_a_body_that_tells_of_an_error_fails_its_job(daemon, apisim):
    url = f"{apisim.url}/soft-error"
    batch = submit(daemon, [{"url": url}, {"url": url, "fail_if": ""}, {"url": url, "fail_if": "$status == 200"}], fail_if=".message")
    wait(daemon, batch)
    rows = daemon.api.get(f"/v1/batches/{batch}/results").rows()
    assert [(r["state"], r["reason"], r["status"]) for r in rows] == [
        ("failed", "soft_error", 200),
        ("done", None, 200),
        ("failed", "soft_error", 200),
    ]
    assert rows[0]["error"] == "Token not valid!" and rows[2]["error"]


def test_what_has_not_ended_by_its_deadline_expires(daemon, apisim, until_in_time):
    def attempt(deadline):
        hang = {"url": f"{apisim.url}/hang", "timeout": "1h"}
        batch = submit(daemon, [{"url": f"{apisim.url}/uuid"}, hang, hang], deadline=deadline, concurrency=1)
        assert wait(daemon, batch)["state"] == "failed"
        return daemon.api.get(f"/v1/batches/{batch}/results").rows()

    rows = until_in_time(attempt)
    assert [(r["state"], r["reason"]) for r in rows] == [("done", None), ("failed", "expired"), ("failed", "expired")]
    assert all(r["error"] for r in rows[1:])


@pytest.mark.parametrize("on_limit, done, most", [("drop", 2, 20), ("fail", 2, 20)])
def test_a_batch_says_what_a_refusal_means(daemon, apisim, on_limit, done, most):
    strict = apisim.limit("strict", n=2, window=600)
    batch = submit(daemon, [{"url": f"{strict.url}/json"}] * most, on_limit=on_limit, concurrency=1)
    ended = wait(daemon, batch)
    assert (ended["state"], ended["counts"]["done"], ended["counts"]["failed"]) == ("failed", done, most - done)
    rows = daemon.api.get(f"/v1/batches/{batch}/results").rows()
    assert {r["reason"] for r in rows if r["state"] == "failed"} == {"limited"}
    assert all(r["error"] for r in rows if r["state"] == "failed")
