"""fanoutctl limits and explain, and what submit says of limits: what is asked of a daemon, played or not, and what is made of its answers."""

import csv
import io
import json
import os
import pty
import re
import time

import pytest

from harness.http import fetch
from harness.process import BUILD, environment, on_terminal, wait_until
from harness.pulls import pull, write_recipe
from harness.script import asked, ctl, play, problem, rfc3339, rule  # noqa: F401 (fixtures)

MADE = (201, {"batch": 7, "existed": False, "closed": True, "jobs": 1, "first_seq": 1})
HOUR = 3600  # a time to come is far off: which hour it is in does not depend on how soon it is shown


def in_seconds(s):
    return rfc3339(int((time.time() + s) * 1e6))


# ---- submit ----


def test_options_of_limits_and_retries_are_members_of_the_batch(play, ctl):
    server = play({("POST", "/v1/batches"): [MADE]})
    ctl("submit", "--rate", "100/min", "--on-limit", "fail", "--deadline", "2h", "--fail-if", ".message", "--max-redirects", "3",
        "--idempotency-key", "auto", "--retry-unsafe", "http://h/")
    (body,) = server.requests("POST", "/v1/batches")
    batch = json.loads(body)
    del batch["key"]
    assert batch == {"rate": "100/min", "on_limit": "fail", "deadline": "2h", "fail_if": ".message", "max_redirects": 3,
                     "idempotency_key": "auto", "retry_unsafe": True, "jobs": [{"url": "http://h/"}], "close": True}


@pytest.mark.parametrize(
    "args, said",
    [
        (["--rate", "fast"], '--rate: "fast" is not a rate'),
        (["--on-limit", "stop"], "--on-limit takes wait|drop|fail"),
        (["--deadline", "0"], "--deadline takes a time from"),
        (["--fail-if", ".message |"], "--fail-if: "),
        (["--fail-if", "1" + " " * 4096], "--fail-if: the program is longer than 4096 bytes"),
        (["--concurrency", "0"], "--concurrency takes a whole number from 1 to 10000, not"),
        (["--concurrency", "10001"], "--concurrency takes a whole number from 1 to 10000, not"),
        (["--follow", "--fields", "joob"], '--fields: there is no field "joob"; did you mean job?'),
        (["--max-redirects", "-1"], "--max-redirects takes a whole number from 0 to 50"),
    ],
)
def test_wrong_values_are_told_before_anything_is_asked(play, ctl, args, said):
    server = play({("POST", "/v1/batches"): [MADE]})
    r = ctl("submit", *args, "http://h/", check=2)
    assert f"fanoutctl submit: {said}" in r.err
    assert server.seen == []


def test_a_batch_that_failed_by_a_limit_says_which(play, ctl):
    failed = {"batch": 7, "state": "failed", "counts": {"done": 1, "failed": 5}, "submitted_at": "2026-01-01T00:00:00.000000Z",
              "ended_at": "2026-01-01T00:00:01.000000Z"}
    rows = [*({"job": f"7.{n}", "reason": "http_status", "error": "404", "url": f"http://h/{n}"} for n in (2, 3, 4)),
            {"job": "7.5", "reason": "limited", "error": "429 Too Many Requests", "url": "https://catfact.ninja/fact"},
            {"job": "7.6", "reason": "limited", "error": "another"}]

    def results(handler):
        limit = int(re.search(r"limit=(\d+)", handler.path)[1])
        body = "".join(json.dumps(row) + "\n" for row in rows[:limit]).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    play({("POST", "/v1/batches"): [MADE], ("GET", "/v1/batches/7/wait"): [(200, failed)], ("GET", "/v1/batches/7/results"): [results]})
    r = ctl("submit", "--wait", "--on-limit", "fail", "http://h/", check=1)
    told = ["batch 7: 1 done, 5 failed in 1.00 s", *(f"  7.{n} http://h/{n}: 404" for n in (2, 3, 4)), "  and 2 more: fanoutctl results 7 --state failed"]
    assert r.err.splitlines()[1:] == [*told, "limited: 7.5 at catfact.ninja:443: 429 Too Many Requests"]
    del rows[0]  # now it is among those that are shown
    assert ctl("wait", "7", check=1).err.splitlines()[-2:] == ["  7.5 https://catfact.ninja/fact: 429 Too Many Requests", "  and 2 more: fanoutctl results 7 --state failed"]
    assert ctl("wait", "7", "-q", check=1).err == ""


