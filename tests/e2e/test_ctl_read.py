"""fanoutctl's reading verbs: status, wait, follow, results, show, get."""

import csv
import datetime
import io
import json
import re
import signal
import subprocess
import threading
import time

import pytest

from harness.daemon import run
from harness.process import BUILD, on_terminal, spawn, wait_until
from harness.script import play  # noqa: F401 (a fixture)

RESULT = (
    "job batch seq chain tag method url state reason status attempts size content_type remote_ip http_version "
    "submitted_at started_at ended_at error"
).split()
TIMINGS = "queued_us limited_us dns_us connect_us tls_us send_us wait_us receive_us total_us".split()


# ---- results ----


def test_rows_have_the_members_of_the_contract(ctl, mixed):
    rows = ctl("results", mixed, "-f", "ndjson").rows()
    assert [list(row) for row in rows] == [RESULT + ["timings"]] * 3
    assert [list(row["timings"]) for row in rows] == [TIMINGS] * 3
    assert ctl("results", mixed, "-f", "json").json() == rows


def test_csv_is_that_of_rfc_4180(ctl, mixed):
    r = ctl("results", mixed, "-f", "csv")
    rows = list(csv.reader(io.StringIO(r.out)))
    assert rows[0] == RESULT + TIMINGS
    assert [row[4] for row in rows[1:]] == ["", "", 'a "b", c']
    assert '"a ""b"", c"' in r.out
    assert [row[9] for row in rows[1:]] == ["200", "404", "200"]


def test_a_table_shows_url_status_and_seconds(ctl, mixed, apisim):
    lines = ctl("results", mixed).lines()
    assert lines[0].split() == ["JOB", "TAG", "STATE", "STATUS", "TIME", "SIZE", "URL", "ERROR"]
    assert re.match(rf"{mixed}\.1 +done +200 +\d+(\.\d+)? (ms|s) +\d+ B +{re.escape(apisim.url)}/json *$", lines[1])
    assert "404 Not Found" in lines[2]
    assert "2.0 KiB" in lines[3]


def test_long_urls_are_not_cut_away_from_a_terminal(ctl, apisim):
    url = apisim.url + "/uuid?" + "x" * 3000
    batch = ctl("submit", "-p", "--wait", url).lines()[0]
    assert url in ctl("results", batch).out
    assert url in ctl("follow", batch).out


def test_rows_can_be_chosen(ctl, mixed):
    def seqs(*args):
        return [row["seq"] for row in ctl("results", mixed, "-f", "ndjson", *args).rows()]

    assert seqs("--state", "failed") == [2]
    assert seqs("--state", "done") == [1, 3]
    assert seqs("--after", "1") == [2, 3]
    assert seqs("--limit", "2") == [1, 2]
    assert seqs("--after", "1", "--limit", "1") == [2]


def test_columns_can_be_chosen_in_every_format(ctl, mixed):
    def of(format, verb="results", check=0):
        return ctl(verb, mixed, "--fields", "job,status,seconds", "-f", format, check=check)

    rows = list(csv.DictReader(io.StringIO(of("csv").out)))
    assert [list(row) for row in rows] == [["job", "status", "seconds"]] * 3
    assert [row["status"] for row in rows] == ["200", "404", "200"] and all(0 < float(row["seconds"]) < 60 for row in rows)
    assert [list(row) for row in of("json").json()] == [["job", "status", "seconds"]] * 3
    assert [type(row["seconds"]) for row in of("ndjson", "follow", 1).rows()] == [float] * 3
    assert of("table").lines()[0].split() == ["JOB", "STATUS", "SECONDS"]
    assert "did you mean status?" in ctl("results", mixed, "--fields", "job,staus", check=2).err


