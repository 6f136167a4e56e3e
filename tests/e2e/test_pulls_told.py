"""What is told of a run while it lives and when it has ended: why it waits, how far it is, what it cost, what can be done."""

import re
import socket
import threading
import time
from datetime import datetime

import pytest

from harness.process import wait_until
from harness.pulls import explain, pull, start, wait_for, write_recipe

CURSOR = {"type": "cursor", "param": "cursor", "next": ".next"}


def live(run):
    return run.get()["live"]


def the_wait(daemon, run, why):
    """The wait of this kind, once there is one."""
    return next(w for w in wait_for(daemon, run, why)["waits"] if w["why"] == why)


# ---- why it waits ----


def test_a_run_behind_another_says_which_one_it_waits_for(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "single"})
    first, second, third = start(daemon, "p"), start(daemon, "p", overlap="queue"), start(daemon, "p", overlap="queue")
    for run, behind in ((second, first), (third, second)):
        told = explain(daemon, run)
        (why,) = told["waits"]
        assert (told["state"], told["run"], why["why"], why["run"]) == ("waiting", True, "run", behind.number)
        assert str(behind.number) in why["text"]
        assert live(run)["waits"] == [why] and run.get()["waiting_for"] == behind.number
        assert f"begins when run {behind.number} " in daemon.ctl("explain", run.number).out
        assert daemon.ctl("explain", run.number).out.startswith(f"run {run.number} is waiting. It waits because")
        assert f"begins when run {behind.number} " in daemon.ctl("status", run.number).out
        assert f"begins when run {behind.number} " in daemon.ctl("pull", "show", run.number).out


def test_a_run_that_was_cancelled_while_it_waited_waits_for_nothing(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "single"})
    start(daemon, "p")
    second = start(daemon, "p", overlap="queue")
    daemon.ctl("cancel", second.number)
    second.wait()
    assert explain(daemon, second)["waits"] == [] and second.get()["live"] is None


def test_a_run_that_follows_a_cursor_says_that_pages_come_one_by_one(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/", page=CURSOR)
    run = start(daemon, "p")
    why = the_wait(daemon, run, "answer")
    assert "one by one" in why["text"] and "page 1" in why["text"]


def test_a_run_without_a_total_says_how_many_pages_are_asked_for_at_a_time(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "page", "param": "page", "window": 3})
    run = start(daemon, "p")
    why = the_wait(daemon, run, "total")
    assert "3 pages" in why["text"]


def test_a_page_that_is_tried_again_is_what_a_run_waits_for(daemon, answer):
    """The longest delay between two attempts is drawn in the end: it is waited for until it is seen."""
    url = answer(b"no", status="500 Oh")
    write_recipe(daemon, "p", url=url, page={"type": "single"}, retry={"max_attempts": 100})
    run = start(daemon, "p")
    wait_until(lambda: [w for w in explain(daemon, run)["waits"] if w["why"] == "due" and w["until"]], 60, "it says when")


# ---- how far it is ----


def test_a_live_run_shows_its_figures(daemon, serve):
    opened = threading.Event()

    def behave(c):
        while head := c.request():
            page = head.split("page=")[1].split()[0]
            if page == "3":
                opened.wait(600)
            c.answer(b'{"result":[{"id":%s},{"id":-%s}],"pages":5}' % (page.encode(), page.encode()))

    write_recipe(daemon, "p", url=serve(behave).url + "/", page={"type": "page", "param": "page", "total_pages": ".pages"}, items=".result[]")
    run = start(daemon, "p")
    wait_until(lambda: live(run) and live(run)["pages"] == 4, 60, "all but one are there")
    told = live(run)
    assert (told["items"], told["expected"]["pages"], told["requests"], told["retries"]) == (8, 5, 4, 0)
    assert (told["in_flight"], told["queued"]) == (1, 0) and told["seconds"] > 0 and told["bytes"] > 0
    assert run.get()["pages"] is None, "the receipt is not made yet"
    shown = daemon.ctl("pull", "show", run.number).out
    for line in ("pages 4 of 5", "items 8", "requests 4", "in flight 1"):
        assert line in " ".join(shown.split()), shown
    daemon.kill()
    daemon.start()
    assert (live(run)["pages"], live(run)["items"], live(run)["expected"]["pages"]) == (4, 8, 5)
    opened.set()
    assert run.wait()["pages"] == 5 and run.get()["live"] is None


