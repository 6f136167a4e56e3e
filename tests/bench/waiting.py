"""make bench: slow answers side by side, and large ones."""

import os
import sys

from common import MIB, ctl, row, run, say
from harness.process import BUILD, memory_kib

MANY = 10_000
GB = 1_000_000_000


def hundred(daemon, apisim, rounds):
    """100 answers that take a second each, all at a time: seconds of the client."""
    times = [ctl(daemon, "submit", "-p", "--wait", "--concurrency", 100, "-n", 100, apisim.url + "/delay/1")["seconds"] for _ in range(rounds)]
    return [row("100 answers of 1 s at a time", times, "s", ("<=", 1.03))]


def ten_thousand(daemon, make_server, directory, rounds):
    """Each tool has a server of its own: fanout keeps its connections, and 20 000 are more than one may hold."""
    ours, theirs, servers = [], [], [make_server(), make_server()]
    path = directory / "slow"
    path.write_text("".join(f"{servers[1].url}/delay/1?{i}\n" for i in range(MANY)))
    for i in range(rounds):
        argv = ("submit", "-p", "--wait", "--concurrency", MANY, "-n", MANY, servers[0].url + "/delay/1")
        ours.append(ctl(daemon, *argv)["seconds"])
        theirs.append(run(BUILD / "bench/bare", "-p", MANY, "-n", 2, path)["seconds"])
        say(f"{MANY} answers of 1 s at a time: fanout {ours[-1]:.3f} s, bare loop {theirs[-1]:.3f} s")
    for server in servers:
        server.close()
    return [row(f"{MANY} answers of 1 s at a time", ours, "s", ("<=", 1.15), "bare loop, 2 processes", theirs, "times")]


# ---- A large body ----


def write_large(path):
    block = os.urandom(1 << 20)
    with open(path, "wb") as file:
        for _ in range(GB >> 20):
            file.write(block)
        file.write(block[: GB & 0xFFFFF])


def forget(daemon, batch):
    """Removes it; its file is gone when the next begins, or the disk's cache would be another."""
    daemon.api.delete(f"/v1/batches/{batch}")
    while any((daemon.state / "bodies").rglob("*.*")):
        pass


def large(daemon, nginx, directory, rounds):
    """One body of 1 GB, to a file each: fanout's is synced, curl's is not; what syncing it takes is told beside it."""
    write_large(directory / "www" / "large")
    url, target = f"{nginx.url}/files/large", directory / "curl-large"
    ours, theirs, synced = [], [], []

    def fanout():
        done = ctl(daemon, "submit", "-p", "--wait", "--max-body", "2G", "--timeout", "100s", url)
        ours.append(done["seconds"])
        forget(daemon, done["out"].decode().strip())

    def curl():
        theirs.append(run("curl", "-q", "-s", "-f", "-o", target, url)["seconds"])
        synced.append(theirs[-1] + run("sync", target)["seconds"])
        if target.stat().st_size != GB:
            sys.exit(f"curl has {target.stat().st_size} bytes")
        target.unlink()

    before = max(memory_kib(w) for w in daemon.workers())
    for i in range(rounds):
        for tool in (fanout, curl) if i % 2 else (curl, fanout):
            tool()
    (directory / "www" / "large").unlink()
    grown = max(memory_kib(w, "VmHWM") for w in daemon.workers()) - before
    what = "a body of 1 GB, to its file"
    return [
        row(f"{what} and synced", ours, "s", (">=", 0.95), "curl -o, not synced", theirs, "speed"),
        row(f"{what} and synced", ours, "s", None, "curl -o, then sync", synced, "speed"),
        row(f"{what}: more memory of a worker", [grown / MIB], "MiB", ("<=", 8)),
    ]
