"""Pulls where the API, the disk or the owner does its worst."""

import json
import os
import signal
import threading
from urllib.parse import quote

import pytest

from harness.process import wait_until
from harness.pulls import Run, pull, start, write_recipe, write_secret
from harness.shims import FULL_DISK, WHEN_WRITTEN


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


def test_a_run_that_waits_starts_though_the_disk_was_full_when_its_time_came(make_daemon, preload, scratch, serve):
    """The next page's `since` is written when the second run starts, and no sooner."""
    full = scratch / "full"
    full.touch()
    shim = preload(WHEN_WRITTEN)
    env = {"LD_PRELOAD": shim["LD_PRELOAD"], "ASAN_OPTIONS": shim["ASAN_OPTIONS"], "FULL_DISK": str(full), "FULL_WHEN": "since=2026-02-02"}
    daemon = make_daemon(env=env)
    queued = threading.Event()

    def behave(c):
        while c.request():
            queued.wait(60)
            c.answer(b'{"result":[{"id":1,"at":"2026-02-02"}]}')

    since = {"param": "since", "from": ".at", "initial": "2026-01-01"}
    write_recipe(daemon, "p", url=serve(behave).url, page={"type": "single"}, items=".result[]", since=since)
    first, second = start(daemon, "p"), start(daemon, "p", overlap="queue")
    queued.set()
    assert first.wait()["complete"]
    wait_until(lambda: "run not started" in daemon.log(), 60, "the second could not be started")
    full.unlink()
    assert second.wait()["complete"]


