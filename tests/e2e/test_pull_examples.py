"""What is shipped to begin with: the recipes of etc/pulls.d against APIs as they describe them, and the lines of etc/cron.d."""

import re
import shlex

import pytest

from harness.daemon import run
from harness.process import BUILD, ROOT, memory_kib, sanitized
from harness.pulls import pull, start, write_recipe, write_secret

SECRET = "s3cret-value"


def ship(daemon, name, api, host, **values):
    """The recipe NAME of etc/pulls.d, with the simulator in place of the host that it was written for, and as little else as possible."""
    text = (ROOT / f"etc/pulls.d/{name}.conf").read_text()
    assert text.count(host) >= 2  # where it leads, and where its secret may go
    text = text.replace(f"https://{host}/", api.url + "/").replace(f'"{host}"', '"127.0.0.1"')
    for old, new in values.items():
        assert f"{old} = " in text
        text = re.sub(rf"\b{old} = [^;]*;", f"{old} = {new};", text, count=1)
    (daemon.dir / "pulls.d" / f"{name}.conf").write_text(text)


def items(ctl, run):
    """The ids of a run's items as a user gets them; the second is for whoever calls them taxonid."""
    return [item.get("id", item.get("taxonid")) for item in ctl("items", run.number).rows()]


def assert_complete(receipt, pages, count):
    assert receipt["verdict"] == "complete" and receipt["error"] is None, receipt
    assert (receipt["pages"], receipt["items"], receipt["unique"], receipt["duplicates"]) == (pages, count, count, 0)
    assert receipt["gaps"] == []


def assert_secret_is_nowhere(daemon):
    """But in its own file: not in the database, its log, or what was said."""
    assert SECRET not in daemon.log()
    for path in daemon.state.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


# ---- numbers in the path, a token in the query ----


@pytest.mark.parametrize("end", ["404", "soft"])
def test_species_end_with_404_or_with_a_message(daemon, ctl, apisim, end):
    limit = apisim.limit("l", kind="sliding", n=100, window=60)
    options = {"in_": "path", "id_member": "taxonid", "token": SECRET, "token_in": "query", "token_code": 200}
    api = apisim.pages("page", "species", path="", items=95, size=10, end=end, limit="l", fail="3:1", **options)
    ship(daemon, "species", api, "species.example.org")
    write_secret(daemon, "species", SECRET)
    run, receipt = pull(daemon, "species")
    assert_complete(receipt, 10, 95)
    assert items(ctl, run) == list(range(1, 96))
    assert receipt["stop_reason"] == {"404": "status", "soft": "stop"}[end] and receipt["retries"] >= 1
    assert api.stats()["peak"] <= 4 and limit.stats()["refused"] == 0
    assert_secret_is_nowhere(daemon)


def test_species_with_a_wrong_token_are_an_error_and_not_none(daemon, apisim):
    api = apisim.pages("page", "species", path="", items=95, in_="path", token="another", token_in="query", token_code=200)
    ship(daemon, "species", api, "species.example.org")
    write_secret(daemon, "species", SECRET)
    _, receipt = pull(daemon, "species")
    assert receipt["verdict"] == "failed" and "Token not valid!" in receipt["error"], receipt


def test_species_stay_within_their_limit(daemon, ctl, apisim):
    """100 a minute would take one; the rate is the only thing that is not as in the example."""
    limit = apisim.limit("l", kind="sliding", n=20, window=1, jitter_in="uniform:0:0.05", jitter_out="uniform:0:0.05")
    api = apisim.pages("page", "species", path="", items=400, in_="path", id_member="taxonid", end=404, token=SECRET, limit="l")
    ship(daemon, "species", api, "species.example.org", rate='"20/1s"')
    write_secret(daemon, "species", SECRET)
    run, receipt = pull(daemon, "species")
    assert_complete(receipt, 40, 400)
    assert items(ctl, run) == list(range(1, 401))
    assert limit.stats()["refused"] == 0 and limit.stats()["worst"] <= 20
    assert ctl("audit", "--rate", "20/1s", limit.key, "-f", "ndjson").rows()[0]["verdict"] == "kept"


# ---- Link headers, a bearer token, since ----


