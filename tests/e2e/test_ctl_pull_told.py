"""What fanoutctl pull and items tell who does not know them yet: names that are no verbs, files that were not written,
numbers that are no runs."""

import gzip
import json
import re
import signal
import subprocess

import pytest

from harness.process import BUILD, spawn, wait_until
from harness.pulls import PAGED, Raw, Run, broken, explain, files, ids, pull, silent, start, write_recipe


@pytest.fixture
def slow(daemon, gate):
    """The number of a run that does not end before the test does."""
    write_recipe(daemon, "slow", url=gate.url + "/x", items=".[]")
    run = start(daemon, "slow")
    yield str(run.number)
    daemon.api.post(f"/v1/batches/{run.number}/cancel")


# ---- verbs ----


def test_without_recipes_the_list_says_where_they_go(ctl):
    for verb in (["pull"], ["pull", "list"], ["pull", "check"]):
        r = ctl(*verb)
        assert re.search(r"^no recipes yet: put NAME\.conf into \S+ \(fanout-pulls\(5\) says how\)$", r.err, re.M), verb
    assert ctl("pull", "list", "-f", "json").json() == []
    silent(ctl("pull", "check", "-q"))


def test_help_of_pull_lists_its_verbs(fanoutctl):
    text = fanoutctl("help", "pull").out
    for verb in ("list", "check", "test", "run", "show", "state"):
        assert re.search(rf"^  pull {verb}\b.*(  |\n {{20,}})\w", text, re.M), verb
    assert fanoutctl("pull", "-h").out == text
    assert "limits set" in fanoutctl("help", "limits").out


def test_a_verb_of_pull_that_is_none_is_told_with_those_that_are(fanoutctl):
    err = fanoutctl("pull", "bogus", check=2).err
    assert "no verb pull bogus" in err and "list, check, test, run, show, state" in err
    err = fanoutctl("pull", "chek", check=2).err
    assert "no verb pull chek; did you mean pull check?" in err


# ---- numbers ----


def test_a_batch_that_is_no_run_is_told_so(ctl, apisim):
    number = ctl("submit", "--wait", apisim.url + "/uuid").out.strip()
    for verb in (["items"], ["pull", "show"]):
        err = ctl(*verb, number, check=4).err
        assert f"batch {number} is no run of a pull" in err, verb
    assert "there is no run 999" in ctl("items", "999", check=4).err


def test_a_job_is_not_taken_for_a_pull(ctl, done):
    assert f"{done}.1 is a job; fanoutctl get {done}.1" in ctl("items", f"{done}.1", check=2).err


def test_a_run_that_has_not_everything_is_explained_by_its_receipt(daemon, ctl, apisim):
    broken(daemon, apisim, 2)
    run = pull(daemon, "holes")[0].number
    told = ctl("explain", run).out
    assert told.startswith(f"run {run} failed.\npull holes: incomplete: 4 of 5 pages, "), told
    assert re.search(r"^  page 2 http.*: 503 Service Unavailable.*, after 2 attempts$", told, re.M), told
    assert f"\n  fanoutctl retry {run} fetches what is missing and goes on from there\n" in told
    facts = ctl("explain", run, "-f", "json").json()
    assert facts.pop("receipt")["verdict"] == "incomplete" and facts == explain(daemon, Run(daemon, run))


def test_a_run_that_ended_as_asked_is_explained_with_where_the_next_one_begins(daemon, ctl, species):
    run = ctl("pull", "run", "species", "--max-pages", "2", "-p", "--wait").out.strip()
    told = ctl("explain", run).lines()
    assert told[0] == f"run {run} is done." and told[1].startswith("pull species: partial: ") and "--max-pages" in told[2], told


def test_a_complete_run_is_explained_in_a_line(ctl, done):
    assert ctl("explain", done).out == f"run {done} is done.\n"


def test_a_run_is_audited_by_its_pulls_name_and_as_the_last(ctl, done):
    rows = ctl("audit", done, "-f", "json").json()
    assert rows and all(row["attempts"] > 0 for row in rows)
    for word in ("last", "species"):
        assert ctl("audit", word, "-f", "json").json() == rows, word


def test_whoever_removes_runs_is_told_what_goes_and_what_stays(ctl, done):
    err = ctl("rm", "--ended").err
    assert err.startswith("1 batch removed, runs of pulls among them: their items and receipts are gone")
    for verb in ("items", "wait", "explain"):
        assert "species has not been run, or its runs were removed" in ctl(verb, "species", check=4).err, verb