def ask_on_terminal(argv, answer):
    """Runs a program on a terminal, and types the answer to its question; what was shown and how it ended."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(str(argv[0]), [str(a) for a in argv], environment(TERM="xterm"))
    shown = b""
    try:
        while b": " not in shown:
            shown += os.read(fd, 1000)
        os.write(fd, answer)
        while True:
            try:
                piece = os.read(fd, 1000)
            except OSError:
                break
            if not piece:
                break
            shown += piece
    finally:
        os.close(fd)
    _, status = os.waitpid(pid, 0)
    return shown.decode(), os.waitstatus_to_exitcode(status)


def test_a_password_is_asked_for_and_never_shown(play, scratch):
    server = play({("POST", "/v1/batches"): [MADE]})
    shown, status = ask_on_terminal([BUILD / "fanoutctl", "-S", scratch / "s", "submit", "-u", "me", "http://h/"], b"s3:cret\n")
    assert status == 0, shown
    assert shown.startswith("password for me: ") and "s3" not in shown
    assert json.loads(server.requests("POST", "/v1/batches")[0])["user"] == "me:s3:cret"


def test_an_interrupted_question_submits_nothing_and_leaves_the_terminal_as_it_was(play, scratch):
    server = play({("POST", "/v1/batches"): [MADE]})
    script = f"{BUILD}/fanoutctl -S {scratch}/s submit -u me http://h/; echo status $?; stty"
    shown, _ = ask_on_terminal(["/bin/sh", "-c", f"trap : INT; {script}"], b"half\x03")
    assert "status 130" in shown and "half" not in shown
    assert "-echo" not in shown.split()
    assert server.seen == []


def test_without_a_terminal_a_password_has_to_be_given(ctl):
    r = ctl("submit", "-u", "me", "http://h/", check=2, start_new_session=True)
    assert "no terminal to ask for the password of me" in r.err and "-u USER:PASSWORD" in r.err


def test_headers_come_from_a_file_as_with_curl(play, ctl, scratch):
    server = play({("POST", "/v1/batches"): [MADE]})
    (scratch / "headers").write_text("X-A: 1\r\n\r\nX-B: 2\n")
    ctl("submit", "-H", "X-0: 0", "-H", f"@{scratch}/headers", "--json", "{}", "http://h/")
    ctl("submit", "-H", "@-", "http://h/", input="X-C: 3\n")
    sent = [json.loads(body)["headers"] for body in server.requests("POST", "/v1/batches")]
    assert sent == [["Content-Type: application/json", "Accept: application/json", "X-0: 0", "X-A: 1", "X-B: 2"], ["X-C: 3"]]
    assert "No such file" in ctl("submit", "-H", "@none", "http://h/", check=2).err
    assert "stdin can be one of them" in ctl("submit", "-H", "@-", "-d", "@-", "http://h/", check=2, input="").err


# ---- limits ----


def limits_answer():
    window = {"rate": "100/1min", "used": 100, "free_at": in_seconds(2 * HOUR + 1800)}
    return {
        "limits": [
            rule(concurrency=8, pace=True, state=[{"host": "catfact.ninja:443", "in_flight": 3, "windows": [window, {"rate": "5000/1h", "used": 7, "free_at": None}], "waiting": 42}]),
            rule("docs", source="runtime", match="*", rates=["1/1s"], state=[{"host": "h:80", "in_flight": 1, "windows": [{"rate": "1/1s", "used": 1, "free_at": None}], "waiting": 2}]),
            rule("cats", source="conf", shadowed=True),
        ],
        "hosts": [
            {"host": "busy.example:443", "paused_until": in_seconds(5 * HOUR + 1800), "probing": False, "refusals": 3, "learned": {"rate": "60/1min", "expires_at": in_seconds(6 * HOUR)}},
            {"host": "back.example:443", "paused_until": None, "probing": True, "refusals": 1, "learned": None},
        ],
    }


def test_limits_show_rules_use_and_paused_hosts(play, ctl):
    play({("GET", "/v1/limits"): [(200, limits_answer())]})
    rules, use, hosts = ctl("limits").out.split("\n\n")
    assert re.search(r"^cats +conf +catfact.ninja +100/1min +8 +evenly *$", rules, re.M)
    assert re.search(r"^cats +conf .* shadowed: another one with this name is in force$", rules, re.M)
    assert re.search(r"^catfact.ninja:443 +cats +3 +42 +100 +100/1min +in 2 h \d\d min, at 20\d\d-", use, re.M)
    assert re.search(r"^catfact.ninja:443 +cats +3 +42 +7 +5000/1h +now$", use, re.M)
    assert re.search(r"^h:80 +docs +1 +2 +1 +1/1s +when a request ends$", use, re.M)
    assert re.search(r"^busy.example:443 +3 +paused; goes on in 5 h \d\d min.* 60/1min +20\d\d-", hosts, re.M)
    assert re.search(r"^back.example:443 +1 +a single request probes", hosts, re.M)


def test_limits_in_every_format(play, ctl):
    answer = limits_answer()
    play({("GET", "/v1/limits"): [(200, answer)]})
    assert ctl("limits", "-f", "json").json() == answer
    assert ctl("limits", "-f", "ndjson").rows() == answer["limits"] + answer["hosts"]
    r = ctl("limits", "-f", "csv")
    assert r.err == "csv has the limits alone; 2 hosts that refused or told a rate: -f json, or table\n"
    rows = list(csv.DictReader(io.StringIO(r.out)))
    assert [(row["name"], row["host"], row["rate"], row["used"]) for row in rows] == [
        ("cats", "catfact.ninja:443", "100/1min", "100"), ("cats", "catfact.ninja:443", "5000/1h", "7"), ("docs", "h:80", "1/1s", "1"), ("cats", "", "", "")]


def test_no_limits_are_told_as_such(play, ctl):
    play({("GET", "/v1/limits"): [(200, {"limits": [], "hosts": []})]})
    r = ctl("limits")
    assert (r.out, r.err) == ("", "no limits\n")
    assert "no limits for this host" in ctl("limits", "h:1").err


def test_limits_of_a_host_are_those_of_all_its_ports(play, ctl):
    def answer(handler):
        everything = {"limits": [rule(state=[{"host": h, "in_flight": 0, "windows": [], "waiting": 0} for h in ("h.example:8080", "h.example:80", "other:80")])],
                      "hosts": [{"host": "h.example:8080", "refusals": 1}, {"host": "other:80", "refusals": 1}]}
        handler.reply(200, everything)

    server = play({("GET", "/v1/limits"): [answer]})
    got = ctl("limits", "h.example", "-f", "json").json()
    assert asked(server, "GET", "/v1/limits") == ["", "host=h.example:443", "host=h.example:80", "host=h.example:8080"]
    assert [s["host"] for s in got["limits"][0]["state"]] == ["h.example:8080", "h.example:80"]
    assert [h["host"] for h in got["hosts"]] == ["h.example:8080"]
    server.seen.clear()
    ctl("limits", "https://[::1]/x")
    assert asked(server, "GET", "/v1/limits") == ["host=%5B::1%5D:443"]


def test_a_limit_is_set_and_told(play, ctl):
    answer = rule("api.example.org", source="runtime", match="api.example.org", rates=["100/1min", "5000/1h"], concurrency=8, pace=True)
    server = play({("PUT", "/v1/limits/api.example.org"): [(200, answer)]})
    r = ctl("limits", "set", "api.example.org", "--rate", "100/min", "--rate", "5000/h", "--concurrency", "8", "--pace")
    assert r.err == "limit api.example.org: 100/1min 5000/1h, at most 8 at a time, evenly spread, for api.example.org\n"
    assert json.loads(server.requests("PUT", "/v1/limits/api.example.org")[0]) == {"rates": ["100/min", "5000/h"], "concurrency": 8, "pace": True}
    assert ctl("limits", "set", "api.example.org", "--rate", "1/s", "-f", "json").json() == answer
    server.answers[("PUT", "/v1/limits/a%2Fb%3F%20%C3%A4%25")] = [(200, answer)]
    ctl("limits", "set", "a/b? ä%", "--rate", "1/s")
    ctl("limits", "set", "api.example.org", "--concurrency", "1", "--match", "*.example.org/search*")
    assert json.loads(server.requests("PUT", "/v1/limits/api.example.org")[2]) == {"concurrency": 1, "match": "*.example.org/search*"}


@pytest.mark.parametrize(
    "args, said",
    [
        (["h"], "--rate or --concurrency is missing"),
        (["h", "--pace", "--concurrency", "3"], "--rate is missing"),
        (["x" * 101, "--rate", "1/s"], "1 to 100 bytes"),
        (["h", "--rate", "1"], '--rate: "1" is not a rate'),
        (["h", "--concurrency", "0"], "--concurrency takes a whole number"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_before_anything_is_asked(play, ctl, args, said):
    server = play({})
    assert said in ctl("limits", "set", *args, check=2).err
    assert server.seen == []


def test_limits_are_removed_and_the_daemons_no_is_told(play, ctl):
    play({
        ("DELETE", "/v1/limits/a"): [(200, {"removed": True})],
        ("DELETE", "/v1/limits/b"): [problem(404, "not_found", "there is no runtime limit b")],
        ("PUT", "/v1/limits/a"): [problem(403, "permission", "limits are set by root", hint="ask root")],
    })
    r = ctl("limits", "rm", "b", "a", check=4)
    assert "there is no runtime limit b" in r.err and "limit a: removed" in r.err
    assert ctl("limits", "set", "a", "--rate", "1/s", check=5).err == "fanoutctl: limits are set by root\n  ask root\n"


def test_resuming_a_host_resumes_those_of_its_ports_that_are_paused(play, ctl):
    answer = {"limits": [], "hosts": [{"host": "h.example:443", "paused_until": None, "probing": True, "refusals": 1},
                                      {"host": "h.example:8443", "paused_until": in_seconds(9), "probing": False, "refusals": 1},
                                      {"host": "h.example:80", "paused_until": None, "probing": False, "refusals": 1}]}
    server = play({("GET", "/v1/limits"): [(200, answer)], ("POST", "/v1/limits/resume"): [(200, {})]})
    assert ctl("limits", "resume", "h.example").err == "host h.example:443: goes on\nhost h.example:8443: goes on\n"
    assert asked(server, "POST", "/v1/limits/resume") == ["host=h.example:443", "host=h.example:8443"]
    assert "other.example is not paused" in ctl("limits", "resume", "other.example", check=4).err
    ctl("limits", "resume", "h.example:80")
    assert asked(server, "POST", "/v1/limits/resume")[-1] == "host=h.example:80"


# ---- explain, status ----


def waits(*waits, state="queued", eta=None):
    return {"state": state, "waits": list(waits), "eta": eta}


def test_a_waiting_job_is_explained(play, ctl):
    play({("GET", "/v1/jobs/7.42/explain"): [(200, waits(
        {"why": "rate", "limit": "cats", "host": "catfact.ninja:443", "until": in_seconds(2 * HOUR + 1800), "text": "100 requests to catfact.ninja:443 in 1 min are as many as cats allows"},
        {"why": "turn", "limit": None, "host": None, "until": None, "text": None}, eta=in_seconds(3 * HOUR + 1800)))]})
    lines = ctl("explain", "7.42").lines()
    assert lines[0] == "job 7.42 is queued. It waits because"
    assert re.fullmatch(r"  100 requests to catfact.ninja:443 in 1 min are as many as cats allows: goes on in 2 h \d\d min, at 20\d\d-.*", lines[1])
    assert lines[2] == "  other jobs are before it"
    assert re.fullmatch(r"By estimate, its batch will have ended in 3 h \d\d min, at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.", lines[3])


def test_what_waits_for_nothing_is_told_as_such(play, ctl):
    play({("GET", "/v1/batches/7/explain"): [(200, waits(state="done")), (200, waits(state="running"))]})
    assert ctl("explain", "7").out == "batch 7 is done.\n"
    assert ctl("explain", "7").out == "batch 7 is running and waits for nothing.\n"


def test_explanations_in_every_format(play, ctl):
    answer = waits({"why": "pause", "limit": None, "host": "h:443", "until": in_seconds(3), "text": "it refused"})
    play({("GET", "/v1/batches/7/explain"): [(200, answer)]})
    assert ctl("explain", "7", "-f", "json").json() == answer
    assert ctl("explain", "7", "-f", "ndjson").rows() == [answer]
    (row,) = csv.DictReader(io.StringIO(ctl("explain", "7", "-f", "csv").out))
    assert (row["why"], row["host"], row["text"]) == ("pause", "h:443", "it refused")


def test_what_is_neither_job_nor_batch_is_not_explained(play, ctl):
    server = play({})
    assert '"7." is no job' in ctl("explain", "7.", check=2).err
    assert server.seen == []
    assert '"x" is no batch' in ctl("explain", "x", check=2).err
    assert [path for _, path, _ in server.seen] == ["/v1/pulls/x"], "it may have been a pull"
    ctl("explain", "7", check=4)


def test_status_tells_which_limit_holds_a_batch_up(play, ctl):
    batch = {"batch": 7, "state": "running", "counts": {"queued": 5, "running": 1, "done": 4}, "submitted_at": "2026-01-01T00:00:00.000000Z", "ended_at": None, "eta": None}
    answer = waits({"why": "turn"}, {"why": "rate", "limit": "cats", "host": "h:443", "until": in_seconds(2 * HOUR + 1800), "text": "cats is used up at h:443"})
    server = play({("GET", "/v1/batches/7"): [(200, batch), (200, batch), (200, {**batch, "state": "done", "counts": {"done": 10}})],
                   ("GET", "/v1/batches/7/explain"): [(200, answer), problem(404, "not_found", "an older daemon")]})
    assert re.search(r"^limited +cats is used up at h:443: goes on in 2 h \d\d min, at ", ctl("status", "7").out, re.M)
    assert "limited" not in ctl("status", "7").out, "a daemon that cannot say is no error"
    assert "limited" not in ctl("status", "7").out
    assert len(asked(server, "GET", "/v1/batches/7/explain")) == 2, "what has ended is not asked about"
    assert "limited" not in ctl("status", "7", "-f", "json").out


# ---- against the daemon ----


@pytest.mark.parametrize("words", [["wait", "last"], ["fetch", "--rate", "1/h", "-o", "{seq}"]], ids=lambda words: words[0])
def test_the_line_of_progress_tells_what_holds_a_batch_up(daemon, apisim, scratch, words):
    urls = [apisim.url + f"/uuid?{n}" for n in (1, 2)]
    if words[0] == "wait":
        daemon.ctl("submit", "--rate", "1/h", *urls)
    else:
        words = [*words[:-1], scratch / words[-1], *urls]

    def end():
        daemon.ctl("cancel", "1")

    shown, code = on_terminal([BUILD / "fanoutctl", "-S", daemon.socket, *words], columns=120, seen=b"the rate of batch 1 is used up", then=end)
    assert code == 7, shown


@pytest.mark.parametrize("columns", [80, 160])
def test_the_line_of_progress_tells_the_error_that_all_attempts_fail_with(daemon, columns):
    daemon.ctl("submit", "--rate", "10/h", "--max-attempts", "90", *[f"http://127.0.0.1:1/?{n}" for n in range(20)])
    shown, code = on_terminal([BUILD / "fanoutctl", "-S", daemon.socket, "wait", "last"], columns=columns, seen=b"onnection refused",
                              then=lambda: daemon.ctl("cancel", "1"))
    assert code == 7, shown
    line = next(line for line in re.split(r"\r|\x1b\[K", shown) if "refused" in line)
    whole = "connection to 127.0.0.1 port 1 failed: Connection refused"
    assert re.fullmatch(r"(\[-+\] )?batch 1: 0 of 20(, \d+ s left)?(, \d+ running)?; \d+ attempts failed: " + (whole if columns > 80 else r"\.\.\.Connection refused") + r"(, goes on in .*)?", line), line


def test_a_host_that_the_error_names_is_not_said_again(daemon):
    batch = daemon.ctl("submit", "--max-attempts", "90", "http://127.0.0.1:1/").out.strip()
    told = wait_until(lambda: re.search(r"^  .*refused.*$", daemon.ctl("explain", batch).out, re.M), 30, "it is explained")[0]
    assert "127.0.0.1 port 1 failed: Connection refused" in told and "127.0.0.1:1" not in told, told
    daemon.ctl("cancel", batch)


def limited(apisim, name, **options):
    """Makes a strict limit of the simulator; the URL of a job under it."""
    query = "&".join(f"{key.replace('_', '-')}={value}" for key, value in options.items())
    assert fetch(f"{apisim.url}/limit/{name}?{query}", "PUT").status < 300
    return f"{apisim.url}/limit/{name}/uuid"


def test_a_failed_batch_is_explained_by_its_most_frequent_error(daemon, apisim):
    batch = daemon.ctl("submit", apisim.url + "/status/[403-404]", apisim.url + "/status/404?again", apisim.url + "/uuid").out.strip()
    daemon.ctl("wait", batch, check=1)
    first, why, then = daemon.ctl("explain", batch).lines()
    assert first == f"batch {batch} failed."
    assert why.startswith("3 of 4 jobs failed, 2 of 3 with: ") and "404" in why, why
    assert f"fanoutctl results {batch} --state failed" in then and f"fanoutctl retry {batch}" in then


def test_a_retry_that_changes_nothing_is_not_advised(daemon, apisim):
    urls = [apisim.url + "/bytes/3000", apisim.url + "/status/401", apisim.url + "/status/404"]
    batch = daemon.ctl("submit", "--max-body", "1K", *urls).out.strip()
    daemon.ctl("wait", batch, check=1)
    then, large, unauthorized = daemon.ctl("explain", batch).lines()[2:]
    assert f"fanoutctl retry {batch} tries them again" in then
    assert large.startswith("of those, 1 (too_large): ") and unauthorized.startswith("of those, 1 (401): "), (large, unauthorized)
    for job, advised in ((1, "submit it anew with a greater --max-body"), (2, "the same credentials"), (3, "tries it again")):
        (why,) = daemon.ctl("explain", f"{batch}.{job}").lines()[2:]
        assert advised in why and ("tries it again" in why) == (job == 3), why
    batch = daemon.ctl("submit", "--max-body", "1K", urls[0]).out.strip()
    daemon.ctl("wait", batch, check=1)
    told = daemon.ctl("explain", batch).out
    assert "its job failed: the body is larger than 1.0 KiB" in told and "tries it again" not in told, told


def chained(daemon, apisim, *paths):
    """A batch with a job for each: CHAIN and a path."""
    lines = "".join(json.dumps({"url": apisim.url + path, "chain": chain}) + "\n" for chain, path in paths)
    batch = daemon.ctl("submit", "-i", "-", input=lines).out.strip()
    daemon.ctl("wait", batch, check=1)
    return batch


def test_a_failed_batch_of_chains_is_explained_by_what_failed_first(daemon, apisim):
    batch = chained(daemon, apisim, ("a", "/status/404"), ("a", "/uuid"), ("a", "/uuid"), ("b", "/uuid"))
    assert daemon.ctl("explain", batch).lines()[1] == "1 of 4 jobs failed: 404 Not Found; 2 more did not run because of it"
    batch = chained(daemon, apisim, ("a", "/status/404"), ("a", "/uuid"), ("b", "/status/410"), ("c", "/status/404"))
    assert daemon.ctl("explain", batch).lines()[1] == "3 of 4 jobs failed, 2 of 3 with: 404 Not Found; 1 more did not run because of them"


def test_a_failed_job_is_explained_by_its_error_and_what_to_do(daemon, apisim):
    chain = "".join(json.dumps({"url": apisim.url + path, "chain": "a"}) + "\n" for path in ("/status/404", "/uuid"))
    batch = daemon.ctl("submit", "-i", "-", input=chain).out.strip()
    daemon.ctl("wait", batch, check=1)
    first, second = f"{batch}.1", f"{batch}.2"
    assert daemon.ctl("explain", first).lines() == [
        f"job {first} failed.",
        "404 Not Found (http_status), after 1 attempt",
        f"fanoutctl show {first} has its attempts, fanoutctl retry {first} tries it again.",
    ]
    assert daemon.ctl("explain", second).lines()[1:] == [
        f"job {first} of its chain failed (predecessor)",
        f"fanoutctl retry {batch} tries it again, after what failed before it.",
    ], "a retry of it alone is refused"
    answer = daemon.api.get(f"/v1/jobs/{first}/explain").json()
    facts = {"reason": "http_status", "error": "404 Not Found", "status": 404, "attempts": 1, "maybe_done": False}
    assert daemon.ctl("explain", first, "-f", "json").json() == {**answer, "failure": facts}
    unknown = daemon.ctl("submit", "-X", "POST", apisim.url + "/reset?bytes=0").out.strip()
    daemon.ctl("wait", unknown, check=1)
    then = daemon.ctl("explain", f"{unknown}.1").lines()[2]
    assert f"look at the server, then fanoutctl retry {unknown}.1 --unsafe." in then and "tries it again" not in then


def test_why_a_batch_failed_is_told_in_json_too(daemon, apisim):
    def failure(batch):
        return daemon.ctl("explain", batch, "-f", "ndjson").rows()[0]["failure"]

    facts = {"jobs": 4, "failed": 4, "looked_at": 4, "causes": 3, "followers": 1, "error": "404 Not Found", "error_jobs": 2, "unknown_outcome": 0, "maybe_done": 0}
    assert failure(chained(daemon, apisim, ("a", "/status/404"), ("a", "/uuid"), ("b", "/status/410"), ("c", "/status/404"))) == facts
    batch = daemon.ctl("submit", "-X", "POST", apisim.url + "/{reset?bytes=0,status/500,uuid}").out.strip()
    daemon.ctl("wait", batch, check=1)
    told = failure(batch)
    assert (told["jobs"], told["failed"], told["unknown_outcome"], told["maybe_done"]) == (3, 2, 1, 1), told
    assert failure(f"{batch}.2")["maybe_done"] and failure(f"{batch}.1")["reason"] == "unknown_outcome"
    assert "failure" not in daemon.ctl("explain", f"{batch}.3", "-f", "json").json()


def test_why_a_run_has_not_everything_is_told_in_json_too(daemon, apisim):
    write_recipe(daemon, "p", url=apisim.url + "/status/404", page={"type": "single"})
    run, receipt = pull(daemon, "p")
    told = daemon.ctl("explain", run.number, "-f", "json").json()["receipt"]
    assert (told["verdict"], told["error"], told["run"]) == (receipt["verdict"], receipt["error"], run.number)
    assert "404" in told["error"]


def test_the_record_proves_what_the_server_counted(make_daemon, apisim):
    daemon = make_daemon(limits=[{"name": "sim", "match": "127.0.0.1", "rates": ["20/5s", "1000/h"]}])
    url = limited(apisim, "kept", n=20, window=5, jitter_in="uniform:0:0.15", jitter_out="uniform:0:0.15")
    assert daemon.ctl("audit", apisim.url, check=4).out == ""
    daemon.ctl("submit", "--wait", url + "?[1-30]")
    got = daemon.ctl("audit", apisim.url, "-f", "json").json()
    assert [(row["limit"], row["rate"], row["attempts"], row["refused"], row["open"], row["verdict"]) for row in got] == [
        ("sim", "20/5s", 30, 0, 0, "kept"), ("sim", "1000/1h", 30, 0, 0, "kept")]
    assert got[0]["fullest"]["worst"]["requests"] >= apisim.get("/limit/kept")["worst"] == 20
    assert (got[1]["used"], got[1]["allowed"]) == (30, 1000)
    r = daemon.ctl("audit", apisim.url, "--rate", "19/5s", check=1)
    assert re.search(r"^19/5s for 127.0.0.1:\d+ is broken: \d+ of 30 requests went too early; 20 were sent within 5.00 s from .*, where 19 may be: 1.1-1.20$", r.out, re.M)
    assert daemon.ctl("audit", apisim.url, "--since", "1h").lines()[1].split()[3] == "30"
    assert "in that time" in daemon.ctl("audit", apisim.url, "--until", "1h", check=4).err
    # The port is known from the limit's state.
    assert daemon.ctl("audit", "127.0.0.1").lines()[0].startswith("HOST")


def test_a_host_without_its_port_is_audited_at_all_that_something_was_sent_to(daemon, apisim, nginx):
    """Also where no limit knows of them."""
    daemon.ctl("submit", "--wait", apisim.url + "/uuid?[1-3]", nginx.url + "/?[1-2]")
    rows = daemon.ctl("audit", "127.0.0.1", "-f", "json").json()
    assert {row["host"]: row["attempts"] for row in rows} == {apisim.url[7:]: 3, nginx.url[7:]: 2}
    assert daemon.api.get("/v1/hosts?name=127.0.0.1").json() == {"hosts": sorted([apisim.url[7:], nginx.url[7:]])}
    assert daemon.api.get("/v1/hosts?name=127.0.0").json() == {"hosts": []}
    for wrong in ("", "?name=", "?name=a%2Fb", "?name=a%20b"):
        assert daemon.api.get("/v1/hosts" + wrong).status == 400, wrong


def test_a_batch_is_audited_by_the_limits_it_was_under_and_its_own(daemon, apisim, nginx):
    daemon.ctl("limits", "set", "127.0.0.1", "--rate", "1000/s")
    before = daemon.ctl("submit", "-p", "--wait", apisim.url + "/uuid?[1-7]").lines()[0]
    batch = daemon.ctl("submit", "-p", "--wait", "--rate", "100/s", apisim.url + "/redirect-to?url=" + nginx.url + "/", apisim.url + "/uuid?[1-3]").lines()[0]
    for word in (batch, "last", "-1"):
        rows = daemon.ctl("audit", word, "-f", "json").json()
        assert {(row["host"], row["limit"], row["rate"], row["source"], row["attempts"], row["of_batch"], row["verdict"]) for row in rows} == {
            (host[7:], limit, rate, source, count, count, "kept") for host, count in ((apisim.url, 4), (nginx.url, 1))
            for limit, rate, source in (("127.0.0.1", "1000/1s", "runtime"), (f"batch {batch}", "100/1s", "batch"))}, word
    table = daemon.ctl("audit", batch)
    assert "OF THE BATCH" in table.lines()[0] and len(table.lines()) == 5 and table.err == ""
    (row,) = daemon.ctl("audit", before, "-f", "json").json()
    assert (row["limit"], row["of_batch"]) == ("127.0.0.1", 7), "of its own time, and no other's rate"
    assert daemon.ctl("audit", batch, "--rate", "2/h", check=1).out.count("is broken") == 1
    assert f"no request of batch {batch} is recorded in that time" in daemon.ctl("audit", batch, "--since", "2h", "--until", "1h", check=4).err
    assert f"no request of batch {batch} is recorded in that time" in daemon.ctl("audit", "last", "--since", "2h", "--until", "1h", check=4).err
    assert "there is no batch 99" in daemon.ctl("audit", "99", check=4).err
    assert f"{batch}.1 is a job" in daemon.ctl("audit", f"{batch}.1", check=2).err
    daemon.ctl("rm", batch)
    assert f"there is no batch {batch}" in daemon.ctl("audit", batch, check=4).err


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_anothers_batch_is_not_audited(make_daemon, apisim):
    daemon = make_daemon(socket_mode="0666")
    daemon.ctl("submit", "--wait", apisim.url + "/uuid")
    assert "there is no batch 1" in daemon.ctl("audit", "1", check=4, user=65534, group=65534, extra_groups=[]).err


def test_a_limit_is_kept_through_the_daemons_death_and_the_record_says_so(make_daemon, apisim):
    daemon = make_daemon(limits=[{"match": "127.0.0.1", "rate": "20/1s"}])
    url = limited(apisim, "killed", n=20, window=1)
    batch = daemon.ctl("submit", "-p", url + "?[1-60]").out.strip()
    for _ in range(2):
        wait_until(lambda: daemon.ctl("status", batch, "-f", "json").json()["counts"]["done"] > 0, 10, "some jobs are done")
        daemon.kill()
        daemon.start()
    daemon.ctl("wait", batch)
    (row,) = daemon.ctl("audit", apisim.url, "-f", "json").json()
    assert row["verdict"] == "kept" and row["attempts"] >= 60 and row["refused"] == 0


def test_limits_are_set_listed_and_removed(daemon, apisim):
    daemon.ctl("limits", "set", "127.0.0.1", "--rate", "1000/s", "--rate", "2/h", "--concurrency", "3", "--pace")
    daemon.ctl("limits", "set", "a path", "--rate", "5/s", "--match", "127.0.0.1/x*")
    rules = {rule["name"]: rule for rule in daemon.ctl("limits", "-f", "json").json()["limits"]}
    assert rules["127.0.0.1"]["rates"] == ["1000/1s", "2/1h"] and rules["127.0.0.1"]["source"] == "runtime"
    assert rules["a path"]["match"] == "127.0.0.1/x*"
    daemon.restart()
    assert len(daemon.ctl("limits", "-f", "json").json()["limits"]) == 2
    r = daemon.ctl("limits", "rm", "a path", "nothing", check=4)
    assert "limit a path: removed" in r.err and "there is no limit nothing" in r.err
    assert re.search(r"^127.0.0.1 +runtime +127.0.0.1 +1000/1s 2/1h +3 +evenly *$", daemon.ctl("limits", apisim.url).out, re.M)
    assert daemon.ctl("limits", "other.example").err == "no limits for this host\n"


def test_a_batchs_own_rate_is_listed_while_it_holds_the_host(daemon, gate):
    key = gate.url.removeprefix("http://")
    batch = int(daemon.ctl("submit", "-p", "--rate", "1/h", gate.url + "/{a,b,c}").out)
    assert daemon.ctl("limits", "other.example").err == "no limits for this host\n"

    def own(operand):
        return daemon.ctl("limits", operand, "-f", "json").json()

    (row,) = wait_until(lambda: [b for b in own(key)["batches"] if b["state"][0]["in_flight"]], 60, "one of its requests is out")
    assert (row["batch"], row["name"], row["source"], row["match"], row["rates"]) == (batch, f"batch {batch}", "batch", None, ["1/1h"])
    assert [(s["host"], s["windows"][0]["used"]) for s in row["state"]] == [(key, 1)]
    assert own(key)["limits"] == []
    for operand in (key, gate.url, key.partition(":")[0], batch, "last"):
        r = daemon.ctl("limits", operand)
        assert r.err == "" and re.search(rf"^batch {batch} +batch +1/1h *$", r.out, re.M), r
        assert re.search(rf"^{re.escape(key)} +batch {batch} +1 +\d+ +1 +1/1h +when a request ends$", r.out, re.M), r
    assert [r["name"] for r in daemon.ctl("limits", key, "-f", "ndjson").rows()] == [f"batch {batch}"]
    gate.open()
    daemon.ctl("cancel", batch)
    daemon.ctl("wait", batch, check=7)
    wait_until(lambda: own(key)["batches"] == [], 60, "it holds nothing any more")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_the_own_rate_of_anothers_batch_is_not_listed(make_daemon, gate):
    daemon = make_daemon(socket_mode="0666")
    daemon.ctl("submit", "--rate", "1/h", gate.url + "/{a,b}")
    wait_until(lambda: daemon.ctl("limits", "-f", "json").json()["batches"], 60, "it is listed for its owner")
    assert daemon.ctl("limits", gate.url, user=65534, group=65534, extra_groups=[]).err == "no limits for this host\n"


def test_of_a_batch_or_a_pull_the_limits_of_its_hosts_are_listed(daemon, apisim):
    key = apisim.url.removeprefix("http://")
    daemon.ctl("limits", "set", "all", "--rate", "1000/s", "--match", "*")
    batch = daemon.ctl("submit", "--wait", "-p", apisim.url + "/uuid", apisim.url.replace("127.0.0.1", "localhost") + "/uuid").out.strip()
    (rule,) = daemon.ctl("limits", batch, "-f", "json").json()["limits"]
    assert (rule["name"], sorted(s["host"] for s in rule["state"])) == ("all", sorted([key, key.replace("127.0.0.1", "localhost")]))
    write_recipe(daemon, "p", url=apisim.url + "/json", items=".")
    daemon.ctl("pull", "run", "p", "--wait", "-q")
    (rule,) = daemon.ctl("limits", "p", "-f", "json").json()["limits"]
    assert [s["host"] for s in rule["state"]] == [key]
    assert "there is no batch 99" in daemon.ctl("limits", "99", check=4).err
    assert f"{batch}.1 is a job" in daemon.ctl("limits", f"{batch}.1", check=2).err


def test_of_a_url_the_host_is_limited(daemon, apisim):
    r = daemon.ctl("limits", "set", "https://API.example.org/v1/items?x=1", "--rate", "5/s")
    assert "this is for all of api.example.org; --match 'api.example.org/PATH*'" in r.err and "limit api.example.org: 5/1s" in r.err
    daemon.ctl("limits", "set", apisim.url, "--rate", "1000/s")
    daemon.ctl("limits", "set", "http://[::1]/", "--concurrency", "2")
    rules = {rule["name"]: rule["match"] for rule in daemon.ctl("limits", "-f", "json").json()["limits"]}
    key = apisim.url.removeprefix("http://")
    assert rules == {"api.example.org": "api.example.org", key: key, "[::1]": "[::1]"}
    assert "limit api.example.org: removed" in daemon.ctl("limits", "rm", "https://api.example.org/").err
    daemon.ctl("limits", "rm", "http://[::1]", apisim.url)
    assert "://" in daemon.ctl("limits", "set", "ftp://h/", "--rate", "5/s", check=2).err


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_who_may_not_set_limits_is_told(make_daemon):
    daemon = make_daemon(socket_mode="0666")
    for verb in (["set", "h", "--rate", "1/s"], ["rm", "h"], ["resume", "h:80"]):
        daemon.ctl("limits", *verb, check=5, user=65534, group=65534, extra_groups=[])
    assert daemon.ctl("limits", user=65534, group=65534, extra_groups=[]).err == "no limits\n"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_everybody_may_audit_what_all_have_sent(make_daemon, apisim):
    daemon = make_daemon(socket_mode="0666")
    daemon.ctl("submit", "--wait", apisim.url + "/uuid?[1-3]")
    r = daemon.ctl("audit", apisim.url, "--rate", "2/h", check=1, user=65534, group=65534, extra_groups=[])
    assert re.search(r"3 were sent within 1 h 00 min from .*: 1.1-1.3$", r.out, re.M)


def test_a_batch_that_waits_for_a_limit_says_so(daemon, apisim):
    daemon.ctl("limits", "set", "hourly", "--rate", "2/h", "--match", "127.0.0.1")
    batch = daemon.ctl("submit", "-p", apisim.url + "/uuid?[1-5]").out.strip()
    wait_until(lambda: daemon.ctl("status", batch, "-f", "json").json()["counts"]["done"] == 2, 10, "two are done")
    explained = wait_until(lambda: re.search(r"rate of hourly is used up \(\d+/1h\).*goes on in 5\d min \d\d s, at 20", daemon.ctl("explain", batch).out), 5, "it is explained")
    assert explained
    assert "rate of hourly" in daemon.ctl("explain", f"{batch}.5").out
    assert re.search(r"^limited +the rate of hourly is used up", daemon.ctl("status", batch).out, re.M)
    assert daemon.ctl("explain", f"{batch}.1").out == f"job {batch}.1 is done.\n"
    assert re.search(rf"^{re.escape(apisim.url[7:])} +hourly +0 +\d+ +2 +2/1h +in 5\d min", daemon.ctl("limits").out, re.M)
    daemon.ctl("limits", "rm", "hourly")
    daemon.ctl("wait", batch)


def test_two_hundred_and_fifty_asked_for_where_five_are_allowed(daemon, apisim):
    """on_limit: drop takes what the API gives, fail ends with the limit as its error."""
    url = limited(apisim, "five", n=5, window=600)
    batch = daemon.ctl("submit", "-p", "--on-limit", "drop", url + "?[1-20]").out.strip()
    r = daemon.ctl("wait", batch, check=1)
    assert "5 done, 15 failed" in r.err and re.search(r"^  1\.\d+ http.*: 429 ", r.err, re.M), r
    assert {row["reason"] for row in daemon.ctl("results", batch, "-f", "ndjson").rows()} == {None, "limited"}
    held = wait_until(lambda: re.search(r"^127.0.0.1:\d+ +\d+ +paused; goes on in ", daemon.ctl("limits").out, re.M), 5, "the host is paused")
    assert held
    r = daemon.ctl("limits", "resume", "127.0.0.1")
    assert re.fullmatch(r"host 127.0.0.1:\d+: goes on\n", r.err)
    limited(apisim, "five", n=3, window=600)
    r = daemon.ctl("submit", "--wait", "--on-limit", "fail", url + "?[1-20]", check=1)
    assert re.search(r"^(limited: 2\.\d+ at 127.0.0.1:\d+|  2\.\d+ http.*): 429 ", r.err, re.M), r


def test_fail_if_finds_errors_that_call_themselves_200(daemon, apisim):
    r = daemon.ctl("submit", "-p", "--wait", "--fail-if", ".message", apisim.url + "/soft-error", check=1)
    (row,) = daemon.ctl("results", r.out.strip(), "-f", "ndjson").rows()
    assert (row["reason"], row["status"], row["error"]) == ("soft_error", 200, "Token not valid!")


def test_a_pause_that_no_refusal_made_is_told_as_such(daemon, apisim):
    url = limited(apisim, "spent", n=1, window=3600, x_ratelimit="delta")
    daemon.ctl("submit", "--wait", url)
    batch = daemon.ctl("submit", "-p", url).out.strip()
    wait_until(lambda: "the host told that nothing is left for now" in daemon.ctl("explain", batch).out, 60, "it waits for the pause")
    daemon.restart()
    wait_until(lambda: "the host refused, or told that nothing is left for now" in daemon.ctl("explain", batch).out, 60, "of a pause from before a restart no more is known")
    daemon.ctl("cancel", batch)


def test_a_deadline_ends_what_a_rate_holds_up(daemon, apisim, until_in_time):
    def attempt(deadline):
        batch = daemon.ctl("submit", "-p", "--deadline", deadline, "--rate", "1/h", apisim.url + "/uuid?[1-2]").out.strip()
        daemon.ctl("wait", batch, check=1)
        return daemon.ctl("results", batch, "-f", "ndjson").rows()

    rows = until_in_time(attempt)
    batch, host = rows[1]["batch"], apisim.url.removeprefix("http://")
    assert [row["reason"] for row in rows] == [None, "expired"]
    assert rows[1]["error"] == f"the deadline of the batch passed while it waited for {host}: the rate of batch {batch} is used up (1/1h)"
    assert rows[1]["error"] in daemon.ctl("explain", batch).lines()[1]


def test_a_deadline_that_passes_in_a_hosts_pause_says_so(daemon, apisim):
    url = limited(apisim, "shut", n=1, window=3600, retry_after="date")
    daemon.ctl("submit", "--wait", url)
    pausing = daemon.ctl("submit", "-p", url).out.strip()
    wait_until(lambda: [h for h in daemon.ctl("limits", "-f", "json").json()["hosts"] if h["paused_until"]], 60, "the host is paused")

    def errors(deadline):
        batch = daemon.ctl("submit", "-p", "--deadline", deadline, url + "?[1-3]").out.strip()
        daemon.ctl("wait", batch, check=1)
        return {row["error"] for row in daemon.ctl("results", batch, "-f", "ndjson").rows()}

    host = apisim.url.removeprefix("http://")
    wanted = {f"the deadline of the batch passed while it waited for {host}: the host refused with 429 and told for how long"}
    assert any(errors(deadline) == wanted for deadline in ("1s", "8s", "60s")), "one that is not loaded in time waits for nothing yet"
    daemon.ctl("cancel", pausing)


def test_redirects_are_followed_as_often_as_asked_for(daemon, apisim):
    assert "1 done" in daemon.ctl("submit", "--wait", "--max-redirects", "3", apisim.url + "/redirect/3").err
    daemon.ctl("submit", "--wait", "--max-redirects", "2", apisim.url + "/redirect/3", check=1)


def test_made_idempotency_keys_reach_the_server(daemon, apisim):
    batch = daemon.ctl("submit", "-p", "--wait", "--idempotency-key", "auto", "-d", "x", "-n", "2", apisim.url + "/echo").out.strip()
    sent = [json.loads(row["body"])["headers"] for row in daemon.ctl("results", batch, "-f", "ndjson", "--body").rows()]
    keys = [{name.lower(): value for name, value in headers.items()}["idempotency-key"] for headers in sent]
    assert len(set(keys)) == 2 and all(keys)
