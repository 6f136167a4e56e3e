"""Pulls: every page, each style, whatever the API does on the way; receipts that say what is missing."""

import json
import os
import random
import signal

import pytest

from harness.process import wait_until
from harness.pulls import pull, start, write_recipe, write_secret

ALL = list(range(1, 161))  # 160 items, 10 a page: 16 pages


def recipe(daemon, api, name="p", page=None, query="", **keys):
    keys.setdefault("items", ".result[]")
    keys.setdefault("key", ".id")
    write_recipe(daemon, name, url=str(api) + query, page=page or {"type": "single"}, **keys)


def complete(run, receipt, items=ALL, pages=16):
    assert receipt["verdict"] == "complete" and receipt["complete"], receipt
    assert run.ids() == list(items)
    assert (receipt["items"], receipt["unique"], receipt["duplicates"]) == (len(items), len(set(items)), 0)
    assert receipt["gaps"] == [] and receipt["error"] is None
    assert receipt["pages"] == pages, receipt


NUMBERED = {
    "page": {"type": "page", "param": "page"},
    "offset": {"type": "offset", "param": "offset", "size": 10, "size_param": "limit"},
}
FOLLOWED = {
    "cursor": {"type": "cursor", "param": "cursor", "next": ".next_cursor"},
    "link": {"type": "link"},
    "next_url": {"type": "next_url", "next": ".next"},
    "keyset": {"type": "keyset", "param": "after", "next": ".result[-1].id"},
}


# ---- the seven styles ----


@pytest.mark.parametrize("style", NUMBERED)
@pytest.mark.parametrize("totals", ["items", "pages", "x-total-count", "x-total-pages", "content-range", "link-last"])
def test_numbered_pages_with_a_total_are_all_there(daemon, apisim, style, totals):
    if style == "offset" and totals == "link-last":
        totals = "items"
    api = apisim.pages(style, "a", items=160, size=10, totals=totals)
    told = {"items": {"total_items": ".total"}, "pages": {"total_pages": ".pages"}}.get(totals, {})
    recipe(daemon, api, page={"size": 10, **NUMBERED[style], **told})
    run, receipt = pull(daemon, "p")
    complete(run, receipt)
    assert receipt["stop_reason"] == "total"
    assert receipt["requests"] == 16


def test_the_last_offset_of_a_link_is_no_number_of_pages(daemon, apisim):
    api = apisim.pages("offset", "a", items=160, size=10, totals="link-last")
    recipe(daemon, api, page={**NUMBERED["offset"], "window": 2})
    run, receipt = pull(daemon, "p")
    complete(run, receipt)
    assert receipt["requests"] <= 20


@pytest.mark.parametrize("totals", ["x-total-pages", "link-last", "x-total-count"])
def test_pages_before_a_later_start_are_left_out(daemon, apisim, totals):
    api = apisim.pages("page", "a", items=160, size=10, totals=totals)
    recipe(daemon, api, page={"type": "page", "param": "page", "start": 5, "size": 10})
    run, receipt = pull(daemon, "p")
    complete(run, receipt, items=ALL[40:], pages=12)
    assert receipt["requests"] == 12


def test_a_last_page_is_counted_from_where_the_numbers_start(daemon, apisim):
    api = apisim.pages("page", "a", items=160, size=10, start=0, totals="link-last")
    recipe(daemon, api, page={"type": "page", "param": "page", "start": 0})
    run, receipt = pull(daemon, "p")
    complete(run, receipt)
    assert len(api.log()) == 16


