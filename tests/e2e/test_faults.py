"""What the daemon does when its disk or its workers fail it."""

import os
import resource
import pathlib
import shutil
import signal
import subprocess

import harness.daemon
from harness.daemon import BUILD
from harness.process import wait_until

FAILING_SYNC = r"""
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
int fdatasync(int fd)
{
	if (access(getenv("FAILING_SYNC"), F_OK) == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}
"""

CHATTERING_WORKER = r"""#!/usr/bin/python3
import socket, time
channel = socket.socket(fileno=3)
while True:
    channel.sendall(b"\x01\0\0\0\x44")  # ALIVE, and never HELLO
    time.sleep(0.2)
"""


def failing_sync(directory):
    """Environment of a daemon whose syncs fail with EIO once the file `directory`/fail is there."""
    shim = directory / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", shim], input=FAILING_SYNC.encode(), check=True)
    asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return {"LD_PRELOAD": str(shim), "FAILING_SYNC": str(directory / "fail"), "ASAN_OPTIONS": asan}


def test_a_client_hears_that_its_outcome_is_unknown_when_the_disk_fails(make_daemon, scratch):
    daemon = make_daemon(env=failing_sync(scratch))
    (scratch / "fail").touch()
    daemon.may_end = True
    answer = daemon.api.post("/v1/batches", {"jobs": [{"url": "http://127.0.0.1:9/"}], "hold": True})
    assert (answer.status, answer.json()["code"]) == (503, "unknown"), answer
    assert daemon.wait() == 74
    (scratch / "fail").unlink()
    daemon.start()


def test_a_daemon_whose_database_was_removed_ends_instead_of_taking_jobs_that_are_nowhere(daemon):
    assert daemon.api.post("/v1/batches", {"jobs": [{"url": "http://127.0.0.1:9/"}], "hold": True}).status == 201
    daemon.may_end = True
    shutil.rmtree(daemon.state)
    assert daemon.wait(20) == 74  # it looks every ten seconds
    assert "was removed" in daemon.log()


def test_workers_end_by_themselves_when_the_daemon_is_told_to_end(daemon):
    """A worker that is killed instead has told nothing of what it leaked, and may leave work undone."""
    wait_until(lambda: all(w["ready"] for w in daemon.api.get("/v1/stats").json()["workers"]), 20, "workers are ready")
    daemon.stop()
    ends = [line for line in daemon.log().splitlines() if "worker ended" in line]
    assert len(ends) == 2 and all("status=0" in line for line in ends), ends


def test_a_worker_that_never_says_hello_is_replaced(make_daemon, scratch, monkeypatch):
    for program in ("fanoutd", "fanoutctl"):
        shutil.copy(BUILD / program, scratch / program)
    worker = pathlib.Path(scratch / "fanout-worker")
    worker.write_text(CHATTERING_WORKER)
    worker.chmod(0o755)
    monkeypatch.setattr(harness.daemon, "BUILD", scratch)
    daemon = make_daemon(workers=1)
    wait_until(lambda: "silent for too long" in daemon.log(), 20, "the worker is given up")
    daemon.kill(signal.SIGTERM)
    wait_until(lambda: "stopping" in daemon.log(), what="it was told to end")  # two at once would be one
    daemon.kill(signal.SIGTERM)  # the worker will not end when it is asked to
    assert daemon.wait() == 0


def file_limit(pid, most):
    """How long a file of the process may become; None: as it was at its start."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if most is None else most, hard))


def test_a_file_that_may_not_grow_is_a_full_disk_for_the_daemon(daemon, answer):
    url = answer(b"x" * 1000)
    file_limit(daemon.pid, 4096)
    refused = daemon.api.post("/v1/batches", {"jobs": [{"url": url}]})
    assert refused.status == 507, refused
    wait_until(lambda: "storage is full" in daemon.log(), 60, "it is told")
    file_limit(daemon.pid, None)
    wait_until(lambda: "storage has room again" in daemon.log(), 60, "there is room again")
    assert daemon.ctl("submit", "--wait", "-f", "ndjson", url).code == 0


def test_a_file_that_may_not_grow_fails_a_worker_s_attempt_and_not_the_worker(daemon, answer):
    url = answer(b"x" * 1000000)
    workers = daemon.workers()
    for pid in workers:
        file_limit(pid, 4096)
    batch = daemon.ctl("submit", "-p", url).out.strip()
    attempts = f"/v1/jobs/{batch}.1/attempts"
    wait_until(lambda: [a for a in daemon.api.get(attempts).json()["attempts"] if a["cause"] == "storage"], 60, "its body cannot be stored")
    for pid in workers:
        file_limit(pid, None)
    assert daemon.ctl("wait", batch).code == 0
    assert daemon.workers() == workers


CLOCK_SET_BACK = r"""
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);
	if (id == CLOCK_REALTIME && access(getenv("SET_BACK"), F_OK) == 0)
		ts->tv_sec -= 7200;
	return rc;
}
"""


def test_what_was_put_off_does_not_wait_for_a_wall_clock_that_was_set_back(make_daemon, preload, scratch, apisim):
    back = scratch / "back"
    shim = preload(CLOCK_SET_BACK)
    env = {"LD_PRELOAD": shim["LD_PRELOAD"], "ASAN_OPTIONS": shim["ASAN_OPTIONS"], "SET_BACK": str(back)}
    daemon = make_daemon(env=env)
    lines = "".join(f"{apisim.url}/flaky?id={i}&fail=4\n" for i in range(20))
    batch = daemon.ctl("submit", "-p", "-i", "-", "--max-attempts", "8", input=lines).out.strip()
    wait_until(lambda: apisim.stats()["paths"].get("/flaky", 0) >= 20, 30, "each was tried once")
    back.touch()
    daemon.ctl("wait", batch, timeout=120)
    assert {row["attempts"] for row in daemon.ctl("results", batch, "-f", "ndjson").rows()} == {5}


def niceness(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])


def slice_ns(pid):
    """The turn that it asked for or has; None where this kernel does not tell."""
    for line in pathlib.Path(f"/proc/{pid}/sched").read_text().splitlines():
        if line.startswith("se.slice"):
            return int(line.rpartition(":")[2])
    return None


def test_workers_stand_behind_the_daemon_whose_turns_are_short(daemon):
    workers = daemon.workers()
    assert workers
    assert [niceness(w) for w in workers] == [min(niceness(daemon.pid) + 10, 19)] * len(workers)
    if slice_ns(daemon.pid) is not None:
        assert slice_ns(daemon.pid) <= 100_000
        assert all(slice_ns(w) > 100_000 for w in workers)


def test_the_daemon_steps_forward_where_it_may_and_nobody_chose_its_place(make_daemon):
    here = os.nice(0)
    forward = int(subprocess.run(["nice", "-n", "-10", "nice"], capture_output=True, text=True).stdout)  # as far as it may
    assert niceness(make_daemon().pid) == (here or forward)
    chosen = make_daemon(start=False)
    chosen.spawn(program=["nice", "-n", "3", chosen.program])
    wait_until(chosen.workers, 20, "it has workers")
    assert [niceness(chosen.pid), niceness(chosen.workers()[0])] == [here + 3, here + 13]
