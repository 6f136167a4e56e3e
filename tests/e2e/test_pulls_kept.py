"""What is known of runs that are gone or were cut off: what they sent counts, whom they replace, whom they still hold up."""

import json
import sqlite3

import pytest

from harness.process import wait_until
from harness.pulls import pull, start, write_recipe

PAGED = {"type": "page", "param": "page", "size": 10, "total_items": ".total"}


# ---- limits of runs that were removed ----


def assert_waits_for_its_limit(daemon, run, api, sent):
    """It has nothing left of a window that is longer than any test."""

    def waits():
        return [w for w in daemon.api.get(f"/v1/batches/{run.number}/explain").json()["waits"] if w["why"] == "rate"]

    wait_until(lambda: waits() or run.ended(), 60, "it waits for the limit")
    assert waits() and len(api.log()) == sent, "what was sent before counts"


def forget(daemon, run, how):
    if how == "rm":
        daemon.ctl("rm", run.number)
    elif how == "rm --ended":
        daemon.ctl("rm", "--ended")


@pytest.mark.parametrize("end", ["kill", "stop"])
@pytest.mark.parametrize("how, when", [("rm", "before"), ("rm --ended", "before"), ("rm", "after"), ("nothing", "never")])
def test_what_a_run_sent_counts_after_a_restart_though_it_was_removed(make_daemon, apisim, how, when, end):
    api = apisim.pages("page", "a", items=50, size=10, totals="items")
    daemon = make_daemon()
    write_recipe(daemon, "p", url=str(api), items=".result[]", page=PAGED, limit={"rate": "5/1h"})
    run, receipt = pull(daemon, "p")
    assert receipt["complete"] and len(api.log()) == 5
    if when == "before":
        forget(daemon, run, how)
    getattr(daemon, end)()
    daemon.start()
    if when == "after":
        forget(daemon, run, how)
    assert_waits_for_its_limit(daemon, start(daemon, "p"), api, 5)


# ---- memory ----


@pytest.mark.parametrize("kind", ["told", "one by one"])
def test_a_run_that_grows_beyond_the_memory_waits_for_the_one_before_it_and_loses_nothing(make_daemon, apisim, gate, kind):
    items = 4000 if kind == "told" else 1000
    api = apisim.pages("cursor" if kind != "told" else "page", "a", items=items, size=1, totals="items")
    page = {**PAGED, "size": 1} if kind == "told" else {"type": "cursor", "param": "cursor", "next": ".next_cursor"}
    daemon = make_daemon(pulls_memory="16K")
    write_recipe(daemon, "held", url=gate.url, page={"type": "single"})
    write_recipe(daemon, "grows", url=str(api), items=".result[]", page=page)
    held = start(daemon, "held")
    wait_until(lambda: gate.held, 60, "the first is under way")
    grows = start(daemon, "grows")

    def waits():
        return [w for w in daemon.api.get(f"/v1/batches/{grows.number}/explain").json()["waits"] if w["why"] == "memory"]

    wait_until(lambda: waits() or grows.ended(), 60, "it waits for memory")
    assert waits() and grows.get()["state"] == "waiting" and 0 < len(api.log()) < items
    assert held.get()["state"] == "running"
    gate.open()
    assert held.wait()["complete"]
    receipt = grows.wait(240)
    assert (receipt["complete"], receipt["pages"], receipt["items"]) == (True, items, items), receipt
    assert sorted(api.by_page()) == list(range(1, items + 1)), "each page was asked for"


# ---- one that is to replace another ----


def options_of(daemon, run, **change):
    """What is stored of how it was asked for, changed: of a daemon that does not run."""
    with sqlite3.connect(daemon.state / "fanout.db") as db:
        (text,) = db.execute("SELECT options FROM runs WHERE batch = ?", (run.number,)).fetchone()
        db.execute("UPDATE runs SET options = ? WHERE batch = ?", (json.dumps({**json.loads(text), **change}), run.number))
    db.close()
    return json.loads(text)


def test_a_run_that_was_to_replace_another_does_so_after_a_kill_in_between(make_daemon, gate):
    daemon = make_daemon()
    for name in ("p", "q"):
        write_recipe(daemon, name, url=f"{gate.url}/{name}", page={"type": "single"})
    # What is stored of one that was asked to replace.
    replaced = start(daemon, "q")
    replacing = start(daemon, "q", overlap="replace")
    assert replaced.wait()["verdict"] == "cancelled"
    # One that was stored, and then the daemon was killed: the first has not been cancelled.
    first, second, third = start(daemon, "p"), start(daemon, "p", overlap="queue"), start(daemon, "p", overlap="queue")
    daemon.kill()
    assert options_of(daemon, replacing)["replaces"] and "replaces" not in options_of(daemon, first)
    options_of(daemon, third, replaces=True)
    daemon.start()
    for run in (first, second):
        assert run.wait()["verdict"] == "cancelled"
    gate.open()
    assert third.wait()["complete"] and replacing.wait()["complete"]