@pytest.mark.parametrize("end", ["empty", "404", "soft"])
@pytest.mark.parametrize("window", [1, 4])
def test_numbered_pages_without_a_total_end_where_the_api_says(daemon, apisim, end, window):
    api = apisim.pages("page", "a", items=160, size=10, end=end)
    page = {"type": "page", "param": "page", "window": window}
    keys = {}
    if end == "404":
        page["stop_status"] = [404]
    if end == "soft":
        page["stop"] = '.message == "Page not found"'
        keys["items"] = ".result[]?"
    recipe(daemon, api, page=page, **keys)
    run, receipt = pull(daemon, "p")
    assert receipt["verdict"] == "complete", receipt
    assert run.ids() == ALL and receipt["items"] == 160
    assert receipt["stop_reason"] == {"empty": "empty", "404": "status", "soft": "stop"}[end]
    asked = len(apisim.page_log("a"))
    assert 17 <= asked <= 16 + window + (1 if window == 1 else window)


@pytest.mark.parametrize("style", FOLLOWED)
def test_followed_pages_are_all_there(daemon, apisim, style):
    api = apisim.pages(style, "a", items=160, size=10)
    recipe(daemon, api, page=FOLLOWED[style])
    run, receipt = pull(daemon, "p")
    assert receipt["verdict"] == "complete", receipt
    assert run.ids() == ALL and receipt["unique"] == 160
    assert receipt["stop_reason"] in ("no_next", "empty")


def test_a_single_page_is_a_pull_too(daemon, apisim):
    api = apisim.pages("single", "a", items=7)
    recipe(daemon, api)
    run, receipt = pull(daemon, "p")
    complete(run, receipt, range(1, 8), pages=1)
    assert receipt["stop_reason"] == "single"


@pytest.mark.parametrize("where", ["query", "path", "header", "json"])
def test_a_cursor_goes_where_the_api_wants_it(daemon, apisim, where):
    param = "paging.cursor" if where == "json" else "X-Cursor" if where == "header" else "cursor"
    api = apisim.pages("cursor", "a", items=160, size=10, in_=where, param=param, cursor_form="awkward")
    page = {"type": "cursor", "in": where, "param": param, "next": ".next_cursor"}
    keys = {}
    query = ""
    if where == "path":
        query = "/{cursor}"
        del page["param"]
    if where == "json":
        keys = {"method": "POST", "body": {"paging": {"of": "all"}}}
    recipe(daemon, api, page=page, query=query, **keys)
    run, receipt = pull(daemon, "p")
    assert receipt["verdict"] == "complete", receipt
    assert run.ids() == ALL


@pytest.mark.parametrize(
    "written", ["comma", "headers", "list", "unquoted", "upper", "params", "title", "space", "escaped", "gaps", "semicolon", "decoys"]
)
def test_a_link_header_is_understood_however_it_is_written(daemon, apisim, written):
    api = apisim.pages("link", "a", items=40, size=10, link=written)
    recipe(daemon, api, page={"type": "link"})
    run, receipt = pull(daemon, "p")
    complete(run, receipt, range(1, 41), pages=4)


# ---- what happens on the way ----


@pytest.mark.parametrize("style", [*NUMBERED, *FOLLOWED])
def test_errors_in_the_middle_are_tried_again(daemon, apisim, style):
    api = apisim.pages(style, "a", items=160, size=10, fail="3:1;7:2-2:502;9:1:500", totals="items" if style in NUMBERED else "")
    page = {**NUMBERED, **FOLLOWED}[style]
    page = {**page, "total_items": ".total", "size": 10} if style in NUMBERED else page
    recipe(daemon, api, page=page)
    run, receipt = pull(daemon, "p")
    assert receipt["verdict"] == "complete", receipt
    assert run.ids() == ALL
    assert receipt["retries"] >= 2


def test_growth_is_followed(daemon, apisim):
    api = apisim.pages("page", "a", items=100, size=10, totals="items", grow="3:30;12:20")
    recipe(daemon, api, page={"type": "page", "param": "page", "size": 10, "total_items": ".total"})
    run, receipt = pull(daemon, "p")
    complete(run, receipt, range(1, 151), pages=15)


