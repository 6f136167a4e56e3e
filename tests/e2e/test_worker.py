"""The worker alone: what it sends, what it tells of a response, of limits and of errors."""

import pathlib
import socket
import ssl
import threading
import time

import pytest

from harness.servers import make_certificate
from harness.worker import DEADLINE_S, boot_us, echo


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


def many_hosts(serve, count):
    """A server, and as many URLs that lead to it and are of different hosts."""
    server = serve(echo, address="0.0.0.0")
    return server, [f"http://127.0.0.{n + 1}:{server.port}/" for n in range(count)]


def test_connections_to_many_hosts_are_kept_side_by_side(worker, serve):
    server, urls = many_hosts(serve, 100)
    for url in urls + urls:
        assert worker.fetch(url).cause == "response"
    assert server.connections == 100


def connections_of(worker):
    """Sockets of its own to somewhere on the network. The table may show one twice: it changes while it is read."""
    own = {p.readlink().name for p in pathlib.Path(f"/proc/{worker.pid}/fd").iterdir()}
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return len(own & {f"socket:[{line.split()[9]}]" for line in lines})


def test_connections_to_many_hosts_are_no_more_than_a_worker_may_have(make_worker, serve):
    worker = make_worker(capacity_max=16)
    server, urls = many_hosts(serve, 100)
    most = 0
    for url in urls:
        assert worker.fetch(url).cause == "response"
        most = max(most, connections_of(worker))
    assert 8 <= most <= 16
    worker.fetch(urls[-1])
    assert server.connections == 100


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


def test_a_port_that_takes_a_connection_and_answers_no_handshake_is_told_as_such(worker):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(8)
        port = s.getsockname()[1]
        o = worker.fetch(f"https://127.0.0.1:{port}/", connect_ms=3000)
    assert (o.cause, o.sent) == ("connect_timeout", False)
    assert o.error == f"the TLS handshake with 127.0.0.1 port {port} was not finished within 3.00 s (connect_timeout); does that port speak TLS?"