def test_a_pull_whose_runs_were_removed_has_not_never_run(ctl, species):
    row = lambda: ctl("pull", "list").lines()[1].split()  # noqa: E731
    assert row()[2] == "never"
    ctl("pull", "run", "species", "--wait")
    states = ctl("pull", "list", "-f", "json").json()[0]["states"]
    ctl("rm", "--ended")
    assert states and row()[2] == "removed"


def test_the_name_of_a_pull_in_place_of_a_batch_is_its_newest_run(ctl, species):
    first = ctl("pull", "run", "species").out.strip()
    ctl("wait", "species")
    last = ctl("pull", "run", "species", "--fresh").out.strip()
    ctl("wait", "species")
    assert ctl("status", "species", "-f", "json").json()["batch"] == int(last) > int(first)
    assert ctl("results", "species").out == ctl("results", last).out != ctl("results", first).out
    for verb in ("explain", "retry", "cancel"):
        r, same = ctl(verb, "species", check=None), ctl(verb, last, check=None)
        assert (r.code, r.out, r.err) == (same.code, same.out, same.err), verb


def test_what_is_removed_is_named_by_its_number(ctl, done):
    err = ctl("rm", "species", check=2).err
    assert '"species" is no batch' in err and "fanoutctl pull show species has the numbers of its runs" in err
    assert '"specimens" is no batch' in ctl("wait", "specimens", check=2).err


def test_off_a_terminal_the_list_tells_the_whole_problem(daemon, ctl):
    long = "x" * 200
    write_recipe(daemon, "r", url="http://127.0.0.1/", items=".[]", headers=["Authorization: {secret:%s}" % long[:40]], **{long[:60]: 1})
    whole = ctl("pull", "list", "-f", "json").json()[0]["problem"]["detail"]
    told = whole.split(".conf:")[1]
    assert len(told) > 80 and told in ctl("pull", "list").out


def test_a_run_that_is_partial_is_told_once_where_its_file_is_written(ctl, species, scratch):
    r = ctl("pull", "run", "species", "--max-pages", "1", "-o", scratch / "out")
    assert files(scratch) == ["out"] and r.err.count("partial") == 1
    assert "is partial" in ctl("items", "last").err


def test_a_pull_without_runs_has_nothing_to_audit(ctl, species):
    assert "species has not been run" in ctl("audit", "species", check=4).err
    assert "nothing that was sent to specimens is recorded" in ctl("audit", "specimens", check=4).err


def test_the_file_of_a_recipe_is_no_name_of_a_pull(ctl, species):
    for verb in ("run", "show", "state"):
        assert '"species.conf" is a file; did you mean species?' in ctl("pull", verb, "species.conf", check=2).err, verb


def test_a_file_whose_name_is_none_is_told(daemon, ctl, species):
    (daemon.dir / "pulls.d" / "two words.conf").write_text('url = "http://127.0.0.1:1/";')
    assert re.search(r'^two words +unsound +.*"two words" is no name of a pull', ctl("pull", "list").out, re.M)
    r = ctl("pull", "check", check=2)
    assert r.out == "species: ok\n" and 'two words.conf: "two words" is no name of a pull' in r.err and "rename the file" in r.err, r
    assert '"two words" is no name' in ctl("pull", "run", "two words", check=2).err


def test_a_form_that_the_name_of_the_file_does_not_have_is_told(ctl, species, scratch):
    err = ctl("pull", "run", "species", "-o", scratch / "b.csv", "-f", "json").err
    assert f"{scratch}/b.csv: written as json, which -f says" in err
    assert "which -f says" not in ctl("items", "last", "-o", scratch / "c.csv", "-f", "csv").err
    assert json.loads((scratch / "b.csv").read_text())


def test_what_ended_a_run_is_told_in_words(ctl, species):
    ctl("pull", "run", "species", "--wait")
    assert re.search(r"^ended by +the total that the API told$", ctl("pull", "show", "last").out, re.M)
    assert ctl("pull", "show", "last", "-f", "json").json()["stop_reason"] == "total"


def test_where_no_total_is_known_explain_names_the_key_for_more_pages_at_a_time(daemon, ctl, gate):
    write_recipe(daemon, "p", url=gate.url + "/x", page={"type": "page", "param": "page"}, items=".[]")
    run = start(daemon, "p")
    wait_until(lambda: "1 page is asked for at a time (window in the recipe says how many)" in ctl("explain", str(run.number)).out)
    daemon.api.post(f"/v1/batches/{run.number}/cancel")


# ---- files that are not written ----


