"""The worker alone: what it says of a page of a run, from its body by its recipe's program and from its headers."""

import ctypes
import gzip
import json
import os
import signal
import struct
import time
import urllib.parse

import pytest

from harness.worker import JUDGING, OUTCOME, malloc_says_no

LISTED = b'{"result":[{"id":2,"at":"b"},{"id":1,"at":"c"}],"meta":{"next":"c2","more":true,"pages":7,"total":13}}'
# As lib/recipe.h says that recipe_program() makes it.
PROGRAM = """. as {$body, $headers, $status, $page, $vars} | $body | . as $it |
(try {m: .message} catch {f: .}) as $e |
if $e | has("f") then {failed: "error", message: $e.f} elif $e.m then {error: $e.m} else
{items: (.result | length), keys: [.result[].id], next: .meta.next, has_more: .meta.more, stop: (.result | length == 0),
 total_pages: .meta.pages, total_items: .meta.total, since: ([.result[].at] | max)} end"""

xxhash = ctypes.CDLL("libxxhash.so.0")


class Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


xxhash.XXH3_128bits.restype = Hash128
xxhash.XXH3_64bits.restype = ctypes.c_uint64


def hash128(b):
    h = xxhash.XXH3_128bits(b, ctypes.c_size_t(len(b)))
    return h.low, h.high


def hash64(text):
    return xxhash.XXH3_64bits(text.encode(), ctypes.c_size_t(len(text.encode())))


def keys(*texts):
    return b"".join(struct.pack("=Q", hash64(t)) for t in texts)


def context(kind="page", **members):
    return json.dumps({"page": 3, "vars": {"repo": "curl/curl"}, "type": kind, **members})


@pytest.fixture
def page(worker, answer):
    """page(body, program, kind=…, headers=…) is the outcome of a page that is answered so."""

    def fetch(body=b"{}", program="", kind="page", status="200 OK", headers=(), **options):
        options.setdefault("page_context", context(kind))
        return worker.fetch(answer(body, status=status, headers=headers) + "/v1/cats?page=3", page_program=program, **options)

    return fetch


# ---- What a body says ----


def test_everything_that_the_program_gives_is_told(page):
    o = page(LISTED, PROGRAM)
    assert (o.cause, o.error, o.body) == ("response", "", LISTED)
    p = o.page
    assert (p.items, p.next, p.next_is_url, p.has_more, p.stop) == (2, "c2", False, 1, False)
    assert (p.total_pages, p.total_items, p.since) == (7, 13, '"c"')
    assert (p.hash, p.keys) == (hash128(LISTED), keys("2", "1"))
    assert (p.etag, p.last_modified) == ("", "")


def test_what_the_program_does_not_give_is_not_told(page):
    p = page(b"[1,2]", "{}").page
    assert (p.items, p.next, p.next_is_url, p.has_more, p.stop) == (-1, "", False, -1, False)
    assert (p.total_pages, p.total_items, p.since, p.keys) == (-1, -1, "", b"")
    assert p.hash == hash128(b"[1,2]")


def test_a_job_that_is_no_page_has_no_verdict(worker, answer):
    assert worker.fetch(answer(LISTED)).page is None
    assert worker.fetch(answer(LISTED), fail_if=".message").page is None


def test_the_program_sees_status_headers_page_and_vars(page):
    o = page(b"[]", "{next: {status, headers: .headers.link, page, vars}}", status="202 Accepted", headers=("Link: <a>", "link: <b>"))
    assert json.loads(o.page.next) == {"status": 202, "headers": "<a>, <b>", "page": 3, "vars": {"repo": "curl/curl"}}


def test_a_page_of_another_handle_is_not_left_behind(worker, answer):
    url = answer(LISTED)
    pages = []
    for program, ctx in ((PROGRAM, context()), ("", ""), ("{items: 5}", context()), ("", context())):
        pages.append(worker.fetch(url, page_program=program, page_context=ctx).page)
    assert [p and (p.items, p.next, p.keys != b"") for p in pages] == [(2, "c2", True), None, (5, "", False), (-1, "", False)]


@pytest.mark.parametrize(
    "said, text",
    [
        ('"c2"', "c2"),
        ('"with \\" and é and a\\nline"', 'with " and é and a\nline'),
        ("17", "17"),
        ("9007199254740992", "9007199254740992"),
        ("-0.5", "-0.5"),
        ('["a",{"z":1,"b":2}]', '["a",{"b":2,"z":1}]'),
        ("null", ""),
        ("false", ""),
        ('""', ""),
    ],
)
def test_a_cursor_is_taken_as_text(page, said, text):
    assert page(b'{"next":' + said.encode() + b"}", "{next: .body.next}").page.next == text


