"""fanoutctl pull and items: recipes looked through, tried and run, and what comes out of them."""

import csv
import gzip
import http.server
import io
import json
import os
import re
import subprocess
import threading

import pytest

from harness.process import BUILD, environment, on_terminal, spawn, wait_until
from harness.pulls import Raw, pull, start, write_recipe, write_secret

PAGED = {"type": "page", "param": "page", "total_pages": ".pages"}


@pytest.fixture
def species(daemon, apisim):
    """16 pages of 10 items, with a total."""
    api = apisim.pages("page", "a", items=160, size=10, totals=["items", "pages"])
    write_recipe(daemon, "species", url=str(api), page=PAGED, items=".result[]", key=".id")
    return api


def broken(daemon, apisim, *pages, items=50, name="holes", max_attempts=2, **options):
    """A pull these pages of which always fail."""
    fail = [f"{page}:*:503" for page in pages or [3]]
    api = apisim.pages("page", name, items=items, size=10, totals=["pages"], fail=fail, **options)
    write_recipe(daemon, name, url=str(api), page=PAGED, items=".result[]", retry={"max_attempts": max_attempts})
    return api


def ids(text):
    return [json.loads(line)["id"] for line in text.splitlines()]


def silent(result):
    assert (result.out, result.err) == ("", ""), result


def files(directory):
    return sorted(p.name for p in directory.iterdir())


# ---- check ----


def test_sound_recipes_are_told_one_by_one(daemon, ctl, species):
    write_recipe(daemon, "cats", url="http://127.0.0.1:1/")
    assert ctl("pull", "check").out == "cats: ok\nspecies: ok\n"
    assert ctl("pull", "check", "species").out == "species: ok\n"
    silent(ctl("pull", "check", "-q"))


def test_where_there_is_no_recipe_that_is_said(ctl):
    r = ctl("pull", "check")
    assert r.out == "" and "no recipes yet: put NAME.conf into " in r.err


def test_a_wrong_key_and_a_wrong_expression_are_told_with_file_and_line(daemon, ctl, species):
    text = 'url = "http://127.0.0.1:1/";\npage = { type = "cursor"; param = "c";\n  next = ".a[";\n};\nitems = ".r[]";\nkey = "nosuch(.)";\n'
    (daemon.dir / "pulls.d" / "jq.conf").write_text(text)
    (daemon.dir / "pulls.d" / "key.conf").write_text('url = "http://127.0.0.1:1/";\nurrl = "x";\n')
    r = ctl("pull", "check", check=2)
    assert r.out == "species: ok\n"
    where = f"{daemon.dir}/pulls.d"
    assert f"{where}/jq.conf:3: page.next: syntax error" in r.err
    assert f"{where}/jq.conf:6: key: nosuch/1 is not defined" in r.err
    assert f'{where}/key.conf:2: unknown key "urrl"' in r.err


def test_all_mistakes_of_a_file_are_told_in_the_order_of_its_lines(fanoutctl, scratch):
    path, other = scratch / "a.conf", scratch / "b.conf"
    path.write_text('ulr = "http://a.example/";\nitems = ".a[";\npage = { type = "pgae";\n  window = 99; };\nkey = "nosuch(.)";\ntimeout = 7000000000;\n')
    other.write_text('url = "ftp://a.example/";\nlimit = { };\n')
    r = fanoutctl("pull", "check", path, other, check=2)
    lines = r.err.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{path}:{n}" for n in (1, 2, 3, 4, 5, 6)] + [str(path)] + [f"{other}:1", f"{other}:2", str(other)]
    for line, word in zip(lines, ('did you mean "url"?', "items: syntax error", 'did you mean "page"?', "page.window = 99", "nosuch/1 is not defined", "has no L")):
        assert word in line, r.err
    assert "6 mistakes; fanout-pulls(5)" in lines[6] and "2 mistakes" in lines[9]


def test_a_syntax_error_ends_the_list_of_a_file_and_not_of_the_next(fanoutctl, scratch):
    path, other = scratch / "a.conf", scratch / "b.conf"
    path.write_text('url = "http://a.example/;\nitems = 5;\n')
    other.write_text("items = 5;\n")
    r = fanoutctl("pull", "check", path, other, check=2)
    assert [line.split(": ")[0] for line in r.err.splitlines()] == [f"{path}:1", str(path), f"{other}:1", f"{other}:1", str(other)], r.err


def test_what_is_no_recipe_is_told_as_what_it_is(fanoutctl, scratch):
    (scratch / "empty.conf").write_text("")
    (scratch / "binary.conf").write_bytes(b"url\0\xff\xfe" * 100)
    (scratch / "huge.conf").write_text("# x\n" * 100_000)
    assert "empty.conf:1: url is missing" in fanoutctl("pull", "check", scratch / "empty.conf", check=2).err
    assert "NUL byte" in fanoutctl("pull", "check", scratch / "binary.conf", check=2).err
    assert "262144 bytes at most" in fanoutctl("pull", "check", scratch / "huge.conf", check=2).err
    assert "is a directory" in fanoutctl("pull", "check", f"{scratch}/", check=2).err