def test_empty_pages_in_the_middle_are_passed_over(daemon, apisim):
    api = apisim.pages("page", "a", items=160, size=10, empty="3,6")
    recipe(daemon, api, page={"type": "page", "param": "page", "stop_empty": 2})
    run, receipt = pull(daemon, "p")
    assert receipt["verdict"] == "complete" and run.ids() == ALL, receipt


def test_a_page_that_is_missing_is_named_and_can_be_fetched_later(daemon, apisim):
    api = apisim.pages("page", "a", items=160, size=10, totals="items", fail="5:*:410")
    recipe(daemon, api, page={"type": "page", "param": "page", "size": 10, "total_items": ".total"})
    run, receipt = pull(daemon, "p")
    assert (receipt["verdict"], receipt["complete"], receipt["gaps"]) == ("incomplete", False, [5])
    assert receipt["items"] == 150 and "page 5" in receipt["error"]
    api.set(fail="")
    assert daemon.api.post(f"/v1/batches/{run.number}/retry").status == 200
    complete(run, run.wait())


def test_a_cursor_that_was_cut_off_goes_on_where_it_was(daemon, apisim):
    api = apisim.pages("cursor", "a", items=160, size=10, fail="5:*:410")
    recipe(daemon, api, page=FOLLOWED["cursor"])
    run, receipt = pull(daemon, "p")
    assert (receipt["verdict"], receipt["gaps"], receipt["items"]) == ("incomplete", [5], 40)
    api.set(fail="")
    assert daemon.api.post(f"/v1/batches/{run.number}/retry").status == 200
    complete(run, run.wait())
    assert api.by_page()[4] == [200]


@pytest.mark.parametrize("status", [404, 401])
def test_a_first_page_that_is_not_there_is_no_empty_api(daemon, apisim, status):
    api = apisim.pages("page", "a", items=160, size=10, fail=f"*:*:{status}")
    recipe(daemon, api, page={"type": "page", "param": "page", "stop_status": [404]})
    run, receipt = pull(daemon, "p")
    assert receipt["verdict"] == "failed" and str(status) in receipt["error"], receipt


def test_a_soft_error_is_an_error_and_not_an_end(daemon, apisim):
    api = apisim.pages("page", "a", items=160, size=10, token="right", token_code=200)
    recipe(daemon, api, page={"type": "page", "param": "page"}, error='select(has("result")|not) | .message', items=".result[]")
    run, receipt = pull(daemon, "p")
    assert receipt["verdict"] == "failed" and "Token not valid!" in receipt["error"], receipt
    assert run.pages()[0]["reason"] == "soft_error"


def test_a_total_that_is_not_met_is_told(daemon, apisim):
    api = apisim.pages("page", "a", items=160, size=10, totals="items", tell_items=165)
    recipe(daemon, api, page={"type": "page", "param": "page", "size": 10, "total_items": ".total"})
    _, receipt = pull(daemon, "p")
    assert receipt["verdict"] == "incomplete" and receipt["expected"]["items"] == 165, receipt
    assert "165" in receipt["error"] and "160" in receipt["error"]


# ---- guards ----


@pytest.mark.parametrize("style", ["cursor", "link", "next_url"])
def test_a_circle_of_pages_is_left(daemon, apisim, style):
    api = apisim.pages(style, "a", items=160, size=10, loop="6:2")
    recipe(daemon, api, page=FOLLOWED[style])
    _, receipt = pull(daemon, "p")
    assert (receipt["verdict"], receipt["stop_reason"]) == ("failed", "guard"), receipt
    assert "page 2" in receipt["error"]
    assert len(api.log()) <= 7


def test_a_cursor_that_stands_still_is_told(daemon, apisim):
    api = apisim.pages("cursor", "a", items=160, size=10, loop="5:5")
    recipe(daemon, api, page=FOLLOWED["cursor"])
    _, receipt = pull(daemon, "p")
    assert (receipt["verdict"], receipt["stop_reason"]) == ("failed", "guard"), receipt