# ---- what it cost ----


def test_pages_that_were_never_sent_are_no_requests_and_no_retries(daemon):
    write_recipe(daemon, "p", url="http://127.0.0.1:1/", page={"type": "single"}, retry={"max_attempts": 3})
    _, receipt = pull(daemon, "p")
    assert (receipt["verdict"], receipt["requests"], receipt["retries"]) == ("failed", 0, 0), receipt


def test_requests_beyond_the_first_of_each_page_are_retries(daemon, apisim):
    api = apisim.pages("page", "a", items=30, size=10, totals="items", fail="2:2-3:503")
    write_recipe(daemon, "p", url=str(api), page={"type": "page", "param": "page", "size": 10, "total_items": ".total"}, items=".result[]")
    run, receipt = pull(daemon, "p")
    asked = len(apisim.page_log("a"))
    assert (receipt["requests"], receipt["retries"]) == (asked, asked - receipt["pages"]), receipt


def test_a_kept_connection_that_closes_is_not_called_final(daemon, serve):
    """The first connection answers once and closes at the second request."""

    def behave(c):
        c.request()
        c.answer(b'{"result":[1],"more":true}')
        c.request()

    write_recipe(daemon, "p", url=serve(behave).url + "/", page={"type": "page", "param": "page", "max_pages": 2, "has_more": ".more"}, items=".result[]")
    run, receipt = pull(daemon, "p")
    assert receipt["pages"] == 2 and receipt["retries"] <= receipt["requests"] - 2, receipt
    for row in run.pages():
        told = daemon.api.get(f"/v1/jobs/{row['job']}/attempts").json()["attempts"]
        assert not any("second time" in (attempt["error"] or "") for attempt in told)


def test_the_time_that_a_limit_took_is_counted_once_for_all_pages_that_wait(daemon, apisim):
    api = apisim.pages("page", "a", items=60, size=10, totals="items")
    page = {"type": "page", "param": "page", "size": 10, "total_items": ".total"}
    write_recipe(daemon, "p", url=str(api), page=page, items=".result[]", limit={"rate": "2/s"})
    _, receipt = pull(daemon, "p")
    assert 1 < receipt["limited_seconds"] <= receipt["seconds"], receipt
    write_recipe(daemon, "q", url=str(api), page=page, items=".result[]")
    assert pull(daemon, "q")[1]["limited_seconds"] == 0


def test_pages_that_were_cancelled_while_a_limit_held_them_have_waited_for_it(daemon, apisim):
    api = apisim.pages("page", "a", items=60, size=10, totals="items")
    page = {"type": "page", "param": "page", "size": 10, "total_items": ".total"}
    write_recipe(daemon, "p", url=str(api), page=page, items=".result[]", limit={"rate": "2/h"})
    run = start(daemon, "p")
    the_wait(daemon, run, "rate")
    wait_until(lambda: run.get()["live"]["in_flight"] == 0, 60, "two are done")
    held = time.monotonic()
    for _ in range(100):
        daemon.api.get("/metrics")
    waited = time.monotonic() - held
    daemon.ctl("cancel", run.number)
    receipt = run.wait()
    assert (receipt["verdict"], receipt["requests"]) == ("cancelled", 2), receipt
    assert waited <= receipt["limited_seconds"] <= receipt["seconds"], receipt


def test_where_a_deadline_passed_amid_a_limit_the_receipt_has_the_time_too(daemon, apisim):
    api = apisim.pages("page", "a", items=60, size=10, totals="items")
    page = {"type": "page", "param": "page", "size": 10, "total_items": ".total"}
    for deadline in ("2s", "10s", "60s"):  # until one is long enough for two pages
        write_recipe(daemon, "p", url=str(api), page=page, items=".result[]", limit={"rate": "2/h"}, deadline=deadline)
        _, receipt = pull(daemon, "p")
        if "the rate of pull p 2/1h is used up" in receipt["error"]:
            break
    assert "the rate of pull p 2/1h is used up" in receipt["error"], receipt
    assert 0 < receipt["limited_seconds"] <= receipt["seconds"], receipt


# ---- what can be done ----