def test_a_missing_secret_is_told(daemon, ctl):
    write_recipe(daemon, "s", url="http://127.0.0.1:1/?t={secret:tok}", secrets=Raw('{ tok = ["127.0.0.1"]; }'))
    r = ctl("pull", "check", "s", check=2)
    assert re.search(r"s\.conf:2: secrets\.tok has no value", r.err)
    write_secret(daemon, "tok", "x")
    assert ctl("pull", "check", "s").out == "s: ok\n"


def test_a_secret_that_may_not_go_there_is_told_without_a_daemon(fanoutctl, scratch):
    path = scratch / "s.conf"
    path.write_text('url = "https://a.example/?t={secret:tok}";\nsecrets = { tok = ["b.example"]; };\n')
    r = fanoutctl("pull", "check", path, check=2)
    assert f"{path}:2: secrets.tok may not go to a.example" in r.err and r.out == ""


def test_a_file_is_checked_without_a_daemon(fanoutctl, scratch):
    path = scratch / "mine.conf"
    path.write_text('url = "http://a.example/";\nitems = ".a[]";\n')
    assert fanoutctl("-S", scratch / "none", "pull", "check", path).out == f"{path}: ok\n"
    assert "cannot read" in fanoutctl("pull", "check", scratch / "other.conf", check=4).err


def test_an_unknown_name_is_told_with_the_closest(ctl, species):
    for verb in (("check",), ("run",), ("test",), ("show",)):
        r = ctl("pull", *verb, "speces", check=4)
        assert 'did you mean "species"?' in r.err, verb
    assert "is no name of a recipe" in ctl("pull", "show", "a b", check=2).err
    assert "did you mean pull show?" in ctl("pull", "shwo", "species", check=2).err


# ---- test ----


def test_the_first_request_is_shown_and_nothing_sent(daemon, ctl, apisim):
    api = apisim.pages("page", "a", items=10)
    write_recipe(
        daemon,
        "r",
        url=f"{api}?k={{var:kind}}&t={{secret:tok}}",
        page={"type": "page", "param": "page", "size": 10, "size_param": "per_page"},
        headers=["X-Token: {secret:tok}"],
        vars=Raw('{ kind = "all"; }'),
        secrets=Raw('{ tok = ["127.0.0.1"]; }'),
        method="POST",
        body=Raw('{ q = "x"; }'),
    )
    write_secret(daemon, "tok", "hunter2")
    r = ctl("pull", "test", "r", "--var", "kind=a b")
    assert r.lines()[0] == f"POST {api}?k=a%20b&t={{secret:tok}}&page=1&per_page=10"
    assert "X-Token: {secret:tok}" in r.lines() and r.lines()[-2:] == ["", '{"q":"x"}']
    assert "hunter2" not in r.out + r.err
    assert apisim.page_log("a") == []
    assert "did you mean kind?" in ctl("pull", "test", "r", "--var", "kid=x", check=2).err
    assert "is not NAME=VALUE" in ctl("pull", "test", "r", "--var", "kind", check=2).err


OFFLINE = """url = "http://a.example/x";
page = { type = "cursor"; param = "cursor"; next = ".meta.next"; has_more = ".more"; total_items = ".total"; };
items = ".result[]"; key = ".id"; since = { from = ".at"; param = "since"; };
error = "select(has(\\"result\\") | not) | .message";
"""


@pytest.fixture
def offline(fanoutctl, scratch):
    """offline(recipe, body, headers=...) → what pull test makes of that answer; no daemon is there."""

    def call(recipe, body, headers=None, check=0):
        (scratch / "t.conf").write_text(recipe)
        (scratch / "body").write_text(body if isinstance(body, str) else json.dumps(body))
        args = []
        if headers is not None:
            (scratch / "head").write_bytes(headers.encode())
            args = ["--headers", scratch / "head"]
        return fanoutctl("-S", scratch / "none", "pull", "test", scratch / "t.conf", "--body", scratch / "body", *args, check=check)

    return call


def test_a_stored_answer_is_told_as_a_worker_takes_it(offline):
    body = {"result": [{"id": 1, "at": "2026-01-02"}, {"id": 2, "at": "2026-01-01"}], "meta": {"next": "c 2"}, "more": True, "total": 20}
    r = offline(OFFLINE, body)
    assert r.lines() == [
        "status: 200",
        "items: 2",
        "first item:",
        "  {",
        '    "id": 1,',
        '    "at": "2026-01-02"',
        "  }",
        "key of the first item: 1",
        "key of the last item: 2",
        "items without a key: 0",
        "next: c 2",
        "has_more: true",
        "total items: 20",
        "since: 2026-01-02",
        "asked next: GET http://a.example/x?cursor=c%202",
    ]


