"""fanoutctl against a daemon that breaks off, hangs up or says no: played by a script, answer by answer."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest

from harness.process import BUILD, spawn, wait_until
from harness.script import asked, ctl, play, problem  # noqa: F401 (fixtures)
from harness.shims import NAPS_OF_TEN_SECONDS


def batch(state="running", **counts):
    zero = dict.fromkeys(("blocked", "queued", "running", "done", "failed", "cancelled"), 0)
    return {"batch": 7, "state": state, "counts": {**zero, **counts}, "submitted_at": "2026-01-01T00:00:00.000000Z",
            "ended_at": "2026-01-01T00:00:02.000000Z" if state in ("done", "failed", "cancelled") else None}


MADE = (201, {"batch": 7, "existed": False, "closed": False, "jobs": 0})
MADE_AT_ONCE = (201, {"batch": 7, "existed": False, "closed": True, "jobs": 1, "first_seq": 1})
ADDED = (201, {"jobs": 1, "first_seq": 1})
CLOSED = (200, batch())


def test_a_lost_answer_to_a_small_submission_is_asked_for_again_with_the_same_key(play, ctl):
    server = play({("POST", "/v1/batches"): [None, (200, {"batch": 7, "existed": True, "closed": True})]})
    assert ctl("submit", "http://h/1").out == "7\n"
    first, second = (json.loads(body) for body in server.requests("POST", "/v1/batches"))
    assert first == second
    assert first["key"] and first["jobs"] == [{"url": "http://h/1"}]


def test_keys_made_up_for_a_submission_are_never_the_same(play, ctl):
    server = play({("POST", "/v1/batches"): [MADE_AT_ONCE]})
    for _ in range(3):
        ctl("submit", "http://h/1")
    assert len({json.loads(body)["key"] for body in server.requests("POST", "/v1/batches")}) == 3


def test_a_submission_that_stays_unanswered_is_said_to_be_unknown(play, ctl):
    play({("POST", "/v1/batches"): [None]})
    r = ctl("submit", "http://h/1", check=3)
    assert r.out == ""
    assert "may or may not have been taken" in r.err


def test_a_submission_whose_daemon_died_before_its_answer_is_said_to_be_unknown(play, ctl, scratch):
    def die(handler):
        (scratch / "s").unlink()
        handler.close_connection = True
        handler.connection.close()

    play({("POST", "/v1/batches"): [die]})
    r = ctl("submit", "http://h/1", check=3)
    assert "may or may not have been taken" in r.err and "nothing was submitted" not in r.err


def test_a_submission_that_was_interrupted_before_its_answer_is_said_to_be_unknown(play, scratch):
    making = threading.Event()

    def never(handler):
        making.set()
        handler.rfile.read(1)

    play({("POST", "/v1/batches"): [never]})
    child = spawn([BUILD / "fanoutctl", "-S", scratch / "s", "submit", "http://h/1"], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert making.wait(120)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, b"")
    assert b"may or may not have been taken" in err and b"nothing was submitted" not in err


@pytest.mark.parametrize("lost", [True, False], ids=["ours", "another's"])
def test_a_batch_that_is_there_and_empty_is_filled_only_where_the_answer_that_made_it_was_lost(play, ctl, scratch, lost):
    (scratch / "urls").write_text('{"url":"http://h/1"}\n')
    there = (200, {"batch": 7, "existed": True, "closed": False, "jobs": 0})
    jobs = ("POST", "/v1/batches/7/jobs")
    server = play({("POST", "/v1/batches"): [None, there] if lost else [there], ("GET", "/v1/batches/7"): [(200, batch("held"))],
                   jobs: [ADDED], ("POST", "/v1/batches/7/close"): [CLOSED]})
    r = ctl("submit", "--key", "K", "-i", scratch / "urls", check=0 if lost else 1)
    assert len(server.requests(*jobs)) == lost
    assert lost or "batch 7 was begun with this key and is not complete" in r.err
    assert not server.requests("DELETE", "/v1/batches/7"), "it is another's"


@pytest.mark.parametrize("refusal", [problem(409, "conflict", "batch 7 is closed"), problem(404, "not_found", "there is no batch 7")], ids=["filled", "removed"])
def test_a_batch_that_another_filled_or_removed_while_it_was_empty_is_left_alone(play, ctl, scratch, refusal):
    (scratch / "urls").write_text('{"url":"http://h/1"}\n')
    server = play({("POST", "/v1/batches"): [MADE], ("POST", "/v1/batches/7/jobs"): [refusal], ("DELETE", "/v1/batches/7"): [problem(409, "conflict", "it runs"), (200, {})],
                   ("POST", "/v1/batches/7/cancel"): [(200, batch("cancelled"))], ("GET", "/v1/batches/7/wait"): [(200, batch("cancelled"))]})
    r = ctl("submit", "--key", "K", "-i", scratch / "urls", check=1 if "closed" in str(refusal) else 4)
    assert "nothing was submitted" in r.err
    assert not server.requests("POST", "/v1/batches/7/cancel") and not server.requests("DELETE", "/v1/batches/7"), "its jobs are another's"


def test_the_end_of_a_batch_is_told_again_where_its_answer_was_lost(play, ctl, scratch):
    (scratch / "urls").write_text('{"url":"http://h/1"}\n')
    close = ("POST", "/v1/batches/7/close")
    server = play({("POST", "/v1/batches"): [MADE], ("POST", "/v1/batches/7/jobs"): [ADDED], close: [None, CLOSED]})
    assert ctl("submit", "-i", scratch / "urls").out == "7\n"
    assert len(server.requests(*close)) == 2


def test_a_batch_whose_end_stays_unanswered_is_not_said_to_stand(play, ctl, scratch, preload):
    (scratch / "urls").write_text('{"url":"http://h/1"}\n')
    play({("POST", "/v1/batches"): [MADE], ("POST", "/v1/batches/7/jobs"): [ADDED], ("POST", "/v1/batches/7/close"): [None]})
    r = ctl("submit", "-i", scratch / "urls", check=3, env=preload(NAPS_OF_TEN_SECONDS))
    assert "all jobs (1) are in batch 7, which may run" in r.err and "does not run;" not in r.err


def test_jobs_whose_answer_was_lost_are_not_sent_twice(play, ctl, scratch):
    (scratch / "urls").write_text('{"url":"http://h/1"}\n')
    server = play({("POST", "/v1/batches"): [MADE], ("POST", "/v1/batches/7/jobs"): [None]})
    r = ctl("submit", "-i", scratch / "urls", check=3)
    assert len(server.requests("POST", "/v1/batches/7/jobs")) == 1
    assert "batch 7 was begun and not closed" in r.err and "fanoutctl cancel 7" in r.err
    assert r.out == ""


def test_a_refused_line_is_found_in_the_file_and_the_batch_is_taken_back(play, ctl, scratch):
    (scratch / "urls").write_text('# comment\n\n{"url":"http://h/1"}\nhttp://h/2\n\nhttp://bad\n')
    server = play({
        ("POST", "/v1/batches"): [MADE],
        ("POST", "/v1/batches/7/jobs"): [problem(400, "input", "bad URL", line=3)],
        ("DELETE", "/v1/batches/7"): [(200, {})],
    })
    r = ctl("submit", "-i", scratch / "urls", check=2)
    assert f"{scratch}/urls:6: bad URL" in r.err and "nothing was submitted" in r.err
    assert server.requests("POST", "/v1/batches/7/jobs") == [b'{"url":"http://h/1"}\n{"url":"http://h/2"}\n{"url":"http://bad"}\n']
    assert len(server.requests("DELETE", "/v1/batches/7")) == 1
    assert json.loads(server.requests("POST", "/v1/batches")[0])["hold"] is True


def test_a_short_list_of_urls_is_one_request_and_the_line_of_a_refusal_is_found_in_it(play, ctl, scratch):
    (scratch / "urls").write_text("# comment\nhttp://h/1\n\nhttp://bad\n")
    for check, said in (([(200, {"refusals": [{"line": 2, "detail": "no URL", "hint": None}]})], "no URL"), ([problem(404, "not_found", "no")], "job 2: bad URL")):
        server = play({("POST", "/v1/batches"): [problem(400, "input", "job 2: bad URL", line=2)], ("POST", "/v1/check"): check})
        assert ctl("submit", "-i", scratch / "urls", check=2).err == f"fanoutctl: {scratch}/urls:4: {said}\n  nothing was submitted\n"
        assert server.requests("POST", "/v1/check") == [b'{"url":"http://h/1"}\n{"url":"http://bad"}\n']
        assert json.loads(server.requests("POST", "/v1/batches")[0])["close"] is True


def test_a_held_batch_that_cannot_be_removed_at_once_is_cancelled_first(play, ctl, scratch):
    (scratch / "urls").write_text('{"url":"http://bad"}\n')
    server = play({
        ("POST", "/v1/batches"): [MADE],
        ("POST", "/v1/batches/7/jobs"): [problem(400, "input", "bad URL", line=1)],
        ("DELETE", "/v1/batches/7"): [problem(409, "conflict", "it runs"), (200, {})],
        ("POST", "/v1/batches/7/cancel"): [(200, batch("cancelling"))],
        ("GET", "/v1/batches/7/wait"): [(200, batch("cancelled"))],
    })
    assert "nothing was submitted" in ctl("submit", "-i", scratch / "urls", check=2).err
    assert len(server.requests("DELETE", "/v1/batches/7")) == 2


def test_repeated_lines_are_counted_as_one_when_one_is_refused(play, ctl):
    server = play({
        ("POST", "/v1/batches"): [MADE],
        ("POST", "/v1/batches/7/jobs"): [problem(400, "input", "bad URL", line=8)],
        ("DELETE", "/v1/batches/7"): [(200, {})],
    })
    r = ctl("submit", "-n", "3", "-i", "-", input='{"url":"http://h/1"}\n\nhttp://h/2\nhttp://h/3\n', check=2)
    assert "standard input:4: bad URL" in r.err and "nothing was submitted" in r.err and r.out == ""
    assert len(server.requests("POST", "/v1/batches/7/jobs")[0].splitlines()) == 9


def test_what_a_pipe_brought_before_a_refused_line_goes_on(play, scratch):
    server = play({
        ("POST", "/v1/batches"): [MADE],
        ("POST", "/v1/batches/7/jobs"): [ADDED, problem(400, "input", "bad URL", line=1)],
        ("POST", "/v1/batches/7/close"): [CLOSED],
    })
    child = spawn([BUILD / "fanoutctl", "-S", scratch / "s", "submit", "-i", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdin.write(b"http://h/1\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"7\n"
    wait_until(lambda: server.requests("POST", "/v1/batches/7/jobs"), 5, "the first line has gone")
    out, err = child.communicate(b"http://bad\n", timeout=10)
    assert (child.returncode, out) == (2, b"")
    assert b"standard input:2: bad URL" in err and b"what came before it (1) was taken as batch 7 and goes on" in err
    assert len(server.requests("POST", "/v1/batches/7/close")) == 1


def test_what_a_pipe_brought_is_closed_when_the_daemon_is_back(play, scratch):
    ending, close = problem(503, "busy", "the daemon is ending"), ("POST", "/v1/batches/7/close")
    server = play({("POST", "/v1/batches"): [MADE], ("POST", "/v1/batches/7/jobs"): [ADDED, ending], close: [ending, None, CLOSED]})
    child = spawn([BUILD / "fanoutctl", "-S", scratch / "s", "submit", "-i", "-"],
                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdin.write(b"http://h/1\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"7\n"
    _, err = child.communicate(b"http://h/2\n", timeout=20)
    assert child.returncode == 75
    assert b"what came before it (1) was taken as batch 7" in err
    assert len(server.requests(*close)) == 3


def test_a_pipe_is_sent_on_when_it_pauses(play, scratch):
    server = play({("POST", "/v1/batches"): [MADE], ("POST", "/v1/batches/7/jobs"): [ADDED], ("POST", "/v1/batches/7/close"): [CLOSED]})
    child = spawn([BUILD / "fanoutctl", "-S", scratch / "s", "submit", "-i", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdin.write(b"http://h/1\n")
    child.stdin.flush()
    wait_until(lambda: server.requests("POST", "/v1/batches/7/jobs"), 5, "the first line goes while the pipe is open")
    assert child.stdout.readline() == b"7\n", "the id comes as soon as the batch is there"
    child.stdin.write(b"http://h/2\n")
    child.stdin.close()
    assert child.wait(10) == 0
    child.stdout.close()
    assert server.requests("POST", "/v1/batches/7/jobs") == [b'{"url":"http://h/1"}\n', b'{"url":"http://h/2"}\n']
    assert json.loads(server.requests("POST", "/v1/batches")[0]).get("hold") is None


@pytest.mark.parametrize(
    "status, code, exit_status",
    [(403, "permission", 5), (404, "not_found", 4), (409, "conflict", 1), (413, "too_large", 2), (503, "busy", 75),
     (507, "no_space", 75), (400, "input", 2), (500, "system", 1)],
)
def test_a_problem_is_told_with_its_hint_and_exit_status(play, ctl, status, code, exit_status):
    play({("GET", "/v1/batches/7"): [problem(status, code, "this is why", hint="do that")]})
    r = ctl("status", "7", check=exit_status)
    assert r.err == "fanoutctl: this is why\n  do that\n"
    assert r.out == ""


def test_something_that_is_not_the_daemon_is_told_as_such(play, ctl):
    def nonsense(handler):
        handler.wfile.write(b"220 mail.example ESMTP\r\n")
        handler.close_connection = True

    play({("GET", "/v1/batches/7"): [nonsense], ("GET", "/v1/batches/8"): [(200, None)], ("GET", "/v1/batches/9"): [lambda h: h.reply(500, [])]})
    assert "the connection to fanoutd" in ctl("status", "7", check=3).err
    assert "answered with status 500 and no reason" in ctl("status", "9", check=1).err


def events(handler, *pieces, end=True):
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for piece in pieces:
        data = piece.encode()
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
    if end:
        handler.wfile.write(b"0\r\n\r\n")
    else:
        handler.close_connection = True


def job_event(number, seq, state="done"):
    row = {"job": f"7.{seq}", "batch": 7, "seq": seq, "state": state, "status": 200, "url": f"http://h/{seq}", "size": 3,
           "timings": {"total_us": 1500}}
    return f"id: {number}\nevent: job\ndata: {json.dumps(row)}\n\n"


def test_following_goes_on_behind_the_last_event_when_the_stream_breaks(play, ctl):
    last_ids = []

    def first(handler):
        last_ids.append(handler.headers.get("Last-Event-ID"))
        events(handler, job_event(11, 1), job_event(12, 2), "id: 13\nevent: job\ndata: {\"cut", end=False)

    def second(handler):
        last_ids.append(handler.headers.get("Last-Event-ID"))
        events(handler, ": still here\n\n", job_event(13, 3), f"event: batch\ndata: {json.dumps(batch('done', done=3))}\n\n")

    play({("GET", "/v1/batches/7/events"): [first, None, problem(503, "busy", "draining"), second]})
    r = ctl("follow", "7", "-f", "ndjson")
    assert [row["seq"] for row in r.rows()] == [1, 2, 3]
    assert last_ids == [None, "12"]
    assert "batch 7: 3 done in 2.00 s" in r.err


@pytest.mark.parametrize("body", ["<html>220 mail.example</html>\n", '{"state":"running"}', "x" * 200_000], ids=["page", "json", "endless"])
def test_following_what_is_no_stream_of_events_ends_at_once(play, ctl, body):
    server = play({("GET", "/v1/batches/7/results"): [(200, {})], ("GET", "/v1/batches/7/events"): [lambda h: events(h, body)]})
    for verb in (["follow", "7"], ["follow", "7", "-f", "ndjson"]):
        r = ctl(*verb, check=1)
        assert "the answer is no stream of events" in r.err and "is it fanoutd that listens there?" in r.err
    assert len(asked(server, "GET", "/v1/batches/7/events")) == 2


def test_following_a_batch_whose_end_is_no_json_ends(play, ctl):
    play({("GET", "/v1/batches/7/events"): [lambda h: events(h, job_event(1, 1), "event: batch\ndata: {\n\n")]})
    assert "an event of the daemon is no JSON" in ctl("follow", "7", "-f", "ndjson", check=1).err


@pytest.mark.parametrize("pieces", [[], [":\n\n"], [job_event(5, 1)]], ids=["nothing", "beats", "the-same"])
def test_a_stream_that_breaks_again_and_again_and_brings_nothing_new_is_not_asked_for_for_ever(play, ctl, preload, pieces):
    server = play({("GET", "/v1/batches/7/events"): [lambda h: events(h, *pieces)]})
    r = ctl("follow", "7", "-f", "ndjson", check=3, env=preload(NAPS_OF_TEN_SECONDS))
    assert "the daemon ended the stream of events too early" in r.err
    assert "batch 7 is on its disk: fanoutctl wait 7 goes on" in r.err
    assert len(asked(server, "GET", "/v1/batches/7/events")) > 2


def test_following_a_pipe_ends_when_the_daemon_is_lost_in_the_middle_of_it(play, scratch):
    def forever(handler):
        events(handler, job_event(1, 1), end=False)
        handler.wfile.flush()
        handler.rfile.read(1)

    server = play({("POST", "/v1/batches"): [MADE], ("POST", "/v1/batches/7/jobs"): [ADDED, None], ("GET", "/v1/batches/7/events"): [forever]})
    child = spawn([BUILD / "fanoutctl", "-S", scratch / "s", "submit", "--follow", "-f", "ndjson", "-i", "-"],
                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdin.write(b"http://h/1\n")
    child.stdin.flush()
    assert json.loads(child.stdout.readline())["job"] == "7.1"
    wait_until(lambda: server.requests("POST", "/v1/batches/7/jobs"), 5, "the first line has gone")
    _, err = child.communicate(b"http://h/2\n", timeout=20)
    assert child.returncode == 3
    assert b"batch 7 was begun and not closed; jobs surely in it: 1 and perhaps the last request's" in err and b"interrupted" not in err


def test_waiting_survives_answers_that_are_lost(play, ctl):
    play({("GET", "/v1/batches/7/wait"): [(200, batch(queued=1)), None, None, (200, batch("failed", failed=1))]})
    assert "1 failed" in ctl("wait", "7", check=1).err


def test_a_daemon_that_was_never_there_is_not_waited_for(ctl):
    for verb in ("wait", "follow"):
        begin = time.monotonic()
        assert "does not run" in ctl(verb, "7", check=3).err
        assert time.monotonic() - begin < 25, "one that was there is tried for half a minute"


def test_an_interrupted_wait_says_that_the_jobs_go_on(play, scratch):
    waiting = threading.Event()

    def never(handler):
        waiting.set()
        handler.rfile.read(1)

    play({("GET", "/v1/batches/7/wait"): [never]})
    child = spawn([BUILD / "fanoutctl", "-S", scratch / "s", "wait", "7"], stderr=subprocess.PIPE)
    assert waiting.wait(120)
    child.send_signal(signal.SIGINT)
    assert child.wait(5) == 130
    assert b"batch 7 goes on" in child.stderr.read()
    child.stderr.close()


def interrupted(words, play, scratch, answers):
    """What a client says that is interrupted while it follows batch 7, from a daemon that answers so besides."""
    following = threading.Event()

    def never(handler):
        following.set()
        handler.rfile.read(1)

    play({("POST", "/v1/batches"): [MADE_AT_ONCE], ("GET", "/v1/batches/7/results"): [(200, {})], ("GET", "/v1/batches/7/events"): [never], **answers})
    child = spawn([BUILD / "fanoutctl", "-S", scratch / "s", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert following.wait(120)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    return err.decode()


FOLLOWERS = [["follow", "7"], ["fetch", "http://h/1"], ["submit", "--follow", "http://h/1"]]


@pytest.mark.parametrize("words", FOLLOWERS, ids=lambda words: " ".join(words[:2]))
@pytest.mark.parametrize("state", ["paused", "running"])
def test_who_follows_and_interrupts_is_told_whether_the_batch_goes_on(play, scratch, words, state):
    said = interrupted(words, play, scratch, {("GET", "/v1/batches/7"): [(200, batch(state, queued=1))]})
    assert ("batch 7 is paused (fanoutctl resume 7 lets it go on;" in said) == (state == "paused"), said
    assert ("batch 7 goes on" in said) == (state == "running"), said


def test_who_interrupts_a_fetch_into_files_is_told_how_to_have_them(play, scratch):
    words = ["fetch", "--create-dirs", "-o", f"{scratch}/it's/{{seq:3}}", "http://h/1"]
    said = interrupted(words, play, scratch, {("GET", "/v1/batches/7"): [(200, batch("running", queued=1))]})
    quoted = words[3].replace("'", "'\\''")
    assert f"fanoutctl wait 7; fanoutctl get 7 -o '{quoted}' --create-dirs\n" in said, said


def test_a_daemon_that_is_silent_does_not_hold_who_interrupts(play, scratch):
    said = interrupted(["follow", "7"], play, scratch, {("GET", "/v1/batches/7"): [lambda handler: handler.rfile.read(1)]})
    assert "batch 7 goes on" in said


def test_an_interrupted_submission_of_a_file_is_taken_back(play, scratch):
    adding = threading.Event()

    def never(handler):
        adding.set()
        handler.rfile.read(1)

    (scratch / "urls").write_text('{"url":"http://h/1"}\n')
    server = play({("POST", "/v1/batches"): [MADE], ("POST", "/v1/batches/7/jobs"): [never], ("DELETE", "/v1/batches/7"): [(200, {})]})
    child = spawn([BUILD / "fanoutctl", "-S", scratch / "s", "submit", "-i", scratch / "urls"], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert adding.wait(120)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=5)
    assert child.returncode == 130
    assert out == b"" and b"nothing was submitted" in err
    assert len(server.requests("DELETE", "/v1/batches/7")) == 1


def test_a_body_that_breaks_off_leaves_no_file(play, ctl, scratch):
    def half(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True

    play({("GET", "/v1/jobs/7.1"): [(200, {"job": "7.1", "state": "done"})], ("GET", "/v1/jobs/7.1/body"): [half]})
    (scratch / "out").write_text("before")
    ctl("get", "7.1", "-o", scratch / "out", check=3)
    assert (scratch / "out").read_text() == "before"
    assert sorted(p.name for p in scratch.iterdir()) == ["out", "s"]


def test_results_that_break_off_do_not_look_complete(play, ctl):
    def half(handler):
        events(handler, '{"job":"7.1","seq":1}\n', end=False)

    play({("GET", "/v1/batches/7/results"): [half]})
    r = ctl("results", "7", "-f", "json", check=3)
    with pytest.raises(json.JSONDecodeError):
        r.json()


def test_control_bytes_from_outside_never_reach_a_terminal(play, ctl):
    evil = "\x1b[31mred\u009b1m\nnext"
    row = {"job": "7.1", "batch": 7, "seq": 1, "state": "failed", "tag": evil, "chain": evil, "url": "http://h/" + evil, "error": evil,
           "attempt_list": [{"attempt": 1, "error": evil, "headers": "HTTP/1.1 200 OK\nX: " + evil, "timings": {"total_us": 5, "wait_us": 5}}]}
    play({
        ("GET", "/v1/batches/7/results"): [(200, row)],
        ("GET", "/v1/batches/7/events"): [lambda h: events(h, f"id: 1\nevent: job\ndata: {json.dumps(row)}\n\nevent: batch\ndata: {json.dumps(batch('failed'))}\n\n")],
        ("GET", "/v1/jobs/7.1"): [(200, row)],
        ("GET", "/v1/batches/7"): [(200, {**batch(), "name": evil})],
        ("GET", "/v1/batches"): [(200, {"batches": [{**batch(), "name": evil}], "next": None})],
    })
    for args, status in ((["results", "7"], 0), (["follow", "7"], 1), (["show", "7.1"], 0), (["status", "7"], 0), (["status"], 0)):
        r = ctl(*args, check=status)
        shown = r.out + r.err
        assert "[31mred" in shown, args
        assert not [c for c in shown if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)], args


def test_control_bytes_in_what_the_daemon_says_of_an_error_never_reach_a_terminal(play, ctl):
    evil = "\x1b[31mred\u009b1m\u202e\nfanoutctl: all is well"
    refusal = problem(409, "conflict", evil, hint=evil)
    play({("GET", "/v1/batches/7"): [refusal], ("GET", "/v1/limits"): [(200, {"limits": evil})], ("POST", "/v1/batches/7/pause"): [refusal],
          ("GET", "/v1/batches/7/events"): [refusal], ("POST", "/v1/batches"): [refusal]})
    for args in (["status", "7"], ["pause", "7"], ["follow", "7"], ["submit", "http://h/"]):
        r = ctl(*args, check=1)
        assert "[31mred" in r.err and r.out == "", args
        assert not [c for c in r.err if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or c == "\u202e")], args
        assert "\nfanoutctl: all is well" not in r.err, args


def test_control_bytes_in_what_is_named_never_reach_a_terminal(ctl):
    for args in (["status", "\x1b[31m"], ["\x1b[31m"], ["submit", "-i", "/no\x1b[31m"], ["submit", "--\x1b[31m"]):
        r = ctl(*args, check=2)
        assert "\\x1b[31m" in r.err and "\x1b" not in r.err


def test_a_full_disk_behind_stdout_is_an_error(play, scratch):
    play({("GET", "/v1/batches"): [(200, {"batches": [batch()], "next": None})], ("GET", "/v1/batches/7"): [(200, batch())]})
    for format in ("table", "json", "ndjson", "csv"):
        with open("/dev/full", "wb") as full:
            child = spawn([BUILD / "fanoutctl", "-S", scratch / "s", "-f", format, "status"], stdout=full, stderr=subprocess.PIPE)
            _, err = child.communicate(timeout=10)
        assert child.returncode == 1, (format, err)
        assert b"cannot write to standard output" in err, format


def test_a_reader_that_goes_away_ends_us_quietly(play, scratch):
    def many(handler):
        events(handler, *(json.dumps({"job": f"7.{i}", "url": "http://h/" + "x" * 1000}) + "\n" for i in range(3000)))

    play({("GET", "/v1/batches/7/results"): [many]})
    read_end, write_end = os.pipe()
    child = spawn([BUILD / "fanoutctl", "-S", scratch / "s", "-f", "ndjson", "results", "7"], stdout=write_end, stderr=subprocess.PIPE)
    os.close(write_end)
    os.read(read_end, 100)
    os.close(read_end)
    _, err = child.communicate(timeout=10)
    assert err == b""
    assert child.returncode == -signal.SIGPIPE