def test_the_same_page_again_is_told(daemon, apisim):
    api = apisim.pages("page", "a", items=30, size=10, end="repeat")
    recipe(daemon, api, page={"type": "page", "param": "page"})
    _, receipt = pull(daemon, "p")
    assert (receipt["verdict"], receipt["stop_reason"]) == ("failed", "guard"), receipt
    assert len(api.log()) == 4


def test_a_next_page_on_another_host_is_not_followed(daemon, apisim):
    api = apisim.pages("next_url", "a", items=160, size=10, next_origin=apisim.host(2), next_from=3)
    recipe(daemon, api, page=FOLLOWED["next_url"])
    _, receipt = pull(daemon, "p")
    assert (receipt["verdict"], receipt["stop_reason"]) == ("failed", "guard"), receipt
    assert "127.0.0.2" in receipt["error"] and len(api.log()) == 3


def test_a_next_page_on_another_host_is_followed_where_the_recipe_allows_it(daemon, apisim):
    api = apisim.pages("next_url", "a", items=160, size=10, next_origin=apisim.host(2), next_from=3)
    recipe(daemon, api, page={**FOLLOWED["next_url"], "same_origin": False})
    run, receipt = pull(daemon, "p")
    complete(run, receipt)


def test_max_pages_ends_a_pull_that_would_not_end(daemon, apisim):
    api = apisim.pages("page", "a", items=160, size=10)
    recipe(daemon, api, page={"type": "page", "param": "page", "max_pages": 5})
    _, receipt = pull(daemon, "p")
    assert (receipt["complete"], receipt["stop_reason"]) == (False, "max_pages"), receipt
    assert "max_pages" in receipt["error"] and len(api.log()) == 5


def test_a_run_that_was_to_ask_for_so_many_pages_is_partial_and_moves_nothing(daemon, apisim):
    api = apisim.pages("page", "a", items=160, size=10)
    since = {"param": "since", "from": ".updated_at", "initial": "2000-01-01T00:00:00Z"}
    recipe(daemon, api, page={"type": "page", "param": "page", "max_pages": 5}, since=since)
    run, receipt = pull(daemon, "p", max_pages=3)
    told = (receipt["verdict"], receipt["complete"], receipt["stop_reason"], receipt["error"], receipt["pages"], receipt["items"])
    assert told == ("partial", False, "max_pages", None, 3, 30) and len(api.log()) == 3, receipt
    assert receipt["since"]["to"] is None and daemon.api.get("/v1/pulls/p/state").json()["states"] == []
    assert daemon.api.get(f"/v1/batches/{run.number}").json()["state"] == "done"
    _, receipt = pull(daemon, "p", max_pages=7)
    assert (receipt["verdict"], receipt["pages"]) == ("failed", 5), "the recipe's own is a guard"
    _, receipt = pull(daemon, "p", max_pages=5)
    assert (receipt["verdict"], receipt["pages"]) == ("partial", 5), "as many as that may be asked for"


def test_a_page_that_failed_is_missing_also_from_a_part(daemon, apisim):
    api = apisim.pages("page", "a", items=160, size=10, totals=["pages"], fail=["2:*:410"])
    recipe(daemon, api, page={"type": "page", "param": "page", "total_pages": ".total_pages"})
    run, receipt = pull(daemon, "p", max_pages=3)
    assert (receipt["verdict"], receipt["gaps"]) == ("incomplete", [2]), receipt


# ---- kills ----


