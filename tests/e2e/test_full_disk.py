"""A full disk, as its owner sees it: that nothing goes on, why, and until when is told wherever one looks."""

import os
import signal

import pytest

from harness.process import BUILD, on_terminal, wait_until
from harness.pulls import start, write_recipe
from harness.shims import FULL_DISK

WORDS = "the disk is full: nothing goes on until there is room"


@pytest.fixture
def full(scratch):
    """A file: while it is there, nothing can be written."""
    return scratch / "full"


@pytest.fixture
def filling(make_daemon, preload, full):
    """A daemon whose disk is that."""
    shim = preload(FULL_DISK)
    return make_daemon(workers=1, env={"LD_PRELOAD": shim["LD_PRELOAD"], "ASAN_OPTIONS": shim["ASAN_OPTIONS"], "FULL_DISK": str(full)})


def submit(daemon, gate, jobs=6):
    """A batch of which two are under way, and one is done."""
    urls = [f"{gate.url}/{n}" for n in range(jobs)]
    batch = daemon.ctl("submit", "-p", "--concurrency", "2", *urls).out.strip()
    gate.let("/0")
    wait_until(lambda: daemon.api.get(f"/v1/batches/{batch}").json()["counts"]["done"] == 1 and len(gate.held) == 2, 60, "two are under way")
    return batch


def fill(daemon, gate, full):
    full.touch()
    gate.open()
    wait_until(lambda: "storage is full" in daemon.log(), 60, "nothing can be stored")


def test_that_the_disk_is_full_is_told_wherever_one_looks(filling, gate, full):
    batch = submit(filling, gate)
    before = filling.api.get(f"/v1/batches/{batch}").json()
    assert before["eta"] and before["stalled"] is None, before
    fill(filling, gate, full)
    row = filling.api.get(f"/v1/batches/{batch}").json()
    assert (row["state"], row["stalled"], row["eta"]) == ("running", "storage", None), row
    status = filling.ctl("status", batch).out
    assert WORDS in status and "time left" not in status, status
    for what in (batch, f"{batch}.2", f"{batch}.6"):
        said = filling.ctl("explain", what).out
        assert WORDS in said and "nothing." not in said and "As far as" not in said, said
    assert filling.api.get(f"/v1/jobs/{batch}.1/explain").json()["waits"] == [], "it is done"


def test_doctor_says_that_the_disk_is_full_and_what_to_do(filling, gate, full):
    submit(filling, gate)
    fill(filling, gate, full)
    assert filling.api.get("/healthz").json()["status"] == "storage"
    checks = {c["check"]: c for c in filling.ctl("doctor", "-f", "json", check=75).json()}
    assert checks["daemon"]["result"] == "wrong" and WORDS in checks["daemon"]["detail"] and "free disk space" in checks["daemon"]["detail"]
    assert checks["version"]["result"] == checks["permission"]["result"] == "ok", checks


def test_who_waits_sees_that_the_disk_is_full_and_the_end_when_there_is_room(filling, gate, full):
    batch = submit(filling, gate)
    fill(filling, gate, full)
    assert "goes on when the disk has room again" in filling.ctl("wait", batch, "--timeout", "100ms", check=6).err
    argv = [BUILD / "fanoutctl", "-S", filling.socket, "wait", batch]
    shown, code = on_terminal(argv, seen=b"the disk is full", then=full.unlink)
    lines = [line for line in shown.split("\r") if "the disk is full" in line]
    assert code == 0 and lines, shown
    assert not [line for line in lines if " left" in line or "running" in line], lines


def test_a_batch_that_is_being_cancelled_says_that_it_waits_for_room(filling, gate, full):
    batch = submit(filling, gate)
    (worker,) = filling.workers()
    os.kill(worker, signal.SIGSTOP)  # what it has under way has not ended before the disk is full
    filling.ctl("cancel", batch)
    full.touch()
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: "storage is full" in filling.log(), 60, "nothing can be stored")
    assert filling.api.get(f"/v1/batches/{batch}").json()["state"] == "cancelling"
    said = filling.ctl("explain", batch).out
    left = filling.api.get(f"/v1/batches/{batch}/explain").json()["left"]
    assert left > 0 and f"batch {batch} is cancelling, with {left} of its jobs to go. It waits because" in said and WORDS in said, said
    assert f"cancelling, {left} to go" in filling.ctl("status", batch).out
    assert f"job {batch}.2 is running; its batch is being ended, with {left} of its jobs to go" in filling.ctl("explain", f"{batch}.2").out
    full.unlink()
    assert filling.ctl("wait", batch, check=7).code == 7
    assert filling.api.get(f"/v1/batches/{batch}/explain").json()["waits"] == []


def test_a_run_says_that_the_disk_is_full_and_no_time_left(filling, gate, full):
    write_recipe(filling, "p", url=f"{gate.url}/page", page={"type": "page", "param": "page", "window": 2, "stop_empty": 1}, items=".x[]")
    run = start(filling, "p")
    wait_until(lambda: len(gate.held) == 2, 60, "two pages are asked for")
    fill(filling, gate, full)
    said = filling.api.get(f"/v1/batches/{run.number}/explain").json()
    assert [w["why"] for w in said["waits"]] == ["storage"] and said["eta"] is None, said
    assert WORDS in filling.ctl("status", str(run.number)).out
