"""What is known of runs that are gone or were cut off: what they sent counts, whom they replace, whom they still hold up."""

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