@pytest.mark.parametrize("style", ["page", "cursor"])
def test_1000_pages_survive_20_kills_with_exactly_their_items(make_daemon, apisim, style):
    rng = random.Random(3)
    daemon = make_daemon()
    pages = 1000 if style == "page" else 400
    api = apisim.pages(style, "a", items=pages * 5, size=5, latency=0.01, totals="items")
    page = {**NUMBERED, **FOLLOWED}[style]
    recipe(daemon, api, page={**page, "size": 5, "total_items": ".total"} if style == "page" else page, limit={"concurrency": 8})
    run = start(daemon, "p")

    def done():
        return sum(1 for row in daemon.api.get(f"/v1/batches/{run.number}/results?state=done").rows())

    for kill in range(20):
        goal = (kill + 1) * pages // 22
        wait_until(lambda: done() >= goal, 60, f"{goal} pages are there")
        if rng.random() < 0.5:
            daemon.kill()
            daemon.start()
        else:
            for worker in daemon.workers():
                try:
                    os.kill(worker, signal.SIGKILL)
                except ProcessLookupError:
                    pass
    receipt = run.wait()
    complete(run, receipt, range(1, pages * 5 + 1), pages=pages)
    again = sum(len(statuses) - 1 for statuses in api.by_page().values())
    attempts = sum(row["attempts"] - 1 for row in run.pages())
    assert again <= attempts, (again, attempts)


# ---- overlap ----


def test_a_pull_that_is_running_is_not_started_again(daemon, apisim):
    api = apisim.pages("cursor", "a", items=40, size=10, latency=0.2)
    recipe(daemon, api, page=FOLLOWED["cursor"])
    first = start(daemon, "p")
    answer = daemon.api.post("/v1/pulls/p/runs", {})
    assert (answer.status, answer.json()["skipped"], answer.json()["run"]) == (200, True, first.number)
    assert first.wait()["complete"]


def test_a_run_that_waits_starts_when_the_other_has_ended(daemon, apisim):
    api = apisim.pages("cursor", "a", items=40, size=10, latency=0.1)
    recipe(daemon, api, page=FOLLOWED["cursor"])
    first = start(daemon, "p")
    second = daemon.api.post("/v1/pulls/p/runs", {"overlap": "queue"}).json()
    assert second["waiting_for"] == first.number
    row = daemon.api.get(f"/v1/runs/{second['run']}").json()
    assert row["state"] in ("waiting", "running", "ended")
    from harness.pulls import Run

    assert first.wait()["complete"]
    run = Run(daemon, second["run"])
    receipt = run.wait()
    assert receipt["complete"] and receipt["started_at"] >= first.get()["ended_at"]


def test_a_run_that_replaces_another_ends_it(daemon, apisim):
    api = apisim.pages("cursor", "a", items=1000, size=10, latency=0.2)
    recipe(daemon, api, page=FOLLOWED["cursor"])
    first = start(daemon, "p")
    api.set(latency=0)
    second = start(daemon, "p", overlap="replace")
    assert first.wait()["verdict"] == "cancelled"
    assert second.wait()["complete"]


# ---- state between runs ----


def test_since_moves_when_a_run_is_complete_and_not_before(daemon, apisim):
    api = apisim.pages("page", "a", items=40, size=10, fail="3:*:410")
    recipe(
        daemon,
        api,
        page={"type": "page", "param": "page"},
        since={"param": "since", "from": ".updated_at", "initial": "2000-01-01T00:00:00Z"},
    )
    _, receipt = pull(daemon, "p")
    assert not receipt["complete"] and receipt["since"]["from"] == "2000-01-01T00:00:00Z"
    assert daemon.api.get("/v1/pulls/p/state").json()["states"] == []
    api.set(fail="")
    run, receipt = pull(daemon, "p")
    newest = max(item["updated_at"] for body in run.bodies() for item in body["result"])
    assert receipt["complete"] and receipt["since"]["to"] == newest
    assert daemon.api.get("/v1/pulls/p/state").json()["states"][0]["since"] == newest
    _, receipt = pull(daemon, "p")
    assert receipt["since"]["from"] == newest


