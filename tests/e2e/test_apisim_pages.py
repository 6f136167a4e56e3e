"""The API simulator's paginated APIs: what the tests of pulls rely on."""

import concurrent.futures
import json
import re
import subprocess
import time
import urllib.parse
import zlib

import pytest

from harness.http import fetch
from harness.process import BUILD, spawn, wait_until


def ids(answer):
    return [item["id"] for item in answer.json()["result"]]


def at(pages, **query):
    return fetch(f"{pages.url}?{urllib.parse.urlencode(query)}")


def walk(pages, step, first=None):
    """All items from `first` (the URL) on; `step(answer, url)` is the next URL, or None."""
    url, seen = first or pages.url, []
    for _ in range(100):
        answer = fetch(url)
        assert answer.status == 200, answer
        seen += ids(answer)
        url = step(answer, url)
        if not url:
            return seen
    raise AssertionError(f"no end after {len(seen)} items")


def by_cursor(pages, **query):
    def step(answer, _):
        cursor = answer.json()["next_cursor"]
        return cursor and f"{pages.url}?{urllib.parse.urlencode({'cursor': cursor, **query})}"

    return step


def by_next(answer, url):
    link = answer.json()["next"]
    return link and urllib.parse.urljoin(url, link)


def by_link(answer, url):
    """Good for the plain form."""
    found = re.search(r'<([^>]*)>; rel="next"', answer.headers["Link"] or "")
    return found and urllib.parse.urljoin(url, found[1])


ALL = list(range(1, 26))


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


# ---- On the way ----


def pull_pages(pages, last=50):
    """ids of page 1, 2, ... until an empty one."""
    seen = []
    for page in range(1, last):
        seen.append(ids(at(pages, page=page)))
        if not seen[-1]:
            return seen
    raise AssertionError(f"no end: {seen}")


def test_growth_follows_the_pages_that_were_served(apisim):
    pages = apisim.pages("page", "a", items=20, size=10, grow=["1:5", "2:10"], totals="items")
    assert [at(pages, page=1).json()["total"] for _ in range(4)] == [20, 25, 35, 35]
    pages.forget()
    assert sum(pull_pages(pages), []) == list(range(1, 36))
    pages.forget()
    pages.set(grow="2:-5")
    assert sum(pull_pages(pages), []) == list(range(1, 21)) and pages.stats()["items"] == 15


def test_newest_first_and_growth_make_items_come_twice(apisim):
    pages = apisim.pages("page", "a", items=20, size=10, order="newest", grow="1:3")
    seen = sum((ids(at(pages, page=n)) for n in (1, 2, 3)), [])
    assert seen == list(range(20, 10, -1)) + [13, 12, 11] + list(range(10, 0, -1))


def test_removal_makes_items_be_missed(apisim):
    pages = apisim.pages("offset", "a", items=30, size=10, remove="1:4")
    seen = sum((ids(at(pages, offset=n)) for n in (0, 10, 20)), [])
    assert seen == list(range(1, 11)) + list(range(15, 31))


@pytest.mark.parametrize("style, step", [("page", None), ("cursor", by_cursor), ("link", by_link)])
def test_empty_and_short_pages_in_the_middle_miss_nothing(apisim, style, step):
    pages = apisim.pages(style, "a", items=25, size=10, empty=[2, 3], short=4, totals="items,x-total-pages")
    assert fetch(pages.url).headers["X-Total-Pages"] == "5" and pages.stats()["pages"] == 5
    if style == "page":
        seen = [ids(at(pages, page=n)) for n in range(1, 7)]
        assert [len(page) for page in seen] == [10, 0, 0, 5, 10, 0]
        seen = sum(seen, [])
    else:
        seen = walk(pages, step(pages) if style == "cursor" else step)
        assert sorted(pages.by_page()) == [1, 2, 3, 4, 5]
    assert seen == ALL


def test_stuck_pages_repeat_their_items(apisim):
    pages = apisim.pages("page", "a", items=50, size=10, stuck=3)
    assert [ids(at(pages, page=n))[0] for n in (1, 2, 3, 4, 5, 99)] == [1, 11, 21, 21, 21, 21]
    assert at(pages, page=4).body == at(pages, page=9).body