def test_a_run_that_waits_starts_behind_any_number_of_others(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/{var:v}", page={"type": "single"}, vars={"v": "0"})
    for i in range(1001):
        start(daemon, "p", vars={"v": f"a{i}"})
    first, second = (start(daemon, "p", vars={"v": "last"}, overlap="queue") for _ in range(2))
    for run in (first, second):
        assert run.get()["state"] in ("running", "waiting")
    assert daemon.api.post(f"/v1/batches/{first.number}/cancel").status == 200
    wait_until(lambda: second.get()["state"] == "running", 60, "it starts when the one before it has ended")


# ---- what a run no longer needs ----


def test_a_page_that_no_longer_counts_is_not_asked_for_again(daemon, serve):
    """Page 1 ends the run; page 2 is under way, and would be tried five times."""
    last = threading.Event()

    def behave(c):
        while head := c.request():
            if "page=1 " in head:
                c.answer(b'{"result":[{"id":1}],"more":false}')
                last.set()
            else:
                last.wait(60)
                wait_until(lambda: daemon.api.get("/v1/runs/1/pages").rows()[0]["state"] == "done", 60)
                c.answer(status="503 Service Unavailable")

    server = serve(behave)
    write_recipe(daemon, "p", url=server.url + "/", page={"type": "page", "param": "page", "window": 2, "has_more": ".more"}, items=".result[]")
    run, receipt = pull(daemon, "p")
    assert receipt["complete"] and len(server.requests) == 2, receipt
    assert [row["state"] for row in run.pages()] == ["done", "cancelled"]


def test_the_missing_pages_of_a_great_many_are_counted_and_not_all_listed(daemon, serve):
    def behave(c):
        while head := c.request():
            first = "page=1 " in head
            c.answer(b'{"result":[{"id":1}],"pages":5000}' if first else b"", status="200 OK" if first else "410 Gone")

    page = {"type": "page", "param": "page", "total_pages": ".pages"}
    write_recipe(daemon, "p", url=serve(behave).url + "/", page=page, items=".result[]")
    run, receipt = pull(daemon, "p")
    assert receipt["verdict"] == "incomplete" and receipt["missing"] == 4999, receipt["error"]
    assert receipt["gaps"] == list(range(2, 1002))
    assert receipt["counts"]["queued"] == receipt["counts"]["running"] == 0


# ---- what a recipe says now ----


def test_what_an_earlier_recipe_made_of_a_page_is_not_taken_for_what_this_one_does(daemon, apisim):
    api = apisim.pages("single", "a", items=7, conditional="etag")
    write_recipe(daemon, "p", url=str(api), page={"type": "single"}, items=".nothing[]?", conditional=True)
    assert pull(daemon, "p")[1]["items"] == 0
    write_recipe(daemon, "p", url=str(api), page={"type": "single"}, items=".result[]", conditional=True)
    assert pull(daemon, "p")[1]["items"] == 7


def test_state_is_set_for_the_vars_that_a_run_has(daemon, answer):
    url = answer(b'{"result":[{"id":1,"at":"2026-05-05"}]}')
    write_recipe(daemon, "p", url=url + "/{var:v}", page={"type": "single"}, vars={"v": "a"}, items=".result[]", since={"param": "since", "from": ".at"})
    body = {"vars": {"v": "a"}, "since": "2026-03-03"}
    status = daemon.api.request("PUT", "/v1/pulls/p/state", body).status
    assert status == 200
    _, receipt = pull(daemon, "p", vars={"v": "a"})
    assert receipt["since"]["from"] == "2026-03-03"


def test_a_recipe_with_bytes_that_are_no_text_is_listed_all_the_same(daemon):
    pulls = daemon.dir / "pulls.d"
    (pulls / "a.conf").write_bytes(b'url = "http://127.0.0.1/\xe9\xff";\nvars = { v = "\xff"; };\n')
    (pulls / "b.conf").write_bytes(b'url = "http://127.0.0.1/";\n\xff\xfe = 1;\n')
    (pulls / "c.conf").write_bytes(b"a = { " * 20000)
    (pulls / "d.conf").write_bytes(bytes(range(256)) * 2048)
    (pulls / "e.conf").symlink_to("nowhere")
    (pulls / "f.conf").mkdir()
    os.mkfifo(pulls / "g.conf")
    (pulls / "h.conf").symlink_to("/dev/zero")
    rows = daemon.api.get("/v1/pulls").json()["pulls"]
    assert [row["name"] for row in rows] == list("abcdefgh")
    assert all(row["problem"] for row in rows if row["name"] in "bcdefgh"), rows
    for row in rows:
        assert daemon.api.get(f"/v1/pulls/{row['name']}").status == 200
    assert daemon.api.get("/v1/pulls/i").status == 404


# ---- secrets ----


def test_a_secret_that_a_server_sends_back_is_nowhere_but_in_the_body(daemon, serve):
    secret = "Zx81/topSecretValue+%"
    echoed = 'ETag: "%s"'

    def behave(c):
        while head := c.request():
            if "page=1 " in head:
                c.answer(b'{"result":[{"id":1,"at":"x' + secret.encode() + b'"}]}', headers=[echoed % secret, f"X-Echo: {secret}", "Last-Modified: " + secret])
            elif "page=2 " in head:
                c.answer(b'{"result":"' + secret.encode() + b'"}')
            elif "page=3 " in head:
                c.answer(status="302 Found", headers=[f"Location: /?page=3&again={quote(secret, safe='')}"])
            else:
                c.answer(json.dumps({"message": secret}).encode(), status="400 " + secret)

    write_secret(daemon, "tok", secret)
    server = serve(behave)
    write_recipe(
        daemon,
        "p",
        url=server.url + "/",
        headers=["X-Key: {secret:tok}"],
        page={"type": "page", "param": "page", "window": 4, "stop_empty": 0},
        items=".result[]",
        error="if .message then .message else null end",
        since={"param": "since", "from": ".at"},
        secrets={"tok": ["127.0.0.1"]},
        conditional=True,
        retry={"max_attempts": 1},
    )
    run, receipt = pull(daemon, "p")
    paths = ["/v1/runs", "/v1/pulls", "/v1/pulls/p", "/v1/pulls/p/state", "/metrics", "/v1/stats"]
    paths += [f"/v1/runs/{run.number}", f"/v1/runs/{run.number}/pages", f"/v1/batches/{run.number}/results"]
    for row in run.pages():
        paths += [f"/v1/jobs/{row['job']}", f"/v1/jobs/{row['job']}/attempts", f"/v1/jobs/{row['job']}/explain"]
    daemon.stop()
    kept = b"".join(path.read_bytes() for path in daemon.state.glob("fanout.db*"))
    whole = kept.replace(b'{"result":[{"id":1,"at":"x' + secret.encode() + b'"}]}', b"")
    whole = whole.replace(b'{"result":"' + secret.encode() + b'"}', b"").replace(json.dumps({"message": secret}).encode(), b"")
    daemon.start()
    seen = "\n".join(daemon.api.get(path).body.decode() for path in paths) + daemon.log() + whole.decode(errors="replace")
    assert "{secret:tok}" in seen
    for part in (secret, quote(secret, safe=""), "Zx81", "topSecret"):
        at = seen.find(part)
        assert at < 0, seen[max(0, at - 200) : at + 100]


def test_what_a_run_is_asked_with_is_of_a_size_that_can_be_kept(daemon):
    write_recipe(daemon, "p", url="http://127.0.0.1:1/{var:v}", page={"type": "single"}, vars={"v": "a"}, since={"param": "since", "from": ".at"})
    assert "16384" in start(daemon, "p", status=400, vars={"v": "x" * 16385})["detail"]
    assert "1024" in start(daemon, "p", status=400, since="2" * 1025)["detail"]
    answer = daemon.api.request("PUT", "/v1/pulls/p/state", {"vars": {"v": "x" * 16385}, "since": None})
    assert answer.status == 400


# ---- one run in place of another ----


def test_a_run_that_is_to_be_replaced_lives_until_its_successor_is_on_disk(make_daemon, preload, scratch, gate):
    """The disk takes neither the new run nor anything that names it: then the old one goes on."""
    full = scratch / "full"
    shim = preload(WHEN_WRITTEN)
    env = {"LD_PRELOAD": shim["LD_PRELOAD"], "ASAN_OPTIONS": shim["ASAN_OPTIONS"], "FULL_DISK": str(full), "FULL_WHEN": "since=2026-02-02"}
    daemon = make_daemon(env=env)
    since = {"param": "since", "from": ".at", "initial": "2026-01-01"}
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "single"}, since=since)
    first = start(daemon, "p")
    full.touch()
    assert start(daemon, "p", status=507, overlap="replace", vars={}, since="2026-02-02x since=2026-02-02")["code"] == "no_space"
    full.unlink()
    row = first.get()
    assert (row["state"], row["verdict"]) == ("running", None), row
    gate.open()
    assert first.wait()["verdict"] != "cancelled"


