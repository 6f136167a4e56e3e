"""Requests that stand by with a worker: no more at once than may be, nothing lost, nothing sent that was called back."""

import os
import signal

import pytest

from harness.http import UnixConnection
from harness.process import wait_until

MANY = 6000


def metric(daemon, name):
    for line in daemon.api.get("/metrics").body.decode().splitlines():
        if line.startswith(f"fanout_engine_{name} "):
            return int(line.split()[1])
    raise AssertionError(f"no metric {name}")


def counts(daemon, batch):
    return daemon.api.get(f"/v1/batches/{batch}").json()["counts"]


def whys(daemon, batch):
    return [w["why"] for w in daemon.api.get(f"/v1/batches/{batch}/explain").json()["waits"]]


def submit(daemon, url, *args, count=MANY):
    return daemon.ctl("submit", "-p", *args, url.replace("COUNT", str(count))).out.strip()


def wait_done(daemon, batch, least):
    wait_until(lambda: counts(daemon, batch)["done"] >= least, 60, f"{least} are done")


def assert_whole(daemon, batch, count=MANY):
    daemon.ctl("wait", batch, timeout=180)
    rows = daemon.ctl("results", batch, "-f", "ndjson").rows()
    assert [row["seq"] for row in rows] == list(range(1, count + 1))
    assert {row["state"] for row in rows} == {"done"}
    return rows