@pytest.mark.parametrize("fresh", [False, True])
def test_loops_lead_back(apisim, fresh):
    pages = apisim.pages("cursor", "a", items=50, size=10, loop="3:2", cursor_fresh=fresh)
    cursors, pages_seen = [], []
    for _ in range(6):
        body = at(pages, cursor=cursors[-1] if cursors else "").json()
        pages_seen.append(body["result"][0]["id"] // 10 + 1)
        cursors.append(body["next_cursor"])
    assert pages_seen == [1, 2, 3, 2, 3, 2]
    assert len(set(cursors)) == (6 if fresh else 2)
    pages.set(loop="1:1")
    cursor = fetch(pages.url).json()["next_cursor"]
    assert ids(at(pages, cursor=cursor)) == ids(fetch(pages.url))


# ---- Faults ----


def test_given_requests_for_given_pages_fail(apisim):
    pages = apisim.pages("page", "a", items=60, size=10, fail=["1:1", "2-3:2:500", "4:2-2:502", "5:*:410"])
    for _ in range(3):
        for page in range(1, 7):
            at(pages, page=page)
    assert pages.by_page() == {
        1: [503, 200, 200],
        2: [500, 500, 200],
        3: [500, 500, 200],
        4: [200, 502, 200],
        5: [410, 410, 410],
        6: [200, 200, 200],
    }
    pages.set(fail="*:*:soft")
    assert at(pages, page=1).json() == {"message": "Something went wrong"}
    pages.set(fail="*:*:garbage")
    with pytest.raises(json.JSONDecodeError):
        at(pages, page=1).json()


def test_an_answer_may_break_off(apisim):
    import http.client

    pages = apisim.pages("page", "a", items=60, size=10, fail=["1:1:cut", "2:1:reset", "3:1:hang"])
    with pytest.raises(http.client.IncompleteRead):
        at(pages, page=1)
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        at(pages, page=2)
    with pytest.raises(TimeoutError):
        fetch(f"{pages.url}?page=3", timeout=0.3)
    assert [ids(at(pages, page=n))[0] for n in (1, 2, 3)] == [1, 11, 21]
    assert pages.by_page() == {n: [None, 200] for n in (1, 2, 3)}


def test_a_cursor_is_good_for_so_many_uses(apisim):
    pages = apisim.pages("cursor", "a", items=50, size=10, cursor_uses=1)
    cursor = fetch(pages.url).json()["next_cursor"]
    answers = [at(pages, cursor=cursor) for _ in range(2)]
    assert [a.status for a in answers] == [200, 410] and answers[1].json() == {"message": "cursor expired"}
    assert fetch(pages.url).json()["next_cursor"] == cursor
    assert at(pages, cursor=cursor).status == 200


def test_a_cursor_is_good_for_so_many_requests_and_so_long(apisim):
    pages = apisim.pages("cursor", "a", items=50, size=10, cursor_requests=2, cursor_code=400)
    cursor = fetch(pages.url).json()["next_cursor"]
    assert [at(pages, cursor=cursor).status for _ in range(4)] == [200, 200, 200, 400]
    pages = apisim.pages("cursor", "a", items=50, size=10, cursor_life=0.1)
    cursor = fetch(pages.url).json()["next_cursor"]
    wait_until(lambda: at(pages, cursor=cursor).status == 410, what="the cursor expires")
    assert fetch(pages.url).status == 200


def test_a_page_takes_its_latency_and_many_may_be_asked_for_at_once(apisim):
    pages = apisim.pages("page", "a", items=160, size=10, latency=0.3)

    def overlapped():
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            seen = list(pool.map(lambda n: ids(at(pages, page=n)), range(1, 17)))
        assert sum(seen, []) == list(range(1, 161))
        return pages.stats()["peak"] > 1

    wait_until(overlapped, 20, "some of sixteen overlap")
    # The timers of the simulator are those of epoll: up to a millisecond early.
    assert all(h["answered_us"] - h["arrived_us"] >= 299_000 for h in pages.log())
    assert pages.stats()["open"] == 0


# ---- Links ----


def parse_link(value):
    """RFC 8288, appendix B.2 and B.3: (target, parameters, the first of each name counts)."""
    found, rest = [], value
    while rest:
        rest = rest.lstrip(" \t,")
        if not rest:
            break
        if rest[0] != "<" or ">" not in rest:
            return found
        target, _, rest = rest[1:].partition(">")
        params = {}
        while (rest := rest.lstrip(" \t")).startswith(";"):
            rest = rest[1:].lstrip(" \t")
            name = re.match(r"[^ \t=;,]*", rest)[0]
            rest = rest[len(name):].lstrip(" \t")
            text = ""
            if rest.startswith("="):
                rest = rest[1:].lstrip(" \t")
                quoted = re.match(r'"((?:\\.|[^"\\])*)"?', rest)
                plain = re.match(r"[^;,]*", rest)
                text = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else plain[0].rstrip(" \t")
                rest = rest[(quoted or plain).end():]
            if name:
                params.setdefault(name.lower(), text)
        found.append((target, params))
        rest = rest.lstrip(" \t")
        if rest and rest[0] != ",":
            return found
    return found


def links_of(answer):
    """{relation: URL} of this page's own links."""
    links = {}
    for value in answer.headers.get_all("Link") or []:
        for target, params in parse_link(value):
            for rel in params.get("rel", "").lower().split() if "anchor" not in params else []:
                links.setdefault(rel, target)
    return links


LEGAL = ["plain", "comma", "headers", "list", "unquoted", "upper", "params", "title", "space", "escaped", "gaps", "semicolon"]


@pytest.mark.parametrize("form", LEGAL + ["decoys"])
def test_legal_link_headers_lead_through_all_items(apisim, form):
    pages = apisim.pages("link", "a", items=35, size=10, link=form, links=["next", "last", "first", "prev"])

    def step(answer, url):
        links = links_of(answer)
        first = ids(answer)[0]
        assert ids(fetch(links["last"])) == [31, 32, 33, 34, 35] and ids(fetch(links["first"]))[0] == 1
        assert ("prev" in links) == (first > 1) and ("prev" not in links or ids(fetch(links["prev"]))[0] == first - 10)
        assert len(answer.headers.get_all("Link")) == (len(links) if form == "headers" else 1)
        assert form != "comma" or "id,name;all" in links["last"]
        return links.get("next")

    assert walk(pages, step) == list(range(1, 36))
    assert 0 not in pages.by_page()


def test_a_next_page_that_is_the_last_one_may_be_one_link(apisim):
    pages = apisim.pages("link", "a", items=20, size=10, link="list", links="next,last")
    assert 'rel="prefetch  last next ' in fetch(pages.url).headers["Link"]
    assert links_of(fetch(pages.url))["next"] == links_of(fetch(pages.url))["last"]


def test_illegal_link_headers_are_as_described(apisim):
    pages = apisim.pages("link", "a", items=20, size=10)
    u = pages.url + "?page=2"
    forms = {
        "bad-open": f'<{u}; rel="next"',
        "bad-bare": f'{u}; rel="next"',
        "bad-quote": f'<{u}>; rel="next',
        "bad-norel": f"<{u}>",
        "bad-colon": f'<{u}>: rel="next"',
        "bad-words": f"the next page is {u}",
    }
    for form, value in forms.items():
        pages.set(link=form)
        assert fetch(pages.url).headers["Link"] == value


@pytest.mark.parametrize("style", ["link", "next_url"])
def test_a_next_link_may_lead_elsewhere(apisim, style):
    def next_of(page):
        answer = at(pages, page=page)
        return links_of(answer).get("next") if style == "link" else answer.json()["next"]

    pages = apisim.pages(style, "a", items=50, size=10, next_origin=apisim.host(2), next_from=2)
    assert next_of(1).startswith(apisim.host(1) + "/pages/a/") and next_of(2) == apisim.host(2) + "/pages/a/items?page=3"
    assert ids(fetch(next_of(2)))[0] == 21
    pages.set(next_origin="http://10.0.0.1", next_from=0)
    assert next_of(1) == "http://10.0.0.1/pages/a/items?page=2"
    pages.set(next_url="ftp://x.example/")
    assert next_of(1) == "ftp://x.example/" and not next_of(5)


def test_decoys_are_recorded(apisim):
    pages = apisim.pages("link", "a", items=50, size=10, link="decoys")
    decoy = re.match("<([^>]*)>", fetch(pages.url).headers["Link"])[1]
    assert fetch(decoy).status == 404
    assert pages.by_page() == {1: [200], 0: [404]}


# ---- Who asks, and what he knows ----


def test_a_token_is_wanted_where_asked_for(apisim):
    pages = apisim.pages("page", "a", items=25, token="s3")
    ways = {"bearer": ("", {"Authorization": "Bearer s3"}), "query": ("?token=s3", {}), "header": ("", {"X-Api-Key": "s3"})}
    for wanted in ("any", "bearer", "query", "header"):
        pages.set(token_in=wanted)
        for way, (query, headers) in ways.items():
            assert fetch(pages.url + query, headers=headers).status == (200 if wanted in ("any", way) else 401)
    assert fetch(pages.url + "?token=x").json() == {"message": "Token not valid!"}
    pages.set(token_code=200)
    answer = fetch(pages.url)
    assert answer.status == 200 and answer.json() == {"message": "Token not valid!"}


def test_since_leaves_the_items_from_then_on(apisim):
    pages = apisim.pages("page", "a", items=25, size=10, totals="items")
    updated = [item["updated_at"] for item in at(pages, per_page=25).json()["result"]]
    assert updated == sorted(updated) and updated[0] == "2026-01-01T00:01:00Z"
    assert ids(at(pages, since=updated[19])) == ALL[19:] and ids(at(pages, since="2026-01-01T00:20:30Z")) == ALL[20:]
    body = at(pages, since=updated[4], page=3).json()
    assert body["total"] == 21 and [item["id"] for item in body["result"]] == [25]
    assert ids(at(pages, since="1767225600")) == ALL[:10] and ids(at(pages, since="2027-01-01T00:00:00Z")) == []
    assert at(pages, since="yesterday").status == 400
    pages.set(order="newest", step=1, items=30)
    assert ids(at(pages, since="2026-01-01T00:00:28Z")) == [30, 29, 28]


@pytest.mark.parametrize("told", ["etag", "modified", "etag,weak"])
def test_a_page_that_is_known_is_not_sent_again_until_it_changes(apisim, told):
    given, asked = ("Last-Modified", "If-Modified-Since") if told == "modified" else ("ETag", "If-None-Match")
    pages = apisim.pages("page", "a", items=25, size=10, conditional=told)

    def known(page, value):
        return fetch(f"{pages.url}?page={page}", headers={asked: value})

    first = {n: at(pages, page=n).headers[given] for n in (1, 2, 3)}
    assert first[1].startswith("W/") == ("weak" in told)
    answers = [known(n, first[n]) for n in (1, 2, 3)]
    assert [(a.status, a.body, a.headers[given]) for a in answers] == [(304, b"", first[n]) for n in (1, 2, 3)]
    pages.set(change=2)
    assert [known(n, first[n]).status for n in (1, 2, 3)] == [304, 200, 304]
    again = at(pages, page=2)
    assert again.json()["result"][0]["changed"] == 1 and again.headers[given] != first[2]
    assert known(2, again.headers[given]).status == 304
    pages.set(change="*")
    assert [known(n, first[n]).status for n in (1, 2, 3)] == [200] * 3
    assert pages.by_page()[1] == [200, 304, 304, 200]


def test_a_page_is_zipped_for_those_who_can_read_it(apisim):
    pages = apisim.pages("page", "a", items=1000, size=1000, gzip=True)
    plain = fetch(pages.url)
    zipped = fetch(pages.url, headers={"Accept-Encoding": "deflate, gzip"})
    assert plain.headers["Content-Encoding"] is None and zipped.headers["Content-Encoding"] == "gzip"
    assert len(zipped.body) < len(plain.body) / 3 and zlib.decompress(zipped.body, 31) == plain.body


def test_pages_count_at_their_limit(apisim):
    limit = apisim.limit("l", n=3, window=60)
    pages = apisim.pages("page", "a", items=60, size=10, limit="l")
    answers = [at(pages, page=n) for n in range(1, 6)]
    assert [a.status for a in answers] == [200] * 3 + [429] * 2 and answers[4].headers["Retry-After"]
    stats = limit.stats(list=True)
    assert (stats["accepted"], stats["refused"]) == (3, 2) and stats["list"][0]["target"] == "/pages/a/items?page=1"
    assert pages.by_page() == {1: [200], 2: [200], 3: [200]}
    pages.set(limit="nobody")
    assert fetch(pages.url).status == 404
    limit.forget()
    pages = apisim.pages("link", "b", items=15, size=10)
    below = fetch(limit.url + "/pages/b/items")
    assert links_of(below)["next"] == limit.url + "/pages/b/items?page=2"
    assert ids(fetch(links_of(below)["next"])) == [11, 12, 13, 14, 15] and limit.stats()["accepted"] == 2


def test_a_page_of_ten_thousand_items_has_the_size_asked_for(apisim):
    pages = apisim.pages("page", "a", items=25000, size=10000, item_size=180)
    for page, count in ((1, 10000), (3, 5000)):
        answer = at(pages, page=page)
        assert len(answer.body) == count * 181 + len('{"result":[]}') - 1
        assert ids(answer) == list(range((page - 1) * 10000 + 1, (page - 1) * 10000 + count + 1))
