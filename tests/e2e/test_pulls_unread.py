"""What becomes of a run whose pages end, or whose owner has a word, before its plan is read; and what a restart or a full disk must not undo."""

import json
import threading

import pytest

from harness.gate import Gate
from harness.process import wait_until
from harness.pulls import broken, pull, start, wait_for, write_recipe
from harness.shims import FULL_DISK, WHEN_WRITTEN

LAST = 3


class Pages(Gate):
    """The first LAST pages have an item each, the others none."""

    def body(self, target):
        page = int(target.split("page=")[1])
        return json.dumps({"result": [{"id": page}] if page <= LAST else [], "more": page < LAST}).encode()

    def asked(self, page):
        return [target for target in self.seen if target.endswith(f"page={page}")]


@pytest.fixture
def pages():
    server = Pages()
    yield server
    server.open()
    server.close()


def with_shim(preload, source, full, **more):
    shim = preload(source)
    return {"LD_PRELOAD": shim["LD_PRELOAD"], "ASAN_OPTIONS": shim["ASAN_OPTIONS"], "FULL_DISK": str(full), **more}


def cut_off(daemon, pages, *names):
    """Runs that have their first page, and whose daemon was killed while their second was under way."""
    runs = []
    for name in names:
        write_recipe(daemon, name, url=f"{pages.url}/{name}", page={"type": "page", "param": "page", "stop_empty": 1}, items=".result[]")
        pages.let(f"/{name}?page=1")
        runs.append(start(daemon, name))
    wait_until(lambda: len(pages.asked(2)) == len(names), 60, "their second pages are under way")
    daemon.kill()
    return runs


def one_waits_for_memory(daemon, runs):
    daemon.configure(pulls_memory="1K")
    daemon.start()
    waiting = wait_until(lambda: [run for run in runs if run.get()["state"] == "waiting"], 60, "one waits")
    assert len(waiting) == 1
    wait_for(daemon, waiting[0], "memory")
    return waiting[0]


def assert_complete(run):
    receipt = run.wait()
    assert receipt["complete"] and run.ids() == list(range(1, LAST + 1)), receipt


# ---- its owner's word ----


@pytest.mark.parametrize("then", ["memory", "cancel"])
def test_a_run_whose_last_page_is_cancelled_before_its_plan_is_read_is_concluded(make_daemon, pages, then):
    daemon = make_daemon()
    runs = cut_off(daemon, pages, "a", "b")
    waiting = one_waits_for_memory(daemon, runs)
    (other,) = (run for run in runs if run is not waiting)
    assert daemon.api.post(f"/v1/jobs/{waiting.number}.2/cancel").status == 200
    assert waiting.pages()[1]["state"] == "cancelled" and waiting.get()["state"] == "waiting"
    if then == "cancel":
        assert daemon.api.post(f"/v1/batches/{waiting.number}/cancel").status == 200
        assert waiting.wait()["verdict"] == "cancelled"
    pages.open()
    assert_complete(other)
    receipt = waiting.wait()
    assert (receipt["complete"], receipt["pages"], receipt["items"]) == (False, 1, 1), receipt
    assert daemon.api.delete(f"/v1/batches/{waiting.number}").status in (200, 204)


def test_a_run_that_is_retried_fetches_nothing_before_there_is_memory_for_it(make_daemon, apisim, gate):
    daemon = make_daemon(pulls_memory="1K")
    api = broken(daemon, apisim, max_attempts=1)
    run, receipt = pull(daemon, "holes")
    assert receipt["gaps"] == [3], receipt
    write_recipe(daemon, "held", url=gate.url + "/held", page={"type": "single"})
    held = start(daemon, "held")
    wait_until(lambda: gate.held, 60, "another has the memory")
    asked = len(api.log())
    assert daemon.api.post(f"/v1/batches/{run.number}/retry").status == 200
    wait_for(daemon, run, "memory")
    assert len(api.log()) == asked
    gate.open()
    assert held.wait()["complete"]
    receipt = run.wait()
    assert receipt["gaps"] == [3] and len(api.log()) == asked + 1, receipt


