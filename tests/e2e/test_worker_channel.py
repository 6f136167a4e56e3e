"""The worker alone: what it refuses to reach or send, and what it and its daemon say to each other."""

import os
import pathlib
import signal
import socket
import struct
import subprocess
import threading

import pytest

from harness.process import BUILD, alive, environment, wait_until
from harness.worker import ALIVE, CANCEL, CAPACITY, DEADLINE_S, HELLO, JOB, OK, RECALL, SLOTS, STOP, Worker, echo, frame

STUCK_RESOLVER = """
#include <netdb.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	for (;;)
		pause();
}
"""

# Every name is one of this machine; which were asked for is written down.
NOTING_RESOLVER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
static int names;
static void __attribute__((constructor)) begin(void)
{
	names = open(NAMES, O_WRONLY | O_APPEND | O_CREAT, 0600);
}
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	char line[100] = {0};
	int (*next)() = dlsym(RTLD_NEXT, "getaddrinfo");
	strcat(strncat(line, node, 90), " ");
	write(names, line, strlen(line));
	return next("127.0.0.1", service, hints, res);
}
"""


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


def test_hosts_that_do_not_resolve_all_get_their_outcome(worker):
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


def test_names_are_looked_up_once_where_there_are_more_hosts_than_connections_may_be_kept(make_worker, preload, serve, scratch):
    worker = make_worker(env=preload(NOTING_RESOLVER, f'-DNAMES="{scratch}/names"'), capacity_max=8)
    server = serve(echo)
    hosts = [f"h{i}.test" for i in range(40)]
    for host in hosts * 3:
        assert worker.fetch(f"http://{host}:{server.port}/").status == 200
    assert server.connections > len(hosts), "some were closed, and the host asked for again"
    assert sorted((scratch / "names").read_text().split()) == sorted(hosts)


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
        frame(SLOTS, b"\0" * 8),
        frame(RECALL),
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


def test_started_by_hand_it_says_who_starts_it():
    p = subprocess.run([BUILD / "fanout-worker"], capture_output=True, env=environment(), stdin=subprocess.DEVNULL)
    assert p.returncode == 2 and b"started by fanoutd" in p.stderr


# ---- Standing by ----


def targets(gate):
    return [int(t.strip("/")) for t in gate.seen]


def test_what_stands_by_begins_when_another_of_its_lane_has_ended(worker, gate):
    url = f"http://127.0.0.1:{gate.port}/"
    worker.job(f"{url}1", lane=7)
    worker.job(f"{url}2", lane=8)
    for i in (3, 4):
        worker.job(f"{url}{i}", lane=7, slots=1)
    wait_until(lambda: sorted(gate.held) == ["/1", "/2"], what="both that may run do")
    gate.let("/2")
    assert worker.outcome().job & 0xFFFF == 2
    worker.job(f"{url}5", lane=8)
    wait_until(lambda: sorted(gate.held) == ["/1", "/5"], what="one of another lane runs")
    assert 3 not in targets(gate)
    gate.let("/1")
    assert worker.outcome().job & 0xFFFF == 1
    wait_until(lambda: "/3" in gate.held, what="the first that stood by runs")
    assert 4 not in targets(gate)
    gate.open()
    assert sorted(worker.outcome().job & 0xFFFF for _ in range(3)) == [3, 4, 5]


def test_never_more_of_a_lane_run_than_it_has_slots(worker, gate):
    url = f"http://127.0.0.1:{gate.port}/"
    jobs = [worker.job_frame(f"{url}{i}", slots=0 if i < 3 else 3) for i in range(300)]
    worker.send(b"".join(jobs))
    wait_until(lambda: len(gate.held) == 3, what="three run")
    gate.open()
    assert [worker.outcome().status for _ in jobs] == [200] * 300
    assert gate.peak == 3
    assert sorted(targets(gate)) == list(range(300))


def test_slots_that_are_raised_let_more_begin_and_recalled_ones_are_returned(worker, gate):
    url = f"http://127.0.0.1:{gate.port}/"
    first = worker.job(f"{url}0", lane=3)
    standing = [worker.job(f"{url}{i}", lane=3, slots=1) for i in range(1, 6)]
    worker.slots(3, 2)
    wait_until(lambda: sorted(gate.held) == ["/0", "/1"], what="two run")
    worker.cancel(standing[2])
    worker.recall(4)
    worker.recall(3)
    while len(worker.returned) < 4:
        worker.read()
    assert worker.returned == [standing[2], standing[1], standing[3], standing[4]]
    gate.open()
    assert sorted(worker.outcome().job for _ in range(2)) == [first, standing[0]]
    worker.send(frame(STOP))
    assert worker.exit_status() == 0
    assert sorted(targets(gate)) == [0, 1]


def test_what_stands_by_is_returned_by_a_worker_that_is_to_end(make_worker, gate):
    worker = make_worker()
    worker.job(f"http://127.0.0.1:{gate.port}/0")
    standing = worker.job(f"http://127.0.0.1:{gate.port}/1", slots=1)
    wait_until(lambda: gate.held == ["/0"], what="one runs")
    os.kill(worker.pid, signal.SIGTERM)
    while not worker.returned:
        worker.read()
    assert worker.returned == [standing]
    gate.open()
    assert worker.outcome().status == 200
    assert worker.exit_status() == 0
    assert gate.seen == ["/0"]