def issues(apisim, **options):
    options = {"items_member": "-", "token": SECRET, "token_in": "bearer", "conditional": "etag", "size_max": 1000, **options}
    return apisim.pages("link", "issues", path="", items=250, link="comma", **options)


def test_issues_are_followed_and_then_only_what_is_new(daemon, ctl, apisim):
    api = issues(apisim, fail="2:1:502")
    ship(daemon, "issues", api, "code.example.org")
    write_secret(daemon, "code", SECRET)
    run, receipt = pull(daemon, "issues")
    assert_complete(receipt, 3, 250)
    assert items(ctl, run) == list(range(1, 251))
    to = "2026-01-01T04:10:00Z"
    assert receipt["since"] == {"from": "2026-01-01T00:00:00Z", "to": to, "kept": False, "seen": to, "from_state": False}
    assert api.stats()["peak"] == 1
    assert "/repos/curl/curl/issues?state=all&per_page=100" in api.log()[0]["target"]

    api.set(items=260)
    run, receipt = pull(daemon, "issues")
    assert receipt["since"]["from"] == "2026-01-01T04:05:00Z" and receipt["verdict"] == "complete"
    assert items(ctl, run) == list(range(245, 261))  # five minutes of overlap, one item a minute
    assert_secret_is_nowhere(daemon)


def test_issues_of_another_project_have_a_state_of_their_own(daemon, ctl, apisim):
    api = issues(apisim)
    ship(daemon, "issues", api, "code.example.org")
    write_secret(daemon, "code", SECRET)
    for project in ("curl/curl", "curl/trurl"):
        _, receipt = pull(daemon, "issues", vars={"repo": project})
        assert_complete(receipt, 3, 250)
    assert "/repos/curl/trurl/issues?" in api.log()[-1]["target"]
    states = ctl("pull", "state", "issues", "-f", "json").json()
    assert [state["vars"]["repo"] for state in states] == ["curl/curl", "curl/trurl"]
    assert {state["since"] for state in states} == {"2026-01-01T04:10:00Z"}


# ---- a search by POST, with a cursor in the body ----


def test_orders_are_asked_for_by_cursor_in_the_body(daemon, ctl, apisim):
    options = {"in_": "json", "param": "paging.cursor", "size_param": "paging.size", "cursor_form": "awkward", "size_max": 1000}
    told = {"totals": "items", "has_more": True, "token": SECRET, "token_in": "header"}
    api = apisim.pages("cursor", "orders", path="", items=1234, fail="5:2", **options, **told)
    ship(daemon, "orders", api, "shop.example.org")
    write_secret(daemon, "shop", SECRET)
    run, receipt = pull(daemon, "orders")
    assert_complete(receipt, 13, 1234)
    assert items(ctl, run) == list(range(1, 1235))
    assert receipt["expected"]["items"] == 1234 and api.by_page()[5] == [503, 503, 200]
    assert_secret_is_nowhere(daemon)


def test_orders_of_which_one_is_not_told_are_incomplete(daemon, apisim):
    options = {"in_": "json", "param": "paging.cursor", "size_param": "paging.size", "totals": "items", "tell_items": 51}
    api = apisim.pages("cursor", "orders", path="", items=50, has_more=True, token=SECRET, token_in="header", **options)
    ship(daemon, "orders", api, "shop.example.org")
    write_secret(daemon, "shop", SECRET)
    _, receipt = pull(daemon, "orders")
    assert receipt["verdict"] == "incomplete" and "51" in receipt["error"], receipt


def test_every_example_is_sound_as_it_is_shipped(fanoutctl):
    names = sorted((ROOT / "etc/pulls.d").glob("*.conf"))
    assert len(names) == 3
    fanoutctl("pull", "check", *names)


# ---- cron ----


def cron_lines():
    """The commands of the examples: what is behind the five times and the user."""
    text = (ROOT / "etc/cron.d/fanout").read_text()
    found = re.findall(r"^#(?:[\d*/,-]+\s+){5}(\w+)\s+(.+)$", text, re.M)
    assert len(found) == 2 and {user for user, _ in found} == {"fanout"}
    assert not any("%" in command for _, command in found)  # a line break to cron
    return [command for _, command in found]