def test_a_number_that_the_next_run_begins_at_is_told_with_all_its_digits(daemon, answer):
    url = answer(b'{"result":[{"at":1784919600.123456},{"at":1784919600.123455}]}')
    write_recipe(daemon, "p", url=url, page={"type": "single"}, items=".result[]", since={"param": "since", "from": ".at"})
    _, receipt = pull(daemon, "p")
    at = 1784919600.123456
    assert receipt["since"] == {"from": None, "to": at, "kept": False, "seen": at, "from_state": False}, receipt


def test_a_run_that_its_deadline_ended_has_its_time_again_when_it_is_retried(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "single"}, deadline="1s")
    run = start(daemon, "p")
    receipt = run.wait()
    assert "deadline" in receipt["error"], receipt
    gate.open()
    daemon.ctl("retry", run.number)
    receipt = run.wait()
    assert receipt["verdict"] == "complete", receipt


def test_the_deadline_of_a_retried_run_holds_too(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "single"}, deadline="1s")
    run = start(daemon, "p")
    run.wait()
    daemon.ctl("retry", run.number)
    assert "deadline" in run.wait()["error"]


def test_the_deadline_of_a_run_that_waits_counts_from_its_begin(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "single"})
    first = start(daemon, "p", deadline="3s")
    second = start(daemon, "p", overlap="queue", deadline="2s")
    assert "deadline" in first.wait()["error"]
    receipt = second.wait()
    assert "deadline" in receipt["error"], receipt
    row = daemon.api.get(f"/v1/runs/{second.number}").json()
    assert row["seconds"] >= 1.9, "it had its own two seconds, though it had waited three"


def test_a_run_that_a_guard_stopped_is_not_retried_and_says_why(daemon, apisim):
    api = apisim.pages("cursor", "a", items=160, size=10, loop="6:2")
    write_recipe(daemon, "p", url=str(api), page={**CURSOR, "next": ".next_cursor"}, items=".result[]")
    run, receipt = pull(daemon, "p")
    assert receipt["stop_reason"] == "guard"
    for what in (run.number, f"{run.number}.1"):
        refused = daemon.ctl("retry", what, check=1)
        assert "pull run p" in refused.err or "neither failed" in refused.err, refused
    assert "page 2" in daemon.ctl("retry", run.number, check=1).err
    assert run.get() == {**run.get(), "verdict": "failed", "stop_reason": "guard"}
    told = daemon.ctl("wait", run.number, check=1).err
    assert "pull run p" in told and "retry" not in told, told


def test_a_run_with_nothing_to_fetch_again_says_so(daemon, apisim):
    api = apisim.pages("page", "a", items=160, size=10)
    write_recipe(daemon, "p", url=str(api), page={"type": "page", "param": "page", "max_pages": 5}, items=".result[]")
    run, _ = pull(daemon, "p")
    refused = daemon.ctl("retry", run.number, check=1)
    assert "no page that failed" in refused.err and "pull run p" in refused.err


# ---- its own limit ----


def test_a_recipe_s_own_rate_is_shown_like_a_rule(daemon, apisim):
    api = apisim.pages("page", "a", items=300, size=10, totals="items")
    page = {"type": "page", "param": "page", "size": 10, "total_items": ".total"}
    write_recipe(daemon, "p", url=str(api), page=page, items=".result[]", limit={"rate": "3/h"})
    run = start(daemon, "p")
    why = the_wait(daemon, run, "rate")
    name = "pull p 3/1h"
    assert why["limit"] == name and why["until"] is not None
    (rule,) = [r for r in daemon.api.get("/v1/limits").json()["limits"] if r["name"] == name]
    assert (rule["source"], rule["rates"]) == ("pull", ["3/1h"])
    (state,) = rule["state"]
    (window,) = state["windows"]
    assert window["used"] == 3 and window["free_at"] is not None
    assert run.get()["limit"] == {"name": name, "rate": "3/1h"}
    assert name in daemon.ctl("limits").out and name in daemon.ctl("status", run.number).out
    assert name in daemon.ctl("explain", run.number).out
    assert name in daemon.ctl("pull", "show", run.number).out


