"""The worker alone: bodies, whole and cut short; nothing a server does makes the worker lie, hang, leave a file or die."""

import fcntl
import gzip
import os
import struct
import zlib

import pytest

from harness.process import memory_kib, wait_until
from harness.worker import ALIVE, OK, STOP, echo, frame, sanitized

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
    assert o.error == "the body is larger than 32.0 MiB; raise max_body (--max-body) to fetch it"
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
    assert [(worker.bodies / f).stat().st_size for f in worker.files()] == [100_000] * 3


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
