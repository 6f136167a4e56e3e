"""The API simulator's paginated APIs: styles, totals, ends and the record, as the tests of pulls rely on them."""

import json
import subprocess
import urllib.parse

import pytest

from harness.http import fetch
from harness.pages import ALL, at, by_cursor, by_link, ids, walk
from harness.process import BUILD, spawn


def by_next(answer, url):
    link = answer.json()["next"]
    return link and urllib.parse.urljoin(url, link)


# ---- Styles ----


def test_page_numbers_lead_through_all_items(apisim):
    pages = apisim.pages("page", "a", items=25, size=10)
    assert [ids(at(pages, page=n)) for n in (1, 2, 3, 4)] == [ALL[:10], ALL[10:20], ALL[20:], []]
    assert ids(fetch(pages.url)) == ALL[:10]
    assert ids(at(pages, page=2, per_page=20)) == ALL[20:]
    assert [at(pages, page=n).status for n in ("0", "x", "1x", "-1")] == [400] * 4
    assert at(pages, per_page=0).status == 400


def test_the_first_page_and_the_parameters_are_named_at_will(apisim):
    pages = apisim.pages("page", "a", items=25, size=10, start=0, param="p", size_param="n", size_max=20)
    assert ids(at(pages, p=0)) == ALL[:10] and ids(at(pages, p=2)) == ALL[20:]
    assert ids(at(pages, p=1, n=1000)) == ALL[20:]


def test_offsets_lead_through_all_items(apisim):
    pages = apisim.pages("offset", "a", items=25, size=10)
    assert [ids(at(pages, offset=n)) for n in (0, 10, 20, 30)] == [ALL[:10], ALL[10:20], ALL[20:], []]
    assert ids(at(pages, offset=8, limit=5)) == [9, 10, 11, 12, 13]
    pages.set(end="404")
    assert at(pages, offset=24).status == 200 and at(pages, offset=25).status == 404


@pytest.mark.parametrize("form", ["plain", "awkward", "number", "long"])
def test_cursors_lead_through_all_items(apisim, form):
    pages = apisim.pages("cursor", "a", items=25, size=10, cursor_form=form)
    assert walk(pages, by_cursor(pages)) == ALL
    cursor = fetch(pages.url).json()["next_cursor"]
    assert isinstance(cursor, int) == (form == "number")
    assert len(str(cursor)) > 2000 or form != "long"
    assert at(pages, cursor=f"{cursor}"[:3]).status == 400


def test_a_cursor_may_stand_in_a_header_both_ways(apisim):
    pages = apisim.pages("cursor", "a", items=25, size=10, in_="header", param="X-Cursor", cursor_header="X-Next")
    seen, cursor = [], ""
    while cursor is not None:
        answer = fetch(pages.url, headers={"X-Cursor": cursor})
        assert list(answer.json()) == ["result"]
        seen += ids(answer)
        cursor = answer.headers["X-Next"]
    assert seen == ALL


def test_a_cursor_may_stand_in_the_body_of_a_post(apisim):
    pages = apisim.pages("cursor", "a", items=25, size=10, in_="json", param="paging.cursor", size_param="paging.limit", next_member="meta.next")
    seen, cursor = [], None
    for size in (10, 5, 10):
        body = {"paging": {"cursor": cursor, "limit": size}}
        answer = fetch(pages.url, "POST", json.dumps(body).encode())
        seen += ids(answer)
        cursor = answer.json()["meta"]["next"]
    assert seen == ALL and cursor is None
    assert fetch(pages.url).status == 405


@pytest.mark.parametrize("style, form", [("page", None), ("offset", None), ("cursor", "awkward")])
def test_a_position_may_stand_in_the_path(apisim, style, form):
    pages = apisim.pages(style, "a", items=25, size=10, in_="path", **({"cursor_form": form} if form else {}))
    second = {"page": "2", "offset": "10", "cursor": None}[style] or fetch(pages.url).json()["next_cursor"]
    assert ids(fetch(pages.url)) == ids(fetch(pages.url + "/")) == ALL[:10]
    assert ids(fetch(f"{pages.url}/{urllib.parse.quote(second, safe='')}")) == ALL[10:20]