def test_a_file_that_a_skipped_run_does_not_write_is_told(ctl, slow, scratch):
    path = scratch / "out.ndjson"
    r = ctl("pull", "run", "slow", "-o", path, check=75)
    assert f"{path} was not written: run {slow} has not ended" in r.err
    assert f"fanoutctl wait {slow}; fanoutctl items {slow} -o '{path}'" in r.err
    assert files(scratch) == []


def test_under_cron_a_skipped_run_says_nothing_about_its_file_but_by_its_exit_status(ctl, slow, scratch):
    for where in (scratch / "out.ndjson", "-"):
        silent(ctl("-q", "pull", "run", "slow", "-o", where, check=75))
    silent(ctl("-q", "pull", "run", "slow", "--wait"))
    assert files(scratch) == []


@pytest.mark.parametrize("form", ["ndjson", "json"])
def test_a_disk_that_is_full_takes_nothing_away_and_how_to_have_it_is_told(ctl, species, form):
    r = ctl("-q", "pull", "run", "species", "-f", form, "-o", "/dev/full", check=1)
    assert "cannot write /dev/full: No space left on device" in r.err
    number = re.search(r"  /dev/full was not written; to have it: fanoutctl wait (\d+); fanoutctl items (\d+) -o", r.err)[2]
    assert len(ctl("items", number).out.splitlines()) == len(ctl("items", "species").out.splitlines()) > 0


def test_a_file_of_an_incomplete_run_is_told_and_how_to_have_it(daemon, ctl, apisim, scratch):
    broken(daemon, apisim)
    path = scratch / "out.csv"
    r = ctl("pull", "run", "-q", "holes", "-f", "csv", "-o", path, check=1)
    assert ("retry", r.err.split("fanoutctl retry ")[1].split()[0]) in advised(r.err)
    number = re.search(r"fanoutctl retry (\d+) fetches", r.err)[1]
    how = f"fanoutctl retry {number}; fanoutctl wait {number}; fanoutctl items {number} -o '{path}' -f csv"
    assert f"{path} was not written; to have it: {how}" in r.err
    assert how in ctl("items", number, "-f", "csv", "-o", path, check=1).err
    assert files(scratch) == []


def advised(err):
    """The verbs that are advised, with their first operands."""
    return re.findall(r"fanoutctl ((?:pull )?[a-z]+) (\S+?)[;,]?(?=\s|$)", err)


STOPPED = {
    "a guard": ({"end": "repeat"}, {"type": "page", "param": "page"}),
    "max_pages": ({}, {"type": "page", "param": "page", "max_pages": 2}),
    "a total that was missed": ({"totals": ["items"]}, {"type": "page", "param": "page", "total_items": ".total + 2"}),
}


@pytest.mark.parametrize("why", STOPPED)
def test_a_run_that_was_stopped_for_good_is_advised_nothing_that_is_refused(daemon, ctl, apisim, scratch, why):
    api, page = STOPPED[why]
    write_recipe(daemon, "r", url=str(apisim.pages("page", "a", items=25, size=10, **api)), page=page, items=".result[]", key=".id")
    path = scratch / "out.csv"
    r = ctl("pull", "run", "r", "-o", path, "--unique", "--fields", "id", check=1)
    number = r.out.strip()
    assert f"{path} was not written; to have it: fanoutctl pull run r -o '{path}' --unique --fields 'id'" in r.err, r
    assert "retry" not in r.err and ("items", number) in advised(r.err), r
    assert ids(ctl("items", number, check=1).out), "what came is there"
    assert "retry" not in ctl("items", number, "-o", path, check=1).err
    ctl("retry", number, check=1)


def test_a_file_of_an_interrupted_wait_is_told(daemon, ctl, gate, scratch):
    write_recipe(daemon, "slow", url=gate.url + "/x", items=".[]")
    path = scratch / "out"
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "pull", "run", "slow", "-o", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    number = child.stdout.readline().decode().strip()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert f"{path} was not written; to have it: fanoutctl wait {number}; fanoutctl items {number} -o '{path}'" in err.decode()
    ctl("cancel", number)


def test_a_directory_is_no_file(daemon, ctl, species, scratch):
    (scratch / "d").mkdir()
    for name in (scratch / "d", f"{scratch}/d/", f"{scratch}/none/"):
        assert "is a directory" in ctl("pull", "run", "species", "-o", name, check=2).err
    assert daemon.api.get("/v1/runs").json()["runs"] == []


# ---- forms ----


