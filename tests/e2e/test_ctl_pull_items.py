"""fanoutctl items: what comes out of a run, to the terminal, a pipe and a file."""

import csv
import gzip
import io
import json
import re
import subprocess

import pytest

from harness.process import BUILD, spawn
from harness.pulls import PAGED, broken, files, ids, played_pages, pull, silent, start, write_recipe


def test_items_come_in_page_order_one_a_line(ctl, done):
    assert ids(ctl("items", done).out) == list(range(1, 161))
    assert ctl("items", "species").out == ctl("items", "last").out == ctl("items", done, "-f", "ndjson").out


NAMES_NOTHING = {"page": {"type": "single"}, "items": ".results[]?"}


@pytest.mark.parametrize("name", ["f.ndjson", "f.csv", "f.json", "f.ndjson.gz", "f.csv.zst"])
def test_a_file_is_not_emptied_by_a_run_without_items(daemon, ctl, answer, scratch, name):
    url, path = answer(b'{"result":[{"id":1},{"id":2}]}'), scratch / name
    write_recipe(daemon, "p", url=url, page={"type": "single"}, items=".result[]")
    ctl("pull", "run", "p", "-o", path)
    before = path.read_bytes()
    write_recipe(daemon, "p", url=url, **NAMES_NOTHING)
    for _ in range(2):  # the second time the run itself is not doubted any more
        r = ctl("pull", "run", "-q", "p", "-o", path, check=1)
        assert f"has no items, though the API does not say so: {path} was kept" in r.err and "--allow-empty" in r.err
        assert f"has no items, though the API does not say so: {path} was kept" in ctl("items", "p", "-o", path, check=1).err
        assert path.read_bytes() == before and files(scratch) == [name]
    ctl("items", "p", "--allow-empty", "-o", path)
    emptied = path.read_bytes()
    assert len(emptied) < len(before)
    ctl("pull", "run", "p", "-o", path)  # there is nothing to lose
    assert path.read_bytes() == emptied


def test_a_run_without_items_makes_a_file_where_none_was(daemon, ctl, answer, scratch):
    write_recipe(daemon, "p", url=answer(b'{"result":[1]}'), **NAMES_NOTHING)
    ctl("pull", "run", "p", "-o", scratch / "f")
    assert (scratch / "f").read_bytes() == b""
    ctl("pull", "run", "p", "-o", "/dev/null")


@pytest.mark.parametrize("keys", [{"page": {"type": "single", "total_items": ".total"}},
                                  {"page": {"type": "single"}, "since": {"param": "since", "from": ".at", "initial": "2026-01-01T00:00:00Z"}}], ids=["total", "since"])
def test_a_file_is_emptied_where_there_is_nothing_indeed(daemon, ctl, answer, scratch, keys):
    (scratch / "f").write_text("before\n")
    write_recipe(daemon, "p", url=answer(b'{"r":[],"total":0}'), items=".r[]", **keys)
    ctl("pull", "run", "p", "-o", scratch / "f")
    assert (scratch / "f").read_bytes() == b""


def test_a_file_is_emptied_by_an_expression_that_drops_all_items(ctl, done, scratch):
    (scratch / "f").write_text("before\n")
    r = ctl("items", done, "-q", "--jq", "empty", "-o", scratch / "f")
    assert (scratch / "f").read_bytes() == b""
    assert f"warning: of 160 items of run 1 --jq left none: {scratch / 'f'} is empty" in r.err
    assert ctl("items", done, "-q", "--jq", "empty", "--allow-empty", "-o", scratch / "f").err == ""


def test_allow_empty_is_for_a_file(daemon, ctl, species):
    assert "--allow-empty" in ctl("items", "1", "--allow-empty", check=2).err
    assert "--allow-empty" in ctl("pull", "run", "species", "--allow-empty", check=2).err


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


