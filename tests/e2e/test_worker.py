"""The worker alone: what it sends, how it takes apart what servers answer, and that nothing a server does makes it lie,
hang, leave a file or die."""

import fcntl
import gzip
import os
import pathlib
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import zlib

import pytest

from harness.process import BUILD, alive, environment, memory_kib, wait_until
from harness.servers import make_certificate
from harness.worker import ALIVE, CANCEL, CAPACITY, DEADLINE_S, HELLO, JOB, JUDGING, OUTCOME, STOP, Worker, boot_us, frame, malloc_says_no, sanitized


def echo(c):
    """Answers every request with its own head and body."""
    while head := c.request():
        body = head.encode() + b"\n\n" + c.server.requests[-1][1]
        c.answer(b"" if head.startswith("HEAD") else body)


def free_port():
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


# ---- A good response ----


def test_a_whole_response_tells_all_that_was_seen(worker, serve):
    def behave(c):
        c.request()
        c.answer(b"hello", headers=("Content-Type: text/plain", "X-Note: a"))

    before = boot_us()
    o = worker.fetch(serve(behave).url + "/x")
    after = boot_us()
    assert (o.cause, o.status, o.error, o.sent, o.http_version) == ("response", 200, "", True, 11)
    assert (o.body, o.size, o.wire, o.body_in_file) == (b"hello", 5, 5, False)
    assert (o.content_type, o.remote_ip, o.redirect_url) == ("text/plain", "127.0.0.1", "")
    assert o.headers == "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Type: text/plain\nX-Note: a\n"
    assert before <= o.started_us <= o.first_byte_us <= o.ended_us <= after
    assert o.timings["connect"] > 0 and o.timings["wait"] > 0 and o.timings["tls"] == 0


def test_a_second_request_reuses_the_connection_and_has_no_connect_phase(worker, serve):
    server = serve(echo)
    first, second = worker.fetch(server.url), worker.fetch(server.url)
    assert server.connections == 1
    assert first.timings["connect"] > 0
    assert [second.timings[p] for p in ("dns", "connect", "tls")] == [0, 0, 0]
    assert second.remote_ip == "127.0.0.1"


def test_a_plain_get_asks_for_compression_and_names_the_user_agent(worker, serve):
    server = serve(echo)
    worker.fetch(server.url + "/a?b=c")
    head = server.requests[0][0].split("\r\n")
    assert head[0] == "GET /a?b=c HTTP/1.1"
    assert "User-Agent: fanout-test" in head
    assert any(h.startswith("Accept-Encoding:") and "gzip" in h for h in head)
    assert not any(h.startswith(("Content-", "Authorization", "Cookie", "Expect")) for h in head)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "REPORT"])
def test_any_method_carries_a_body_byte_for_byte_and_no_content_type_of_its_own(worker, serve, method):
    server = serve(echo)
    body = bytes(range(256)) * 8000  # beyond the size at which libcurl asks for a 100-continue
    o = worker.fetch(server.url, method=method, body=body)
    head, got = server.requests[0]
    assert o.status == 200 and head.startswith(method + " ") and got == body
    assert "content-type" not in head.lower() and "expect" not in head.lower()


def test_a_content_type_of_the_job_is_sent_once(worker, serve):
    server = serve(echo)
    worker.fetch(server.url, method="POST", body=b"{}", headers="content-type: application/json\nX-A: 1\n")
    assert server.requests[0][0].lower().count("content-type: application/json") == 1
    assert "X-A: 1" in server.requests[0][0]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_post_without_a_body_says_that_it_is_empty(worker, serve, method):
    server = serve(echo)
    worker.fetch(server.url, method=method)
    assert "Content-Length: 0" in server.requests[0][0]


def test_headers_replace_remove_and_stay_empty_as_with_curl(worker, serve):
    server = serve(echo)
    worker.fetch(server.url, headers="User-Agent: mine\nAccept:\nX-Empty;\nHost: other.example\n")
    head = server.requests[0][0].split("\r\n")
    assert "User-Agent: mine" in head and "Host: other.example" in head
    assert any(h.rstrip() == "X-Empty:" for h in head)
    assert not any(h.startswith("Accept:") for h in head)


def test_a_user_is_sent_as_basic_authentication_and_forgotten_with_the_job(worker, serve):
    server = serve(echo)
    worker.fetch(server.url, user="me:s:cret")
    worker.fetch(server.url)
    assert "Authorization: Basic bWU6czpjcmV0" in server.requests[0][0]
    assert "Authorization" not in server.requests[1][0]


def test_nothing_of_a_job_is_left_in_the_next_one_of_the_same_handle(worker, serve):
    server = serve(echo)
    for options in ({"method": "POST", "body": b"x", "headers": "X-A: 1\n"}, {}, {"method": "HEAD"}, {}, {"headers": "X-B: 2\n"}, {}):
        assert worker.fetch(server.url, **options).status == 200
    heads = [h for h, _ in server.requests]
    assert [h.split()[0] for h in heads] == ["POST", "GET", "HEAD", "GET", "GET", "GET"]
    assert ["X-A" in h for h in heads] == [True] + [False] * 5
    assert ["X-B" in h for h in heads] == [False] * 4 + [True, False]