def test_the_suffix_of_a_file_says_the_form(ctl, done, scratch):
    for name in ("x.csv", "x.csv.gz", "x.json", "x.ndjson", "x.txt"):
        ctl("items", done, "-q", "-o", scratch / name)
    assert (scratch / "x.csv").read_text().startswith("id,name,")
    assert gzip.decompress((scratch / "x.csv.gz").read_bytes()) == (scratch / "x.csv").read_bytes()
    assert len(json.loads((scratch / "x.json").read_text())) == 160
    assert ids((scratch / "x.txt").read_text()) == ids((scratch / "x.ndjson").read_text()) == list(range(1, 161))
    ctl("items", done, "-q", "-o", scratch / "y.csv", "-f", "ndjson")
    assert ids((scratch / "y.csv").read_text()) == list(range(1, 161))


def test_a_run_takes_the_form_of_its_file_from_the_suffix(ctl, species, scratch):
    silent(ctl("pull", "run", "-q", "species", "-o", scratch / "x.csv"))
    assert (scratch / "x.csv").read_text().startswith("id,name,")


@pytest.mark.parametrize("suffix", [".gzip", ".bz2", ".csv.xz", ".zip", ".tsv", ".xml", ".foo", ".foo.gz", ".CSV"])
def test_a_suffix_that_is_not_known_is_refused(ctl, done, scratch, suffix):
    for words in (["items", done], ["pull", "run", "species"]):
        err = ctl(*words, "-o", scratch / f"x{suffix}", check=2).err
        assert "is no suffix that is known here" in err and ".gz and .zst compress" in err and ".json and .csv are forms" in err
    assert files(scratch) == []


def test_with_a_form_that_is_said_a_file_is_called_as_one_likes_but_is_not_said_to_be_packed(ctl, done, scratch):
    ctl("items", done, "-q", "-f", "csv", "-o", scratch / "x.foo")
    assert (scratch / "x.foo").read_text().startswith("id,name,")
    ctl("items", done, "-q", "-r", "--jq", "select(.id == 1) | .name", "-o", scratch / "x.names")
    assert (scratch / "x.names").read_text() == "item 1\n"
    assert ".xz is no suffix" in ctl("items", done, "-f", "csv", "-o", scratch / "x.xz", check=2).err


@pytest.mark.parametrize("name", ["x", "x.2", "x.2026-01-02", "{name}.{run}", ".x", "x.gz"])
def test_a_name_without_a_suffix_is_lines(ctl, done, scratch, name):
    ctl("items", done, "-q", "-o", scratch / name)
    (path,) = scratch.iterdir()
    text = path.read_bytes()
    assert ids((gzip.decompress(text) if name.endswith(".gz") else text).decode()) == list(range(1, 161))


def test_what_is_no_file_has_no_suffix(ctl, done, scratch):
    (scratch / "x.foo").symlink_to("/dev/stdout")
    assert ids(ctl("items", done, "-q", "-o", scratch / "x.foo").out) == list(range(1, 161))


def test_strings_come_without_quotes_where_that_is_wanted(ctl, done):
    text = "item 159\nitem 160\n"
    for option in ("-r", "--raw-output"):
        assert ctl("items", done, option, "--jq", "select(.id > 158) | .name").out == text
    assert ctl("items", done, "-r", "--jq", 'select(.id == 1) | .id, "a\\"b\\nc"').out == '1\na"b\nc\n'
    assert "-r is for items as lines, not for csv" in ctl("items", done, "-r", "-f", "csv", check=2).err


# ---- receipts ----


def test_the_table_of_a_run_that_was_waited_for_is_that_of_show(daemon, ctl, species):
    r = ctl("pull", "run", "species", "--wait", "-f", "table")
    number, table = r.out.split("\n", 1)
    for line in (r"time +\d.*", r"pages +16", r"items +160"):
        assert re.search(f"^{line}$", table, re.M), line
    assert ctl("pull", "show", number).out == table


def test_a_repeated_error_stands_once(daemon, ctl, apisim):
    broken(daemon, apisim, 2, 3)
    r = ctl("pull", "run", "-q", "holes", "--wait", check=1)
    assert r.err.count("503 Service Unavailable") == 1
    assert "pages 2, 3 of 5 are missing\n" in r.err
    show = ctl("pull", "show", "last").out
    assert re.search(r"^why +pages 2, 3 of 5 are missing$", show, re.M)
    assert ctl("items", "last", check=1).err.endswith("is incomplete: pages 2, 3 of 5 are missing\n")


def test_a_secret_without_value_is_told_with_the_path_that_was_looked_at(daemon, ctl):
    write_recipe(daemon, "s", url="http://127.0.0.1:1/?t={secret:tok}", secrets=Raw('{ tok = ["127.0.0.1"]; }'))
    err = ctl("pull", "check", "s", check=2).err
    (secret,) = daemon.api.get("/v1/pulls/s").json()["secrets"]
    assert re.search(r"s\.conf:2: secrets\.tok has no value: \S", err)
    if secret.get("problem"):
        assert secret["problem"] in err and str(daemon.dir / "secrets" / "tok") in err


