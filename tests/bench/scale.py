"""make bench: ten million queued jobs, and a thousand hosts.

The daemon that holds many and one that holds few do the same in turns. `many` jobs lie in a batch that is paused; for each
round it is resumed until so many more are done. The other has a batch for each round.
"""

import collections
import json
import statistics
import sys
import time

import fetching
from common import MIB, Client, ctl, job_lines, row, say
from harness.process import memory_kib

FEW = 50_000
WARM = 20_000  # jobs of a round before it counts: what was opened ahead before the pause is taken up again first
ROUND = 20_000  # jobs that count
ADDED = 100_000  # jobs to submit in a round
ASKED = 200
HOSTS = 1000
HOSTS_DONE = 200_000
CONCURRENCY = 64
HOSTS_KEPT = 2048  # connections that a process of the bare loop keeps, as a worker does


def wait_done(client, batch, count):
    """Until so many are done: how many are. Not asked too often: an answer tells of every host."""
    while True:
        done = client.counts(batch)["done"]
        if done >= count:
            return done
        time.sleep(0.02)


def hold(client, urls, count):
    """A batch of so many jobs, queued and paused: its number, and jobs/s of submission."""
    batch, seconds = client.submit(job_lines(urls, count), concurrency=CONCURRENCY)
    client.post(f"/v1/batches/{batch}/pause")
    client.post(f"/v1/batches/{batch}/close")
    return batch, count / seconds


def rate(client, batch, more=ROUND):
    """Jobs/s of so many, once it goes; then it is paused again."""
    client.post(f"/v1/batches/{batch}/resume")
    first = wait_done(client, batch, client.counts(batch)["done"] + WARM)
    begin = time.perf_counter()
    last = wait_done(client, batch, first + more)
    seconds = time.perf_counter() - begin
    client.post(f"/v1/batches/{batch}/pause")
    return (last - first) / seconds


def cancel(client, batch):
    """Until none of its jobs is left to cancel: the daemon is at it while others run."""
    client.post(f"/v1/batches/{batch}/cancel")
    while client.counts(batch)["queued"] > 0:
        time.sleep(0.02)


def few_rate(client, batch):
    result = rate(client, batch)
    cancel(client, batch)
    return result


def rates(many, batch, calm, url, rounds):
    """Of `batch`, and of as many batches of FEW, which are on disk before the first round: what a submission leaves to be
    written would be paid by one side alone."""
    fews = [hold(calm, [url], FEW)[0] for _ in range(rounds)]
    done, done_few = [], []
    for i, few in enumerate(fews):
        turns = [(done, lambda: rate(many, batch)), (done_few, lambda: few_rate(calm, few))]
        for taken, turn in turns if i % 2 else reversed(turns):
            taken.append(turn())
    return done, done_few


def status_ms(client, batch):
    times = []
    for _ in range(ASKED):
        begin = time.perf_counter()
        client.counts(batch)
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def ready_again(daemon, batch, count):
    """SIGKILL, and the seconds from the start of the next process until it answers with all that is stored."""
    daemon.kill()
    begin = time.perf_counter()
    daemon.start()
    seconds = time.perf_counter() - begin
    counts = daemon.api.get(f"/v1/batches/{batch}").json()["counts"]
    if sum(counts.values()) != count:
        sys.exit(f"not all of {count} jobs are there after SIGKILL: {counts}")
    return seconds