def test_since_does_not_go_back_where_a_run_asks_for_what_is_older(daemon, apisim):
    api = apisim.pages("page", "a", items=20, size=10)
    since = {"param": "since", "from": ".updated_at", "initial": "2000-01-01T00:00:00Z"}
    recipe(daemon, api, page={"type": "page", "param": "page"}, since=since)
    later = "2999-01-01T00:00:00Z"
    assert daemon.api.request("PUT", "/v1/pulls/p/state", {"vars": {}, "since": later}).status == 200
    _, receipt = pull(daemon, "p", since="2000-01-01T00:00:00Z")
    assert receipt["complete"] and receipt["items"] == 20 and receipt["since"]["to"] == later, receipt
    assert [state["since"] for state in daemon.api.get("/v1/pulls/p/state").json()["states"]] == [later]


@pytest.mark.parametrize(
    "stored, initial, ask, moves",
    [
        ('"2026-01-02"', None, {"since": "2026-01-03"}, False),
        ('"2026-01-02"', None, {"since": "2026-01-02"}, True),
        ('"2026-01-02"', None, {"since": "2026-01-01"}, True),
        ('"2026-01-02"', "2026-01-03", {"fresh": True}, False),
        ('"2026-01-02"', "2026-01-01", {"fresh": True}, True),
        ('"2026-01-02"', None, {"fresh": True}, True),
        ("9", None, {"since": "10"}, False),
        ("10", None, {"since": "9"}, True),
        (None, None, {"since": "2026-01-03"}, False),
        (None, "2026-01-01", {"since": "2026-01-03"}, False),
        (None, "2026-01-01", {"since": "2026-01-01"}, True),
        (None, "2026-01-01", {"fresh": True}, True),
    ],
)
def test_the_state_does_not_move_over_what_a_run_left_out(daemon, answer, stored, initial, ask, moves):
    stored = json.loads(stored) if stored else None
    newest = 20 if isinstance(stored, int) else "2026-01-09"
    body = json.dumps({"result": [{"id": 1, "at": newest}]}).encode()
    since = {"param": "since", "from": ".at", **({"initial": initial} if initial else {})}
    write_recipe(daemon, "p", url=answer(body), page={"type": "single"}, items=".result[]", since=since)
    if stored:
        assert daemon.api.request("PUT", "/v1/pulls/p/state", {"vars": {}, "since": stored}).status == 200
    _, receipt = pull(daemon, "p", **ask)
    to = newest if moves else stored
    assert receipt["complete"] and (receipt["since"]["to"], receipt["since"]["kept"]) == (to, not moves), receipt
    assert [state["since"] for state in daemon.api.get("/v1/pulls/p/state").json()["states"]] == [to]
    _, after = pull(daemon, "p")
    assert after["since"]["from"] == (initial if to is None else str(to)) and not after["since"]["kept"]


@pytest.mark.parametrize("header", ["etag", "modified"])
def test_pages_that_have_not_changed_are_reused(daemon, apisim, header):
    api = apisim.pages("page", "a", items=160, size=10, totals="items", conditional=header)
    recipe(daemon, api, page={"type": "page", "param": "page", "size": 10, "total_items": ".total"}, conditional=True)
    run, receipt = pull(daemon, "p")
    complete(run, receipt)
    api.set(change="3,5")
    run, receipt = pull(daemon, "p")
    complete(run, receipt)
    assert receipt["not_modified"] == 14
    assert [row["page"] for row in run.pages() if not row["reused_from"]] == [3, 5]
    changed = [body["result"][0].get("changed") for body in run.bodies()]
    assert [i + 1 for i, n in enumerate(changed) if n] == [3, 5]
    run, receipt = pull(daemon, "p", fresh=True)
    assert receipt["not_modified"] == 0


# ---- limits and secrets ----


def test_a_pull_keeps_within_the_limit_of_its_api(daemon, apisim):
    limit = apisim.limit("l", n=30, window=2)
    api = apisim.pages("page", "a", items=400, size=5, totals="items", limit="l")
    recipe(daemon, api, page={"type": "page", "param": "page", "size": 5, "total_items": ".total"}, limit={"rate": "30/2s"})
    run, receipt = pull(daemon, "p")
    complete(run, receipt, range(1, 401), pages=80)
    assert limit.stats()["refused"] == 0
    assert receipt["limited_seconds"] > 0