def test_chosen_columns_stand_in_a_table_as_in_any_other(ctl, mixed):
    lines = ctl("results", mixed, "--fields", "url,wait_us,ended_at,total_us").lines()
    assert lines[0].split() == ["URL", "WAIT_US", "ENDED_AT", "TOTAL_US"]
    for head in ("WAIT_US", "TOTAL_US"):
        end = lines[0].index(head) + len(head)
        assert all(line[end - 1].isdigit() and line[end : end + 1] in (" ", "") for line in lines[1:]), lines
    assert all(re.search(r" \d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines[1:]), lines


def test_all_timings_can_be_chosen_by_their_own_name(ctl, mixed):
    row = ctl("results", mixed, "--fields", "job,timings", "-f", "ndjson").rows()[0]
    whole = ctl("results", mixed, "-f", "ndjson").rows()[0]
    assert {name: row[name] for name in row if name != "job"} == whole["timings"], row


def test_bodies_come_on_request(ctl, mixed):
    rows = ctl("results", mixed, "--body", "-f", "ndjson").rows()
    assert json.loads(rows[0]["body"])
    assert ("body" in rows[2]) != ("body_base64" in rows[2])
    assert "-f ndjson" in ctl("results", mixed, "--body", check=2).err
    header = next(csv.reader(io.StringIO(ctl("results", mixed, "--body", "-f", "csv").out)))
    assert header[-2:] == ["body", "body_base64"]


@pytest.mark.parametrize("format, empty", [("json", "[]\n"), ("ndjson", ""), ("csv", ",".join(RESULT + TIMINGS) + "\r\n")])
def test_no_rows_are_well_formed_too(daemon, mixed, format, empty):
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "results", mixed, "--state", "queued", "-f", format], stdout=subprocess.PIPE)
    out, _ = child.communicate(timeout=10)
    assert (child.returncode, out.decode()) == (0, empty)


def test_a_table_of_many_rows_keeps_its_columns(ctl, apisim):
    batch = ctl("submit", "-p", "--wait", apisim.url + "/bytes/1?[1-2500]").lines()[0]
    lines = ctl("results", batch).lines()
    assert len(lines) == 2501
    assert {line.index("http://") for line in lines[1:]} == {lines[0].index("URL")}


def test_a_table_has_room_for_what_comes_after_its_first_piece(play, scratch):
    """The first thousand rows are shown before the others are known; these are wider in every column but the URL's."""
    narrow = {"job": "7.1", "state": "done", "status": 200, "timings": {"total_us": 9300}, "size": 1, "url": "http://h/"}
    wide = [{"job": "7.100000"}, {"state": "cancelled"}, {"timings": {"total_us": 10100}}, {"timings": {"total_us": 999_999_000}}, {"size": 1048000}]
    rows = [narrow] * 2200 + [{**narrow, **more} for more in wide]

    def answer(handler):
        body = "".join(json.dumps(row) + "\n" for row in rows).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    play({("GET", "/v1/batches/7/results"): [answer]})
    lines = run([BUILD / "fanoutctl", "-S", scratch / "s", "results", "7"]).lines()
    assert [line.split()[0] for line in lines] == ["JOB"] + [row["job"] for row in rows]
    assert {line.index("http://") for line in lines[1:]} == {lines[0].index("URL")}


# ---- unknown things ----


@pytest.mark.parametrize("verb", ["status", "wait", "follow", "results", "cancel", "retry", "rm", "pause", "resume"])
def test_an_unknown_batch_is_said_to_be_unknown(ctl, verb):
    r = ctl(verb, "99", check=4)
    assert "there is no batch 99" in r.err and r.out == ""


@pytest.mark.parametrize("verb", ["show", "get", "cancel", "retry"])
def test_an_unknown_job_is_said_to_be_unknown(ctl, mixed, verb):
    for job in ("99.1", f"{mixed}.99"):
        r = ctl(verb, job, check=4)
        assert "there is no" in r.err and r.out == ""


@pytest.mark.parametrize("verb", ["status", "wait", "follow", "results", "rm", "pause", "resume"])
@pytest.mark.parametrize("operand", ["x", "0", "-", "7x", "7.1", "99999999999999999999"])
def test_what_is_no_batch_is_refused_before_anything_is_asked(fanoutctl, verb, operand):
    assert "batch" in fanoutctl("-S", "/nonexistent", verb, operand, check=2 if verb not in ("rm", "pause", "resume") else None).err