def test_a_page_s_forecast_reckons_with_its_recipe_s_own_rate(daemon, apisim):
    window_s = 1000  # longer than any test
    api = apisim.pages("page", "a", items=300, size=10, totals="items")
    page = {"type": "page", "param": "page", "size": 10, "total_items": ".total"}
    write_recipe(daemon, "p", url=str(api), page=page, items=".result[]", limit={"rate": f"3/{window_s}s"})
    run = start(daemon, "p")
    the_wait(daemon, run, "rate")
    wait_until(lambda: run.get()["live"]["in_flight"] == 0, 60, "three are done")

    def after_windows(text):
        first = daemon.api.get(f"/v1/jobs/{run.number}.1").json()["started_at"]
        return (datetime.fromisoformat(text[:-1]) - datetime.fromisoformat(first[:-1])).total_seconds() / window_s

    told = daemon.api.get(f"/v1/jobs/{run.number}.20/explain").json()
    assert 6 <= after_windows(told["starts_at"]) < 6.9, told
    assert 9 <= after_windows(told["eta"]) < 9.9, told
    assert 9 <= after_windows(explain(daemon, run)["eta"]) < 9.9


@pytest.mark.parametrize("kind", ["batch", "other"])
def test_a_pull_s_rate_holds_for_its_runs_alone(daemon, answer, kind):
    url = answer(b'{"result":[1]}')
    write_recipe(daemon, "p", url=url, page={"type": "single"}, items=".result[]", limit={"rate": "1/h"})
    pull(daemon, "p")
    if kind == "batch":
        daemon.ctl("submit", "--wait", url)
    else:
        write_recipe(daemon, "q", url=url, page={"type": "single"}, items=".result[]")
        assert pull(daemon, "q")[1]["complete"]


# ---- audits ----


def test_the_audit_of_a_run_has_the_limits_that_its_requests_counted_against_and_its_own(daemon, apisim):
    api = apisim.pages("page", "a", items=60, size=10, totals="items")
    host = str(api).split("/")[2]
    assert daemon.api.request("PUT", "/v1/limits/wide", {"match": host, "rate": "1000/min"}).status == 200
    assert daemon.api.request("PUT", "/v1/limits/elsewhere", {"match": host + "/elsewhere", "rate": "1000/min"}).status == 200
    page = {"type": "page", "param": "page", "size": 10, "total_items": ".total"}
    write_recipe(daemon, "p", url=str(api), page=page, items=".result[]", limit={"rate": "100/ms"})
    daemon.ctl("submit", "--wait", str(api))
    run, receipt = pull(daemon, "p")
    daemon.ctl("submit", "--wait", str(api))
    for _ in range(2):  # the second daemon knows of the run's limit by the run alone
        rows = {row["limit"]: row for row in daemon.ctl("audit", run.number, "-f", "ndjson").rows()}
        assert set(rows) == {"wide", "pull p 100/1ms"}, rows
        for row in rows.values():
            assert (row["attempts"], row["of_run"], row["verdict"], row["host"]) == (6, 6, "kept", host)
        daemon.restart()
    assert "OF THE RUN" in daemon.ctl("audit", run.number).out
    assert {r["limit"] for r in daemon.ctl("audit", host, "-f", "ndjson").rows()} >= {"wide", "elsewhere"}
    daemon.ctl("audit", 99, check=4)


def test_the_audit_of_a_run_says_that_a_limit_was_set_behind_it(daemon, apisim):
    api = apisim.pages("page", "a", items=60, size=10, totals="items")
    page = {"type": "page", "param": "page", "size": 10, "total_items": ".total"}
    write_recipe(daemon, "p", url=str(api), page=page, items=".result[]")
    run, _ = pull(daemon, "p")
    assert daemon.api.request("PUT", "/v1/limits/late", {"match": str(api).split("/")[2], "rate": "2/h"}).status == 200
    r = daemon.ctl("audit", run.number, "--rate", "2/h", check=1)
    assert "2/h for " in r.out and "is broken: 4 of 6 requests" in r.out
    (measured,) = daemon.ctl("audit", run.number, "--rate", "2/h", "-f", "ndjson", check=1).rows()
    assert (measured["limit"], measured["verdict"], measured["over"]) == (None, "broken", 4)


# ---- what cannot be told ----


