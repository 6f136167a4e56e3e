"""fanoutctl pull and items: what was asked for and is not there is told, not passed over."""

import re

import pytest

from harness.pulls import Raw, pull, write_recipe, write_secret

PAGED = {"type": "page", "param": "page", "total_pages": ".pages"}


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
    r = ctl("pull", "state", "r", "--var", "knid=one", "-f", "json", check=1)
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
    assert ctl("items", "r", "--fields", "nosuch", "-q").err == ""


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