def test_a_soft_error_is_an_error_and_not_an_empty_page(offline):
    r = offline(OFFLINE, {"message": "Token not valid!"}, check=1)
    assert r.lines() == ["status: 200", "error: Token not valid!"]


def test_what_is_no_json_is_an_error(offline):
    assert "error: the body is not JSON" in offline(OFFLINE, "<html>", check=1).out


def test_the_last_page_says_why_nothing_follows(offline):
    assert "asked next: nothing, for there is no next" in offline(OFFLINE, {"result": [], "meta": {"next": None}}).out
    assert "asked next: nothing, for has_more is false" in offline(OFFLINE, {"result": [], "meta": {"next": "x"}, "more": False}).out


def test_a_link_header_is_read_from_a_file_as_curl_writes_it(offline):
    recipe = 'url = "http://a.example/x?page=1";\npage = { type = "link"; };\nitems = ".[]";\n'
    head = 'HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\nHTTP/1.1 200 OK\r\nlink: </x?page=9,8>; rel="last", <?page=2>; rel=next\r\nX-Total-Count: 17\r\n\r\n'
    r = offline(recipe, [1, 2], head)
    assert "next: http://a.example/x?page=2" in r.lines()
    assert "total items: 17" in r.lines()
    assert "asked next: GET http://a.example/x?page=2" in r.lines()
    assert "asked next: nothing, for there is no next" in offline(recipe, [1], "Content-Type: application/json\n").lines()


def test_the_status_is_that_of_the_header(offline):
    r = offline(OFFLINE, {"message": "gone"}, "HTTP/2 503 \r\nretry-after: 1\r\n\r\n", check=1)
    assert r.lines() == ["status: 503", "error: the status is 503"]


def test_headers_are_there_for_expressions(offline):
    recipe = 'url = "http://a.example/x";\nitems = ".[] | [., $headers[\\"x-a\\"], $status]";\n'
    r = offline(recipe, [7], "HTTP/1.1 201 Created\r\nX-A: b\r\n\r\n")
    assert json.loads("".join(r.lines()[3:-1])) == [7, "b", 201]


def test_a_live_test_tells_of_the_page_and_leaves_nothing(daemon, ctl, species):
    r = ctl("pull", "test", "species", "--live")
    assert r.lines()[:3] == ["status: 200", "items: 10", "first item:"]
    assert "total pages: 16" in r.lines()
    assert f"asked next: GET {species}?page=2" in r.lines()
    assert "by its total: 16 pages, asked for side by side as limits allow" in r.lines()
    assert daemon.api.get("/v1/runs").json()["runs"] == []
    assert daemon.api.get("/v1/batches").json()["batches"] == []
    assert daemon.api.get("/v1/pulls/species/state").json()["states"] == []


def test_a_live_test_that_fails_says_why_and_leaves_nothing(daemon, ctl, apisim):
    api = apisim.pages("page", "a", items=10, token="right", token_code=200)
    write_recipe(daemon, "r", url=str(api), items=".result[]", error='select(has("result") | not) | .message')
    r = ctl("pull", "test", "r", "--live", check=1)
    assert "error: Token not valid!" in r.out
    assert daemon.api.get("/v1/runs").json()["runs"] == []


def test_what_makes_no_sense_together_is_refused(ctl, species, scratch):
    assert "exclude each other" in ctl("pull", "test", "species", "--live", "--body", "x", check=2).err
    assert "--headers is for --body" in ctl("pull", "test", "species", "--headers", "x", check=2).err
    assert "exclude each other" in ctl("pull", "run", "species", "--since", "1", "--fresh", check=2).err
    assert "--create-dirs is for -o" in ctl("pull", "run", "species", "--create-dirs", check=2).err
    assert "exclude each other" in ctl("pull", "state", "species", "--set", "1", "--reset", check=2).err
    assert "no table" in ctl("items", "1", "-f", "table", check=2).err


# ---- run ----


def test_the_number_is_printed_and_the_run_goes_on(daemon, ctl, species):
    r = ctl("pull", "run", "species")
    assert re.fullmatch(r"\d+\n", r.out)
    assert ctl("wait", r.out.strip()).code == 0
    assert ctl("pull", "run", "species", "-f", "json").json()["pull"] == "species"


def test_a_complete_run_ends_with_its_receipt(ctl, species):
    r = ctl("pull", "run", "species", "--wait")
    assert re.fullmatch(r"\d+\n", r.out)
    assert re.fullmatch(r"pull species: complete: 16 pages, 160 items \(160 unique\), 16 requests, [\d.]+ (m?s|min.*)\n", r.err)


def test_quiet_is_silent_where_all_is_well(ctl, species):
    silent(ctl("pull", "run", "-q", "species", "--wait"))
    r = ctl("pull", "run", "species", "-p", "--wait")
    assert re.fullmatch(r"\d+\n", r.out) and r.err == ""