def as_cron(daemon, number, check=0, **replace):
    """Runs the NUMBERth command as cron does, with even less of an environment."""
    command = cron_lines()[number].replace("/usr/bin/fanoutctl", f"{shlex.quote(str(BUILD / 'fanoutctl'))} -S {daemon.socket}")
    for old, new in replace.items():
        assert old in command
        command = command.replace(old, str(new))
    return run(["env", "-i", "/bin/sh", "-c", command], env={}, cwd="/", check=check)


def numbered(daemon, api, name="p"):
    page = {"type": "page", "param": "page", "total_items": ".total"}
    write_recipe(daemon, name, url=str(api), page=page, items=".result[]", key=".id", retry={"max_attempts": 1})


def test_cron_says_nothing_when_all_is_well(daemon, apisim):
    numbered(daemon, apisim.pages("page", "a", items=50, totals="items"))
    for _ in range(2):
        done = as_cron(daemon, 0, NAME="p")
        assert (done.out, done.err) == ("", "")
    runs = daemon.api.get("/v1/pulls/p/runs").json()["runs"]
    assert [r["verdict"] for r in runs] == ["complete", "complete"]


def test_cron_writes_the_items_when_they_are_all_there(daemon, apisim, scratch):
    numbered(daemon, apisim.pages("page", "a", items=50, totals="items"))
    command = cron_lines()[1]
    assert "/srv/data/" in command
    done = run_in_place_of(daemon, scratch)
    assert (done.out, done.err) == ("", "")
    (path,) = scratch.iterdir()
    assert re.fullmatch(r"p-\d{4}-?\d\d-?\d\d\.ndjson\.gz", path.name)
    lines = run(["gzip", "-dc", path]).rows()
    assert [item["id"] for item in lines] == list(range(1, 51))


def run_in_place_of(daemon, directory, check=0):
    return as_cron(daemon, 1, check, NAME="p", **{"/srv/data": directory})


@pytest.mark.parametrize("line", [0, 1])
def test_cron_says_in_one_paragraph_what_is_missing(daemon, apisim, scratch, line):
    numbered(daemon, apisim.pages("page", "a", items=50, totals="items", fail="3:*:410"))
    done = as_cron(daemon, 0, 1, NAME="p") if line == 0 else run_in_place_of(daemon, scratch, 1)
    assert done.out == ""
    said = done.err.splitlines()
    assert said[0].startswith("fanoutctl: pull p: incomplete: ") and "40 of 50 items" in said[0]
    assert all(text.startswith("  ") for text in said[1:]) and 2 <= len(said) <= 6, done
    assert "page 3" in done.err and "410" in done.err and "fanoutctl retry" in said[-1]
    assert list(scratch.iterdir()) == []


def test_cron_leaves_a_run_alone_that_has_not_ended(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/", items=".[]?")
    run = start(daemon, "p")
    done = as_cron(daemon, 0, NAME="p")
    assert (done.out, done.err) == ("", "")
    assert run.get()["state"] != "ended" and len(daemon.api.get("/v1/pulls/p/runs").json()["runs"]) == 1
    told = daemon.ctl("pull", "run", "p", "--wait")
    assert f"run {run.number} of it has not ended" in told.err


def test_cron_says_that_nobody_is_there(daemon, apisim):
    numbered(daemon, apisim.pages("page", "a", items=50, totals="items"))
    daemon.stop()
    done = as_cron(daemon, 0, 3, NAME="p")
    assert done.out == "" and "fanoutd" in done.err


# ---- large pages ----


def test_large_pages_do_not_grow_the_daemon(daemon, ctl, apisim):
    """40 pages of 10 000 items: 72 MB, of which the daemon never holds more than a frame."""
    api = apisim.pages("page", "big", items=400_000, size=10_000, size_max=10_000, item_size=180, totals="items")
    page = {"type": "page", "param": "page", "size": 10_000, "total_items": ".total"}
    write_recipe(daemon, "big", url=str(api), page=page, items=".result[]", limit={"concurrency": 8})
    run, receipt = pull(daemon, "big")
    assert receipt["verdict"] == "complete" and (receipt["pages"], receipt["items"]) == (40, 400_000), receipt
    assert receipt["bytes"] > 40 * 1_800_000
    if not sanitized():
        assert memory_kib(daemon.pid, "VmHWM") < 96 * 1024
    ids = ctl("items", run.number, "--jq", ".id").lines()
    assert ids == [str(n) for n in range(1, 400_001)]