def queued(crowded, calm, url, count, rounds):
    """`crowded` holds `count` jobs, `calm` next to nothing."""
    a, b = Client(crowded), Client(calm)
    batch, per_s = hold(a, [url], count)
    say(f"{count} jobs are queued: {per_s:.0f} jobs/s, {memory_kib(crowded.pid) / MIB:.1f} MiB")
    # Before anything newer has ended: that costs an older batch, be it large or small, and is a row of its own.
    done, done_few = rates(a, batch, b, url, rounds)
    added, added_few, asked, asked_few = ([] for _ in range(4))
    few = hold(b, [url], FEW)[0]
    for _ in range(rounds):
        for client, batch_of, to_add, to_ask in ((a, batch, added, asked), (b, few, added_few, asked_few)):
            spare, speed = hold(client, [url], ADDED)
            to_add.append(speed)
            to_ask.append(status_ms(client, batch_of))
            cancel(client, spare)
    done_old, done_new = rates(a, batch, b, url, rounds)
    a.close()
    peak = memory_kib(crowded.pid, "VmHWM") / MIB
    ready = [ready_again(crowded, batch, count) for _ in range(3)]
    crowded.api.post(f"/v1/batches/{batch}/resume")
    again = Client(crowded)
    wait_done(again, batch, again.counts(batch)["done"] + ROUND)
    peak = max(peak, memory_kib(crowded.pid, "VmHWM") / MIB)
    again.close()
    b.close()
    peer = f"with {FEW} queued"
    return [
        row(f"{count} jobs queued: the daemon's memory at most", [peak], "MiB", ("<=", 64)),
        row(f"{count} jobs queued: jobs/s", done, "/s", (">=", 0.9), f"a batch of {FEW}", done_few, "rate"),
        row("the same, but newer batches have ended: jobs/s", done_old, "/s", None, f"a batch of {FEW}, the newest", done_new, "rate"),
        row(f"{count} jobs queued: ready after SIGKILL", ready, "s", ("<=", 2)),
        row(f"{count} jobs queued: submitting {ADDED} more", added, "/s", (">=", 0.9), peer, added_few, "rate"),
        row(f"{count} jobs queued: a status request", asked, "ms", ("<=", 0.1), peer, asked_few, "more"),
    ]


# ---- Hosts ----


def jain(counts):
    return sum(counts) ** 2 / (len(counts) * sum(c * c for c in counts))


def done_by_host(daemon, batch):
    """How many are done of each host, from the results."""
    rows = ctl(daemon, "results", batch, "-f", "ndjson", "--state", "done", "--fields", "url")["out"]
    return collections.Counter(json.loads(line)["url"].split("/")[2] for line in rows.splitlines())


def host_urls(port):
    return [f"http://127.1.{i // 250}.{i % 250 + 1}:{port}" for i in range(HOSTS)]


def hosts_list(daemon, lists, rounds):
    """A list of URLs of a thousand hosts in turn, by fanout and by others."""
    peers = ("curl -Z", "bare loop, 2 processes")
    tools = {n: t for n, t in fetching.tools(daemon, lists, HOSTS_KEPT).items() if n in ("fanout", *peers)}
    per_s = {name: [] for name in tools}
    for i in range(rounds):
        for name, tool in tools.items():
            per_s[name].append(lists.count / tool())
        say(f"round {i + 1} of {rounds}: " + ", ".join(f"{name} {v[-1]:.0f} /s" for name, v in per_s.items()))
    what = f"{lists.count} small GETs from a file, over {HOSTS} hosts in turn: jobs/s"
    return [row(what, per_s["fanout"], "/s", None, name, per_s[name], "rate") for name in peers]


def hosts(daemon, calm, port, each, rounds):
    """`each` jobs for each of a thousand hosts: how many of each are done while most still wait."""
    urls = host_urls(port)
    count = HOSTS * each
    client, other = Client(daemon), Client(calm)
    before = memory_kib(daemon.pid) / MIB
    batch, _ = hold(client, urls, count)
    say(f"{count} jobs for {HOSTS} hosts are queued: {memory_kib(daemon.pid) / MIB:.1f} MiB, {before:.1f} MiB before")
    rate(client, batch, HOSTS_DONE)
    by_host = done_by_host(daemon, batch)
    counts = [by_host[url.split("/")[2]] for url in urls]
    speeds = [(rate(client, batch), few_rate(other, hold(other, urls[:1], FEW)[0])) for _ in range(rounds)]
    client.post(f"/v1/batches/{batch}/cancel")
    client.close()
    other.close()
    ours, theirs = zip(*speeds)
    what = f"{HOSTS} hosts with {each} jobs each"
    note = {"done": sum(counts), "least": min(counts), "most": max(counts), "jain": jain(counts)}
    say(f"{what}, {sum(counts)} done: {min(counts)} to {max(counts)} of each, Jain's index {jain(counts):.5f}")
    return [
        row(f"{what}, {sum(counts)} of them done: most of a host", [max(counts)], "", ("<=", 1.1), "least of a host", [max(min(counts), 1)], "times", note),
        row(f"{what}: jobs/s", ours, "/s", None, "one host", theirs, "rate"),
        row(f"{what}: the daemon's memory at most", [memory_kib(daemon.pid, "VmHWM") / MIB], "MiB", ("<=", 64)),
    ]
