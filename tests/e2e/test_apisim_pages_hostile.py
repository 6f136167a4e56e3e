"""The API simulator's paginated APIs: what changes or fails on the way, links of all kinds, and who may ask."""

import concurrent.futures
import json
import re
import zlib

import pytest

from harness.http import fetch
from harness.pages import ALL, at, by_cursor, by_link, ids, walk
from harness.process import wait_until


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