@pytest.mark.parametrize("verb", ["show", "get"])
@pytest.mark.parametrize("operand", ["x", "7", "0.1", "7.0", "7.", ".1"])
def test_what_is_no_job_is_refused_before_anything_is_asked(fanoutctl, verb, operand):
    assert "job" in fanoutctl("-S", "/nonexistent", verb, operand, check=2).err


# ---- status, wait ----


def test_status_without_batches_says_how_to_make_one(ctl):
    r = ctl("status")
    assert (r.out, r.err) == ("", "no batches: fanoutctl submit URL... makes one\n")
    r = ctl("status", "-q")
    assert (r.out, r.err) == ("", "")
    for form, out in (("json", "[]\n"), ("ndjson", ""), ("csv", ctl("status", "-f", "csv").lines()[0] + "\n")):
        r = ctl("status", "-f", form)
        assert (r.out.replace("\r", ""), r.err) == (out, ""), form


def test_status_lists_batches_newest_first(ctl, apisim):
    for i in range(3):
        ctl("submit", "--name", f"n{i}", apisim.url + "/uuid")
    assert [b["name"] for b in ctl("status", "-f", "json").json()] == ["n2", "n1", "n0"]
    assert [b["name"] for b in ctl("status", "--limit", "2", "-f", "ndjson").rows()] == ["n2", "n1"]
    assert [row["name"] for row in csv.DictReader(io.StringIO(ctl("status", "-f", "csv").out))] == ["n2", "n1", "n0"]
    assert ctl("status").lines()[0].split()[:3] == ["BATCH", "NAME", "STATE"]


def test_all_batches_are_listed_page_by_page(ctl, apisim, daemon):
    for _ in range(1005):
        daemon.api.post("/v1/batches", {"jobs": [{"url": apisim.url + "/uuid"}]})
    assert len(ctl("status", "-f", "ndjson", "--all").rows()) == 1005
    assert len(ctl("status", "-f", "ndjson").rows()) == 20


def test_status_of_a_batch_has_the_contracts_members(ctl, mixed):
    b = ctl("status", mixed, "-f", "json").json()
    assert {"batch", "name", "state", "counts", "submitted_at", "ended_at", "eta"} <= set(b)
    assert b["counts"] == {"blocked": 0, "queued": 0, "running": 0, "done": 2, "failed": 1, "cancelled": 0}
    table = dict(line.split(None, 1) for line in ctl("status", mixed).lines())
    assert (table["state"], table["done"], table["failed"]) == ("failed", "2", "1")


def test_tables_tell_the_owner_where_a_batch_is_anothers(daemon, ctl, apisim):
    daemon.socket.chmod(0o666)
    daemon.dir.chmod(0o755)
    ctl("submit", apisim.url + "/uuid")
    assert "OWNER" not in ctl("status").out and not re.search("^owner", ctl("status", "1").out, re.M)
    ctl("submit", apisim.url + "/uuid", user=65534, group=65534, extra_groups=[])
    ctl("submit", apisim.url + "/uuid", user=4242, group=65534, extra_groups=[])
    rows = [line.split()[:2] for line in ctl("status").lines()]
    assert rows == [["BATCH", "OWNER"], ["3", "4242"], ["2", "nobody"], ["1", "root"]]
    assert re.search("^owner +nobody$", ctl("status", "2").out, re.M) and not re.search("^owner", ctl("status", "1").out, re.M)
    assert "OWNER" not in ctl("status", user=65534, group=65534, extra_groups=[]).out
    assert "owner" not in ctl("status", "2", "-f", "json").json()


def test_waiting_times_out_and_the_batch_goes_on(ctl, gate):
    batch = ctl("submit", "-p", gate.url).out.strip()
    r = ctl("wait", batch, "--timeout", "100ms", check=6)
    assert "has not ended within" in r.err
    gate.open()
    ctl("wait", batch)