def test_the_receipt_is_printed_in_the_form_that_was_asked_for(ctl, species):
    receipt = ctl("pull", "run", "species", "--wait", "-f", "json").json()
    assert (receipt["verdict"], receipt["pages"], receipt["items"]) == ("complete", 16, 160)
    assert ctl("pull", "show", str(receipt["run"]), "-f", "json").json() == receipt
    assert "recipe" not in receipt


def test_an_incomplete_run_says_what_is_missing_why_and_what_to_do(daemon, ctl, apisim):
    broken(daemon, apisim, 3)
    r = ctl("pull", "run", "-q", "holes", "--wait", check=1)
    assert r.out == ""
    lines = r.err.splitlines()
    assert re.match(r"fanoutctl: pull holes: incomplete: 4 of 5 pages, 40 items, \d+ requests", lines[0])
    assert lines[1].startswith("  page 3 ") and "missing" in lines[1]
    assert re.search(r"^  page 3 http://\S+page=3: 503 .*, after 2 attempts$", lines[2])
    number = re.search(r"fanoutctl retry (\d+) fetches what is missing", lines[3])[1]
    assert len(lines) == 4
    apisim.pages("page", "holes", items=50, size=10, totals=["pages"])
    ctl("retry", number)
    ctl("wait", number)
    assert ids(ctl("items", number).out) == list(range(1, 51))


def test_only_the_first_missing_pages_are_told(daemon, ctl, apisim):
    broken(daemon, apisim, 2, 4, 6, 8, 10, items=200, max_attempts=1)
    r = ctl("pull", "run", "-q", "holes", "--wait", check=1)
    assert re.findall(r"^  page (\d+) http\S+: (503|the same)", r.err, re.M) == [("2", "503"), ("4", "the same"), ("6", "the same")]
    assert r.err.count("503 Service Unavailable") == 1
    assert re.search(r"and 2 more: fanoutctl pull show \d+\n", r.err)


def test_a_guard_that_fell_is_told(daemon, ctl, apisim):
    api = apisim.pages("cursor", "a", items=50, size=10, loop="3:1")
    write_recipe(daemon, "r", url=str(api), page={"type": "cursor", "param": "cursor", "next": ".next_cursor"}, items=".result[]")
    r = ctl("pull", "run", "r", "--wait", check=1)
    assert re.search(r"pull r: failed: ", r.err) and re.search(r"fanoutctl results \d+ lists its pages", r.err)


def test_a_recipe_that_is_not_sound_is_told_before_anything_is_sent(daemon, ctl, apisim):
    api = apisim.pages("page", "a", items=10)
    write_recipe(daemon, "r", url=str(api), items=".a[")
    r = ctl("pull", "run", "r", check=2)
    assert re.search(r"r\.conf:\d+: items: syntax error", r.err) and r.out == ""
    assert apisim.page_log("a") == [] and daemon.api.get("/v1/runs").json()["runs"] == []


def test_a_pull_that_is_running_is_skipped_with_a_notice(daemon, ctl, gate):
    write_recipe(daemon, "slow", url=gate.url + "/x", items=".[]")
    first = ctl("pull", "run", "slow", "-p").out
    r = ctl("pull", "run", "slow", "--wait")
    assert r.out == first and f"run {first.strip()} of it has not ended, and no other was started" in r.err
    silent(ctl("pull", "run", "-q", "slow", "--wait"))
    r = ctl("pull", "run", "slow", "--overlap", "queue")
    assert f"begins when run {first.strip()} has ended" in r.err
    ctl("cancel", first.strip(), r.out.strip())


def test_a_cancelled_run_has_a_status_of_its_own(daemon, ctl, gate):
    write_recipe(daemon, "slow", url=gate.url + "/x", items=".[]")
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "pull", "run", "slow", "--wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    number = child.stdout.readline().decode().strip()
    ctl("cancel", number)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 7, err
    assert b"pull slow: cancelled" in err and f"fanoutctl retry {number}".encode() in err


def test_vars_make_pulls_of_their_own(daemon, ctl, apisim):
    api = apisim.pages("page", "a", items=20, size=10, totals=["pages"])
    write_recipe(daemon, "r", url=f"{api}?k={{var:kind}}", page=PAGED, items=".result[]", vars=Raw('{ kind = "all"; }'))
    ctl("pull", "run", "r", "--wait", "--var", "kind=x=y")
    assert all("k=x%3Dy" in row["target"] for row in apisim.page_log("a"))
    assert ctl("pull", "run", "r", "--var", "nosuch=1", check=2).out == ""
    assert "comes twice" in ctl("pull", "run", "r", "--var", "kind=a", "--var", "kind=b", check=2).err