@pytest.mark.parametrize("field", ['<http://x/?page=2; rel="next"', '/?page=2; rel="next"', '</?page=1>; rel="prev", rel="next"', '</?page=1>; title="a; rel="prev'])
def test_a_link_header_that_is_not_understood_is_no_end(daemon, answer, field):
    url = answer(b"[1]", headers=["Link: " + field])
    write_recipe(daemon, "p", url=url, page={"type": "link"}, items=".[]", retry={"max_attempts": 1})
    run, receipt = pull(daemon, "p")
    assert receipt["verdict"] == "failed" and "the Link header cannot be understood: " in receipt["error"], receipt


@pytest.mark.parametrize("field", ['</?page=1>; rel="prev"', "", " , ", '</>; rel=prev, </>; rel="first";', '</a b>;rel=x;;title="\\""'])
def test_a_link_header_without_a_next_is_an_end(daemon, answer, field):
    url = answer(b"[1]", headers=["Link: " + field])
    write_recipe(daemon, "p", url=url, page={"type": "link"}, items=".[]")
    run, receipt = pull(daemon, "p")
    assert (receipt["verdict"], receipt["stop_reason"]) == ("complete", "no_next"), receipt


@pytest.mark.parametrize("form", ["%d", '{"deep":[%d]}'])
def test_keys_that_jq_rounds_are_not_taken_for_each_other(daemon, answer, form):
    ids = ",".join('{"id":%s}' % (form % (2**53 + i)) for i in range(4))
    write_recipe(daemon, "p", url=answer(f'{{"result":[{ids}],"total":4}}'.encode()), page={"type": "single"}, items=".result[]", key=".id")
    _, receipt = pull(daemon, "p")
    assert (receipt["verdict"], receipt["items"], receipt["unique"], receipt["duplicates"]) == ("complete", 4, None, None), receipt
    assert "2^53" in receipt["warning"]


def test_keys_that_jq_has_exactly_are_compared(daemon, answer):
    ids = ",".join('{"id":%d}' % i for i in (2**53 - 1, 2**53 - 2, 2**53 - 2))
    write_recipe(daemon, "p", url=answer(f'{{"result":[{ids}]}}'.encode()), page={"type": "single"}, items=".result[]", key=".id")
    _, receipt = pull(daemon, "p")
    assert (receipt["unique"], receipt["duplicates"], receipt["warning"]) == (2, 1, None), receipt


# ---- a recipe's rate outlives the daemon ----


@pytest.mark.parametrize("live", [False, True])
def test_what_a_pull_sent_before_a_kill_counts_against_its_rate(make_daemon, apisim, live):
    """Five an hour: three by a run that has ended, the rest by one that comes after the kill, or is under way then."""
    daemon = make_daemon()
    page = {"type": "page", "param": "page", "size": 10, "total_items": ".total"}

    def write(items):
        api = apisim.pages("page", f"a{items}", items=items, size=10, totals="items")
        write_recipe(daemon, "p", url=str(api), page=page, items=".result[]", limit={"rate": "5/h"})

    def limited(run):
        return [w for w in explain(daemon, run)["waits"] if w["why"] == "rate"] and run.get()["live"]["in_flight"] == 0

    write(30)
    _, receipt = pull(daemon, "p")
    assert receipt["requests"] == 3
    write(100)
    if live:
        run = start(daemon, "p")
        wait_until(lambda: limited(run), 60, "the rate is used up")
    daemon.kill()
    daemon.start()
    if not live:
        run = start(daemon, "p")
    wait_until(lambda: limited(run), 60, "the rate is used up, and not more")
    assert sum(len(apisim.page_log(f"a{n}")) for n in (30, 100)) == 5
    (window,) = [w for r in daemon.api.get("/v1/limits").json()["limits"] for s in r["state"] for w in s["windows"]]
    assert window["used"] == 5


def test_what_a_pull_sent_at_another_rate_counts_against_that_alone(make_daemon, apisim):
    daemon = make_daemon()
    api = apisim.pages("page", "a", items=30, size=10, totals="items")
    page = {"type": "page", "param": "page", "size": 10, "total_items": ".total"}
    for rate in ("4/h", "5/h"):
        write_recipe(daemon, "p", url=str(api), page=page, items=".result[]", limit={"rate": rate})
        _, receipt = pull(daemon, "p")
        assert receipt["complete"] and receipt["requests"] == 3, receipt
        daemon.restart()