def test_a_full_disk_does_no_harm_to_a_run_whose_plan_is_not_read(make_daemon, preload, scratch, pages):
    full = scratch / "full"
    daemon = make_daemon(env=with_shim(preload, FULL_DISK, full))
    runs = cut_off(daemon, pages, "a", "b")
    waiting = one_waits_for_memory(daemon, runs)
    wait_until(lambda: len(pages.asked(2)) == 3, 60, "the other goes on")
    full.touch()
    pages.let(pages.asked(2)[-1])
    wait_until(lambda: "storage is full" in daemon.log(), 60, "its page could not be stored")
    assert waiting.get()["state"] == "waiting"
    assert daemon.api.post(f"/v1/jobs/{waiting.number}.2/cancel").status == 507
    full.unlink()
    pages.open()
    for run in runs:
        assert_complete(run)


# ---- what is known is not asked for again ----


def test_pages_behind_an_end_that_was_learned_before_a_kill_are_not_asked_for_again(make_daemon, pages):
    daemon = make_daemon()
    write_recipe(daemon, "p", url=pages.url + "/", page={"type": "page", "param": "page", "window": 6, "has_more": ".more"}, items=".result[]")
    run = start(daemon, "p")
    wait_until(lambda: len(pages.held) == 6, 60, "all are under way")
    for page in range(LAST, 0, -1):
        pages.let(f"/?page={page}")
        wait_until(lambda: run.pages()[page - 1]["state"] == "done", 60, "the end is known first")
    daemon.kill()
    daemon.start()
    receipt = run.wait()
    assert receipt["complete"] and [row["state"] for row in run.pages()[LAST:]] == ["cancelled"] * 3, receipt
    assert len(pages.seen) == 6, "once each"


FILLS = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
static int seen;
static const char *full(void) { return getenv("FULL_DISK"); }
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	const char *word = getenv("FULL_WHEN");
	if (access(full(), F_OK) == 0) {
		errno = ENOSPC;
		return -1;
	}
	seen |= memmem(p, n, word, strlen(word)) != NULL;
	return syscall(SYS_pwrite64, fd, p, n, at);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) { return pwrite64(fd, p, n, at); }
int fdatasync(int fd)
{
	int rc = syscall(SYS_fdatasync, fd);
	if (seen == 1) {
		seen = 2;
		close(open(full(), O_CREAT | O_WRONLY, 0600));
	}
	return rc;
}
"""


def test_pages_behind_the_end_are_not_asked_for_though_the_disk_was_full_when_they_were_to_be_cancelled(make_daemon, preload, scratch, serve):
    """The disk is full from when the page that tells of the end is stored."""
    full, go = scratch / "full", threading.Event()
    daemon = make_daemon(env=with_shim(preload, FILLS, full, FULL_WHEN="this is the end"))

    def behave(c):
        while head := c.request():
            if "page=1 " not in head:
                go.wait(600)
            c.answer(b'{"result":[{"id":"this is the end"}],"more":false}')

    server = serve(behave)
    page = {"type": "page", "param": "page", "window": 6, "has_more": ".more"}
    write_recipe(daemon, "p", url=server.url + "/", page=page, items=".result[]", limit={"concurrency": 1})
    run = start(daemon, "p")
    wait_until(lambda: "storage is full" in daemon.log(), 60, "the others could not be cancelled")
    full.unlink()
    wait_until(lambda: [row["state"] for row in run.pages()[2:]] == ["cancelled"] * 4, 60, "they are cancelled")
    go.set()
    receipt = run.wait()
    assert receipt["complete"] and len(server.requests) <= 2, (receipt, server.requests)


def test_a_run_whose_receipt_a_full_disk_did_not_take_is_concluded_when_there_is_room(make_daemon, preload, scratch, gate):
    full = scratch / "full"
    full.touch()
    daemon = make_daemon(env=with_shim(preload, WHEN_WRITTEN, full, FULL_WHEN='"stop_reason"'))
    write_recipe(daemon, "p", url=gate.url, page={"type": "single"})
    gate.open()
    run = start(daemon, "p")
    wait_until(lambda: "run not concluded yet" in daemon.log(), 60, "its end could not be written")
    assert run.get()["verdict"] is None
    full.unlink()
    assert run.wait()["complete"]
