"""Nothing is lost and little is done twice, whatever is killed and whenever."""

import os
import random
import signal
import sqlite3

import pytest

from harness.process import sanitized, wait_until

JOBS = 3000


def ended(daemon, batch):
    counts = daemon.api.get(f"/v1/batches/{batch}").json()["counts"]
    return counts["done"] + counts["failed"] + counts["cancelled"]


def submit_once(daemon, apisim, jobs, delay):
    """A batch of GETs that each ask for an id of their own."""
    lines = "".join(f"{apisim.url}/once/{i}?delay={delay}\n" for i in range(jobs))
    return daemon.ctl("submit", "-p", "-i", "-", "--concurrency", "100", input=lines).out.strip()


def lost_attempts(rows):
    """More than one attempt means that the ones before were lost: nothing else fails here."""
    return sum(row["attempts"] - 1 for row in rows)


@pytest.mark.parametrize("seed", [1, 2])
def test_3000_jobs_survive_kills_of_workers_and_daemon_in_turn(make_daemon, apisim, seed):
    rng = random.Random(seed)
    daemon = make_daemon()
    batch = submit_once(daemon, apisim, JOBS, 0.05)
    for turn in range(6):
        goal = min(JOBS - 200, (turn + 1) * JOBS // 8 + rng.randrange(100))
        wait_until(lambda: ended(daemon, batch) >= goal, 60, f"{goal} jobs have ended")
        if turn % 2:
            daemon.kill()
            daemon.start()
        else:
            for worker in daemon.workers():
                try:
                    os.kill(worker, signal.SIGKILL)
                except ProcessLookupError:
                    pass
    daemon.ctl("wait", batch, timeout=120)
    rows = daemon.ctl("results", batch, "-f", "ndjson").rows()
    once = apisim.once()
    assert [row["seq"] for row in rows] == list(range(1, JOBS + 1))
    assert {row["state"] for row in rows} == {"done"}
    assert once["distinct"] == JOBS
    # An attempt that was open at a kill may have reached the server; nothing else is ever asked for twice.
    again = sum(count - 1 for count in once["repeated"].values())
    assert again <= lost_attempts(rows), (again, lost_attempts(rows))


def test_a_job_that_is_there_at_three_deaths_of_workers_is_poison(daemon, apisim):
    batch = daemon.ctl("submit", "-p", f"{apisim.url}/hang").out.strip()
    for death in range(1, 4):
        wait_until(lambda: apisim.stats()["paths"].get("/hang", 0) >= death, 30, f"attempt {death} has begun")
        for worker in daemon.workers():
            os.kill(worker, signal.SIGKILL)
    daemon.ctl("wait", batch, check=1)
    row = daemon.ctl("results", batch, "-f", "json").json()[0]
    assert (row["state"], row["reason"], row["attempts"]) == ("failed", "poison", 3)
    assert "3 workers died" in row["error"]


@pytest.mark.parametrize("victim", ["daemon", "workers"])
def test_a_post_that_may_have_been_carried_out_is_not_repeated(make_daemon, apisim, victim):
    daemon = make_daemon()
    batch = daemon.ctl("submit", "-p", "-d", "x", f"{apisim.url}/once/post?delay=300").out.strip()
    wait_until(lambda: apisim.once()["distinct"] == 1, 20, "the request has arrived")
    if victim == "daemon":
        daemon.kill()
        daemon.start()
    else:
        for worker in daemon.workers():
            os.kill(worker, signal.SIGKILL)
    daemon.ctl("wait", batch, check=1)
    row = daemon.ctl("results", batch, "-f", "json").json()[0]
    assert (row["state"], row["reason"], row["attempts"]) == ("failed", "unknown_outcome", 1)
    assert "may have carried it out" in row["error"]
    assert apisim.once()["repeated"] == {}


def test_jobs_that_were_overtaken_by_those_opened_ahead_are_found_after_a_kill(make_daemon, apisim):
    """GETs are opened ahead of their turn, POSTs are not: some that wait are behind ones that are on disk."""
    daemon = make_daemon(workers=1)
    jobs = [{"url": f"{apisim.url}/once/{i}?delay=0.02", "method": "GET" if i % 2 else "POST"} for i in range(300)]
    batch = daemon.api.post("/v1/batches", {"concurrency": 1, "hold": True}).json()["batch"]
    assert daemon.api.post(f"/v1/batches/{batch}/jobs", jobs).status == 201
    daemon.api.post(f"/v1/batches/{batch}/close")
    wait_until(lambda: ended(daemon, batch) >= 70, 60, "70 jobs have ended")
    daemon.kill()
    daemon.start()
    daemon.ctl("wait", batch, check=None, timeout=120)
    counts = daemon.api.get(f"/v1/batches/{batch}").json()["counts"]
    assert counts["done"] + counts["failed"] == 300, counts
    assert counts["failed"] <= 1, "only the one that was running may have failed"
    assert apisim.once()["distinct"] >= 300 - counts["failed"], "it may have been killed between commit and send"


def test_a_post_with_an_idempotency_key_is_repeated_after_a_kill(daemon, gate):
    job = f'{{"url":"{gate.url}/keyed","body":"x","idempotency_key":"k1"}}\n'
    batch = daemon.ctl("submit", "-p", "-i", "-", input=job).out.strip()
    wait_until(lambda: gate.held, 20, "the request has arrived")
    for worker in daemon.workers():
        os.kill(worker, signal.SIGKILL)
    gate.open()
    daemon.ctl("wait", batch)
    row = daemon.ctl("results", batch, "-f", "json").json()[0]
    assert (row["state"], row["attempts"]) == ("done", 2)


def test_workers_end_when_their_daemon_is_killed(daemon):
    workers = wait_until(lambda: len(daemon.workers()) == 2 and daemon.workers(), 20, "two workers")
    assert len(workers) == 2
    daemon.kill()  # fails unless the workers end


def test_a_second_sigterm_ends_the_daemon_at_once(daemon, apisim):
    daemon.ctl("submit", "-p", f"{apisim.url}/hang")
    wait_until(lambda: apisim.stats()["paths"].get("/hang", 0) == 1, 20, "the request has arrived")
    daemon.kill(signal.SIGTERM)
    wait_until(lambda: "stopping" in daemon.log(), 10, "the drain is logged")
    daemon.kill(signal.SIGTERM)
    assert daemon.wait(10) == 0


def test_sigterm_lets_what_runs_end_and_the_rest_goes_on_after_the_next_start(daemon, apisim):
    batch = daemon.ctl("submit", "-p", "-n", "40", "--concurrency", "10", f"{apisim.url}/delay/0.5").out.strip()
    wait_until(lambda: apisim.stats()["paths"].get("/delay/0.5", 0) >= 10, 20, "ten are running")
    daemon.stop()
    daemon.start()
    daemon.ctl("wait", batch)
    rows = daemon.ctl("results", batch, "-f", "ndjson").rows()
    assert [row["attempts"] for row in rows] == [1] * 40, "a drained daemon leaves no attempt open"


def test_an_acknowledged_batch_is_there_after_a_kill_at_once(make_daemon, apisim):
    daemon = make_daemon()
    for n in range(1, 6):
        batch = daemon.ctl("submit", "-p", "-n", str(n), f"{apisim.url}/uuid").out.strip()
        daemon.kill()
        daemon.start()
        daemon.ctl("wait", batch)
        assert len(daemon.ctl("results", batch, "-f", "ndjson").rows()) == n


def test_a_great_many_stored_jobs_are_all_there_after_a_kill(daemon, apisim):
    jobs = 50000 if sanitized() else 1000000  # how soon it is ready is measured by `make bench`
    batch = daemon.ctl("submit", "-p", "--hold", "-n", str(jobs), f"{apisim.url}/hang").out.strip()
    daemon.kill()
    daemon.start()
    assert sum(daemon.api.get(f"/v1/batches/{batch}").json()["counts"].values()) == jobs
    daemon.ctl("cancel", batch)
    daemon.ctl("wait", batch, check=7, timeout=120)


def test_a_kill_amid_the_logs_way_into_the_database_loses_nothing(daemon, apisim):
    """Some megabytes of log are moved by a thread meanwhile. Each second time somebody looks at what is left."""
    jobs = 4000 if sanitized() else 16000
    batch = daemon.ctl("submit", "-p", "-n", str(jobs), "--concurrency", "200", f"{apisim.url}/uuid").out.strip()
    for turn in range(1, 6):
        wait_until(lambda: ended(daemon, batch) >= turn * jobs // 7, 120, f"{turn} sevenths have ended")
        seen = ended(daemon, batch)
        daemon.kill()
        if turn % 2:
            with sqlite3.connect(daemon.state / "fanout.db") as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                assert db.execute("SELECT count(*) FROM outcomes WHERE state >= 3").fetchone()[0] >= seen
            db.close()
        daemon.start()
        assert ended(daemon, batch) >= seen
    daemon.ctl("wait", batch, timeout=120)
    rows = daemon.ctl("results", batch, "-f", "ndjson").rows()
    assert [row["seq"] for row in rows] == list(range(1, jobs + 1))
    assert {row["state"] for row in rows} == {"done"}


def test_nobody_else_gets_at_the_database_of_a_daemon_that_runs(daemon, apisim):
    daemon.ctl("submit", "-p", "-n", "100", "--wait", f"{apisim.url}/uuid")
    for statement in ("SELECT count(*) FROM jobs", "DELETE FROM jobs"):
        db = sqlite3.connect(daemon.state / "fanout.db", timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            db.execute(statement)
        db.close()
    assert not (daemon.state / "fanout.db-shm").exists()
    daemon.ctl("submit", "-p", "-n", "100", "--wait", f"{apisim.url}/uuid")