@pytest.fixture
def quick(apisim):
    """Pages of an API that take two milliseconds: it counts how many are asked for at once."""
    return apisim.pages("page", "quick", items=MANY, size=1, latency=0.002)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_no_more_run_at_once_than_may_and_many_begin_in_another_s_place(daemon, quick, concurrency):
    batch = submit(daemon, f"{quick}?page=[1-COUNT]", "--concurrency", str(concurrency), count=MANY // 2)
    most = 0
    while counts(daemon, batch)["done"] < MANY // 2:
        most = max(most, counts(daemon, batch)["running"])
    assert_whole(daemon, batch, MANY // 2)
    stats = quick.stats()
    assert (stats["requests"], stats["peak"]) == (MANY // 2, concurrency)
    assert most <= concurrency
    assert metric(daemon, "followed_total") > 0
    assert metric(daemon, "standing_by") == 0


def test_the_hosts_concurrency_holds_for_all_batches_of_it(make_daemon, quick):
    daemon = make_daemon(defaults={"concurrency": 5})
    batches = [submit(daemon, f"{quick}?page=[1-COUNT]", count=MANY // 3) for _ in range(3)]
    for batch in batches:
        assert_whole(daemon, batch, MANY // 3)
    assert quick.stats()["peak"] == 5


def test_a_paused_batch_sends_nothing_and_goes_on_where_it_was(daemon, quick):
    batch = submit(daemon, f"{quick}?page=[1-COUNT]", "--concurrency", "8")
    for part in (1, 2, 3):
        wait_done(daemon, batch, part * MANY // 4)
        daemon.ctl("pause", batch)
        wait_until(lambda: counts(daemon, batch)["running"] == 0 and metric(daemon, "standing_by") == 0, what="nothing runs")
        assert quick.stats()["requests"] == counts(daemon, batch)["done"]
        daemon.ctl("resume", batch)
    assert {row["attempts"] for row in assert_whole(daemon, batch)} == {1}
    assert (quick.stats()["requests"], quick.stats()["peak"]) == (MANY, 8)


def test_a_daemon_that_is_told_to_end_has_them_back_and_the_next_goes_on(daemon, quick):
    batch = submit(daemon, f"{quick}?page=[1-COUNT]", "--concurrency", "8")
    for part in (1, 2, 3):
        wait_done(daemon, batch, part * MANY // 4)
        daemon.restart()
    assert {row["attempts"] for row in assert_whole(daemon, batch)} == {1}
    assert quick.stats()["requests"] == MANY


def test_nothing_is_lost_with_workers_and_daemons_that_are_killed(daemon, apisim):
    batch = submit(daemon, f"{apisim.url}/once/[1-COUNT]?delay=0.002", "--concurrency", "16")
    for part in range(1, 7):
        wait_done(daemon, batch, part * MANY // 8)
        if part % 3:
            # The one that was killed before may not have been replaced yet.
            wait_until(lambda: len(daemon.workers()) == 2, what="there are two workers")
            os.kill(daemon.workers()[part % 2], signal.SIGKILL)
        else:
            daemon.kill()
            daemon.start()
    rows = assert_whole(daemon, batch)
    once = apisim.once()
    assert once["distinct"] == MANY
    assert sum(n - 1 for n in once["repeated"].values()) <= sum(row["attempts"] - 1 for row in rows)


def test_a_rule_that_comes_counts_them_and_stops_them(daemon, quick):
    batch = submit(daemon, f"{quick}?page=[1-COUNT]", "--concurrency", "8")
    wait_done(daemon, batch, MANY // 4)
    daemon.ctl("limits", "set", quick.origin.split("//")[1], "--rate", "10/1h")
    wait_until(lambda: counts(daemon, batch)["running"] == 0 and metric(daemon, "standing_by") == 0, what="nothing runs")
    # What was called back is handed out again before it is seen to wait.
    wait_until(lambda: whys(daemon, batch) == ["rate"], what="it waits for the rate")
    assert quick.stats()["requests"] == counts(daemon, batch)["done"] < MANY
    daemon.ctl("limits", "rm", quick.origin.split("//")[1])
    assert {row["attempts"] for row in assert_whole(daemon, batch)} == {1}


@pytest.mark.parametrize("reread", [False, True], ids=["set", "fanout.conf"])
def test_what_went_before_a_rule_came_is_not_held_against_it(daemon, quick, reread):
    host = quick.origin.split("//")[1]
    batch = submit(daemon, f"{quick}?page=[1-COUNT]", "--concurrency", "64")
    wait_done(daemon, batch, MANY // 4)
    if reread:
        daemon.configure(limits=[{"name": "few", "match": host, "rate": "10/1h"}])
        daemon.kill(signal.SIGHUP)
        wait_until(lambda: daemon.ctl("limits", host, "-f", "json").json(), what="the configuration is read anew")
    else:
        daemon.ctl("limits", "set", "few", "--match", host, "--rate", "10/1h")
    wait_until(lambda: counts(daemon, batch)["running"] == 0 and metric(daemon, "standing_by") == 0, what="nothing runs")
    (row,) = daemon.ctl("audit", host, "-f", "json").json()
    assert (row["limit"], row["attempts"], row["before"]) == ("few", 0, counts(daemon, batch)["done"]), row
    if not reread:
        daemon.restart()
        assert daemon.ctl("audit", host, "-f", "json").json()[0]["since"] == row["since"]


def test_after_a_refusal_only_what_is_in_flight_arrives(daemon, apisim):
    limit = apisim.limit("strict", n=MANY // 3, window=600)
    batch = submit(daemon, f"{limit.url}/[1-COUNT]", "--on-limit", "fail", "--concurrency", "8")
    daemon.ctl("wait", batch, check=1)
    stats = limit.stats()
    assert stats["accepted"] == counts(daemon, batch)["done"] == MANY // 3
    assert 1 <= stats["refused"] <= 8
    assert metric(daemon, "followed_total") > 0


@pytest.mark.parametrize("args", [["--on-limit", "drop"], ["--rate", "100000/1s"], ["-X", "POST"], ["--chain"]])
def test_none_stand_by_where_each_has_to_be_asked_for(daemon, quick, args):
    batch = submit(daemon, f"{quick}?page=[1-COUNT]", "--concurrency", "8", *args, count=MANY // 6)
    assert_whole(daemon, batch, MANY // 6)
    assert metric(daemon, "followed_total") == 0


# ---- A server that falls silent while some stand by ----


def stall(daemon, gate):
    """A batch of which some are done, four run without end, and several others stand by."""
    for _ in range(20):
        gate.open()
        batch = submit(daemon, f"{gate.url}/[1-COUNT]", "--concurrency", "4")
        wait_done(daemon, batch, 500)
        gate.shut()
        wait_until(lambda: len(gate.held) == 4, what="four run")
        if metric(daemon, "standing_by") > 3:
            return batch
        daemon.ctl("cancel", batch)
        daemon.ctl("wait", batch, check=None)
    raise AssertionError("none ever stood by")


@pytest.fixture
def stalled(daemon, gate):
    return stall(daemon, gate)


def test_they_are_shown_as_queued(daemon, gate, stalled):
    shown = counts(daemon, stalled)
    assert (shown["running"], shown["queued"]) == (4, MANY - 4 - shown["done"])
    gate.open()
    assert_whole(daemon, stalled)
    assert gate.peak <= 4


def test_a_batch_that_is_cancelled_sends_none_of_them(daemon, gate, stalled):
    daemon.ctl("cancel", stalled)
    daemon.ctl("wait", stalled, check=None)
    ended = counts(daemon, stalled)
    assert (ended["done"] + ended["cancelled"], ended["running"], ended["queued"]) == (MANY, 0, 0)
    rows = daemon.ctl("results", stalled, "-f", "ndjson", check=None).rows()
    sent = {f"/{row['seq']}" for row in rows if row["state"] == "done"} | set(gate.held)
    assert set(gate.seen[-ended["done"] - 4:]) <= sent
    assert metric(daemon, "standing_by") == 0


def test_one_that_is_cancelled_is_never_sent(daemon, gate, stalled):
    first = max(int(t.strip("/")) for t in gate.seen) + 1
    daemon.ctl("cancel", f"{stalled}.{first}")
    assert daemon.ctl("show", f"{stalled}.{first}", "-f", "json").json()["state"] == "cancelled"
    gate.open()
    daemon.ctl("wait", stalled, check=None)
    ended = counts(daemon, stalled)
    assert (ended["done"], ended["cancelled"]) == (MANY - 1, 1)
    assert f"/{first}" not in gate.seen


@pytest.fixture
def one_worker(make_daemon):
    return make_daemon(workers=1)


def test_a_cancellation_that_crosses_an_end_does_not_make_room_for_two(one_worker, gate):
    """The worker reads both at once: what it lets go, and that the first that stands by is not to be."""
    daemon = one_worker
    batch = stall(daemon, gate)
    worker = daemon.workers()[0]
    for _ in range(3):
        first = max(int(t.strip("/")) for t in gate.seen) + 1
        ending = gate.held[0]
        os.kill(worker, signal.SIGSTOP)
        gate.let(ending)
        wait_until(lambda: ending not in gate.held, what="one is answered")
        cancel = UnixConnection(daemon.socket, 60)
        cancel.request("POST", f"/v1/jobs/{batch}.{first}/cancel")
        for _ in range(3):  # whoever answers these has read that one, and what follows has left
            counts(daemon, batch)
        os.kill(worker, signal.SIGCONT)
        assert cancel.getresponse().status == 200
        cancel.close()
        wait_until(lambda: len(gate.held) == 4, what="four run again")
    assert counts(daemon, batch)["running"] == 4
    gate.open()
    daemon.ctl("wait", batch, check=None)
    ended = counts(daemon, batch)
    assert ended["done"] + ended["cancelled"] == MANY
    assert gate.peak == 4


def test_those_of_a_worker_that_dies_go_elsewhere(daemon, gate, stalled):
    for worker in daemon.workers():
        os.kill(worker, signal.SIGKILL)
    gate.open()
    rows = assert_whole(daemon, stalled)
    assert all(row["attempts"] <= 2 for row in rows)


def test_when_a_worker_dies_only_what_it_had_sent_has_an_attempt_to_show_for_it(one_worker, gate):
    batch = stall(one_worker, gate)
    sent = {int(target.strip("/")) for target in gate.held}
    os.kill(one_worker.workers()[0], signal.SIGKILL)
    wait_until(lambda: metric(one_worker, "standing_by") == 0, what="none stand by with the dead")
    gate.open()
    rows = assert_whole(one_worker, batch)
    assert {row["seq"]: row["attempts"] for row in rows if row["attempts"] != 1} == dict.fromkeys(sent, 2)
    assert len(sent) == 4
    lost = one_worker.api.get(f"/v1/jobs/{batch}.{min(sent)}/attempts").json()["attempts"][0]
    assert lost["cause"] == "worker_lost"