def test_members_that_come_later_are_noted_once(daemon, ctl):
    number = played_pages(daemon, '[{"a":1},{"b":{"c":[1,2]},"a":null}]', '[{"a":2,"new":3}]', '[{"a":4,"newer":5}]')
    r = ctl("items", number, "-f", "csv")
    assert r.out.replace("\r", "") == 'a,b\n1,\n,"{""c"":[1,2]}"\n2,\n4,\n'
    assert r.err.count("left out") == 1 and r.err.startswith("warning: page 2 ") and "(new)" in r.err
    assert ctl("items", number, "-f", "csv", "-q").err == r.err, "what is left out is told under cron too"


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
    assert ctl("items", number, "-q").err == r.err, "what is not exact is told under cron too"


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
    assert re.search(r"was not written: run \d+ is incomplete: page 3 .*is missing", r.err)
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


ITEMS_AS = [["-f", "ndjson"], ["-f", "csv"], ["-f", "json"], ["--jq", "[.id]"], ["-o", "{}/items.gz"], ["--unique"]]
ROOM_KIB = 6 << 10  # what a page of 500 items takes, twelve times
UNIQUE_BYTES = 8 * 4  # a hash, in a table three quarters full at most, while one twice as large is made


def items_peaks(daemon, apisim, peak_of, scratch, pages, size):
    """The peak of memory (KiB) of the items of so many pages, for each of ITEMS_AS."""
    name = f"p{pages}"
    api = apisim.pages("page", name, items=pages * size, size=size, size_max=size, item_size=180, totals=["items"])
    page = {"type": "page", "param": "page", "size": size, "size_param": "per_page", "total_items": ".total"}
    write_recipe(daemon, name, url=str(api), page=page, items=".result[]", key=".id")
    run, receipt = pull(daemon, name)
    assert (receipt["complete"], receipt["items"]) == (True, pages * size), receipt
    command = [BUILD / "fanoutctl", "-S", daemon.socket, "items", run.number]
    return [peak_of(command + [o.replace("{}", str(scratch)) for o in options])[1] for options in ITEMS_AS]


def test_many_pages_take_no_more_memory_than_few(daemon, apisim, peak_of, scratch):
    """Two pages are in memory at a time, however they are written; --unique keeps a hash of each item besides."""
    size, few, many = 500, 5, 60
    pairs = zip(ITEMS_AS, *(items_peaks(daemon, apisim, peak_of, scratch, pages, size) for pages in (few, many)))
    for options, with_few, with_many in pairs:
        hashes = UNIQUE_BYTES * size * many // 1024 if "--unique" in options else 0
        assert with_many <= with_few + ROOM_KIB + hashes, (options, with_few, with_many)


# ---- what pull run makes of them itself ----


GROWN = ('[{"id":1,"n":"a"},{"id":2,"n":"b"}]', '[{"id":2,"n":"b"},{"id":3,"n":"c"}]')


def test_a_run_writes_its_items_as_items_does(ctl, species, scratch):
    for i, how in enumerate((["--jq", "select(.id > 158) | .id"], ["--fields", "id,name"], ["--unique"], ["--jq", ".name", "-r"])):
        ctl("pull", "run", "species", "--fresh", "-q", "-o", scratch / f"run{i}", *how)
        ctl("items", "species", "-q", "-o", scratch / f"items{i}", *how)
        assert (scratch / f"run{i}").read_text() == (scratch / f"items{i}").read_text() != "", how


def test_how_items_are_written_is_for_a_run_that_writes_them(daemon, ctl, species):
    for how in (["--jq", "."], ["--fields", "id"], ["--unique"], ["-r"]):
        assert f"{how[0]} is for the items of -o" in ctl("pull", "run", "species", *how, check=2).err
    assert "--jq" in ctl("pull", "run", "species", "-o", "-", "--jq", ".a[", check=2).err
    assert daemon.api.get("/v1/runs").json()["runs"] == []


def test_a_file_with_an_item_twice_points_to_unique(daemon, ctl, scratch):
    number = played_pages(daemon, *GROWN, key=".id")
    r = ctl("items", number, "-o", scratch / "all")
    assert "1 of them was there already" in r.err and f"fanoutctl items {number} --unique" in r.err
    assert "--unique" not in ctl("items", number, "-o", scratch / "once", "--unique").err
    assert "--unique" not in ctl("items", number, "-q", "-o", scratch / "all").err
    assert [len((scratch / name).read_text().splitlines()) for name in ("all", "once")] == [4, 3]