# ---- where a run begins, and what is its page ----


def test_since_is_checked_as_a_state_that_is_set(daemon, ctl, apisim):
    url = str(apisim.pages("page", "a", items=10, size=10)) + "?since={since}"
    write_recipe(daemon, "inc", url=url, page=PAGED, items=".result[]", since={"from": ".updated_at", "initial": "2026-01-01", "overlap": "1m"})
    write_recipe(daemon, "all", url=url.partition("?")[0], page=PAGED, items=".result[]")
    for name, value in {"inc": "yesterday", "all": "2026-01-01"}.items():
        why = ctl("pull", "state", name, "--set", value, check=2).err.splitlines()[0].removeprefix("fanoutctl: ")
        assert why in ctl("pull", "run", name, "--since", value, check=2).err, name
    assert daemon.api.get("/v1/runs").json()["runs"] == []


@pytest.fixture
def dated(daemon, serve):
    """An API that takes a date as since, and says 400 to anything else."""

    def behave(c):
        while head := c.request():
            fits = re.search(r"since=(\d{4}-\d\d-\d\d)? ", head)
            c.answer(b'{"result":[{"id":1,"at":"2026-03-03"}]}') if fits else c.answer(b"no date", "400 Bad Request")

    since = {"from": ".at", "param": "since", "initial": "2026-01-01"}
    write_recipe(daemon, "ev", url=serve(behave).url, page={"type": "single"}, items=".result[]", since=since)


def known(ctl, name="ev"):
    return ctl("pull", "state", name, "-f", "ndjson").rows()[0]["since"]


def test_a_state_of_another_form_is_warned_of_and_told_where_a_run_fails_by_it(ctl, dated):
    ctl("pull", "run", "ev", "--wait")
    assert "warning" not in ctl("pull", "state", "ev", "--set", "2026-02-02").err
    err = ctl("pull", "state", "ev", "-q", "--set", "garbage").err
    assert "warning: garbage is of another form than what stood there, 2026-02-02" in err and "state ev --set 2026-02-02 " in err, err
    err = ctl("pull", "run", "ev", "--wait", check=1).err
    assert "it began at garbage, which is of the pull's state" in err and "fanoutctl pull state ev --set VALUE (or --reset)" in err, err
    assert "warning" not in ctl("pull", "state", "ev", "--set", "2026-02-02").err  # back again
    ctl("pull", "run", "ev", "--wait")


def test_what_an_api_told_takes_the_place_of_a_state_of_another_form(ctl, dated):
    ctl("pull", "state", "ev", "--set", "garbage")
    assert "which of them is earlier cannot be told" in ctl("pull", "run", "ev", "--wait", "--since", "2026-02-02").err
    assert known(ctl) == "garbage"
    assert "stays" not in ctl("pull", "run", "ev", "--wait", "--fresh").err
    assert known(ctl) == "2026-03-03"


def test_a_state_that_stays_since_nothing_later_came_is_told(ctl, dated):
    ctl("pull", "state", "ev", "--set", "2999-01-01")
    err = ctl("pull", "run", "ev", "--wait", "--fresh").err
    assert "stays at 2999-01-01: the latest that came is 2026-03-03 (fanoutctl pull state ev --set sets it)" in err, err
    assert known(ctl) == "2999-01-01"


def test_a_number_that_was_set_is_passed_by_the_numbers_of_the_api(daemon, ctl, answer):
    url = answer(b'{"result":[{"id":1,"n":20}]}')
    write_recipe(daemon, "num", url=url, page={"type": "single"}, items=".result[]", since={"from": ".n", "param": "since"})
    for known_before, after in (("9", 20), ("30", "30")):
        ctl("pull", "state", "num", "--set", known_before)
        ctl("pull", "run", "num", "--wait")
        assert known(ctl, "num") == after


def test_a_var_that_there_is_not_is_a_usage_error_with_those_there_are(daemon, ctl):
    write_recipe(daemon, "v", url="http://127.0.0.1:9/{var:kind}", items=".[]", vars={"kind": "x"})
    err = ctl("pull", "state", "v", "--var", "a=b", check=2).err
    assert 'v has no var "a"' in err and "it has kind" in err


def test_a_page_is_named_by_its_pull(ctl, done):
    for verb in ("show", "get", "explain"):
        assert ctl(verb, "species.2").out == ctl(verb, f"{done}.2").out != "", verb
    assert '"nosuch.2" is no job' in ctl("show", "nosuch.2", check=2).err
