"""fanoutctl pull check and test: recipes looked through and tried, before anything is pulled."""

import json
import re

import pytest

from harness.pulls import Raw, silent, write_recipe, write_secret


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


def test_a_secret_that_does_not_fit_a_header_is_told_with_its_file(daemon, ctl):
    keys = {"url": "http://127.0.0.1:1/", "secrets": Raw('{ tok = ["127.0.0.1"]; }')}
    write_secret(daemon, "tok", "one\ntwo")
    write_recipe(daemon, "s", headers=["Authorization: Bearer {secret:tok}"], **keys)
    r = ctl("pull", "check", "s", check=2)
    said = f'the secret "tok" has control bytes and cannot go into a header: {daemon.dir}/secrets/tok'
    assert f"secrets.tok: {said}" in r.err and "as one line" in r.err and "no value" not in r.err
    assert said in ctl("pull", "run", "s", check=2).err
    write_recipe(daemon, "s", **{**keys, "url": "http://127.0.0.1:1/?t={secret:tok}"})
    assert ctl("pull", "check", "s").out == "s: ok\n"


def test_a_secret_that_everybody_can_read_is_warned_of(daemon, ctl):
    write_recipe(daemon, "s", url="http://127.0.0.1:1/?t={secret:tok}", secrets=Raw('{ tok = ["127.0.0.1"]; }'))
    write_secret(daemon, "tok", "x")
    path = daemon.dir / "secrets" / "tok"
    assert ctl("pull", "check", "s").err == ""
    path.chmod(0o644)
    r = ctl("pull", "check", "s")
    assert r.out == "s: ok\n" and r.err.endswith(f"s.conf: warning: everybody can read the secret tok: chmod 600 {path}\n")


@pytest.mark.parametrize("method, warned", [("GET", False), ("QUERY", False), ("FETCH", True)])
def test_an_unusual_method_is_warned_of(fanoutctl, scratch, method, warned):
    path = scratch / "t.conf"
    path.write_text(f'url = "http://a.example/";\nmethod = "{method}";\n')
    r = fanoutctl("pull", "check", path)
    assert r.out == f"{path}: ok\n"
    assert (f"{path}: warning: method {method} is unusual" in r.err) == warned == bool(r.err)


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


def test_a_request_is_shown_before_its_secret_is_there(daemon, ctl):
    write_recipe(daemon, "s", url="http://127.0.0.1:1/?t={secret:tok}", secrets=Raw('{ tok = ["127.0.0.1"]; }'))
    assert ctl("pull", "test", "s").lines()[0] == "GET http://127.0.0.1:1/?t={secret:tok}"
    err = ctl("pull", "test", "s", "--live", check=2).err
    assert "does not exist; write its value there as one line, mode 600, " in err and err.endswith("1 mistake\n"), err


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


def test_what_makes_no_sense_together_is_refused(ctl, species):
    assert "exclude each other" in ctl("pull", "test", "species", "--live", "--body", "x", check=2).err
    assert "--headers is for --body" in ctl("pull", "test", "species", "--headers", "x", check=2).err
    assert "exclude each other" in ctl("pull", "run", "species", "--since", "1", "--fresh", check=2).err
    assert "--create-dirs is for -o" in ctl("pull", "run", "species", "--create-dirs", check=2).err
    assert "exclude each other" in ctl("pull", "state", "species", "--set", "1", "--reset", check=2).err
    assert "no table" in ctl("items", "1", "-f", "table", check=2).err