def test_a_keyset_leads_through_all_items_in_both_orders(apisim):
    def step(pages):
        return lambda answer, _: f"{pages.url}?after={ids(answer)[-1]}" if ids(answer) else None

    pages = apisim.pages("keyset", "a", items=25, size=10)
    assert walk(pages, step(pages)) == ALL
    pages = apisim.pages("keyset", "a", items=25, size=10, order="newest")
    assert walk(pages, step(pages)) == ALL[::-1]
    assert ids(at(pages, after=100)) == ALL[:14:-1]


def test_a_single_answer_has_all_items(apisim):
    pages = apisim.pages("single", "a", items=25, size=10)
    assert ids(fetch(pages.url)) == ALL
    assert pages.stats()["pages"] == 1


@pytest.mark.parametrize("by", ["page", "offset", "cursor"])
@pytest.mark.parametrize("url", ["absolute", "path", "query", "relative", "scheme"])
@pytest.mark.parametrize("style, step", [("link", by_link), ("next_url", by_next)])
def test_links_lead_through_all_items(apisim, style, step, url, by):
    pages = apisim.pages(style, "a", items=25, size=10, by=by, url=url)
    assert walk(pages, step) == ALL
    pages.set(in_="path")
    if url != "query":
        assert walk(pages, step) == ALL


def test_a_next_link_keeps_the_query_it_came_with(apisim):
    pages = apisim.pages("next_url", "a", items=25, size=10, next_drop="token")
    link = at(pages, a="b c", token="t", page=1, per_page=5).json()["next"]
    assert link == pages.url + "?a=b+c&per_page=5&page=2"


# ---- Totals ----


def test_totals_are_told_where_asked_for(apisim):
    pages = apisim.pages("page", "a", items=25, size=10)
    answer = fetch(pages.url)
    assert list(answer.json()) == ["result"] and answer.headers["Link"] is None
    assert not [h for h in answer.headers if h.startswith("X-Total") or h == "Content-Range"]
    totals = ["items", "pages", "x-total-count", "x-total-pages", "content-range", "link-last"]
    pages.set(totals=totals, has_more=True)
    answer = at(pages, page=3)
    assert {**answer.json(), "result": None} == {"result": None, "total": 25, "pages": 3, "has_more": False}
    assert answer.headers["X-Total-Count"] == "25" and answer.headers["X-Total-Pages"] == "3"
    assert answer.headers["Content-Range"] == "items 20-24/25"
    assert answer.headers["Link"] == f'<{pages.url}?page=3>; rel="last"'
    assert at(pages, page=1).json()["has_more"] is True
    assert at(pages, page=4).headers["Content-Range"] == "items */25"
    assert at(pages, page=1, per_page=5).headers["X-Total-Pages"] == "5"
    pages.set(tell_items=41)
    assert fetch(pages.url).json()["total"] == 41 and fetch(pages.url).headers["X-Total-Pages"] == "5"


def test_members_have_the_names_asked_for(apisim):
    names = {"id_member": "taxonid", "items_member": "data.list", "total_member": "data.count", "pages_member": "p", "next_member": "meta.next.url"}
    pages = apisim.pages("next_url", "a", items=2, size=1, totals="items,pages", **names)
    body = fetch(pages.url).json()
    assert body["data"]["count"] == 2 and body["p"] == 2 and body["data"]["list"][0]["taxonid"] == 1
    assert body["meta"] == {"next": {"url": pages.url + "?page=2"}}
    assert apisim.pages("page", "b", items=2, items_member="-") and [i["id"] for i in apisim.get("/pages/b/x")] == [1, 2]


# ---- The end ----


def test_the_end_has_the_form_asked_for(apisim):
    pages = apisim.pages("page", "a", items=20, size=10)
    expected = {
        "empty": (200, {"result": []}),
        "null": (200, {"result": None}),
        "absent": (200, {}),
        "404": (404, {"message": "Page not found"}),
        "soft": (200, {"message": "Page not found"}),
        "repeat": (200, at(pages, page=2).json()),
    }
    for end, (status, body) in expected.items():
        pages.set(end=end)
        for page in (3, 7):
            answer = at(pages, page=page)
            assert (answer.status, answer.json()) == (status, body), end
        assert len(ids(at(pages, page=2))) == 10