def test_a_client_that_waits_asks_once_and_is_answered_when_the_batch_ends(play, scratch):
    """It does not look every now and then: then it would end late, or the daemon be asked for nothing."""
    running = {"batch": 7, "state": "running", "counts": {"running": 1}, "submitted_at": "2026-01-01T00:00:00.000000Z", "ended_at": None}
    ended = {**running, "state": "done", "counts": {"done": 1}, "ended_at": "2026-01-01T00:00:02.000000Z"}
    waits, go_on = threading.Event(), threading.Event()

    def when_it_ends(handler):
        waits.set()
        go_on.wait(120)
        handler.reply(200, ended)

    server = play({("GET", "/v1/batches/7/wait"): [(200, running), when_it_ends]})
    child = spawn([BUILD / "fanoutctl", "-S", scratch / "s", "wait", "7"], stderr=subprocess.PIPE)
    assert waits.wait(120)
    asked = [path for _, path, _ in server.seen]
    go_on.set()
    _, err = child.communicate(timeout=30)
    assert child.returncode == 0 and b"1 done" in err
    assert [path for _, path, _ in server.seen] == asked
    assert int(re.search(r"timeout=(\d+)ms", asked[-1])[1]) > 1000, "off a terminal, nothing is shown meanwhile"


def test_the_burst_of_the_first_seconds_is_not_told_as_a_rate(play, scratch):
    def rfc3339(at_s):
        return datetime.datetime.fromtimestamp(at_s, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def status(ended_s_after=None):
        """Of a batch of ten jobs that were done at once: the text, and how old the batch was at most."""
        begin = time.time()
        row = {"batch": 7, "state": "running", "counts": {"done": 9, "failed": 1, "cancelled": 500, "queued": 1}, "submitted_at": rfc3339(begin), "ended_at": None}
        if ended_s_after:
            row.update(submitted_at=rfc3339(begin - ended_s_after - 1), ended_at=rfc3339(begin - 1))
        play({("GET", "/v1/batches/7"): [(200, row)]})
        return run([BUILD / "fanoutctl", "-S", scratch / "s", "status", "7"]).out, time.time() - begin

    def young():
        out, age_s = status()
        return out if age_s < 4 else None

    assert "jobs/s" not in wait_until(young, 20, "the batch is young still when it is told of")
    assert re.search(r"^rate +5\.0 jobs/s$", status(2)[0], re.M)


def test_a_cancelled_batch_is_its_own_exit_status(ctl, apisim):
    batch = ctl("submit", "-p", apisim.url + "/hang").out.strip()
    ctl("cancel", batch)
    assert "1 cancelled" in ctl("wait", batch, check=7).err
    ctl("follow", batch, check=7)


def test_several_batches_are_waited_for_and_the_worst_is_the_status(ctl, gate, mixed, apisim):
    good = ctl("submit", "-p", "--wait", apisim.url + "/uuid").out.strip()
    held = ctl("submit", "-p", gate.url + "/held").out.strip()
    for order in ([held, mixed], [mixed, held]):
        r = ctl("wait", *order, "--timeout", "100ms", check=1)
        assert "1 failed" in r.err and f"batch {held} has not ended" in r.err, order
    assert f"batch {held} has not ended" in ctl("wait", good, held, "--timeout", "100ms", check=6).err
    ctl("cancel", held)
    ctl("wait", good, held, check=7)
    rows = ctl("wait", good, held, mixed, "-f", "ndjson", check=1).rows()
    assert [row["batch"] for row in rows] == [int(good), int(held), int(mixed)]
    assert "there is no batch 999" in ctl("wait", good, "999", mixed, check=4).err
    assert "-f json is for one batch" in ctl("wait", good, held, "-f", "json", check=2).err


def test_quiet_says_nothing(ctl, mixed):
    assert ctl("wait", mixed, "-q", check=1).err == ""


def test_wait_gives_the_batch_in_the_form_that_is_asked_for(ctl, mixed):
    assert ctl("wait", mixed, "-f", "json", check=1).json()["counts"]["failed"] == 1
    assert ctl("wait", mixed, check=1).out == ""


def test_progress_moves_on_a_terminal_and_is_wiped(daemon, gate):
    batch = daemon.ctl("submit", "-p", "--concurrency", "2", gate.url + "/?[1-6]").out.strip()
    out, status = on_terminal([BUILD / "fanoutctl", "-S", daemon.socket, "wait", batch], columns=60, seen=b" of 6", then=gate.open)
    assert status == 0
    frames = re.findall(r"\r([^\r]*)\x1b\[K", out)
    shown = [f for f in frames if f]
    assert any(" of 6" in f for f in shown), out
    assert all(len(f) < 60 for f in shown)
    assert frames[-1] == "", "the line is wiped before the summary"
    assert out.rstrip().endswith(tuple("0123456789s")) and f"batch {batch}: 6 done in" in out


def test_nothing_moves_off_a_terminal(ctl, apisim):
    r = ctl("submit", "--wait", "--concurrency", "2", apisim.url + "/delay/0.2?[1-6]")
    assert "\r" not in r.err and "\x1b" not in r.err + r.out


def table_on_terminal(daemon, columns, *args):
    """The lines of a table on a terminal so wide; none may be wider."""
    out, _ = on_terminal([BUILD / "fanoutctl", "-S", daemon.socket, "-q", *args], columns=columns)
    lines = out.replace("\r", "").splitlines()
    assert all(len(line) <= columns for line in lines), lines
    return lines


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_tables_fit_the_terminal_and_the_url_has_most_of_it(daemon, apisim, columns):
    batch = daemon.ctl("submit", "-p", "--tag", "some-tag", apisim.url + "/{uuid,status/404}?" + "x" * 300).out.strip()
    daemon.ctl("wait", batch, check=1)
    for verb in ("results", "follow"):
        lines = table_on_terminal(daemon, columns, verb, batch)
        assert len(lines) == 4, lines
        assert lines[0].split()[0] == "JOB" and "STATUS" in lines[0] and "URL" in lines[0] and "ERROR" not in lines[0]
        row, error = lines[lines.index(next(line for line in lines if " 404 " in line)) :][:2]
        assert "/status" in row and re.match(r" {4,8}404 Not Found", error), lines
        url = row[row.index("http://") :]
        assert len(url) >= (28 if columns == 60 else 40) and url.endswith("…")


def test_short_errors_stay_beside_their_urls(daemon, mixed):
    lines = table_on_terminal(daemon, 200, "results", mixed)
    assert lines[0].split()[-1] == "ERROR" and len(lines) == 4


@pytest.mark.parametrize("columns", [60, 80])
def test_the_list_of_batches_fits_the_terminal(daemon, apisim, columns):
    ctl = daemon.ctl
    ctl("submit", "--wait", "--name", "a rather long name for a batch, but allowed", apisim.url + "/{uuid,status/404}", check=1)
    hanging = ctl("submit", "-p", "--concurrency", "1", apisim.url + "/hang?[1-3]").out.strip()
    wait_until(lambda: ctl("status", hanging, "-f", "json").json()["counts"]["running"] == 1, 10, "one runs")
    lines = table_on_terminal(daemon, columns, "status")
    assert len(lines) == 3, lines
    assert {"BATCH", "NAME", "STATE", "QUEUED", "DONE", "FAILED"} <= set(lines[0].split()) and "CANCELLED" not in lines[0]
    assert columns == 60 or re.search(r"\d\d:\d\d:\d\d", lines[1]) and not re.search(r"\d{4}-\d\d-\d\d", lines[1])
    ctl("cancel", hanging)


def test_counts_that_are_all_zero_are_not_shown(ctl, apisim):
    ctl("submit", "--wait", apisim.url + "/uuid")
    assert ctl("status").lines()[0].split() == ["BATCH", "STATE", "DONE", "SUBMITTED", "ENDED"]
    ctl("submit", "--wait", apisim.url + "/status/404", check=1)
    assert ctl("status").lines()[0].split() == ["BATCH", "STATE", "DONE", "FAILED", "SUBMITTED", "ENDED"]


def test_tries_are_shown_where_one_was_not_enough(ctl, apisim):
    ctl("submit", "--wait", apisim.url + "/uuid")
    assert "TRIES" not in ctl("results", "1").out
    ctl("submit", "--wait", apisim.url + "/flaky?id=tries&fail=1&code=503", apisim.url + "/uuid")
    head, first, second = ctl("results", "2").lines()
    at = head.split().index("TRIES")
    assert (first.split()[at], second.split()[at]) == ("2", "1")


# ---- follow ----


def test_following_shows_the_past_first_and_each_job_once(daemon, ctl, mixed):
    rows = ctl("follow", mixed, "-f", "ndjson", check=1).rows()
    assert sorted(row["seq"] for row in rows) == [1, 2, 3]
    assert rows == [data for _, event, data in daemon.api.events(f"/v1/batches/{mixed}/events") if event == "job"]
    assert len(ctl("follow", mixed, "-f", "json", check=1).json()) == 3
    assert len(list(csv.DictReader(io.StringIO(ctl("follow", mixed, "-f", "csv", check=1).out)))) == 3
    assert len(ctl("follow", mixed, check=1).lines()) >= 4


def test_lines_come_as_jobs_end(daemon, gate):
    child = spawn(
        [BUILD / "fanoutctl", "-S", daemon.socket, "submit", "--follow", "-f", "ndjson", gate.url + "/{1,2}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    gate.let("/2")
    assert json.loads(child.stdout.readline())["url"].endswith("/2")
    gate.let("/1")
    assert json.loads(child.stdout.readline())["url"].endswith("/1")
    assert child.wait(10) == 0
    child.stdout.close()


def test_three_chains_run_side_by_side_each_in_order(ctl, apisim):
    lines = [
        {"url": apisim.url + f"/log?channel={chain}", "body": {"n": n}, "chain": chain}
        for chain, jobs in (("a", 2), ("b", 3), ("c", 2))
        for n in range(jobs)
    ]
    r = ctl("submit", "--follow", "-i", "-", input="".join(json.dumps(line) + "\n" for line in lines))
    for chain, jobs in (("a", 2), ("b", 3), ("c", 2)):
        assert re.search(rf"^chain {chain} +{jobs} of {jobs} done in [\d.]+ (µs|ms|s)$", r.err, re.M), r.err
    assert re.search(r"batch 1: 7 done in ", r.err)
    assert len(r.lines()) >= 8


def test_columns_of_what_is_followed_do_not_move(ctl, apisim):
    """The names of later jobs are longer than those of the first."""
    lines = [{"url": apisim.url + f"/delay/{n / 20}?" + "x" * n, "chain": "c" * (3 * n + 1), "tag": "t" * (2 * n + 1)} for n in range(6)]
    r = ctl("submit", "--follow", "-i", "-", "--hold", input="".join(json.dumps(line) + "\n" for line in lines))
    table = [line for line in r.lines()]
    assert len(table) == 7 and len({line.index("http://") for line in table[1:]}) == 1, r.out
    assert table[0].index("URL") == table[1].index("http://")
    (first,) = [line for line in table if line.startswith("1.1 ")]
    assert table[0].index("TAG") == first.index(" t ") + 1


def test_following_survives_a_daemon_that_is_killed_and_comes_back(daemon, apisim):
    batch = daemon.ctl("submit", "-p", "--concurrency", "1", apisim.url + "/delay/0.2?[1-8]").out.strip()
    waiter = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "wait", batch], stderr=subprocess.PIPE)
    follower = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "follow", batch, "-f", "ndjson"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = follower.stdout.readline()
    daemon.kill(signal.SIGKILL)
    daemon.start()
    out, err = follower.communicate(timeout=60)
    assert follower.returncode == 0, err
    assert sorted(json.loads(line)["seq"] for line in (first + out).splitlines()) == list(range(1, 9))
    _, err = waiter.communicate(timeout=60)
    assert waiter.returncode == 0, err
    assert b"8 done" in err


# ---- show, get ----


def test_show_tells_attempts_headers_and_phases(ctl, mixed):
    out = ctl("show", f"{mixed}.2").out
    assert re.search(r"^state +failed$", out, re.M) and re.search(r"^reason +http_status$", out, re.M)
    assert re.search(r"^ATTEMPT +CAUSE +STATUS", out, re.M)
    assert re.search(r"^wait +[\d.]+ ms +[#|]+$", out, re.M)
    assert "HTTP/1.1 404 Not Found" in out
    j = ctl("show", f"{mixed}.2", "-f", "json").json()
    assert (j["job"], j["attempts"], len(j["attempt_list"])) == (f"{mixed}.2", 1, 1)


def test_show_tells_the_whole_time_and_nothing_of_attempts_that_never_were(ctl, apisim):
    batch = ctl("submit", "-p", "--chain", apisim.url + "/{status/404,uuid}").out.strip()
    ctl("wait", batch, check=1)
    assert re.search(r"^elapsed +[\d.]+ (ms|s)$", ctl("show", f"{batch}.1").out, re.M)
    out = ctl("show", f"{batch}.2").out
    assert "predecessor" in out and not re.search(r"^(attempts|size|queued for|time) ", out, re.M), out


def test_what_a_job_waited_is_told_of_all_its_attempts_together(daemon, apisim):
    batch = daemon.ctl("submit", "-p", "--wait", f"{apisim.url}/flaky?id=sum&fail=2&delay=0.2").out.strip()
    out = daemon.ctl("show", f"{batch}.1").out
    attempts = re.findall(r"^ +\d+ +response +\d+ +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} +([\d.]+ m?s) ", out, re.M)
    assert len(attempts) == 3, out
    (whole,) = re.findall(r"^time +(.*)$", out, re.M)

    def milliseconds(text):
        return float(text.split()[0]) * (1000 if text.endswith(" s") else 1)

    assert abs(milliseconds(whole) - sum(map(milliseconds, attempts))) <= 2, (out, "each is rounded")


def test_show_tells_where_redirects_led(daemon, ctl, apisim):
    batch = ctl("submit", "-p", "--wait", apisim.url + "/{redirect/2,uuid}").out.split()[0]
    lines = ctl("show", f"{batch}.1").lines()
    head = next(i for i, line in enumerate(lines) if line.startswith("ATTEMPT"))
    assert lines[head].split()[-1] == "URL"
    assert [line.split()[-1] for line in lines[head + 1 : head + 4]] == [f"{apisim.url}/redirect/{n}" for n in (2, 1, 0)]
    assert "URL" not in ctl("show", f"{batch}.2").out
    narrow = table_on_terminal(daemon, 80, "show", f"{batch}.1")
    head = next(i for i, line in enumerate(narrow) if line.startswith("ATTEMPT"))
    assert [line.split()[-1] for line in narrow[head + 2 : head + 7 : 2]] == [f"{apisim.url}/redirect/{n}" for n in (2, 1, 0)], narrow


def test_get_gives_the_bodys_bytes(daemon, ctl, mixed, scratch):
    expected = bytes(i % 251 for i in range(2000))
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "get", f"{mixed}.3"], stdout=subprocess.PIPE)
    assert child.communicate(timeout=10)[0] == expected
    ctl("get", f"{mixed}.3", "-o", scratch / "out")
    assert (scratch / "out").read_bytes() == expected
    assert sorted(p.name for p in scratch.iterdir()) == ["out"]


def test_get_of_a_large_body_is_whole(ctl, apisim, scratch):
    batch = ctl("submit", "-p", "--wait", apisim.url + "/bytes/5000000").lines()[0]
    ctl("get", f"{batch}.1", "-o", scratch / "out")
    data = (scratch / "out").read_bytes()
    assert len(data) == 5000000 and data[:251] == bytes(range(251))


def test_get_where_there_is_nothing_yet_or_nowhere_to_write(ctl, apisim, mixed, scratch):
    batch = ctl("submit", "-p", apisim.url + "/hang").out.strip()
    r = ctl("get", f"{batch}.1", "-o", scratch / "out", check=1)
    assert r.err and not (scratch / "out").exists()
    assert "make its directory first" in ctl("get", f"{mixed}.1", "-o", scratch / "no" / "out", check=1).err
    ctl("cancel", batch)


def test_bytes_that_are_no_text_do_not_go_to_a_terminal(daemon, ctl, mixed):
    out, status = on_terminal([BUILD / "fanoutctl", "-S", daemon.socket, "get", f"{mixed}.3"])
    assert status == 2 and "-o FILE" in out