def test_runs_of_a_pull_share_its_limit(daemon, apisim):
    limit = apisim.limit("l", n=10, window=4)
    api = apisim.pages("page", "a", items=40, size=10, totals="items", limit="l")
    recipe(daemon, api, page={"type": "page", "param": "page", "size": 10, "total_items": ".total"}, limit={"rate": "10/4s"})
    for _ in range(5):
        run, receipt = pull(daemon, "p")
        complete(run, receipt, range(1, 41), pages=4)
    stats = limit.stats()
    assert (stats["accepted"], stats["refused"]) == (20, 0)


def everything(daemon, run):
    """All that can be read of a run."""
    texts = [daemon.log()]
    for path in (f"/v1/runs/{run.number}", f"/v1/runs/{run.number}/pages", f"/v1/batches/{run.number}/results", f"/v1/batches/{run.number}"):
        texts.append(daemon.api.get(path).body.decode())
    for row in run.pages():
        texts.append(daemon.api.get(f"/v1/jobs/{row['job']}").body.decode())
        texts.append(daemon.api.get(f"/v1/jobs/{row['job']}/attempts").body.decode())
    return "\n".join(texts)


@pytest.mark.parametrize("where", ["query", "header"])
def test_a_secret_is_sent_and_nowhere_seen(daemon, apisim, where):
    secret = "s3cr3t/+ and more"
    api = apisim.pages("next_url", "a", items=40, size=10, token=secret, token_in="query" if where == "query" else "bearer")
    write_secret(daemon, "tok", secret)
    keys = {"query": "?token={secret:tok}"} if where == "query" else {"headers": ["Authorization: Bearer {secret:tok}"]}
    recipe(daemon, api, page={"type": "next_url", "next": ".next"}, secrets={"tok": ["127.0.0.1"]}, **keys)
    run, receipt = pull(daemon, "p")
    complete(run, receipt, range(1, 41), pages=4)
    seen = everything(daemon, run)
    assert "{secret:tok}" in seen or where == "header"
    for spelling in (secret, "s3cr3t%2F%2B%20and%20more", "s3cr3t%2f%2b", "s3cr3t/"):
        assert spelling not in seen
    daemon.stop()
    database = b"".join(path.read_bytes() for path in daemon.state.glob("fanout.db*"))
    page_texts = [b'"next"', b"result"]
    assert all(text in database for text in page_texts)


def test_a_secret_that_may_not_go_there_stops_the_pull_before_anything_is_sent(daemon, apisim):
    api = apisim.pages("page", "a", items=40, size=10)
    write_secret(daemon, "tok", "x" * 20)
    recipe(daemon, api, page={"type": "page", "param": "page"}, query="?t={secret:tok}", secrets={"tok": ["api.example.org"]})
    answer = start(daemon, "p", status=400)
    assert "tok" in answer["detail"] and api.log() == []


def test_a_secret_without_a_value_is_told(daemon, apisim):
    api = apisim.pages("page", "a", items=40, size=10)
    recipe(daemon, api, page={"type": "page", "param": "page"}, headers=["X-Key: {secret:none}"], secrets={"none": ["127.0.0.1"]})
    answer = start(daemon, "p", status=400)
    assert "none" in answer["detail"] and str(daemon.dir / "secrets") in answer["detail"] + answer.get("hint", "")


# ---- the API's corners ----


def test_a_run_keeps_the_recipe_that_it_was_started_with(daemon, apisim):
    text = write_recipe(daemon, "p", url=str(apisim.pages("single", "a", items=1)), page={"type": "single"})
    run, _ = pull(daemon, "p")
    write_recipe(daemon, "p", url="http://127.0.0.1:1/", page={"type": "single"})
    assert run.get()["recipe"] == text and "recipe" not in daemon.api.get("/v1/runs").json()["runs"][0]