def test_no_items_are_one_empty_page(apisim):
    pages = apisim.pages("page", "a", items=0, end="404", totals="items,pages")
    assert fetch(pages.url).json() == {"result": [], "total": 0, "pages": 0}
    assert at(pages, page=2).status == 404


@pytest.mark.parametrize("style, member", [("cursor", "next_cursor"), ("next_url", "next")])
def test_the_last_page_says_so_in_the_form_asked_for(apisim, style, member):
    def last():
        url = pages.url
        for _ in range(2):
            value = fetch(url).json()[member]
            url = value if style == "next_url" else f"{pages.url}?cursor={value}"
        return fetch(url).json(), url

    pages = apisim.pages(style, "a", items=25, size=10)
    assert last()[0][member] is None
    pages.set(last="empty")
    assert last()[0][member] == ""
    pages.set(last="absent")
    assert list(last()[0]) == ["result"]
    pages.set(last="more", has_more=True)
    body, _ = last()
    beyond = fetch(body[member] if style == "next_url" else f"{pages.url}?cursor={body[member]}").json()
    assert beyond["result"] == [] and beyond[member]


# ---- The record ----


def test_the_record_tells_what_was_asked_for_in_order(apisim):
    pages = apisim.pages("page", "a", items=25, size=10, end="404")
    for page in (2, 1, 2, 9):
        at(pages, page=page)
    at(pages, page="x")
    stats = pages.stats()
    assert (stats["items"], stats["pages"], stats["requests"], stats["served"]) == (25, 3, 5, 3)
    assert pages.by_page() == {2: [200, 200], 1: [200], 9: [404], 0: [400]}
    log = apisim.page_log("a")
    assert [(h["page"], h["status"], h["items"], h["position"]) for h in log[:4]] == [
        (2, 200, 10, "2"), (1, 200, 10, "1"), (2, 200, 10, "2"), (9, 404, 0, "9")]  # fmt: skip
    assert log[0]["target"] == "/pages/a/items?page=2"
    assert all(0 < h["arrived_us"] <= h["answered_us"] for h in log)
    pages.forget()
    assert pages.stats()["requests"] == 0 and pages.log() == []
    assert fetch(apisim.url + "/pages/nobody/x").status == 404 and fetch(apisim.url + "/pages/nobody").status == 404


def test_bodies_are_the_same_each_time(apisim):
    for style in ("page", "cursor", "next_url"):
        bodies = set()
        for _ in range(2):
            pages = apisim.pages(style, "a", items=25, size=10, totals="items,pages", has_more=1, cursor_uses=5)
            bodies |= {fetch(pages.url).body for _ in range(2)}
        assert len(bodies) == 1


def test_pages_come_from_the_command_line_too():
    child = spawn([BUILD / "apisim", "--pages", "a,style=page,items=25,size=10,totals=items;pages"], stdout=subprocess.PIPE)
    url = child.stdout.readline().decode().split()[1]
    try:
        body = fetch(url + "/pages/a/items?page=3").json()
        assert len(body["result"]) == 5 and (body["total"], body["pages"]) == (25, 3)
    finally:
        child.terminate()
        child.wait(10)
        child.stdout.close()


BAD = ["style=round", "size=0", "items=x", "end=never", "end=99", "fail=1", "fail=x:1", "fail=1:1:2", "empty=0", "empty=3-2"]
BAD += ["grow=3", "loop=1:x", "totals=all", "link=fancy", "colour=red", "latency=gauss:1:2", "param=" + "x" * 600]


@pytest.mark.parametrize("option", BAD)
def test_a_bad_option_of_pages_is_refused_and_they_stay(apisim, option):
    pages = apisim.pages("page", "a", items=25)
    fetch(pages.url)
    for method in ("PUT", "PATCH"):
        answer = fetch(f"{pages.control}?{option}", method)
        assert answer.status == 400 and answer.body.strip()
    assert pages.stats()["requests"] == 1 and pages.stats()["items"] == 25
    done = subprocess.run([BUILD / "apisim", "--pages", f"a,{option}"], capture_output=True, text=True)
    assert done.returncode == 2 and "--pages a," in done.stderr