def test_a_head_request_has_no_body_whatever_length_is_announced(worker, say):
    o = worker.fetch(say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"), method="HEAD")
    assert (o.cause, o.status, o.size, o.error) == ("response", 200, 0, "")


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_a_body_is_whole_at_once(worker, serve, status):
    def behave(c):
        while c.request():
            c.say(f"HTTP/1.1 {status}\r\nContent-Length: 77\r\n\r\n" if status[0] == "3" else f"HTTP/1.1 {status}\r\n\r\n")

    o = worker.fetch(serve(behave).url, timeout_ms=5000)
    assert (o.cause, o.status, o.size, o.error) == ("response", int(status[:3]), 0, "")


def test_a_redirect_is_not_followed_but_told_as_an_absolute_url(worker, serve):
    def behave(c):
        while c.request():
            c.answer(status="302 Found", headers=("Location: ../b?c#d",))

    server = serve(behave)
    o = worker.fetch(server.url + "/x/y/z")
    assert (o.cause, o.status, o.redirect_url, o.error) == ("response", 302, server.url + "/x/b?c#d", "")
    assert len(server.requests) == 1


def test_a_redirect_is_not_told_of_the_next_job_of_the_same_handle(worker, serve):
    answers = iter([("302 Found", ("Location: /b",)), ("302 Found", ()), ("200 OK", ())])

    def behave(c):
        while c.request():
            status, headers = next(answers)
            c.answer(status=status, headers=headers)

    url = serve(behave).url
    assert [worker.fetch(url).redirect_url for _ in range(3)] == [url + "/b", "", ""]


def test_an_interim_response_is_neither_the_status_nor_the_first_byte(worker, serve):
    said, go_on = threading.Event(), threading.Event()

    def behave(c):
        c.request()
        c.say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        said.set()
        go_on.wait(DEADLINE_S)
        c.answer(b"ok")

    url = serve(behave).url
    worker.job(url)
    assert said.wait(DEADLINE_S)
    assert worker.quiet(0.2)
    released = boot_us()
    go_on.set()
    o = worker.outcome()
    assert (o.cause, o.status, o.body) == ("response", 200, b"ok")
    assert o.headers.startswith("HTTP/1.1 200 OK\n") and "Link" not in o.headers
    assert o.first_byte_us >= released
    assert o.timings["wait"] >= 190_000


def test_kept_headers_are_cut_at_a_line(worker, serve):
    def behave(c):
        c.request()
        c.answer(headers=[f"X-{i:03}: " + "v" * 190 for i in range(150)])

    o = worker.fetch(serve(behave).url)
    assert o.cause == "response" and 16000 < len(o.headers) <= 16384
    assert all(len(line) in (14, 15, 196 + 1, 17) or line.startswith("X-") and len(line) == 197 for line in o.headers.splitlines()[2:])
    assert o.headers.endswith("v\n")


# ---- Limits that a server tells of ----


def test_what_the_headers_tell_of_limits_is_in_the_outcome(worker, serve):
    answers = iter(
        [
            ("429 Too Many Requests", ("Retry-After: 7", "RateLimit: \"a\";r=0;t=30", "RateLimit-Policy: \"a\";q=100;w=60")),
            ("200 OK", ("X-RateLimit-Remaining: 41", f"X-RateLimit-Reset: {int(time.time()) + 1000}")),
            ("200 OK", ()),
            ("429 Too Many Requests", ("Retry-After: 7", "Retry-After: 8", "X-RateLimit-Remaining: lots")),
        ]
    )

    def behave(c):
        while c.request():
            status, headers = next(answers)
            c.answer(b"x", status=status, headers=headers)

    url = serve(behave).url
    o = worker.fetch(url)
    assert (o.cause, o.status, o.retry_after_us, o.remaining, o.reset_us, o.rate) == ("response", 429, 7_000_000, 0, 30_000_000, (100, 60_000_000))
    o = worker.fetch(url)
    assert (o.retry_after_us, o.remaining, o.rate) == (-1, 41, (0, 0)) and 500_000_000 < o.reset_us <= 1_000_000_000
    for _ in range(2):
        o = worker.fetch(url)
        assert (o.retry_after_us, o.remaining, o.reset_us, o.rate) == (-1, -1, -1, (0, 0))


def test_limits_are_told_also_behind_more_headers_than_are_kept(worker, serve):
    def behave(c):
        c.request()
        c.answer(status="429 X", headers=["X: " + "v" * 990] * 20 + ["Retry-After: 7"])

    o = worker.fetch(serve(behave).url)
    assert "Retry-After" not in o.headers and o.retry_after_us == 7_000_000


def test_a_date_to_wait_for_is_by_the_servers_clock(worker, serve):
    def behave(c):
        c.request()
        c.answer(status="503 X", headers=("Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT"))

    assert worker.fetch(serve(behave).url).retry_after_us == 60_000_000


def test_limits_are_told_also_of_a_response_that_broke_off(worker, say):
    o = worker.fetch(say("HTTP/1.1 429 X\r\nRetry-After: 3\r\nContent-Length: 100\r\n\r\nshort"))
    assert (o.cause, o.status, o.retry_after_us) == ("truncated", 429, 3_000_000)


def test_an_outcome_without_a_response_tells_no_limits(worker):
    o = worker.fetch(f"http://127.0.0.1:{free_port()}/")
    assert (o.cause, o.retry_after_us, o.remaining, o.reset_us, o.rate) == ("connect", -1, -1, -1, (0, 0))


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


# ---- Error texts ----


def test_a_status_error_names_phrase_and_the_beginning_of_a_text_body(worker, serve):
    def behave(c):
        while c.request():
            c.answer(b'{"error":\r\n\t"no such cat"}\n', status="404 Whatever", headers=("Content-Type: application/json",))

    o = worker.fetch(serve(behave).url)
    assert (o.cause, o.status, o.error) == ("response", 404, '404 Not Found: {"error": "no such cat"}')


@pytest.mark.parametrize(
    "body, content_type, text",
    [
        (b"", "text/plain", "503 Service Unavailable"),
        (b"\x00\x01\x02\xff", "application/octet-stream", "503 Service Unavailable"),
        (b"\x1b[31mred\x07", "text/plain", "503 Service Unavailable"),
        ("Катя\u202eevil".encode(), "text/plain", "503 Service Unavailable"),
        ("é" * 300, "text/plain", "503 Service Unavailable: " + "é" * 200),
        (b"<html><head><title>Down</title></head>\n<body>for <b>lunch</b></body></html>", "text/html; charset=x",
         "503 Service Unavailable: Down for lunch"),
    ],
)  # fmt: skip
def test_an_error_text_is_printable_and_short(worker, serve, body, content_type, text):
    body = body.encode() if isinstance(body, str) else body

    def behave(c):
        c.request()
        c.answer(body, status="503 X", headers=(f"Content-Type: {content_type}",))

    assert worker.fetch(serve(behave).url).error == text


def test_a_content_type_with_control_bytes_is_told_printable(worker, say):
    o = worker.fetch(say(b"HTTP/1.1 200 OK\r\nContent-Type: te\x1bxt/\xff\xc3\xa9\r\nContent-Length: 0\r\n\r\n"))
    assert o.content_type == "te?xt/?é"


def test_a_refused_connection_says_where(worker):
    port = free_port()
    o = worker.fetch(f"http://localhost:{port}/")
    assert (o.cause, o.sent, o.status, o.remote_ip) == ("connect", False, 0, "")
    assert o.error in (f"connection to localhost ({a}) port {port} failed: Connection refused" for a in ("127.0.0.1", "::1"))


def test_an_unknown_host_is_named(worker):
    name = "x" * 70 + ".invalid"  # too long for a label: refused by the resolver itself, which asks nobody
    o = worker.fetch(f"http://{name}/")
    assert (o.cause, o.sent, o.error) == ("dns", False, f"host {name}: name does not resolve")


def test_a_server_without_tls_is_a_tls_failure_in_libcurls_words(worker, serve):
    def behave(c):
        c.sock.recv(65536)
        c.say("HTTP/1.1 400 Bad Request\r\n\r\n")

    o = worker.fetch(serve(behave).url.replace("http:", "https:"))
    assert (o.cause, o.sent) == ("tls", False)
    assert o.error.startswith("TLS with 127.0.0.1 port ") and "wrong version number" in o.error
    assert o.timings["tls"] > 0 and o.timings["wait"] == 0


@pytest.fixture
def secure(serve, tmp_path):
    """(certificate, server): a server of https for localhost that echoes requests."""
    make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    def behave(c):
        try:
            c.sock = context.wrap_socket(c.sock, server_side=True)
            echo(c)
        except ssl.SSLError:
            pass

    server = serve(behave)
    server.url = server.url.replace("http://127.0.0.1", "https://localhost")
    return tmp_path / "cert.pem", server


def test_an_untrusted_certificate_is_told_apart(worker, secure):
    o = worker.fetch(secure[1].url)
    assert (o.cause, o.sent) == ("tls_verify", False) and "certificate" in o.error


def test_https_is_fetched_where_the_certificate_is_trusted(make_worker, secure):
    certificate, server = secure
    worker = make_worker(ca_file=str(certificate))
    first, second = worker.fetch(server.url + "/a"), worker.fetch(server.url + "/b")
    assert (first.cause, first.status, first.error) == ("response", 200, "") and first.body.startswith(b"GET /a ")
    assert first.timings["tls"] > 0 and first.timings["connect"] > 0
    assert second.cause == "response" and second.timings["tls"] == 0 and server.connections == 1


def test_a_certificate_for_another_name_is_not_trusted(make_worker, secure):
    certificate, server = secure
    o = make_worker(ca_file=str(certificate)).fetch(server.url.replace("localhost", "127.0.0.2"))
    assert (o.cause, o.sent) in (("tls_verify", False), ("connect", False))
    assert server.requests == []


def test_certificates_that_cannot_be_read_are_named(make_worker, secure):
    o = make_worker(ca_file="/no/such/ca.pem").fetch(secure[1].url)
    assert (o.cause, o.sent) == ("tls_verify", False) and "/no/such/ca.pem" in o.error


def test_no_response_in_time_says_which_timeout(worker, serve):
    o = worker.fetch(serve(lambda c: c.wait_for_close()).url, timeout_ms=1500)
    assert (o.cause, o.sent, o.status) == ("timeout", True, 0)
    assert o.error == "timeout of 1.50 s passed before a response came"
    assert o.timings["total"] >= 1_490_000 and o.timings["wait"] > 0


def test_a_body_that_does_not_end_in_time_says_how_much_had_come(worker, serve):
    def behave(c):
        c.request()
        c.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x" * 123)
        c.wait_for_close()

    o = worker.fetch(serve(behave).url, timeout_ms=1500)
    assert (o.cause, o.status, o.size, o.body) == ("timeout", 200, 123, b"")
    assert o.error == "timeout of 1.50 s passed after 123 of 1000 bytes of the body"


def test_a_connection_that_is_not_taken_in_time_is_a_connect_timeout(worker):
    with socket.socket() as s:  # a full backlog: further connections get no answer
        s.bind(("127.0.0.1", 0))
        s.listen(0)
        port = s.getsockname()[1]
        fill = [socket.socket() for _ in range(3)]
        for f in fill:
            f.setblocking(False)
            f.connect_ex(("127.0.0.1", port))
        o = worker.fetch(f"http://127.0.0.1:{port}/", connect_ms=300)
        for f in fill:
            f.close()
    assert (o.cause, o.sent) == ("connect_timeout", False)
    assert o.error == f"no connection to 127.0.0.1 port {port} within 300 ms (connect_timeout)"


# ---- Hostile responses ----

OK = "HTTP/1.1 200 OK\r\n"
LIES = {
    "fewer bytes than announced": ("truncated", OK + "Content-Length: 100\r\n\r\nshort"),
    "a chunk cut short": ("truncated", OK + "Transfer-Encoding: chunked\r\n\r\nff\r\nshort"),
    "the last chunk missing": ("truncated", OK + "Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n"),
    "a malformed chunk": ("protocol", OK + "Transfer-Encoding: chunked\r\n\r\nzz\r\nshort\r\n0\r\n\r\n"),
    "conflicting lengths": ("protocol", OK + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nshort"),
    "a list of lengths": ("protocol", OK + "Content-Length: 5, 5\r\n\r\nshort"),
    "a negative length": ("protocol", OK + "Content-Length: -5\r\n\r\nshort"),
    "a signed length": ("protocol", OK + "Content-Length: +5\r\n\r\nshort"),
    "a hexadecimal length": ("protocol", OK + "Content-Length: 0x5\r\n\r\nshort"),
    "a length and chunks": ("protocol", OK + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\n\r\n"),
    "chunks and a length": ("protocol", OK + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nshort\r\n0\r\n\r\n"),
    "a folded length": ("protocol", OK + "Content-Length: 5\r\n 0\r\n\r\nshort"),
    "something else than HTTP": ("protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "a body without a status line": ("protocol", "<html>hello</html>"),
    "another protocol unasked": ("protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nboo"),
    "a header with a NUL": ("protocol", OK + "X: a\0b\r\nContent-Length: 5\r\n\r\nshort"),
    "a transfer coding unasked": ("protocol", OK + "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nshort\r\n0\r\n\r\n"),
    "a coding nobody knows": ("decode", OK + "Content-Encoding: rot13\r\nContent-Length: 5\r\n\r\nshort"),
    "broken gzip": ("decode", OK + "Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\nnotgzipped"),
    "nothing at all": ("reset", ""),
    "half a head": ("reset", OK + "Content-Le"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_response_that_is_not_whole_or_contradicts_itself_is_never_a_response(worker, serve, say, lie):
    cause, answer = LIES[lie]
    o = worker.fetch(say(answer))
    assert o.cause == cause, o
    assert o.error and o.sent and o.body == b"" and not o.body_in_file
    assert worker.fetch(serve(echo).url).cause == "response"


ZIPPED = gzip.compress(os.urandom(3000) + b"cat " * 5000)
CUT = {
    "gzip in the middle": ("gzip", ZIPPED[:2000]),
    "gzip before its sum": ("gzip", ZIPPED[:-8]),
    "gzip within its end": ("gzip", ZIPPED[:-4]),
    "gzip in a second member": ("gzip", ZIPPED + ZIPPED[:50]),
    "deflate": ("deflate", zlib.compress(os.urandom(3000))[:-1]),
    "br": ("br", b"\x1b\x22\x4e"),
}


@pytest.mark.parametrize("cut", CUT)
@pytest.mark.parametrize("framing", ["close", "length", "chunks"])
def test_a_coded_body_that_is_cut_short_is_truncated_however_it_is_framed(worker, serve, say, cut, framing):
    coding, body = CUT[cut]
    head = OK + f"Content-Encoding: {coding}\r\n"
    if framing == "length":
        head += f"Content-Length: {len(body)}\r\n"
    if framing == "chunks":
        head += "Transfer-Encoding: chunked\r\n"
        body = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    o = worker.fetch(say(head, "\r\n", body))
    assert (o.cause, o.status, o.body, o.body_in_file) == ("truncated", 200, b"", False), o
    assert o.error.endswith(f"bytes of the body: the {coding} stream is cut short"), o.error
    assert worker.fetch(serve(echo).url).cause == "response"


def test_a_large_coded_body_that_is_cut_short_leaves_no_file(worker, say):
    squeezed = gzip.compress(os.urandom(300_000))
    o = worker.fetch(say(OK, "Content-Encoding: gzip\r\n\r\n", squeezed[:-100]))
    assert o.cause == "truncated" and worker.files() == []


CODINGS = {"gzip": gzip.compress, "gzip, gzip": lambda b: gzip.compress(gzip.compress(b)), "deflate": zlib.compress, "identity": bytes}


@pytest.mark.parametrize("coding", CODINGS)
def test_a_coded_body_that_ends_with_its_connection_is_whole_where_its_stream_is(worker, say, coding):
    body = CODINGS[coding](b"cat" * 9)
    o = worker.fetch(say(OK, f"Content-Encoding: {coding}\r\n\r\n", body))
    assert (o.cause, o.body, o.size, o.wire) == ("response", b"cat" * 9, 27, len(body))


def test_a_coded_body_without_a_byte_is_empty(worker, say):
    o = worker.fetch(say(OK, "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"))
    assert (o.cause, o.size) == ("response", 0)


def test_a_coded_error_page_is_read_for_its_text(worker, answer):
    o = worker.fetch(answer(gzip.compress(b"no such cat"), status="404 X", headers=("Content-Encoding: gzip",)))
    assert o.error == "404 Not Found: no such cat"


def test_equal_lengths_twice_are_no_contradiction(worker, say):
    assert worker.fetch(say(OK, "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello")).body == b"hello"


def test_trailers_are_not_taken_for_headers(worker, say):
    o = worker.fetch(say(OK, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 9\r\nX-T: 1\r\n\r\n"))
    assert (o.cause, o.body) == ("response", b"hello") and "X-T" not in o.headers


def test_an_endless_header_line_is_the_servers_fault(worker, serve):
    def behave(c):
        c.request()
        c.say(OK, "X: ")
        while True:
            c.say(b"x" * 65536)

    o = worker.fetch(serve(behave).url)
    assert o.cause == "protocol" and o.error == "not a valid HTTP response: a header line is longer than 100 KiB"


def test_endless_headers_are_the_servers_fault(worker, serve):
    def behave(c):
        c.request()
        c.say(OK)
        while True:
            c.say("X-Header: value\r\n" * 100)

    o = worker.fetch(serve(behave).url)
    assert o.cause == "protocol" and "larger than 64 KiB" in o.error


def test_endless_interim_responses_are_the_servers_fault(worker, serve):
    def behave(c):
        c.request()
        while True:
            c.say("HTTP/1.1 100 Continue\r\n\r\n" * 100)

    assert worker.fetch(serve(behave).url).cause == "protocol"


def test_a_reset_in_mid_body_is_told(worker, serve):
    def behave(c):
        c.request()
        c.say(OK, "Content-Length: 100\r\n\r\nshort")
        wait_until(lambda: struct.unpack("I", fcntl.ioctl(c.sock, 0x5411, b"\0" * 4))[0] == 0)  # SIOCOUTQ
        c.reset()

    o = worker.fetch(serve(behave).url)
    assert o.cause in ("reset", "truncated") and o.sent and o.status == 200


def test_a_kept_connection_that_closes_is_not_asked_a_second_time(worker, serve):
    def behave(c):
        c.request()
        c.answer(b"one")
        c.request()  # takes the second request and hangs up

    server = serve(behave)
    assert worker.fetch(server.url).body == b"one"
    o = worker.fetch(server.url, method="POST", body=b"pay")
    assert (o.cause, o.sent) == ("resend", True) and "closed before a response came" in o.error
    assert sum(head.startswith("POST") for head, _ in server.requests) == 1


# ---- Bodies ----


def test_gzip_is_decoded_and_both_sizes_are_told(worker, serve):
    plain = b"cat " * 5000

    def behave(c):
        c.request()
        c.answer(gzip.compress(plain), headers=("Content-Encoding: gzip",))

    o = worker.fetch(serve(behave).url)
    assert (o.cause, o.body, o.size, o.wire) == ("response", plain, 20000, len(gzip.compress(plain)))


def test_a_gzip_bomb_stops_at_the_bound_on_decoded_bytes(worker, serve):
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    squeezed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(200)) + bomb.flush()

    def behave(c):
        c.request()
        c.answer(squeezed, headers=("Content-Encoding: gzip",))

    o = worker.fetch(serve(behave).url, max_body=32 << 20)
    assert (o.cause, o.status) == ("too_large", 200)
    assert o.error == "the body is larger than 32.0 MiB; raise max_body to fetch it"
    assert worker.files() == []
    if not sanitized():
        assert memory_kib(worker.pid) < 40000


@pytest.mark.parametrize("size, fits", [(1000, True), (1001, False)])
def test_the_bound_on_a_body_is_exact(worker, serve, size, fits):
    def behave(c):
        c.request()
        c.answer(b"x" * size)

    o = worker.fetch(serve(behave).url, max_body=1000)
    assert o.cause == ("response" if fits else "too_large")


@pytest.mark.parametrize("size, in_file", [(65536, False), (65537, True), (5_000_000, True)])
def test_a_body_above_64_kib_goes_to_the_file_of_its_attempt(worker, serve, size, in_file):
    body = os.urandom(size)

    def behave(c):
        c.request()
        c.answer(body)

    o = worker.fetch(serve(behave).url, job=7 << 32 | 42, n=3)
    assert (o.cause, o.body_in_file, o.size) == ("response", in_file, size)
    if not in_file:
        assert o.body == body and worker.files() == []
        return
    assert o.body == b"" and worker.files() == ["7/42.3"]
    file = worker.bodies / "7" / "42.3"
    assert file.read_bytes() == body and file.stat().st_mode & 0o777 == 0o600


def test_many_large_bodies_at_once_are_all_whole(worker, serve):
    def behave(c):
        while head := c.request():
            c.answer(bytes([int(head.split("/")[1].split()[0]) % 251]) * 200_000)

    server = serve(behave)
    jobs = {worker.job(f"{server.url}/{i}", job=(1 + i % 3) << 32 | i + 1): i for i in range(60)}
    for _ in range(60):
        o = worker.outcome()
        assert o.body_in_file and o.cause == "response"
        file = worker.bodies / str(o.job >> 32) / f"{o.job & 0xFFFFFFFF}.1"
        assert file.read_bytes() == bytes([jobs[o.job] % 251]) * 200_000


STUCK_DISK = """
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int fd)
{
	while (access(STUCK, F_OK) == 0)
		usleep(1000);
	return (int)syscall(SYS_fsync, fd);
}
"""

STUCK_RESOLVER = """
#include <netdb.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	for (;;)
		pause();
}
"""


def test_a_slow_disk_holds_up_neither_heartbeats_nor_other_transfers(make_worker, serve, preload, tmp_path):
    stuck = tmp_path / "stuck"
    stuck.touch()
    worker = make_worker(heartbeat_ms=50, env=preload(STUCK_DISK, f'-DSTUCK="{stuck}"'))

    def behave(c):
        while head := c.request():
            c.answer(b"x" * (100_000 if "/large" in head else 10))

    url = serve(behave).url
    large = [worker.job(url + "/large") for _ in range(3)]
    wait_until(lambda: len(worker.files()) == 3)
    small = worker.job(url + "/small")
    assert worker.outcome().job == small, "the small one waited for the disk"
    for _ in range(10):
        worker.wait_for(ALIVE)
    assert worker.outcomes == []
    stuck.unlink()
    assert sorted(worker.outcome().job for _ in range(3)) == large
    assert all((worker.bodies / f).stat().st_size == 100_000 for f in worker.files())


def test_a_stop_waits_for_the_disk(make_worker, serve):
    def behave(c):
        while c.request():
            c.answer(b"x" * 100_000)

    worker = make_worker()
    url = serve(behave).url
    worker.send(b"".join(worker.job_frame(url) for _ in range(20)) + frame(STOP))
    assert all(worker.outcome().body_in_file for _ in range(20))
    assert worker.exit_status() == 0 and len(worker.files()) == 20


def test_what_an_earlier_worker_left_is_replaced_and_a_link_is_not_followed(worker, serve, tmp_path):
    precious = tmp_path / "precious"
    precious.write_bytes(b"keep me")
    (worker.bodies / "7").mkdir()
    (worker.bodies / "7" / "1.1").write_bytes(b"stale")
    (worker.bodies / "7" / "2.1").symlink_to(precious)

    def behave(c):
        while c.request():
            c.answer(b"y" * 100_000)

    url = serve(behave).url
    for seq in (1, 2):
        assert worker.fetch(url, job=7 << 32 | seq).body_in_file
        assert (worker.bodies / "7" / f"{seq}.1").read_bytes() == b"y" * 100_000
    assert precious.read_bytes() == b"keep me"


def test_a_body_that_cannot_be_stored_says_so(worker, serve):
    def behave(c):
        while c.request():
            c.answer(b"y" * 100_000)

    (worker.bodies / "7").write_bytes(b"in the way")
    o = worker.fetch(serve(behave).url, job=7 << 32 | 1)
    assert (o.cause, o.status) == ("storage", 200) and "Not a directory" in o.error


def test_an_attempt_that_fails_leaves_no_file(worker, serve):
    def behave(c):
        c.request()
        c.say(OK, "Content-Length: 1000000\r\n\r\n", b"x" * 300_000)

    o = worker.fetch(serve(behave).url)
    assert o.cause == "truncated" and o.size == 300_000
    assert worker.files() == []


# ---- Policy, and what a job may not say ----


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"])
def test_a_denied_network_is_not_reached_by_any_spelling(make_worker, serve, host):
    worker = make_worker(deny=["169.254.0.0/16", "127.0.0.0/8", "::1/128"])
    server = serve(echo)
    o = worker.fetch(f"http://{host}:{server.port}/")
    assert (o.cause, o.sent) == ("policy", False), o
    assert "is denied by network.deny" in o.error
    assert server.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"])
def test_where_a_public_server_led_no_spelling_of_an_inner_address_is_reached(worker, serve, host):
    server = serve(echo)
    o = worker.fetch(f"http://{host}:{server.port}/", from_public=True)
    assert (o.cause, o.sent) == ("policy", False), o
    assert "is not a public one, and the URL came from a server at a public address" in o.error
    assert server.connections == 0


def test_where_a_public_server_led_no_kept_connection_is_used_either(worker, serve):
    server = serve(echo)
    assert [worker.fetch(server.url, from_public=p).cause for p in (False, True, False)] == ["response", "policy", "response"]
    assert len(server.requests) == 2


def test_where_a_public_server_led_a_denied_network_is_told_as_such(make_worker, serve):
    o = make_worker(deny=["127.0.0.0/8"]).fetch(serve(echo).url, from_public=True)
    assert o.cause == "policy" and "network.deny" in o.error


def test_a_network_that_is_not_denied_is_reached(make_worker, serve):
    worker = make_worker(deny=["169.254.0.0/16", "fe80::/10", "127.0.0.2/31"])
    assert worker.fetch(serve(echo).url).cause == "response"


@pytest.mark.parametrize(
    "options, text",
    [
        ({"headers": "X-A: a\rX-B: b\n"}, "control byte"),
        ({"headers": "X-A: a\x01\n"}, "control byte"),
        ({"headers": "no colon\n"}, "Name: value"),
        ({"headers": ": nameless\n"}, "Name: value"),
        ({"headers": "X-A: 1\n\n"}, "Name: value"),
        ({"method": "GE T"}, "token"),
        ({"method": "GET\r\nX: y"}, "token"),
        ({"method": "HEAD", "body": b"x"}, "HEAD"),
    ],
)
def test_a_job_that_cannot_be_sent_as_written_is_refused(worker, serve, options, text):
    server = serve(echo)
    o = worker.fetch(server.url, **options)
    assert (o.cause, o.sent, o.status) == ("url", False, 0) and text in o.error
    assert worker.fetch(server.url).cause == "response"
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["", "http://", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "http://a b/", "http://a:99999/", "http://[::1/"])
def test_a_url_that_libcurl_cannot_use_is_refused(worker, url):
    o = worker.fetch(url)
    assert (o.cause, o.sent) == ("url", False) and o.error.startswith("the URL cannot be fetched")


def test_the_environments_proxy_is_not_used(make_worker, serve):
    proxy, server = serve(echo), serve(echo)
    worker = make_worker(env=environment(http_proxy=proxy.url, ALL_PROXY=proxy.url))
    assert worker.fetch(server.url).cause == "response"
    assert (proxy.connections, server.connections) == (0, 1)


# ---- The channel ----


def test_a_cancelled_transfer_ends_at_once_and_leaves_nothing(worker, serve):
    def behave(c):
        c.request()
        c.say(OK, "Content-Length: 1000000\r\n\r\n", b"x" * 300_000)
        c.wait_for_close()
        closed.set()

    closed = threading.Event()
    job = worker.job(serve(behave).url)
    wait_until(worker.files)
    worker.cancel(job)
    o = worker.outcome()
    assert (o.job, o.cause, o.error, o.sent, o.size) == (job, "cancelled", "cancelled", True, o.size)
    assert o.timings["total"] > 0
    assert worker.files() == []
    assert closed.wait(DEADLINE_S)


def test_cancelling_what_is_not_in_flight_is_ignored(worker, serve):
    server = serve(echo)
    worker.cancel(99)
    o = worker.fetch(server.url)
    worker.cancel(o.job)
    assert worker.fetch(server.url).cause == "response"


def test_a_job_that_waits_for_a_name_can_be_cancelled(worker, serve):
    url = serve(lambda c: c.wait_for_close()).url
    # Sent in one write: all but the first wait for its look-up when they are cancelled.
    frames = b"".join(worker.job_frame(url) for _ in range(5))
    cancels = b"".join(frame(CANCEL, struct.pack("=QI", 1 << 32 | seq, 1)) for seq in (1, 2, 3, 4, 5))
    worker.send(frames + cancels)
    assert sorted((o.job & 0xFFFFFFFF, o.cause) for o in (worker.outcome() for _ in range(5))) == [(i, "cancelled") for i in range(1, 6)]


def test_each_job_of_many_has_exactly_one_outcome(worker, serve):
    server = serve(echo)
    worker.send(b"".join(worker.job_frame(f"{server.url}/{i}") for i in range(500)))
    outcomes = [worker.outcome() for _ in range(500)]
    assert {o.job & 0xFFFFFFFF for o in outcomes} == set(range(1, 501))
    for o in outcomes:
        assert o.body.startswith(f"GET /{(o.job & 0xFFFFFFFF) - 1} ".encode())
    assert worker.quiet(0.05)


def test_hosts_that_do_not_resolve_all_get_their_outcome(worker, serve):
    # Too long for a label: refused by the resolver itself, which asks nobody.
    worker.send(b"".join(worker.job_frame(f"http://{'x' * 70}-{i % 10}.invalid/") for i in range(300)))
    assert {worker.outcome().cause for _ in range(300)} == {"dns"}


def test_the_worker_offers_more_while_its_transfers_wait(make_worker, serve):
    go_on = threading.Event()

    def behave(c):
        c.request()
        go_on.wait(DEADLINE_S)
        c.answer(b"ok")

    worker = make_worker(capacity_max=300)
    assert worker.capacity == 128
    url = serve(behave).url
    worker.send(b"".join(worker.job_frame(url) for _ in range(128)))
    worker.wait_for(CAPACITY)
    assert worker.capacity == 256
    worker.send(b"".join(worker.job_frame(url) for _ in range(128)))
    worker.wait_for(CAPACITY)
    assert worker.capacity == 300
    go_on.set()
    assert all(worker.outcome().cause == "response" for _ in range(256))


def test_the_worker_says_that_it_is_alive_while_it_waits(make_worker, serve):
    worker = make_worker(heartbeat_ms=50)
    job = worker.job(serve(lambda c: c.wait_for_close()).url)
    for _ in range(5):
        worker.wait_for(ALIVE)
    worker.cancel(job)
    assert worker.outcome().cause == "cancelled"


def test_stop_finishes_what_is_in_flight_and_then_ends(make_worker, serve):
    go_on = threading.Event()

    def behave(c):
        c.request()
        go_on.wait(DEADLINE_S)
        c.answer(b"x" * 100_000)

    worker = make_worker()
    worker.job(serve(behave).url)
    worker.send(frame(STOP))
    assert worker.quiet(0.1)
    go_on.set()
    assert worker.outcome().body_in_file
    assert worker.exit_status() == 0
    assert worker.files() == ["1/1.1"]


def test_sigterm_is_a_stop_and_tells_the_daemon(make_worker, serve):
    go_on = threading.Event()

    def behave(c):
        c.request()
        go_on.wait(DEADLINE_S)
        c.answer(b"done")

    worker = make_worker()
    server = serve(behave)
    worker.job(server.url)
    wait_until(lambda: server.requests)
    os.kill(worker.pid, signal.SIGTERM)
    worker.wait_for(CAPACITY)
    assert worker.capacity == 0
    go_on.set()
    assert worker.outcome().body == b"done"
    assert worker.exit_status() == 0


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGPIPE"])
def test_a_signal_meant_for_the_daemon_is_ignored(worker, serve, name):
    os.kill(worker.pid, getattr(signal, name))
    assert worker.fetch(serve(echo).url).cause == "response"


def test_the_end_of_the_channel_ends_the_worker_and_its_files(make_worker, serve):
    def behave(c):
        c.request()
        c.say(OK, "Content-Length: 1000000\r\n\r\n", b"x" * 300_000)
        c.wait_for_close()

    worker = make_worker()
    worker.job(serve(behave).url)
    wait_until(worker.files)
    worker.socket.close()
    assert worker.exit_status() == 0
    assert worker.files() == []


def test_the_end_of_the_channel_does_not_wait_for_a_resolver(make_worker, preload):
    worker = make_worker(env=preload(STUCK_RESOLVER))
    worker.send(b"".join(worker.job_frame(f"http://no-such-{i}.invalid/") for i in range(40)))
    worker.socket.close()
    assert worker.exit_status() == 0


@pytest.mark.parametrize(
    "bytes_",
    [
        frame(JOB, b"\0" * 7),
        frame(99),
        frame(STOP, b"x"),
        struct.pack("=I", 0),
        struct.pack("=I", 1 << 30),
        Worker.settings(),
    ],
)
def test_a_frame_that_does_not_decode_ends_the_worker(make_worker, bytes_):
    worker = make_worker()
    worker.send(bytes_)
    assert worker.exit_status() == 1
    assert "channel broken" in worker.log()


def test_a_job_before_the_settings_ends_the_worker(make_worker):
    worker = make_worker(greet=False)
    worker.job("http://127.0.0.1/")
    assert worker.exit_status() == 1


def test_settings_of_another_version_are_answered_with_ones_own_and_refused(make_worker):
    worker = make_worker(greet=False)
    worker.send(Worker.settings(version=77))
    worker.wait_for(HELLO)
    assert worker.exit_status() == 1
    assert "another version" in worker.log()


def test_the_same_attempt_twice_ends_the_worker(make_worker, serve):
    worker = make_worker()
    url = serve(lambda c: c.wait_for_close()).url
    worker.send(worker.job_frame(url, job=5 << 32 | 1) * 2)
    assert worker.exit_status() == 1
    assert "in flight already" in worker.log()


def test_a_daemon_that_does_not_read_stops_the_transfers_and_not_the_worker(make_worker, serve):
    body = b"z" * 60_000
    bound = (32 << 20) // len(body)

    def behave(c):
        while c.request():
            c.answer(body)

    def asleep():
        """The worker has not moved for a while, and does not want to."""
        stat, state = pathlib.Path(f"/proc/{worker.pid}/schedstat"), pathlib.Path(f"/proc/{worker.pid}/stat")
        before = stat.read_text().split()[0]
        threading.Event().wait(0.3)
        return stat.read_text().split()[0] == before and state.read_text().rpartition(")")[2].split()[0] == "S"

    def held():
        return bound < sent and len(server.requests) < sent and asleep()

    worker = make_worker(capacity_max=128)
    server = serve(behave)
    sent = 0
    while not held():
        assert sent < 3 * bound, "it goes on fetching although nobody reads what it has fetched"
        worker.send(b"".join(worker.job_frame(server.url, timeout_ms=120_000) for _ in range(100)))
        sent += 100
        wait_until(lambda: len(server.requests) == sent or held(), 60, "100 more requests")
    assert all(worker.outcome().body == body for _ in range(sent))
    assert len(server.requests) == sent


def test_the_worker_dies_with_a_daemon_that_is_killed(scratch):
    """Also when the channel stays open: somebody else holds its end."""
    ours, theirs = socket.socketpair()
    tell, told = os.pipe()
    daemon = os.fork()
    if daemon == 0:
        bodies = os.open(scratch, os.O_RDONLY)
        actions = [(os.POSIX_SPAWN_DUP2, os.dup2(theirs.fileno(), 20), 3), (os.POSIX_SPAWN_DUP2, os.dup2(bodies, 21), 4)]
        program = str(BUILD / "fanout-worker")
        os.write(told, struct.pack("i", os.posix_spawn(program, [program], {}, file_actions=actions)))
        signal.pause()
    theirs.close()
    worker = struct.unpack("i", os.read(tell, 4))[0]
    ours.sendall(Worker.settings())
    assert ours.recv(100)
    assert alive(worker)
    os.kill(daemon, signal.SIGKILL)
    os.waitpid(daemon, 0)
    wait_until(lambda: not alive(worker), 10, "the worker's end")
    for end in (tell, told):
        os.close(end)
    ours.close()


def test_started_by_hand_it_says_who_starts_it(scratch):
    p = subprocess.run([BUILD / "fanout-worker"], capture_output=True, env=environment(), stdin=subprocess.DEVNULL)
    assert p.returncode == 2 and b"started by fanoutd" in p.stderr