FULL_FROM_THEN_ON = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
static volatile int written, full;
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	const char *word = getenv("FULL_AFTER");
	if (full) {
		errno = ENOSPC;
		return -1;
	}
	written |= memmem(p, n, word, strlen(word)) != NULL;
	return syscall(SYS_pwrite64, fd, p, n, at);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) { return pwrite64(fd, p, n, at); }
int fdatasync(int fd)
{
	full = written;
	return syscall(SYS_fdatasync, fd);
}
int fsync(int fd)
{
	full = written;
	return syscall(SYS_fsync, fd);
}
"""


def test_who_waits_for_a_run_to_be_replaced_is_answered_when_the_daemon_ends_on_a_full_disk(make_daemon, preload, gate):
    """The new run is on disk, and that the old one is cancelled is not: the next daemon does that."""
    shim = preload(FULL_FROM_THEN_ON)
    daemon = make_daemon(env={"LD_PRELOAD": shim["LD_PRELOAD"], "ASAN_OPTIONS": shim["ASAN_OPTIONS"], "FULL_AFTER": '"replaces":true'})
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "single"})
    first, answers = start(daemon, "p"), []
    asking = threading.Thread(target=lambda: answers.append(daemon.api.post("/v1/pulls/p/runs", {"overlap": "replace"})))
    asking.start()
    wait_until(lambda: "storage is full" in daemon.log(), 60, "the old run cannot be cancelled")
    daemon.kill(signal.SIGTERM)
    wait_until(lambda: "stopping" in daemon.log(), 60, "it was told to end")
    daemon.kill(signal.SIGTERM)  # the old run's page is under way
    assert daemon.wait() == 0
    asking.join(60)
    assert [answer.status for answer in answers] == [201]
    daemon.env = {}
    daemon.start()
    assert first.wait()["verdict"] == "cancelled"
    gate.open()
    assert Run(daemon, answers[0].json()["run"]).wait()["complete"]


def test_one_of_two_is_there_whenever_the_daemon_is_killed_while_one_replaces_the_other(make_daemon, gate):
    daemon = make_daemon()
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "single"})
    newest = start(daemon, "p")
    for _ in range(5):
        newest = start(daemon, "p", overlap="replace")
        daemon.kill()
        daemon.start()
        live = [row for row in daemon.api.get("/v1/runs").json()["runs"] if row["state"] != "ended"]
        assert newest.number in [row["run"] for row in live], live
    gate.open()
    assert newest.wait()["complete"]
    for row in daemon.api.get("/v1/runs").json()["runs"]:
        assert row["verdict"] == ("complete" if row["run"] == newest.number else "cancelled"), row


# ---- what a full disk did not take ----


def test_a_deadline_that_passes_while_the_disk_is_full_holds_when_there_is_room(make_daemon, preload, scratch, gate):
    full = scratch / "full"
    daemon = make_daemon(env={k: preload(FULL_DISK)[k] for k in ("LD_PRELOAD", "ASAN_OPTIONS")} | {"FULL_DISK": str(full)})
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "single"}, deadline="2s", timeout="1h")
    run = start(daemon, "p")
    wait_until(lambda: gate.held, 60, "it is under way")
    full.touch()
    wait_until(lambda: "storage is full" in daemon.log(), 60, "the deadline's mark could not be written")
    full.unlink()
    receipt = run.wait()
    assert (receipt["verdict"], "deadline" in receipt["error"]) == ("failed", True), receipt


def test_a_guard_that_falls_while_the_disk_is_full_cancels_the_rest_when_there_is_room(make_daemon, preload, scratch, serve):
    full = scratch / "full"
    daemon = make_daemon(env={k: preload(FULL_DISK)[k] for k in ("LD_PRELOAD", "ASAN_OPTIONS")} | {"FULL_DISK": str(full)})
    go = threading.Event()

    def behave(c):
        while head := c.request():
            page = int(head.split("page=")[1].split()[0])
            if page == 2:
                go.wait(600)
            c.answer(b'{"result":[{"id":1}],"pages":500}')

    page = {"type": "page", "param": "page", "total_pages": ".pages"}
    write_recipe(daemon, "p", url=serve(behave).url + "/", page=page, items=".result[]", limit={"concurrency": 1})
    run = start(daemon, "p")
    wait_until(lambda: run.pages()[0]["state"] == "done", 60, "one page is there")
    full.touch()
    go.set()
    wait_until(lambda: "storage is full" in daemon.log(), 60, "the guard could not be written")
    full.unlink()
    receipt = run.wait()
    assert (receipt["verdict"], receipt["stop_reason"]) == ("failed", "guard"), receipt
    assert receipt["counts"]["queued"] == receipt["counts"]["running"] == 0
