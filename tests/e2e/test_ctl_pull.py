"""fanoutctl pull: recipes run, and what is known of them and of their runs."""

import csv
import io
import re
import subprocess

from harness.process import BUILD, on_terminal, spawn, wait_until
from harness.pulls import PAGED, Raw, broken, ids, silent, write_recipe, write_secret


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
    assert ["k=x%3Dy" in row["target"] for row in apisim.page_log("a")] == [True] * 2
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
    assert child.returncode == 130 and f"run {number} goes on".encode() in err
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