def test_at_most_so_many_pages(ctl, apisim, species):
    r = ctl("pull", "run", "species", "--wait", "--max-pages", "3")
    assert len(apisim.page_log("a")) == 3, r
    assert re.match(r"pull species: partial: 3 of 16 pages, 30 items", r.err), r.err
    assert "ended after 3 pages, as asked for (--max-pages); the next run begins where this one did" in r.err
    silent(ctl("pull", "run", "-q", "species", "--wait", "--max-pages", "3"))
    assert re.search(r"^ended by +max_pages \(asked for\)$", ctl("pull", "show", r.out.strip()).out, re.M)


def test_items_of_a_part_are_there(ctl, apisim, species, scratch):
    number = ctl("pull", "run", "-q", "-p", "species", "--wait", "--max-pages", "3").out.strip()
    r = ctl("items", number)
    assert len(r.out.splitlines()) == 30 and f"run {number} is partial" in r.err
    ctl("items", number, "-q", "-o", scratch / "part.ndjson")
    assert len((scratch / "part.ndjson").read_text().splitlines()) == 30


def test_a_wait_survives_a_restart_of_the_daemon(daemon, ctl, apisim):
    api = apisim.pages("cursor", "a", items=40, size=1, latency=0.05)
    write_recipe(daemon, "r", url=str(api), page={"type": "cursor", "param": "cursor", "next": ".next_cursor"}, items=".result[]")
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "pull", "run", "r", "--wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.readline()
    wait_until(lambda: len(apisim.page_log("a")) > 3, 30, "some pages are asked for")
    daemon.kill()
    daemon.start()
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    assert b"pull r: complete: 40 pages, 40 items" in err


def test_an_interrupted_wait_leaves_the_run_alone(daemon, ctl, gate):
    write_recipe(daemon, "slow", url=gate.url + "/x", items=".[]")
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "pull", "run", "slow", "--wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    number = child.stdout.readline().decode().strip()
    child.terminate()
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130 and f"batch {number} goes on".encode() in err
    assert daemon.api.get(f"/v1/runs/{number}").json()["state"] == "running"
    ctl("cancel", number)


def test_a_terminal_shows_how_far_it_is_and_which_limit_holds_it(daemon, ctl, apisim):
    api = apisim.pages("page", "a", items=60, size=10, totals=["pages"])
    write_recipe(daemon, "r", url=str(api), page=PAGED, items=".result[]", limit={"rate": "3/3s"})
    shown, status = on_terminal([BUILD / "fanoutctl", "-S", daemon.socket, "pull", "run", "r", "--wait"], columns=200)
    assert status == 0
    assert re.search(r"r, run \d+: \d of 6 pages, \d+ items", shown)
    assert re.search(r"rate", shown)
    assert re.search(r"pull r: complete: 6 pages, 60 items, 6 requests, .*, waited .* for limits", shown)


# ---- list, show, state ----


def test_the_list_tells_how_each_ended(daemon, ctl, species, apisim):
    broken(daemon, apisim)
    write_recipe(daemon, "new", url="http://127.0.0.1:1/")
    (daemon.dir / "pulls.d" / "bad.conf").write_text("url = 3;\n")
    ctl("pull", "run", "species", "--wait")
    ctl("pull", "run", "holes", "--wait", check=1)
    table = {line.split()[0]: line for line in ctl("pull", "list").lines()}
    assert list(table) == ["NAME", "bad", "holes", "new", "species"]
    assert "unsound" in table["bad"] and "line 1: url has to be" in table["bad"]
    assert "incomplete" in table["holes"] and re.search("page 3 .*is missing", table["holes"])
    assert table["new"].split()[1:] == ["single", "never"]
    assert "complete" in table["species"] and "160" in table["species"]
    rows = {row["name"]: row for row in ctl("pull", "list", "-f", "ndjson").rows()}
    assert rows["species"]["last_run"]["items"] == 160 and rows["bad"]["problem"]["line"] == 1
    assert ctl("pull", "-f", "json").json() == ctl("pull", "list", "-f", "json").json()
    cells = {row["name"]: row for row in csv.DictReader(io.StringIO(ctl("pull", "list", "-f", "csv").out))}
    assert cells["holes"]["verdict"] == "incomplete"


def test_a_pull_is_shown_with_its_states_and_runs(daemon, ctl, apisim):
    api = apisim.pages("page", "a", items=20, size=10, totals=["pages"], since_param="since")
    write_secret(daemon, "tok", "hunter2")
    write_recipe(
        daemon,
        "r",
        url=f"{api}?t={{secret:tok}}",
        page=PAGED,
        items=".result[]",
        vars=Raw('{ kind = "all"; }'),
        secrets=Raw('{ tok = ["127.0.0.1"]; }'),
        since={"from": ".updated_at", "param": "since"},
    )
    ctl("pull", "run", "r", "--wait")
    ctl("pull", "run", "r", "--wait", "--fresh")
    r = ctl("pull", "show", "r")
    assert re.search(r"^type +page$", r.out, re.M) and re.search(r"^secrets +tok for 127\.0\.0\.1$", r.out, re.M)
    assert "2026-01-01T00:20:00Z" in r.out and "kind=all" in r.out and "hunter2" not in r.out
    assert len(re.findall(r"^ *\d+  complete", r.out, re.M)) == 2
    shown = ctl("pull", "show", "r", "-f", "json").json()
    assert [run["verdict"] for run in shown["runs"]] == ["complete", "complete"]
    assert len(ctl("pull", "show", "r", "--limit", "1", "-f", "ndjson").rows()) == 1


