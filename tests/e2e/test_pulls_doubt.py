"""A recipe that names the wrong members looks complete: its receipt asks, and an honest API is not doubted every night."""

import pytest

from harness.pulls import Run, played_pages, pull, write_recipe

CURSOR = {"type": "cursor", "param": "cursor", "next": ".nxt?"}
LIST = "(.r? // [])[]"


def warnings(daemon, name, runs=2, **asked):
    """Those of so many runs, one after the other."""
    return [pull(daemon, name, **asked)[1]["warning"] for _ in range(runs)]


def played(daemon, *bodies, **keys):
    return Run(daemon, int(played_pages(daemon, *bodies, **keys))).get()["warning"]


# ---- items ----


def test_a_single_page_without_items_is_doubted_until_one_run_was_complete(daemon, answer):
    write_recipe(daemon, "p", url=answer(b'{"result":[1]}'), page={"type": "single"}, items=".results[]?")
    first, second = warnings(daemon, "p")
    assert "does `items` name them?" in first and second is None


def test_a_run_whose_pages_have_no_items_is_doubted(daemon):
    page = {"type": "page", "param": "page", "total_pages": ".n?"}
    warning = played(daemon, '{"r":[1],"n":2}', '{"r":[2],"n":2}', page=page, items="(.rr? // [])[]")
    assert warning == "no page had items, of 2: does `items` name them?"


@pytest.mark.parametrize("asked", [{}, {"vars": {"day": "2026-05-06"}}])
def test_an_api_that_says_it_has_none_is_believed(daemon, answer, asked):
    url = answer(b'{"r":[]}') if asked else answer(b'{"r":[],"total":0}')
    page = {"type": "single"} if asked else {"type": "single", "total_items": ".total"}
    write_recipe(daemon, "p", url=url + "/?d={var:day}", vars={"day": "x"}, page=page, items=".r[]")
    assert warnings(daemon, "p", 1, **asked) == [None]


# ---- next ----


def test_a_cursor_that_is_not_there_is_doubted_once(daemon, answer):
    write_recipe(daemon, "p", url=answer(b'{"r":[1,2]}'), page=CURSOR, items=LIST)
    first, second = warnings(daemon, "p")
    assert "page.next gave nothing on the only page, which has 2 items" in first and second is None


def test_a_cursor_that_is_not_there_is_doubted_each_time_where_the_page_is_full(daemon, answer):
    write_recipe(daemon, "p", url=answer(b'{"r":[1,2]}'), page={**CURSOR, "size": 2}, items=LIST)
    first, second = warnings(daemon, "p")
    assert "page.next gave nothing" in first and "page.next gave nothing" in second


@pytest.mark.parametrize("more", [{"has_more": ".more"}, {"total_items": ".total"}])
def test_one_page_that_is_said_to_be_all_is_believed(daemon, answer, more):
    write_recipe(daemon, "p", url=answer(b'{"r":[1,2],"more":false,"total":2}'), page={**CURSOR, "size": 2, **more}, items=LIST)
    assert warnings(daemon, "p", 1) == [None]


@pytest.mark.parametrize("how", [("run", "p", "--wait", "--max-pages", "1"), ("test", "p", "--live")])
def test_a_cursor_that_leads_on_is_not_doubted_where_one_page_was_asked_for(daemon, apisim, how):
    api = apisim.pages("cursor", "a", items=30, size=10)
    write_recipe(daemon, "p", url=str(api), page={"type": "cursor", "param": "cursor", "next": ".next_cursor", "size": 10}, items=".result[]")
    r = daemon.ctl("pull", *how)
    assert r.code == 0 and "warning" not in r.err, r.err


# ---- totals ----


@pytest.mark.parametrize("name", ["total_items", "total_pages"])
def test_a_total_that_is_not_there_is_doubted(daemon, name):
    warning = played(daemon, "[1,2]", "[3]", page={"type": "page", "param": "page", name: ".totl?"})
    assert warning == f"page.{name} gave no total on any page: does it name it?"


@pytest.mark.parametrize("last, said", [("[3,4]", True), ("[3]", False)])
def test_a_total_that_is_less_than_what_came_is_doubted(daemon, last, said):
    page = {"type": "page", "param": "page", "total_items": ".n?"}
    warning = played(daemon, '{"r":[1,2],"n":3}', f'{{"r":{last},"n":3}}', page=page, items=LIST)
    assert bool(warning) is said and (not said or "4 items came, where the API told of 3" in warning), warning


@pytest.mark.parametrize("style, word", [("offset", "offset"), ("page", "number")])
def test_a_total_that_falls_while_pages_are_read_is_told(daemon, apisim, style, word):
    api = apisim.pages(style, "a", items=60, size=10, totals="items", remove="2:5")
    page = {"type": style, "param": style, "size": 10, "total_items": ".total", "window": 1}
    write_recipe(daemon, "p", url=str(api), page=page, items=".result[]", key=".id", limit={"concurrency": 1})
    run, receipt = pull(daemon, "p")
    assert receipt["complete"] and sorted(set(range(1, 61)) - set(run.ids())) == list(range(21, 26)), receipt
    assert f"the total fell from 60 to 55 items while pages were read by {word}" in receipt["warning"]


@pytest.mark.parametrize("bodies", [('{"r":[1,2],"n":3}', '{"r":[3],"n":2}'), ('{"r":[1,2],"n":2}', '{"r":[3],"n":3}')])
def test_a_total_that_changes_where_everything_came_is_not_doubted(daemon, bodies):
    page = {"type": "page", "param": "page", "total_items": ".n?"}
    assert "fell" not in (played(daemon, *bodies, page=page, items=LIST) or "")


# ---- who is told ----


@pytest.mark.parametrize("how", [("run", "p", "--wait"), ("run", "p", "--wait", "-q"), ("test", "p", "--live"), ("test", "p", "--live", "-q")])
def test_a_doubt_stands_on_stderr_with_status_0(daemon, answer, how):
    write_recipe(daemon, "p", url=answer(b'{"r":[1,2]}'), page={**CURSOR, "size": 2}, items=LIST)
    r = daemon.ctl("pull", *how)
    assert r.code == 0 and "warning: page.next gave nothing on the only page" in r.err