# ---- an API that is away, or refuses ----


AWAY = "http://127.0.0.1:1/"  # nothing listens there


def failing(daemon, path):
    """The explanation, once what fails is the first that it says."""

    def look():
        told = daemon.api.get(f"/v1/{path}/explain").json()
        return told if told["waits"] and "attempts all failed" in told["waits"][0]["text"] else None

    return wait_until(look, 60, "it says that attempts fail")


def test_a_run_whose_api_is_away_says_that_and_not_that_it_waits_for_its_limit(daemon):
    write_recipe(daemon, "p", url=AWAY, page={"type": "page", "param": "page", "window": 5}, retry={"max_attempts": 100}, limit={"rate": "10/s"})
    run = start(daemon, "p")
    told = failing(daemon, f"batches/{run.number}")
    why = told["waits"][0]
    assert why["why"] == "due" and "refused" in why["text"], why
    assert told["eta"] is None and live(run)["eta"] is None
    out = daemon.ctl("pull", "show", run.number).out
    assert "attempts all failed" in out and "time left" not in out, out
    daemon.ctl("cancel", run.number)


def test_a_batch_whose_host_is_away_says_that_and_has_no_end(daemon):
    number = daemon.ctl("submit", "--rate", "10/s", "--max-attempts", "90", *[AWAY + str(i) for i in range(5)]).out.strip()
    told = failing(daemon, f"batches/{number}")
    assert told["waits"][0]["why"] == "due" and told["eta"] is None
    assert "will have ended" not in daemon.ctl("explain", number).out
    daemon.ctl("cancel", number)


def page_of_20(c):
    """A page of 20, each of one item; every request has a connection of its own."""
    if head := c.request():
        number = head.split("page=")[1].split()[0].encode()
        c.answer(b'{"result":[%s],"pages":20}' % number, headers=["Connection: close"])


def test_an_outage_amid_a_run_is_told_while_it_lasts_and_in_the_receipt(daemon, serve):
    """A port that is bound and not listened at refuses connections, and can be had again."""
    server = serve(page_of_20)
    page = {"type": "page", "param": "page", "total_pages": ".pages"}
    write_recipe(daemon, "p", url=server.url + "/", page=page, items=".result[]", retry={"max_attempts": 100}, limit={"rate": "5/1s"})
    run = start(daemon, "p")
    wait_until(lambda: live(run) and live(run)["pages"] >= 6, 60, "some pages are there")
    server.listener.shutdown(socket.SHUT_RDWR)
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", server.port))
    told = failing(daemon, f"batches/{run.number}")
    assert told["waits"][0]["why"] == "due" and "refused" in told["waits"][0]["text"] and told["eta"] is None, told
    wait_until(lambda: live(run)["unreached_seconds"] > 0.5, 60, "the outage lasts")
    server.listener.close()
    server.listener = holder
    holder.listen(512)
    server.begin()
    receipt = run.wait()
    assert receipt["complete"] and receipt["unreached"] >= 3 and receipt["refused"] == 0, receipt
    assert receipt["unreached_seconds"] > 0.5, receipt
    assert receipt["unreached_seconds"] + receipt["limited_seconds"] <= receipt["seconds"], receipt
    err = daemon.ctl("wait", run.number).err
    assert "attempts did not get through" in err and "without getting through" in err, err
    assert re.search(r"^unreached for +\d", daemon.ctl("pull", "show", run.number).out, re.M)


def test_attempts_that_did_not_get_through_are_told_and_are_no_time_of_a_limit(daemon):
    write_recipe(daemon, "p", url=AWAY, page={"type": "single"}, retry={"max_attempts": 3}, limit={"rate": "1/s"})
    run, receipt = pull(daemon, "p")
    assert (receipt["unreached"], receipt["limited_seconds"], receipt["refused"]) == (3, 0, 0), receipt
    assert receipt["unreached_seconds"] > 0
    assert "3 attempts did not get through" in daemon.ctl("wait", run.number, check=1).err