def test_an_unknown_pull_is_said_to_be_unknown(daemon):
    assert start(daemon, "nope", status=404)["code"] == "not_found"
    assert daemon.api.get("/v1/pulls/nope").status == 404
    assert daemon.api.get("/v1/pulls/..%2f..%2fetc").status == 404
    assert daemon.api.get("/v1/runs/77").status == 404


def test_a_recipe_that_does_not_parse_is_told_with_its_line(daemon):
    (daemon.dir / "pulls.d" / "bad.conf").write_text('url = "http://127.0.0.1/";\nnonsense = 3;\n')
    answer = start(daemon, "bad", status=400)
    assert "bad.conf:2" in answer["detail"]
    row = daemon.api.get("/v1/pulls").json()["pulls"][0]
    assert row["name"] == "bad" and "nonsense" in row["problem"]["detail"]


@pytest.mark.parametrize(
    "ask, word",
    [
        ({"vars": {"x": "1"}}, "x"),
        ({"vars": []}, "vars"),
        ({"since": 3}, "since"),
        ({"max_pages": 0}, "max_pages"),
        ({"overlap": "never"}, "overlap"),
        ({"deadline": 0.5}, "deadline"),
        ({"deadline": 1e300}, "deadline"),
        ({"deadline": -1e300}, "deadline"),
        ({"color": "red"}, "color"),
        ({"since": "2026", "fresh": True}, "fresh"),
    ],
)
def test_a_run_that_is_asked_for_wrongly_is_refused(daemon, apisim, ask, word):
    recipe(daemon, apisim.pages("single", "a", items=1))
    answer = daemon.api.post("/v1/pulls/p/runs", ask)
    assert answer.status == 400 and word in answer.json()["detail"], answer


def test_another_users_run_is_not_there(daemon, apisim):
    recipe(daemon, apisim.pages("single", "a", items=1))
    run, _ = pull(daemon, "p")
    assert daemon.api.get("/v1/runs").json()["runs"][0]["run"] == run.number


@pytest.mark.parametrize("style", ["page", "cursor", "link"])
def test_a_cancelled_run_goes_on_where_it_stopped(daemon, apisim, style):
    api = apisim.pages(style, "a", items=160, size=10, latency=0.2)
    recipe(daemon, api, page={**NUMBERED, **FOLLOWED}[style])
    run = start(daemon, "p")
    wait_until(lambda: len(apisim.page_log("a")) >= 3, 60, "some pages are asked for")
    assert daemon.api.post(f"/v1/batches/{run.number}/cancel").status == 200
    assert run.wait()["verdict"] == "cancelled"
    assert daemon.api.post(f"/v1/batches/{run.number}/retry").status == 200
    receipt = wait_until(lambda: run.wait() if run.wait()["verdict"] != "cancelled" else None, 60, "it ends again")
    assert receipt["verdict"] == "complete", receipt
    assert run.ids() == ALL


def test_a_cancelled_run_has_a_receipt(daemon, apisim):
    api = apisim.pages("cursor", "a", items=1000, size=10, latency=0.2)
    recipe(daemon, api, page=FOLLOWED["cursor"])
    run = start(daemon, "p")
    wait_until(lambda: len(api.log()) >= 2, 30, "two pages were asked for")
    assert daemon.api.post(f"/v1/batches/{run.number}/cancel").status == 200
    receipt = run.wait()
    assert receipt["verdict"] == "cancelled" and receipt["pages"] >= 1


def test_a_test_run_moves_nothing(daemon, apisim):
    api = apisim.pages("page", "a", items=40, size=10)
    recipe(daemon, api, page={"type": "page", "param": "page"}, since={"param": "since", "from": ".updated_at", "initial": "2000-01-01T00:00:00Z"})
    run, receipt = pull(daemon, "p", test=True, max_pages=1)
    assert receipt["pages"] == 1 and daemon.api.get("/v1/pulls/p/state").json()["states"] == []
