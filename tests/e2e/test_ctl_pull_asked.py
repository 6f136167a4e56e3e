"""fanoutctl pull and items: what was asked for and is not there is told, not passed over."""

import json
import os
import re
import socket

import pytest

from harness.api import NOBODY, as_user
from harness.process import BUILD, on_terminal
from harness.pulls import PAGED, Raw, pull, setting, write_recipe, write_secret


@pytest.fixture
def kinds(daemon, apisim):
    """A pull with a var, run with two values of it."""
    api = apisim.pages("page", "a", items=20, size=10, totals=["pages"])
    since = {"param": "since", "from": ".updated_at", "initial": "2000-01-01T00:00:00Z"}
    write_recipe(daemon, "r", url=f"{api}?k={{var:kind}}", page=PAGED, items=".result[]", vars=Raw('{ kind = "all"; }'), since=since)
    return [pull(daemon, "r", vars={"kind": kind})[0].number for kind in ("one", "two")]


def test_a_state_of_vars_that_were_never_run_is_an_error(ctl, kinds):
    assert "one" in ctl("pull", "state", "r", "--var", "kind=one").out
    r = ctl("pull", "state", "r", "--var", "kind=three", check=1)
    assert r.out == "" and "nothing is known of r with these vars" in r.err
    r = ctl("pull", "state", "r", "--var", "knid=one", "-f", "json", check=2)
    assert r.out == "" and 'r has no var "knid"' in r.err


def test_a_state_of_a_pull_that_is_not_there_is_an_error(ctl, kinds):
    for form in ("table", "json"):
        r = ctl("pull", "state", "nosuch", "-f", form, check=4)
        assert r.out == "" and 'no pull "nosuch"' in r.err


def test_items_of_a_name_may_be_those_of_some_vars(ctl, kinds):
    one, two = kinds
    assert len(ctl("items", "r", "--var", "kind=one").out.splitlines()) == 20
    assert "has not been run with these vars" in ctl("items", "r", "--var", "kind=three", check=4).err
    assert f"{one} is one run" in ctl("items", str(one), "--var", "kind=one", check=2).err
    ctl("rm", str(two))
    assert "has not been run with these vars" in ctl("items", "r", "--var", "kind=two", check=4).err


def test_a_field_that_no_item_has_is_warned_of_once(ctl, kinds):
    for form in ("ndjson", "csv", "json"):
        r = ctl("items", "r", "--fields", "id,nosuch,owner.name", "-f", form)
        assert r.err == "warning: --fields: no item has nosuch, owner.name\n", r
    assert ctl("items", "r", "--fields", "id").err == ""
    assert ctl("items", "r", "--fields", "nosuch", "-q").err == "warning: --fields: no item has nosuch\n"


def test_a_field_that_is_null_is_there(daemon, ctl, apisim):
    api = apisim.pages("page", "b", items=10, size=10, totals=["pages"])
    write_recipe(daemon, "n", url=str(api), page=PAGED, items=".result[] | {id, gone: null}")
    run, _ = pull(daemon, "n")
    assert ctl("items", str(run.number), "--fields", "gone,id").err == ""


def test_seconds_have_microseconds_at_most(daemon, ctl, kinds):
    texts = [ctl("pull", "show", str(kinds[0]), "-f", "json").out, ctl("pull", "list", "-f", "ndjson").out]
    texts += [str(daemon.api.get(f"/v1/runs/{number}").body, "utf-8") for number in kinds]
    for text in texts:
        found = re.findall(r'"(?:limited_)?seconds":\s*([0-9.e-]+)', text)
        assert found and all(len(n.partition(".")[2]) <= 6 or "e" in n for n in found), text


def test_a_secret_that_everybody_may_read_is_warned_of_once_a_change(daemon, ctl):
    write_recipe(daemon, "s", url="http://127.0.0.1:1/?t={secret:tok}", secrets=Raw('{ tok = ["127.0.0.1"]; }'))
    write_secret(daemon, "tok", "x")
    path = daemon.dir / "secrets" / "tok"
    path.chmod(0o644)
    told = lambda: daemon.log().count("secret can be read by everybody")  # noqa: E731
    for _ in range(5):
        assert daemon.api.get("/v1/pulls").status == 200
    assert told() == 1
    path.chmod(0o604)
    for _ in range(3):
        assert daemon.api.get("/v1/pulls/s").status == 200
    assert told() == 2
    path.chmod(0o600)
    assert daemon.api.get("/v1/pulls").json()["pulls"][0]["secrets"][0]["present"] and told() == 2