@pytest.mark.parametrize(
    "member, said, error",
    [
        ("next", "true", "page.next: true does not say what is next"),
        ("next", "9007199254740994", "page.next: 9007199254740994 is beyond 2^53 and not exactly what the server sent"),
        ("next", '"a\\u0000b"', 'page.next: "a\\u0000b" has a NUL inside'),
        pytest.param("next", '"' + "x" * 66000 + '"', "page.next: the value has 64.5 KiB, and 64.0 KiB at most can be used", id="long-next"),
        pytest.param("since", '"' + "x" * 5000 + '"', "since.from: the value has 4.9 KiB, and 4.0 KiB at most can be used", id="long-since"),
        ("has_more", '"yes"', 'page.has_more: "yes" is neither true nor false'),
        ("stop", "[]", "page.stop: [] is neither true nor false"),
        ("total_pages", "1.5", "page.total_pages: 1.5 is no count"),
        ("total_items", '"many"', 'page.total_items: "many" is no count'),
        ("total_items", "1e300", "page.total_items: 1e+300 is no count"),
        ("total_items", "[1]", "page.total_items: [1] is no count"),
        ("items", "{}", "items: {} is no count"),
        ("keys", '"a"', 'key: "a" is no list of keys'),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_names_its_expression(page, member, said, error):
    body = '{"it":' + said + "}"
    o = page(body.encode(), "{" + member + ": .body.it}")
    assert (o.cause, o.error, o.page) == ("soft_error", f"{error}; the body begins: {body[:100]}"[:200], None)


@pytest.mark.parametrize(
    "body, said",
    [
        (b'{"data":"%s","message":"The quota is used up"}' % (b"x" * 300), "The quota is used up"),
        (b'{"pad":"%s","next":7,"errors":[{"code":7,"message":"gone\\nfor good"}]}' % (b"x" * 70000), "gone for good"),
        (b'{"error":{"message":"no such user"},"title":"t"}', "no such user"),
        (b'{"message":"","detail":"\xc3\xa9teint"}', "éteint"),
    ],
    ids=["late", "in-a-file", "nested", "empty"],
)
@pytest.mark.parametrize("program, why", [("{next: true}", "page.next: true does not say what is next"), ('{failed: "items", message: "no"}', "items: no")])
def test_what_the_server_says_of_an_error_is_not_hidden_by_what_an_expression_makes_of_it(page, body, said, program, why):
    assert page(body, program).error == f"{why}; the server says: {said}"


@pytest.mark.parametrize("body", [b'{"message":7}', b'{"errors":[]}', b'["message"]', b'"message"', b"7", b'{"error":{"error":{"error":{"error":"deep"}}}}'])
def test_a_body_that_says_nothing_of_an_error_is_shown_as_it_begins(page, body):
    assert page(body, "{next: true}").error == f"page.next: true does not say what is next; the body begins: {body.decode()}"


@pytest.mark.parametrize("said, count", [("0", 0), ("16", 16), ('"1600"', 1600), ("null", -1), ("-1", -1), ("9007199254740992", 1 << 53)])
def test_a_total_is_a_count_or_not_told(page, said, count):
    assert page(b'{"it":' + said.encode() + b"}", "{total_items: .body.it}").page.total_items == count


@pytest.mark.parametrize("said, more", [("true", 1), ("false", 0), ("1", 1), ("0", 0), ("null", -1)])
def test_has_more_is_yes_no_or_not_told(page, said, more):
    assert page(b'{"it":' + said.encode() + b"}", "{has_more: .body.it, stop: .body.it}").page.has_more == more


def test_a_key_is_the_same_however_it_is_written(page):
    p = page(b'[{"b":1,"a":[2]},{"a": [2.0], "b": 1e0},"1",1,null]', "{keys: .body}").page
    assert p.keys == keys('{"a":[2],"b":1}', '{"a":[2],"b":1}', '"1"', "1", "null")


def test_more_keys_than_are_compared_are_an_error(page):
    most = 131072
    assert page(b"{}", "{keys: [range(%d)]}" % most).page.keys[-8:] == keys(str(most - 1))
    o = page(b"{}", "{keys: [range(%d)]}" % (most + 1))
    assert (o.cause, o.error) == ("soft_error", "key: the page has 131073 items, and the keys of 131072 at most are compared; the body begins: {}")


# ---- Errors ----


@pytest.mark.parametrize(
    "body, program, error",
    [
        (b'{"message":"Token not valid!"}', PROGRAM, "Token not valid!"),
        (b"[]", PROGRAM, 'error: Cannot index array with string "message"'),
        (b"{}", "{error: true}", "the recipe's error holds for the response"),
        (b"{}", "{error: {code: 7}}", '{"code":7}'),
        (b"{}", '{failed: "page.next", message: "Cannot index number"}', "page.next: Cannot index number"),
        (b"{}", '{failed: "page.next", message: {a: 1}}', 'page.next: {"a":1}'),
        (b"{}", '{failed: "page.next"}', "page.next: it failed"),
        (b"{}", "error(null)", "the recipe gives nothing"),
        (b"{}", '"x"', 'the recipe\'s program: "x" is not what it was to give'),
        (b"{}", "empty", "the recipe gives nothing"),
        (b"{}", "{items: ", "the recipe does not compile: syntax error, "),
        (b"{}", '{items: 1} | error("no")', "the recipe: no"),
        (b"{}", "halt", "the recipe: halt is not for recipes"),
        (b"", "{}", "the body is not JSON: it is empty"),
    ],
)
def test_an_error_is_told_with_its_text(page, body, program, error):
    o = page(body, program)
    assert (o.cause, o.status, o.page) == ("soft_error", 200, None)
    assert o.error.startswith(error), o.error
    assert o.body == body


def test_a_page_that_is_not_json_is_a_soft_error_that_says_what_it_is(page):
    o = page(b"<html>log in</html>", PROGRAM, headers=("Content-Type: text/html",))
    assert (o.cause, o.body, o.page) == ("soft_error", b"<html>log in</html>", None)
    assert o.error.startswith("the body is not JSON but text/html: ")


def test_fail_if_comes_before_the_page(page):
    o = page(b'{"why":"first","message":"second"}', PROGRAM, fail_if=".why")
    assert (o.cause, o.error, o.page) == ("soft_error", "first", None)
    o = page(b'{"message":"second"}', PROGRAM, fail_if=".why")
    assert (o.cause, o.error, o.page) == ("soft_error", "second", None)
    o = page(LISTED, PROGRAM, fail_if=".why")
    assert (o.cause, o.page.items) == ("response", 2)


def test_a_page_whose_context_is_none_is_refused(page):
    for ctx in ("[]", "{", "3"):
        assert page(b"{}", "{}", page_context=ctx).error == "the page's context is no JSON object"


# ---- Which responses have a verdict ----


@pytest.mark.parametrize("method, status", [("HEAD", "200 OK"), ("DELETE", "204 No Content"), ("GET", "304 Not Modified")])
def test_a_response_without_a_body_by_nature_has_no_verdict(worker, serve, method, status):
    def behave(c):
        while c.request():
            c.say(f"HTTP/1.1 {status}\r\nX-Total-Count: 5\r\n\r\n")

    o = worker.fetch(serve(behave).url, method=method, page_program=PROGRAM, page_context=context())
    assert (o.cause, o.status, o.error, o.page) == ("response", int(status[:3]), "", None)
    assert worker.judging == []


@pytest.mark.parametrize("status", ["301 Moved Permanently", "404 Not Found", "500 Internal Server Error"])
def test_only_a_success_has_a_verdict(worker, page, status):
    o = page(LISTED, PROGRAM, status=status, headers=("Location: /v2",))
    assert (o.cause, o.status, o.page) == ("response", int(status[:3]), None)
    assert worker.judging == []


def test_a_page_that_broke_off_has_no_verdict(worker, say):
    url = say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", LISTED)
    o = worker.fetch(url, page_program=PROGRAM, page_context=context())
    assert (o.cause, o.page) == ("truncated", None) and worker.judging == []


def test_a_page_that_is_cancelled_has_no_verdict(worker, serve):
    server = serve(lambda c: (c.request(), c.wait_for_close()))
    job = worker.job(server.url, page_program=PROGRAM, page_context=context())
    while not server.requests:
        time.sleep(0.001)
    worker.cancel(job)
    o = worker.outcome()
    assert (o.cause, o.page) == ("cancelled", None)


def test_a_url_that_cannot_be_used_has_no_verdict(worker):
    o = worker.fetch("http://[", page_program=PROGRAM, page_context=context())
    assert (o.cause, o.page) == ("url", None)


# ---- Bodies in every form ----


def large(error=b"null"):
    return b'{"result":[' + b",".join(b'{"id":%d,"at":"x"}' % i for i in range(20000)) + b'],"message":' + error + b',"meta":{"next":"n"}}'


def test_a_body_in_a_file_is_read_and_hashed_too(worker, page):
    body = large()
    o = page(body, PROGRAM, job=7 << 32 | 1)
    assert (o.cause, o.body_in_file, o.body) == ("response", True, b"")
    assert (o.page.items, o.page.next, o.page.hash) == (20000, "n", hash128(body))
    assert o.page.keys == keys(*map(str, range(20000)))
    assert (worker.bodies / "7" / "1.1").read_bytes() == body


def test_an_error_in_a_body_in_a_file_keeps_the_body(worker, page):
    o = page(large(b'"late"'), PROGRAM)
    assert (o.cause, o.error, o.body_in_file, o.page) == ("soft_error", "late", True, None)
    assert worker.files() == ["1/1.1"]


@pytest.mark.parametrize("body", [LISTED, large()], ids=("inline", "file"))
def test_the_hash_is_of_the_decoded_body(page, body):
    o = page(gzip.compress(body), PROGRAM, headers=("Content-Encoding: gzip",))
    assert (o.cause, o.size, o.page.hash) == ("response", len(body), hash128(body))


def test_a_body_that_comes_byte_by_byte_has_the_same_hash(worker, serve):
    def behave(c):
        c.request()
        c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for byte in LISTED:
            c.say("1\r\n", bytes([byte]), "\r\n")
        c.say("0\r\n\r\n")

    assert worker.fetch(serve(behave).url, page_program=PROGRAM, page_context=context()).page.hash == hash128(LISTED)


def test_a_page_without_a_program_may_be_anything(page):
    for body in (b"", b"<html>", b"\0\xff" * 50000):
        o = page(body)
        assert (o.cause, o.page.items, o.page.hash) == ("response", -1, hash128(body))


def test_a_body_too_large_to_judge_is_kept_and_says_so(worker, page):
    o = page(b" " * (33 << 20), "{}")
    assert (o.cause, o.error) == ("soft_error", "the body has 33.0 MiB, and a recipe reads 32.0 MiB at most")
    assert worker.files() == ["1/1.1"]
    o = page(b" " * (33 << 20))
    assert (o.cause, o.page.items) == ("response", -1), "where no program reads it, its size is nothing"


# ---- The next page ----

NEXT = "{next: .body.next}"


@pytest.mark.parametrize(
    "said, url",
    [
        ("https://b.example/x?cursor=a%20b", "https://b.example/x?cursor=a%20b"),
        ("?page=4", "{server}/v1/cats?page=4"),
        ("/v2/cats", "{server}/v2/cats"),
        ("dogs?page=4#here", "{server}/v1/dogs?page=4"),
        ("//b.example/x", "http://b.example/x"),
        (" http://b.example/x ", "http://b.example/x"),
        ("", ""),
        (None, ""),
        (False, ""),
    ],
)
def test_a_next_url_is_made_absolute(worker, answer, said, url):
    server = answer(json.dumps({"next": said}).encode())
    p = worker.fetch(server + "/v1/cats?page=3", page_program=NEXT, page_context=context("next_url")).page
    assert (p.next, p.next_is_url) == (url.format(server=server), url != "")


@pytest.mark.parametrize(
    "said, error",
    [
        ("ftp://b.example/", 'page.next leads nowhere: the URL\'s scheme is "ftp", and only http and https are fetched'),
        ("file:///etc/passwd", 'page.next leads nowhere: the URL\'s scheme is "file", and only http and https are fetched'),
        ("http://", "page.next leads nowhere: the URL cannot be used: "),
        ("http://a\nb/", "page.next leads nowhere: the URL cannot be used: "),
        (5, "page.next: 5 is no URL"),
        (["/x"], 'page.next: ["/x"] is no URL'),
    ],
)
def test_a_next_url_that_leads_nowhere_is_an_error(page, said, error):
    o = page(json.dumps({"next": said}).encode(), NEXT, "next_url")
    assert (o.cause, o.page) == ("soft_error", None)
    assert o.error.startswith(error), o.error


def test_a_cursor_that_looks_like_a_url_stays_as_it_is(page):
    p = page(b'{"next":"?page=4"}', NEXT, "cursor").page
    assert (p.next, p.next_is_url) == ("?page=4", False)


@pytest.mark.parametrize("program", ["", "{items: 3}", '{next: "of the body"}'])
def test_link_next_is_the_next_page(worker, answer, program):
    server = answer(b"[]", headers=('Link: <a?x=1,2>; rel="prev", <?page=4>; rel="next last"',))
    p = worker.fetch(server + "/v1/cats?page=3", page_program=program, page_context=context("link")).page
    assert (p.next, p.next_is_url) == (server + "/v1/cats?page=4", True)


@pytest.mark.parametrize("program", ["", '{next: "of the body"}'])
def test_without_a_link_there_is_no_next_page(page, program):
    p = page(b"[]", program, "link", headers=("Link: <?page=2>; rel=prev",)).page
    assert (p.next, p.next_is_url) == ("", False)


def test_a_link_is_for_recipes_that_go_by_links(page):
    assert page(b"[]", "", "cursor", headers=("Link: <?page=4>; rel=next",)).page.next == ""


def test_a_link_that_leads_nowhere_is_an_error(page):
    o = page(b"[]", "", "link", headers=("Link: <ftp://x/>; rel=next",))
    assert (o.cause, o.page) == ("soft_error", None)
    assert o.error == 'Link rel=next leads nowhere: the URL\'s scheme is "ftp", and only http and https are fetched'


# ---- Headers ----


def test_a_next_link_counts_also_behind_more_headers_than_are_kept(page):
    o = page(b"[]", "", "link", headers=["X: " + "v" * 990] * 30 + ["Link: <?page=4>; rel=next", "X-Total-Count: 99"])
    assert "Link" not in o.headers
    assert o.page.next.endswith("/v1/cats?page=4") and o.page.total_items == 99


@pytest.mark.parametrize(
    "headers, pages, items",
    [
        ((), -1, -1),
        (("X-Total-Pages: 16", "x-total-count: 1600"), 16, 1600),
        (("X-Total-Pages: 16", "X-Total-Pages: 16"), 16, -1),
        (("X-Total-Pages: 16", "X-Total-Pages: 17"), -1, -1),
        (("X-Total-Pages: 0", "X-Total-Count: 0"), 0, 0),
        (("X-Total-Pages: -1", "X-Total-Count: 1e3"), -1, -1),
        (("X-Total-Pages: 16 pages", "X-Total-Count: +5"), -1, -1),
        (("X-Total-Pages:", "X-Total-Count: 0x10"), -1, -1),
        (("X-Total-Pages: 1,600", "X-Total-Count: 99999999999999999999"), -1, -1),
        (("X-Total-Count: 9007199254740992",), -1, 1 << 53),
        (("X-Total-Count: 9007199254740993",), -1, -1),
        (("Content-Range: items 0-99/1600",), -1, 1600),
        (("Content-Range: cats 1500-1599/1600",), -1, 1600),
        (("Content-Range: 0-24/3573",), -1, 3573),
        (("Content-Range: items */1600",), -1, 1600),
        (("Content-Range: */0",), -1, 0),
        (("Content-Range: items 0-99/*",), -1, -1),
        (("Content-Range: bytes 0-99/1600",), -1, -1),
        (("Content-Range: Bytes 0-99/1600",), -1, -1),
        (("Content-Range: items 0-1600/1600",), -1, -1),
        (("Content-Range: items 9-2/1600",), -1, -1),
        (("Content-Range: items -/1600",), -1, -1),
        (("Content-Range: items /1600",), -1, -1),
        (("Content-Range: items  0-99/1600",), -1, -1),
        (("Content-Range: 1600",), -1, -1),
        (("Content-Range: items 0-99/1600", "X-Total-Count: 7"), -1, 7),
        (("Content-Range: items 0-99/1600", "X-Total-Count: many"), -1, 1600),
        (("Link: <?page=16>; rel=last",), 16, -1),
        (("Link: <?a=1&page=16&b>; rel=last",), 16, -1),
        (("Link: <https://b.example/?per_page=100&page=16#x>; rel=\"next last\"",), 16, -1),
        (("Link: <?p%61ge=16>; rel=last",), 16, -1),
        (("Link: <?page=16>; rel=last", "X-Total-Pages: 17"), 17, -1),
        (("Link: <?page=16&page=17>; rel=last",), -1, -1),
        (("Link: <?page=>; rel=last",), -1, -1),
        (("Link: <?page>; rel=last",), -1, -1),
        (("Link: <?page=0>; rel=last",), -1, -1),
        (("Link: <?page=1%36>; rel=last",), -1, -1),
        (("Link: <?per_page=16>; rel=last",), -1, -1),
        (("Link: </page=16>; rel=last",), -1, -1),
        (("Link: <?page=16>; rel=next",), -1, -1),
        (("Link: <ftp://x/?page=16>; rel=last",), -1, -1),
    ],
)
def test_totals_are_read_from_headers(page, headers, pages, items):
    p = page(b"[]", "", headers=headers, page_param="page").page
    assert (p.total_pages, p.total_items) == (pages, items)


def test_the_last_pages_number_counts_from_the_first_one(page):
    last = ("Link: <?p%5Bn%5D=16>; rel=last",)
    assert page(b"[]", "", headers=last, page_param="p[n]").page.total_pages == 16
    assert page(b"[]", "", headers=last, page_param="p[n]", page_context=context(start=0)).page.total_pages == 17
    assert page(b"[]", "", headers=last, page_param="p[n]", page_context=context(start=16)).page.total_pages == 1
    assert page(b"[]", "", headers=last, page_param="p[n]", page_context=context(start=17)).page.total_pages == -1
    assert page(b"[]", "", headers=last, page_param="").page.total_pages == -1


def test_the_programs_totals_come_before_those_of_headers(page):
    headers = ("X-Total-Pages: 16", "X-Total-Count: 1600")
    p = page(b"[]", "{total_pages: 2, total_items: null}", headers=headers).page
    assert (p.total_pages, p.total_items) == (2, 1600)


@pytest.mark.parametrize(
    "sent, kept",
    [
        ('"abc"', '"abc"'),
        ('W/"abc"', 'W/"abc"'),
        ("bare", "bare"),
        pytest.param('"' + "x" * 1022 + '"', '"' + "x" * 1022 + '"', id="longest"),
        pytest.param('"' + "x" * 1023 + '"', "", id="too-long"),
        ('"a\tb"', ""),
        ('"a\x7fb"', ""),
        ('"é"', ""),
        ("", ""),
    ],
)
def test_validators_are_kept_where_they_can_be_sent_back(page, sent, kept):
    p = page(b"[]", "", headers=("ETag: " + sent, "Last-Modified: " + sent)).page
    assert (p.etag, p.last_modified) == (kept, kept)


def test_validators_that_contradict_each_other_are_none(page):
    p = page(b"[]", "", headers=('ETag: "a"', 'ETag: "b"', "Last-Modified: now", "Last-Modified: now")).page
    assert (p.etag, p.last_modified) == ("", "now")


@pytest.mark.parametrize("value", ["," * 15000, "<" * 15000, '"' * 15001, "<>;rel=next x," * 1000, "<;" * 7500, '<a>;x="\\' * 1500], ids=range(6))
def test_hostile_links_are_read_to_their_end(page, value):
    o = page(b"[]", "{items: 1}", headers=("Link: " + value,), page_param="page")
    assert (o.cause, o.page.items, o.page.total_pages) == ("response", 1, -1)


# ---- Who is to blame ----


def test_whose_page_is_judged_is_said_right_before_its_outcome(worker, answer):
    url = answer(LISTED)
    jobs = [worker.job(url, fail_if=".message", page_program=PROGRAM, page_context=context()) for _ in range(30)]
    seen = []
    while len(seen) < 60:
        kind = worker.read()
        if kind == JUDGING:
            seen.append(("judging", worker.judging[-1]))
        elif kind == OUTCOME:
            seen.append(("outcome", worker.outcomes[-1].job))
            assert worker.outcomes[-1].page.items == 2
    assert [what for what, _ in seen] == ["judging", "outcome"] * 30, "one word, also where there are two programs"
    assert [job for _, job in seen[::2]] == [job for _, job in seen[1::2]]
    assert {job for _, job in seen} == set(jobs)


def test_a_program_that_never_ends_has_said_whose_it_is(worker, answer):
    url = answer(b"{}")
    good = worker.job(url, page_program="{}", page_context=context())
    assert worker.outcome().job == good
    bad = worker.job(url, page_program="def f: f; f", page_context=context())
    while worker.judging[-1:] != [bad]:
        worker.read()
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.exit_status() == -signal.SIGKILL
    assert worker.judging == [good, bad] and worker.outcomes == []


def test_a_program_that_takes_all_memory_ends_its_worker_and_has_said_whose_it_is(make_worker, answer):
    worker = make_worker(env=malloc_says_no())
    bad = worker.job(answer(b"{}"), page_program="{items: ([range(1e9)] | length)}", page_context=context())
    assert worker.exit_status() == 1
    with pytest.raises(EOFError):
        while True:
            worker.read()
    assert worker.judging == [bad] and worker.outcomes == []


# ---- Chains ----

ITEMS = "{items: (.body.result | length), keys: [.body.result[].id], next: (.body.next // .body.next_cursor)}"


def walk(worker, url, kind, ask=lambda url, p: p.next):
    """Follows a chain of pages to its end: the keys of the items of each page."""
    pages, here = [], str(url)
    while here and len(pages) < 20:
        o = worker.fetch(here, page_program=ITEMS, page_context=context(kind), page_param="page")
        assert o.cause == "response", o
        pages.append(o.page)
        here = o.page.next and ask(str(url), o.page)
    return pages


def ids(pages):
    return b"".join(p.keys for p in pages)


ALL = keys(*map(str, range(1, 36)))
LEGAL = "plain comma headers list unquoted upper params title space escaped gaps semicolon decoys".split()


@pytest.mark.parametrize("link", LEGAL)
def test_a_chain_of_links_is_followed_however_they_are_written(worker, apisim, link):
    pages = walk(worker, apisim.pages("link", "a", items=35, link=link, totals=["link-last"]), "link")
    assert len(pages) == 4 and ids(pages) == ALL
    assert [p.total_pages for p in pages][:3] == [4] * 3
    assert not any(r["page"] == 0 for r in apisim.page_log("a")), "a decoy was followed"


@pytest.mark.parametrize("link", "bad-open bad-bare bad-colon bad-words".split())
def test_a_link_header_that_is_none_is_not_taken_for_the_end(worker, apisim, link):
    o = worker.fetch(str(apisim.pages("link", "a", items=35, link=link)), page_program=ITEMS, page_context=context("link"))
    assert o.cause == "soft_error" and "the Link header cannot be understood: " in o.error, o


def test_a_link_without_a_relation_leads_nowhere(worker, apisim):
    assert len(walk(worker, apisim.pages("link", "a", items=35, link="bad-norel"), "link")) == 1


@pytest.mark.parametrize("style", ["link", "next_url"])
@pytest.mark.parametrize("url", ["absolute", "path", "query", "relative", "scheme"])
def test_a_next_page_is_found_whatever_its_url_is_relative_to(worker, apisim, style, url):
    assert ids(walk(worker, apisim.pages(style, "a", items=35, url=url), style)) == ALL


@pytest.mark.parametrize("form", ["plain", "awkward", "number", "long"])
def test_a_cursor_is_what_the_server_said(worker, apisim, form):
    def ask(url, page):
        return url + "?cursor=" + urllib.parse.quote(page.next, safe="")

    pages = walk(worker, apisim.pages("cursor", "a", items=35, cursor_form=form), "cursor", ask)
    assert ids(pages) == ALL and pages[-1].next == ""


@pytest.mark.parametrize(
    "totals, told",
    [("items", (-1, 35)), ("x-total-count", (-1, 35)), ("content-range", (-1, 35)), ("x-total-pages", (4, -1)), ("link-last", (4, -1))],
)
def test_totals_are_told_wherever_the_server_tells_them(worker, apisim, totals, told):
    pages = apisim.pages("page", "a", items=35, totals=[totals])
    program = "{total_items: .body.total}"
    p = worker.fetch(str(pages), page_program=program, page_context=context(), page_param="page").page
    assert (p.total_pages, p.total_items) == told


@pytest.mark.parametrize("program", ["{items: (env | length)}", "{items: ($ENV | length)}", '{items: (if env.HOME or $ENV.HOME then 1 else 0 end)}'])
def test_a_program_sees_an_empty_environment(page, program):
    o = page(b"{}", program)
    assert (o.cause, o.error, o.page.items) == ("response", "", 0)