def test_refusals_are_counted_and_a_limit_is_advised_where_there_is_none(daemon, serve):
    refusals = iter([b"", b""])

    def behave(c):
        while c.request():
            if next(refusals, None) is not None:
                c.answer(b"slow down", status="429 Too Many Requests", headers=["Retry-After: 0"])
            else:
                c.answer(b"[1]")

    url = serve(behave).url + "/"
    write_recipe(daemon, "p", url=url, page={"type": "single"}, items=".[]")
    run, receipt = pull(daemon, "p")
    assert (receipt["verdict"], receipt["refused"], receipt["unreached"]) == ("complete", 2, 0), receipt
    err = daemon.ctl("wait", run.number).err
    assert "refused 2 times" in err and "no limit is set for it" in err and "limits set" in err, err


def test_a_run_whose_first_page_has_to_say_the_total_says_so(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "page", "param": "page", "size": 10, "total_items": ".total"}, items=".r[]")
    run = start(daemon, "p")
    why = the_wait(daemon, run, "total")
    assert "first page has to say" in why["text"] and "no total is known" not in why["text"]


def test_a_paused_run_is_shown_as_paused(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "page", "param": "page", "window": 3}, limit={"concurrency": 1})
    run = start(daemon, "p")
    wait_until(lambda: live(run)["in_flight"] == 1, 60, "a page is asked for")
    daemon.ctl("pause", run.number)
    assert "paused" in next(line for line in daemon.ctl("pull", "show", run.number).out.splitlines() if line.startswith("state"))


def test_status_of_a_run_invents_no_total(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/", page=CURSOR)
    run = start(daemon, "p")
    wait_until(lambda: gate.held, 60, "a page is asked for")
    line = next(line for line in daemon.ctl("status", run.number).out.splitlines() if line.startswith("ended jobs"))
    assert line.split() == ["ended", "jobs", "0"], line


def test_status_of_a_run_has_the_total_that_its_api_told(daemon, serve):
    opened = threading.Event()

    def behave(c):
        while head := c.request():
            if "page=3" in head:
                opened.wait(600)
            c.answer(b'{"result":[%s],"pages":5}' % head.split("page=")[1].split()[0].encode())

    page = {"type": "page", "param": "page", "total_pages": ".pages"}
    write_recipe(daemon, "p", url=serve(behave).url + "/", page=page, items=".result[]")
    run = start(daemon, "p")
    wait_until(lambda: live(run) and live(run)["pages"] == 4, 60, "all but one are there")
    line = next(line for line in daemon.ctl("status", run.number).out.splitlines() if line.startswith("ended jobs"))
    assert line.split() == ["ended", "jobs", "4", "of", "5"], line
    assert daemon.api.get(f"/v1/batches/{run.number}").json()["expected"] == 5
    opened.set()
    run.wait()


def test_a_503_that_does_not_say_for_how_long_is_no_refusal(daemon, serve):
    answers = iter([[], ["Retry-After: 0"]])

    def behave(c):
        while c.request():
            headers = next(answers, None)
            if headers is not None:
                c.answer(b"busy", status="503 Service Unavailable", headers=headers)
            else:
                c.answer(b"[1]")

    write_recipe(daemon, "p", url=serve(behave).url + "/", page={"type": "single"}, items=".[]")
    _, receipt = pull(daemon, "p")
    assert (receipt["verdict"], receipt["refused"], receipt["retries"]) == ("complete", 1, 2), receipt


def test_what_lies_between_an_end_and_a_retry_is_no_time_of_the_run(daemon, serve):
    fails = [True]

    def behave(c):
        while c.request():
            c.answer(b"no" if fails[0] else b"[1]", status="404 Not Found" if fails[0] else "200 OK")

    write_recipe(daemon, "p", url=serve(behave).url + "/", page={"type": "single"}, items=".[]")
    run, receipt = pull(daemon, "p")
    assert receipt["verdict"] == "failed"
    idle_from = time.monotonic()
    first = receipt["seconds"]
    wait_until(lambda: time.monotonic() - idle_from > first + 2, 600, "it has been idle for longer than it took")
    fails[0] = False
    retried = time.monotonic()
    idle = retried - idle_from
    daemon.ctl("retry", run.number)
    receipt = run.wait()
    assert receipt["verdict"] == "complete", receipt
    assert first < receipt["seconds"] < first + time.monotonic() - retried + 0.1, (receipt, first, idle)