# ---- trying ----


def recipe_file(path, **keys):
    path.write_text("".join(setting(k, v) for k, v in keys.items()))
    return path


def test_a_total_of_items_is_told_as_pages(daemon, ctl, apisim, scratch):
    api = apisim.pages("page", "b", items=155, size=10, totals=["items"])
    path = recipe_file(scratch / "mine.conf", url=str(api), page={**PAGED, "total_items": ".total"}, items=".result[]")
    r = ctl("pull", "test", path, "--live")
    assert "total items: 155" in r.lines(), r.out
    assert "by its total: 16 pages, asked for side by side as limits allow" in r.lines()


def test_a_file_that_is_not_installed_is_tested_live(daemon, ctl, apisim, scratch):
    api = apisim.pages("page", "b", items=160, size=10, totals=["pages"])
    path = recipe_file(scratch / "mine.conf", url=str(api), page=PAGED, items=".result[]", key=".id")
    r = ctl("pull", "test", path, "--live")
    assert r.lines()[:2] == ["status: 200", "items: 10"]
    assert "key of the first item: 1" in r.lines() and "key of the last item: 10" in r.lines()
    assert f"asked next: GET {api}?page=2" in r.lines()
    assert daemon.api.get("/v1/runs").json()["runs"] == [] and daemon.api.get("/v1/pulls").json()["pulls"] == []
    path.write_text("url = 5;\nitems = 5;\n")
    r = ctl("pull", "test", path, "--live", check=2)
    assert f"{path}:1: url" in r.err and f"{path}:2: items" in r.err and r.out == ""


def test_a_text_is_run_as_a_test_only(daemon, apisim):
    api = apisim.pages("page", "b", items=10, size=10)
    text = f'url = "{api}";\n'
    assert daemon.api.post("/v1/pulls/x/runs", {"recipe": text}).status == 400
    assert daemon.api.post("/v1/pulls/x/runs", {"recipe": 5, "test": True}).status == 400
    assert daemon.api.post("/v1/pulls/x/runs", {"recipe": "url = 5;", "test": True}).status == 400
    assert daemon.api.post("/v1/pulls/x/runs", {"recipe": text, "test": True}).status == 201


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_a_text_of_another_user_names_no_secrets(make_daemon, apisim):
    daemon = make_daemon(socket_mode="0666")
    daemon.dir.chmod(0o755)
    write_secret(daemon, "tok", "x")
    text = f'url = "{apisim.url}/echo?t={{secret:tok}}"; secrets = {{ tok = ["127.0.0.1"]; }};'
    ask = {"recipe": text, "test": True}
    ((status, problem),) = as_user(daemon, NOBODY, [("POST", "/v1/pulls/x/runs", json.dumps(ask))])
    assert status == 403 and "pulls_dir" in problem["detail"], problem
    assert daemon.api.post("/v1/pulls/x/runs", ask).status == 201


def test_a_live_test_tells_of_a_guard_as_a_run_would(daemon, ctl, apisim):
    api = apisim.pages("next_url", "c", items=30, size=10, next_origin=apisim.host(2))
    write_recipe(daemon, "g", url=str(api), page={"type": "next_url", "next": ".next"}, items=".result[]")
    r = ctl("pull", "test", "g", "--live")
    assert "asked next: nothing, for a run would fail: " in r.out and "another origin" in r.out, r