def test_a_run_is_shown_with_the_pages_that_failed(daemon, ctl, apisim):
    broken(daemon, apisim)
    ctl("pull", "run", "holes", "--wait", check=1)
    r = ctl("pull", "show", "last")
    assert re.search(r"^state +incomplete$", r.out, re.M)
    assert re.search(r"^pages +4 of 5$", r.out, re.M)
    assert re.search(r"^missing +page 3$", r.out, re.M)
    assert re.search(r"^ *3  failed +503 ", r.out, re.M)
    assert ctl("pull", "show", "-1").out == r.out
    assert "there is no run 999" in ctl("pull", "show", "999", check=4).err


def test_the_state_is_shown_set_and_forgotten(daemon, ctl, apisim):
    api = apisim.pages("page", "a", items=30, size=10, totals=["pages"], since_param="since")
    write_recipe(daemon, "r", url=str(api), page=PAGED, items=".result[]", since={"from": ".updated_at", "param": "since"})
    assert "nothing is known" in ctl("pull", "state", "r").err
    assert 'did you mean "r"?' in ctl("pull", "state", "rr", check=4).err
    ctl("pull", "run", "r", "--wait")
    assert ctl("pull", "state", "r", "-f", "ndjson").rows()[0]["since"] == "2026-01-01T00:30:00Z"
    assert "begins at 2026-01-01T00:25:00Z" in ctl("pull", "state", "r", "--set", "2026-01-01T00:25:00Z").err
    ctl("pull", "run", "r", "--wait")
    assert ids(ctl("items", "r").out) == list(range(25, 31))
    assert "fetches everything" in ctl("pull", "state", "r", "--reset").err
    ctl("pull", "run", "r", "--wait")
    assert ids(ctl("items", "r").out) == list(range(1, 31))


# ---- items ----


@pytest.fixture
def done(daemon, ctl, species):
    """The number of a complete run of species."""
    run, receipt = pull(daemon, "species")
    assert receipt["complete"], receipt
    return str(run.number)


def test_items_come_in_page_order_one_a_line(ctl, done):
    assert ids(ctl("items", done).out) == list(range(1, 161))
    assert ctl("items", "species").out == ctl("items", "last").out == ctl("items", done, "-f", "ndjson").out


def test_items_are_one_array_as_json(ctl, done):
    assert [item["id"] for item in ctl("items", done, "-f", "json").json()] == list(range(1, 161))


def test_an_expression_makes_of_items_what_it_says(ctl, done):
    assert ctl("items", done, "--jq", "select(.id > 158) | .id, .name").out == '159\n"item 159"\n160\n"item 160"\n'
    assert ctl("items", done, "-f", "json", "--jq", "empty").json() == []
    assert "--jq" in ctl("items", done, "--jq", ".a[", check=2).err
    assert "page 1: --jq: " in ctl("items", done, "--jq", ".id.x", check=1).err


def test_csv_has_the_members_of_the_first_page(ctl, done):
    rows = list(csv.DictReader(io.StringIO(ctl("items", done, "-f", "csv").out)))
    assert list(rows[0]) == ["id", "name", "updated_at", "changed"]
    assert [row["id"] for row in rows] == [str(i) for i in range(1, 161)]
    assert ctl("items", done, "-f", "csv", "--fields", "name,id,no.such").out.splitlines()[:2] == ["name,id,no.such", "item 1,1,"]
    assert ctl("items", done, "--fields", "id").rows()[0] == {"id": 1}
    assert ctl("items", done, "-f", "csv", "--jq", ".id").out.splitlines()[:2] == ["value", "1"]


