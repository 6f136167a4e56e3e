"""The worker alone: errors that only the body tells, and programs that do not end."""

import os
import signal

import pytest

from harness.worker import ALIVE, JUDGING, OK, OUTCOME, malloc_says_no


# ---- Soft errors ----


def test_an_error_that_only_the_body_tells_is_a_soft_error_with_its_text_and_body(worker, answer):
    body = b'{"message":"Token not valid!"}'
    o = worker.fetch(answer(body, headers=("Content-Type: application/json",)), fail_if=".message")
    assert (o.cause, o.status, o.error) == ("soft_error", 200, "Token not valid!")
    assert (o.body, o.size, o.content_type) == (body, len(body), "application/json")


def test_a_body_without_the_error_is_a_response(worker, answer):
    o = worker.fetch(answer(b'{"fact":"Cats sleep."}'), fail_if=".message")
    assert (o.cause, o.status, o.error, o.body) == ("response", 200, "", b'{"fact":"Cats sleep."}')


def test_a_program_is_not_left_in_the_next_job_of_the_same_handle(worker, answer):
    url = answer(b'{"message":"no"}')
    causes = [worker.fetch(url, fail_if=f).cause for f in (".message", "", ".other", ".message", "")]
    assert causes == ["soft_error", "response", "response", "soft_error", "response"]


def test_status_and_headers_are_at_hand(worker, answer):
    url = answer(b"{}", status="202 Accepted", headers=("X-State: pending",))
    assert worker.fetch(url, fail_if='if $status == 202 then $headers["x-state"] else empty end').error == "pending"


@pytest.mark.parametrize("status", ["404 Not Found", "301 Moved Permanently", "500 Internal Server Error"])
def test_only_a_success_is_judged(worker, answer, status):
    o = worker.fetch(answer(b'{"message":"no"}', status=status), fail_if=".message")
    assert (o.cause, o.status) == ("response", int(status[:3]))
    assert worker.judging == []


def test_a_body_that_broke_off_is_not_judged(worker, say):
    o = worker.fetch(say(OK, 'Content-Length: 100\r\n\r\n{"message":"no"}'), fail_if=".message")
    assert o.cause == "truncated" and worker.judging == []


def test_a_body_that_is_not_json_is_a_soft_error_that_says_so(worker, answer):
    o = worker.fetch(answer(b"<html>log in</html>", headers=("Content-Type: text/html",)), fail_if=".message")
    assert (o.cause, o.body) == ("soft_error", b"<html>log in</html>")
    assert o.error.startswith("the body is not JSON but text/html: ")


@pytest.mark.parametrize("method, status", [("HEAD", "200 OK"), ("DELETE", "204 No Content")])
def test_a_response_without_a_body_by_nature_has_no_error_in_it(worker, serve, method, status):
    def behave(c):
        while c.request():
            c.say(f"HTTP/1.1 {status}\r\n\r\n")

    o = worker.fetch(serve(behave).url, method=method, fail_if=".message", timeout_ms=5000)
    assert (o.cause, o.error) == ("response", "")


def test_a_program_that_fails_or_does_not_compile_says_so(worker, answer):
    url = answer(b'{"a":"text"}')
    o = worker.fetch(url, fail_if=".a.b")
    assert (o.cause, o.error) == ("soft_error", 'fail-if: Cannot index string with string "b"')
    o = worker.fetch(url, fail_if=".a[")
    assert (o.cause, o.error) == ("soft_error", "fail-if does not compile: syntax error, unexpected end of the program")
    assert worker.fetch(url, fail_if=".b").cause == "response"


@pytest.mark.parametrize("error, cause", [('"late"', "soft_error"), ("null", "response")])
def test_a_large_body_is_judged_where_it_lies(worker, answer, error, cause):
    body = b'{"cats":[' + b",".join([b'{"name":"Tom"}'] * 20000) + b'],"error":' + error.encode() + b"}"
    o = worker.fetch(answer(body), job=7 << 32 | 1, fail_if=".error")
    assert (o.cause, o.body_in_file, o.size) == (cause, True, len(body))
    assert (worker.bodies / "7" / "1.1").read_bytes() == body


def test_a_body_too_large_to_judge_is_kept_and_says_so(worker, answer):
    o = worker.fetch(answer(b" " * (33 << 20)), fail_if=".error")
    assert (o.cause, o.error) == ("soft_error", "the body has 33.0 MiB, and fail-if reads 32.0 MiB at most")
    assert worker.files() == ["1/1.1"]


def test_who_is_judged_is_said_right_before_its_outcome(worker, answer):
    url = answer(b"{}")
    jobs = [worker.job(url, fail_if=".message") for _ in range(50)]
    seen = []
    while len(seen) < 100:
        kind = worker.read()
        if kind == JUDGING:
            seen.append(("judging", worker.judging[-1]))
        elif kind == OUTCOME:
            seen.append(("outcome", worker.outcomes[-1].job))
    assert [what for what, _ in seen] == ["judging", "outcome"] * 50
    assert [job for _, job in seen[::2]] == [job for _, job in seen[1::2]]
    assert {job for _, job in seen} == set(jobs)


def test_a_program_that_never_ends_has_said_whose_it_is(make_worker, answer):
    worker = make_worker(heartbeat_ms=50)
    url = answer(b"{}")
    worker.wait_for(ALIVE)
    good = worker.job(url, fail_if=".message")
    assert worker.outcome().job == good
    bad = worker.job(url, fail_if="def f: f; f")
    while worker.judging[-1:] != [bad]:
        worker.read()
    assert worker.quiet(0.5), "it still says that it is alive"
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.exit_status() == -signal.SIGKILL
    assert worker.judging == [good, bad] and worker.outcomes == []


def test_a_program_that_takes_all_memory_ends_its_worker_and_has_said_whose_it_is(make_worker, answer):
    worker = make_worker(env=malloc_says_no())
    bad = worker.job(answer(b"{}"), fail_if="[range(1e9)] | length")
    assert worker.exit_status() == 1
    with pytest.raises(EOFError):
        while True:
            worker.read()
    assert worker.judging == [bad] and worker.outcomes == []
    assert "jq is out of memory" in worker.log()


def test_judging_many_bodies_leaves_room_for_heartbeats_and_other_transfers(make_worker, answer):
    worker = make_worker(heartbeat_ms=50)
    url = answer(b"{" + b",".join(b'"k%d":[1,2,3]' % i for i in range(4000)) + b"}")
    jobs = {worker.job(url, fail_if="[range(100000)] | length == 0") for _ in range(40)}
    plain = worker.job(answer(b"ok"))
    order = [worker.outcome().job for _ in range(41)]
    assert set(order) == jobs | {plain}
    assert order.index(plain) < 40 and worker.alive > 3