def test_keys_and_since_of_a_page_are_told(fanoutctl, scratch):
    since = {"from": ".at", "param": "since", "overlap": "1h"}
    path = recipe_file(scratch / "k.conf", url="http://a.example/x", items=".[]", key=".id", since=since)
    items = [{"id": "a", "at": "2026-01-01T08:00:00Z"}, {"at": "2026-01-03T08:00:00Z"}, {"id": ["b", 2], "at": "2026-01-02T08:00:00Z"}]
    (scratch / "body").write_text(json.dumps(items))
    r = fanoutctl("-S", scratch / "none", "pull", "test", path, "--body", scratch / "body")
    told = [line for line in r.lines() if line.startswith(("key", "items", "since"))]
    assert told == [
        "items: 3",
        'key of the first item: "a"',
        'key of the last item: ["b",2]',
        "items without a key: 1",
        "since: 2026-01-03T08:00:00Z",
        "since, less the overlap: 2026-01-03T07:00:00Z",
    ]
    assert "from this page alone" in r.err
    (scratch / "body").write_text("[{}]")
    r = fanoutctl("-S", scratch / "none", "-q", "pull", "test", path, "--body", scratch / "body")
    assert "since: since.from found nothing in the items" in r.lines() and r.err == ""


# ---- the list, and the line of progress ----


def test_a_broken_expression_is_a_problem_in_the_list(daemon, ctl):
    write_recipe(daemon, "fine", url="http://127.0.0.1:1/", items=".a[]")
    write_recipe(daemon, "jq", url="http://127.0.0.1:1/", items=".a[" + " " * 200, key="nosuch(.)")
    write_recipe(daemon, "key", url="http://127.0.0.1:1/", nosuch="x" * 200)
    rows = {row["name"]: row for row in ctl("pull", "list", "-f", "json").json()}
    assert rows["fine"]["problem"] is None
    assert "jq.conf:2: items: " in rows["jq"]["problem"]["detail"] and rows["jq"]["problem"]["line"] == 2
    assert "key.conf:2: unknown key" in rows["key"]["problem"]["detail"]
    out = ctl("pull", "list").out
    assert "line 2: items: " in out and "line 2: unknown key" in out and str(daemon.dir) not in out
    assert re.search(r"^jq .*unsound", out, re.M), out


def test_a_followed_run_has_a_time_left_where_its_total_is_known(daemon, apisim):
    api = apisim.pages("cursor", "d", items=40, size=1, totals=["items"], latency=0.15)
    page = {"type": "cursor", "param": "cursor", "next": ".next_cursor", "total_items": ".total"}
    write_recipe(daemon, "f", url=str(api), page=page, items=".result[]")
    shown, status = on_terminal([BUILD / "fanoutctl", "-S", daemon.socket, "pull", "run", "f", "--wait"], columns=160)
    assert status == 0 and re.search(r"f, run \d+: \d+ pages?, \d+ of 40 items, [0-9.]+/s, \d+ s left", shown), shown[-3000:]


def test_what_is_in_the_way_of_a_recipe_is_told_of_it(daemon, ctl):
    pulls = daemon.dir / "pulls.d"
    (pulls / "empty.conf").write_text("")
    (pulls / "gone.conf").symlink_to(daemon.dir / "nosuch")
    (pulls / "dir.conf").mkdir()
    out = ctl("pull", "list").out
    assert "the file is a link to nothing" in out and "the file is no regular file" in out and "line 1: url is missing" in out
    r = ctl("pull", "check", check=2)
    assert f"{pulls}/empty.conf:1: url is missing" in r.err.splitlines()[1] and "gone.conf is a link to nothing" in r.err, r.err
    assert "pulls_dir" in ctl("pull", "run", "./x.conf", check=2).err


def test_a_client_that_goes_away_amid_the_pages_of_a_run_harms_nobody(daemon, apisim):
    api = apisim.pages("page", "w", items=200, size=1, totals=["pages"])
    write_recipe(daemon, "w", url=f"{api}?pad={'x' * 6000}", page={**PAGED, "window": 10}, items=".result[]")
    run, receipt = pull(daemon, "w")
    assert receipt["complete"], receipt
    for _ in range(5):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(daemon.socket))
            s.sendall(f"GET /v1/runs/{run.number}/pages HTTP/1.1\r\nHost: f\r\n\r\n".encode())
            assert s.recv(100)  # the rest is more than the socket holds
    assert len(run.pages()) == 200
