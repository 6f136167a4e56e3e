"""Pulls where the API, the disk or the owner does its worst."""

import json
import threading

import pytest

from harness.process import wait_until
from harness.pulls import pull, start, write_recipe, write_secret


def body(ids, **more):
    return json.dumps({"result": [{"id": i} for i in ids], **more}).encode()


# ---- what was kept of an earlier run ----


def test_a_page_whose_earlier_copy_is_removed_while_it_is_asked_for_is_fetched_anew(daemon, serve):
    asked, removed = threading.Event(), threading.Event()

    def behave(c):
        while head := c.request():
            if "If-None-Match" in head:
                asked.set()
                removed.wait(60)
                c.answer(status="304 Not Modified")
            else:
                c.answer(body([1, 2]), headers=['ETag: "one"'])

    server = serve(behave)
    write_recipe(daemon, "p", url=server.url, page={"type": "single"}, items=".result[]", key=".id", conditional=True)
    first, receipt = pull(daemon, "p")
    assert receipt["complete"]
    second = start(daemon, "p")
    assert asked.wait(60)
    assert daemon.api.delete(f"/v1/batches/{first.number}").status in (200, 204)
    removed.set()
    receipt = second.wait()
    assert receipt["complete"] and second.ids() == [1, 2], receipt
    assert len(server.requests) == 3, "once each, and once more without conditions"


# ---- a full disk ----

STYLES = {
    "page": {"type": "page", "param": "page", "size": 5, "total_items": ".total"},
    "window": {"type": "page", "param": "page", "window": 4, "stop_empty": 1},
    "cursor": {"type": "cursor", "param": "cursor", "next": ".next_cursor"},
    "link": {"type": "link"},
}


FULL_DISK = r"""
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	if (access(getenv("FULL_DISK"), F_OK) == 0) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, p, n, at);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) { return pwrite64(fd, p, n, at); }
"""


@pytest.mark.parametrize("style", STYLES)
def test_a_run_goes_on_when_a_full_disk_has_room_again(make_daemon, preload, scratch, apisim, style):
    full = scratch / "full"
    daemon = make_daemon(env={k: preload(FULL_DISK)[k] for k in ("LD_PRELOAD", "ASAN_OPTIONS")} | {"FULL_DISK": str(full)})
    api = apisim.pages("page" if style == "window" else style, "a", items=300, size=5, latency=0.05, totals="items")
    write_recipe(daemon, "p", url=str(api), page=STYLES[style], items=".result[]", key=".id", limit={"concurrency": 4})
    run = start(daemon, "p")
    for times in range(1, 4):
        wait_until(lambda: len(apisim.page_log("a")) >= times * 8, 60, "some pages are there")
        full.touch()
        wait_until(lambda: daemon.log().count("storage is full") == times, 60, "nothing can be stored")
        full.unlink()
        wait_until(lambda: daemon.log().count("storage has room again") == times, 60, "there is room again")
    receipt = run.wait()
    assert receipt["complete"], receipt
    assert run.ids() == list(range(1, 301))
    assert len(apisim.page_log("a")) < 60 + 3 * 8 + 4, "what was there is not fetched again"