def played_pages(daemon, *bodies, **keys):
    """The number of a complete run whose pages had these bodies."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            page = int(re.search(r"page=(\d+)", self.path)[1])
            body = (bodies[page - 1] if page <= len(bodies) else "[]").encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Page", str(page))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        write_recipe(daemon, "p", url=f"http://127.0.0.1:{server.server_port}/x", **{"page": {"type": "page", "param": "page"}, "items": ".[]", **keys})
        run, receipt = pull(daemon, "p")
        assert receipt["complete"], receipt
    finally:
        server.shutdown()
        server.server_close()
    return str(run.number)


def test_members_that_come_later_are_noted_once(daemon, ctl):
    number = played_pages(daemon, '[{"a":1},{"b":{"c":[1,2]},"a":null}]', '[{"a":2,"new":3}]', '[{"a":4,"newer":5}]')
    r = ctl("items", number, "-f", "csv")
    assert r.out.replace("\r", "") == 'a,b\n1,\n,"{""c"":[1,2]}"\n2,\n4,\n'
    assert r.err.count("left out") == 1 and "page 2" in r.err and "(new)" in r.err


def test_each_item_comes_once_where_that_is_wanted(daemon, ctl):
    bodies = ('[{"id":1,"v":1},{"id":2}]', '[{"v":2,"id":1},{"id":3}]', '[{"id":3}]')
    number = played_pages(daemon, *bodies, key=".id")
    assert ctl("items", number, "--unique").out == '{"id":1,"v":1}\n{"id":2}\n{"id":3}\n'
    assert len(ctl("items", number).rows()) == 5
    number = played_pages(daemon, *bodies)
    assert ctl("items", number, "--unique").out == '{"id":1,"v":1}\n{"id":2}\n{"v":2,"id":1}\n{"id":3}\n'


def test_a_number_that_does_not_fit_is_told_once(daemon, ctl):
    number = played_pages(daemon, "[1,2]", "[9007199254740993]", "[9007199254740995]")
    r = ctl("items", number)
    assert r.err.count("warning") == 1 and "page 2" in r.err and "9007199254740993" in r.err
    assert ctl("items", number, "-q").err == ""


def test_headers_of_the_answer_are_there_for_items(daemon, ctl):
    number = played_pages(daemon, "[1]", "[2]", items='.[] | {i: ., p: $headers["x-page"], n: $page, s: $status}')
    assert ctl("items", number).rows() == [{"i": 1, "p": "1", "n": 1, "s": 200}, {"i": 2, "p": "2", "n": 2, "s": 200}]


def test_missing_pages_are_told_and_the_rest_is_given(daemon, ctl, apisim):
    broken(daemon, apisim, 2, 4)
    run, _ = pull(daemon, "holes")
    r = ctl("items", str(run.number), check=1)
    assert ids(r.out) == [*range(1, 11), *range(21, 31), *range(41, 51)]
    assert re.findall(r"fanoutctl: page (\d) is missing: 503", r.err) == ["2", "4"]
    assert f"run {run.number} is incomplete" in r.err


def test_a_page_that_failed_behind_the_end_is_not_missing(daemon, ctl, apisim):
    api = apisim.pages("page", "a", items=30, size=10, end="500", has_more=True)
    page = {"type": "page", "param": "page", "window": 4, "has_more": ".has_more"}
    write_recipe(daemon, "r", url=str(api), page=page, items=".result[]", retry={"max_attempts": 1})
    run, receipt = pull(daemon, "r")
    assert receipt["complete"] and "failed" in [row["state"] for row in run.pages()], receipt
    r = ctl("items", str(run.number))
    assert (ids(r.out), r.err) == (list(range(1, 31)), "")


def test_a_body_that_is_no_json_is_an_error_that_names_the_page(daemon, ctl, apisim):
    write_recipe(daemon, "r", url=apisim.url + "/bytes/20")  # where nothing is asked of a page, its body is not looked at
    run, receipt = pull(daemon, "r")
    assert receipt["complete"], receipt
    r = ctl("items", "r", check=1)
    assert r.out == "" and f"page 1: its body ({run.number}.1) is no JSON" in r.err


def test_a_run_that_has_not_ended_is_told_unless_it_is_followed(daemon, ctl, apisim, gate):
    write_recipe(daemon, "slow", url=gate.url + "/x", items=".[]")
    run = start(daemon, "slow")
    r = ctl("items", str(run.number), check=1)
    assert r.out == "" and "has not ended: page 1 is not there yet" in r.err and "--follow" in r.err
    ctl("cancel", str(run.number))


def test_items_are_followed_until_the_run_has_ended(daemon, ctl, apisim):
    api = apisim.pages("cursor", "a", items=30, size=3, latency=0.1)
    write_recipe(daemon, "r", url=str(api), page={"type": "cursor", "param": "cursor", "next": ".next_cursor"}, items=".result[]")
    run = start(daemon, "r")
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "items", str(run.number), "--follow"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = json.loads(child.stdout.readline())
    assert first["id"] == 1
    assert run.get()["state"] == "running"
    assert ids(child.stdout.read().decode()) == list(range(2, 31))
    assert (child.stderr.read(), child.wait(60)) == (b"", 0)
    assert run.get()["state"] == "ended"


def test_items_are_followed_across_a_restart(daemon, ctl, apisim):
    api = apisim.pages("cursor", "a", items=40, size=1, latency=0.05)
    write_recipe(daemon, "r", url=str(api), page={"type": "cursor", "param": "cursor", "next": ".next_cursor"}, items=".result[]")
    run = start(daemon, "r")
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "items", str(run.number), "--follow"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.readline()
    daemon.kill()
    daemon.start()
    assert ids(child.stdout.read().decode()) == list(range(2, 41))
    assert (child.stderr.read(), child.wait(60)) == (b"", 0)


@pytest.mark.parametrize("suffix, unpack", [("", bytes), (".gz", gzip.decompress), (".zst", None)])
def test_a_file_is_written_as_its_name_says(ctl, done, scratch, suffix, unpack):
    path = scratch / f"out.ndjson{suffix}"
    r = ctl("items", done, "-o", path)
    assert r.out == "" and f"160 items written to {path}" in r.err
    data = path.read_bytes()
    if unpack is None:
        assert data[:4] == bytes.fromhex("28b52ffd")
        unpack = lambda packed: subprocess.run(["zstd", "-dc"], input=packed, capture_output=True, check=True).stdout  # noqa: E731
    try:
        assert ids(unpack(data).decode()) == list(range(1, 161))
    except FileNotFoundError:
        pytest.skip("there is no zstd here to unpack it with")


def test_a_name_has_date_pull_and_run_and_directories_are_made(ctl, done, scratch):
    ctl("items", done, "-o", f"{scratch}/out/{{name}}/{{run}}-{{date}}.csv", "--create-dirs", "-f", "csv", "-q")
    (path,) = (scratch / "out" / "species").iterdir()
    assert re.fullmatch(rf"{done}-\d\d\d\d-\d\d-\d\d\.csv", path.name)
    assert len(path.read_text().splitlines()) == 161
    assert "did you mean {date}?" in ctl("items", done, "-o", f"{scratch}/{{dat}}", check=2).err
    assert "make its directory first" in ctl("items", done, "-o", f"{scratch}/none/x", check=1).err
    assert "--create-dirs is for -o" in ctl("items", done, "--create-dirs", check=2).err


def test_a_file_of_an_incomplete_run_is_not_there(daemon, ctl, apisim, scratch):
    broken(daemon, apisim)
    (scratch / "out").write_text("old")
    r = ctl("pull", "run", "holes", "-o", scratch / "out", check=1)
    assert re.search("page 3 .*is missing", r.err)
    assert (scratch / "out").read_text() == "old" and files(scratch) == ["out"]
    r = ctl("items", "last", "-o", scratch / "new", check=1)
    assert re.search(r"is incomplete \(page 3 .*is missing", r.err) and "was not written" in r.err
    assert files(scratch) == ["out"]


def test_a_followed_run_that_is_cut_off_leaves_no_file(daemon, ctl, apisim, scratch):
    broken(daemon, apisim, 5, latency=0.1)
    run = start(daemon, "holes")
    r = ctl("items", str(run.number), "--follow", "-o", scratch / "new", check=1)
    assert "was not written" in r.err
    assert files(scratch) == []


def test_a_run_and_its_file_in_one_go_is_silent_under_cron(ctl, species, scratch):
    silent(ctl("pull", "run", "-q", "species", "-o", f"{scratch}/{{name}}.ndjson"))
    assert ids((scratch / "species.ndjson").read_text()) == list(range(1, 161))
    r = ctl("pull", "run", "species", "--fresh", "-o", f"{scratch}/species.json", "-f", "json")
    assert "pull species: complete" in r.err and "160 items written" in r.err
    assert len(json.loads((scratch / "species.json").read_text())) == 160


def test_a_place_that_cannot_be_written_is_told_before_anything_is_sent(daemon, ctl, species, scratch):
    assert "make its directory first" in ctl("pull", "run", "species", "-o", scratch / "none" / "x", check=1).err
    assert daemon.api.get("/v1/runs").json()["runs"] == []


def test_a_reader_that_has_gone_away_ends_it(daemon, ctl, apisim):
    api = apisim.pages("page", "a", items=20000, size=2000, size_max=2000, item_size=180, totals=["pages"])
    write_recipe(daemon, "r", url=str(api), page={**PAGED, "size": 2000, "size_param": "per_page"}, items=".result[]")
    run, receipt = pull(daemon, "r")
    assert receipt["complete"], receipt
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "items", str(run.number)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.readline()
    child.stdout.close()
    assert child.stderr.read() == b""
    child.wait(60)


def test_large_pages_take_little_memory(daemon, ctl, apisim):
    """Twelve pages of 1.8 MB: two are in memory at a time, and jq takes some ten times a page."""
    api = apisim.pages("page", "a", items=120000, size=10000, size_max=10000, item_size=180, totals=["items"])
    write_recipe(daemon, "big", url=str(api), page={"type": "page", "param": "page", "size": 10000, "size_param": "per_page", "total_items": ".total"}, items=".result[]")
    run, receipt = pull(daemon, "big")
    assert receipt["complete"], receipt
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "items", str(run.number)], stdout=subprocess.PIPE)
    lines = sum(1 for _ in child.stdout)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    assert (lines, status) == (120000, 0)
    if not os.environ.get("ASAN_OPTIONS") and "asan" not in str(BUILD):
        assert usage.ru_maxrss < 96 * 1024, usage.ru_maxrss
