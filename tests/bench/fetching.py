"""make bench: many small GETs against the other tools; submission; reading results; status meanwhile; one URL's latency.

All fetch the same list of small URLs from one nginx on loopback, which shares the processors with them. The tools take turns
(A B C A B C ...), so that what the machine does besides hits all of them. For fanout the time is from the client's start
to its end: by then every job was submitted, stored, fetched, and its result stored, each durably. The others keep nothing.
"""

import json
import statistics
import subprocess
import sys
import threading
import time

from common import MIB, PARALLEL, Client, ctl, cpu_s, figure, percentile, row, run, say
from harness.process import BUILD, memory_kib

LATENCY_PAIRS = 150
STATUS_PAUSE_S = 0.002


class Lists:
    """The same URLs in the form that each tool reads."""

    def __init__(self, directory, urls, count, name="urls"):
        """`count` URLs, to the origins `urls` in turn."""
        self.count = count
        urls = [f"{urls[i % len(urls)]}/{i}" for i in range(count)]
        self.plain, self.curl = directory / name, directory / f"{name}.curlrc"
        self.plain.write_text("".join(f"{u}\n" for u in urls))
        self.curl.write_text("".join(f'url = "{u}"\noutput = "/dev/null"\n' for u in urls))


def fetch_all(daemon, lists):
    """By fanout: seconds, and the batch."""
    done = ctl(daemon, "submit", "-p", "--wait", "-i", lists.plain)
    batch = done["out"].split()[0].decode()
    counts = daemon.api.get(f"/v1/batches/{batch}").json()["counts"]
    if counts["done"] != lists.count:
        sys.exit(f"not everything is done: {counts}")
    return done["seconds"], batch


def tools(daemon, lists, kept=0):
    """`kept`: connections that a process of the bare loop keeps; 0: as many as it has requests under way."""

    def bare(processes):
        return lambda: run(BUILD / "bench/bare", "-p", PARALLEL, "-n", processes, "-k", kept, lists.plain)["seconds"]

    return {
        "fanout": lambda: fetch_all(daemon, lists)[0],
        "curl -Z": lambda: run("curl", "-q", "-s", "-Z", "--parallel-max", PARALLEL, "-K", lists.curl)["seconds"],
        "wget2": lambda: run("wget2", "--no-config", "-q", "--max-threads", PARALLEL, "-O", "/dev/null", "-i", lists.plain)["seconds"],
        "bare loop, 1 process": bare(1),
        "bare loop, 2 processes": bare(2),
    }


def small(daemon, lists, rounds):
    """Rows of fanout against each tool, and processor time a job by process."""
    times = {name: [] for name in tools(daemon, lists)}
    before = cpu_s(daemon.pid), cpu_s(*daemon.workers())
    for i in range(rounds):
        for name, tool in tools(daemon, lists).items():
            times[name].append(tool())
        say(f"round {i + 1} of {rounds}: " + ", ".join(f"{name} {t[-1]:.3f} s" for name, t in times.items()))
    after = cpu_s(daemon.pid), cpu_s(*daemon.workers())
    jobs = rounds * lists.count
    targets = {"curl -Z": (">=", 2.0), "bare loop, 2 processes": (">=", 0.65), "wget2": (">=", 1.0), "bare loop, 1 process": None}
    what = f"{lists.count} small GETs from a file, to the last result stored: jobs/s"
    per_s = {name: [lists.count / t for t in times[name]] for name in times}
    rows = [row(what, per_s["fanout"], "/s", targets[n], n, per_s[n], "rate") for n in targets]
    cost = {"daemon": (after[0] - before[0]) / jobs * 1e6, "workers": (after[1] - before[1]) / jobs * 1e6}
    say("processor time a job: " + ", ".join(f"{name} {us:.1f} µs" for name, us in cost.items()))
    return rows, {"seconds": times, "cpu_us_a_job": cost}


# ---- Submission and results ----


def submission(daemon, directory, url, count, rounds):
    """From a file of URLs by fanoutctl; one job at a time is fetched meanwhile."""
    path, per_s = directory / "many", []
    path.write_text("".join(f"{url}/{i}\n" for i in range(count)))
    for _ in range(rounds):
        done = ctl(daemon, "submit", "-p", "--concurrency", "1", "-i", path)
        per_s.append(count / done["seconds"])
        daemon.api.post(f"/v1/batches/{done['out'].decode().strip()}/cancel")
    return [row(f"{count} jobs submitted by fanoutctl from a file of URLs", per_s, "/s", (">=", 250_000))]


def results(daemon, lists, batch, rounds):
    """Rows of a batch that is done, read by fanoutctl: of a small batch for comparison, then of this large one."""
    total = daemon.api.get(f"/v1/batches/{batch}").json()["counts"]["done"]
    small_batch = fetch_all(daemon, lists)[1]
    before, with_few = memory_kib(daemon.pid), ctl(daemon, "results", small_batch, "-f", "ndjson", out=subprocess.DEVNULL)["rss_peak_kib"]
    done = [ctl(daemon, "results", batch, "-f", "ndjson", out=subprocess.DEVNULL) for _ in range(rounds)]
    grown = [max(0, memory_kib(daemon.pid) - before) / MIB]
    client = [(d["rss_peak_kib"] - with_few) / MIB for d in done]
    return [
        row(f"results -f ndjson of {total} jobs: rows/s", [total / d["seconds"] for d in done], "/s", (">=", 200_000)),
        row(f"the same: more memory of the client than with {lists.count}", client, "MiB", ("<=", 2)),
        row("the same: more memory of the daemon than before", grown, "MiB", ("<=", 8)),
    ]


def many_done(daemon, directory, url, count):
    """A batch of so many jobs, all of them done."""
    path = directory / "many-done"
    path.write_text("".join(f"{url}/{i}\n" for i in range(count)))
    done = ctl(daemon, "submit", "-p", "--wait", "-i", path)
    return done["out"].split()[0].decode(), count / done["seconds"]


# ---- Status while it runs ----


def status(daemon, lists, rounds):
    """What a status request takes on a kept connection while jobs run: the 99th percentile of each round."""
    p99, rates = [], []
    for _ in range(rounds):
        done = {}
        thread = threading.Thread(target=lambda done=done: done.update(seconds=fetch_all(daemon, lists)[0]))
        client, times = Client(daemon), []
        batch = client.post("/v1/batches", b'{"close":true}')["batch"]
        thread.start()
        while thread.is_alive():
            begin = time.perf_counter()
            client.counts(batch)
            times.append((time.perf_counter() - begin) * 1e3)
            time.sleep(STATUS_PAUSE_S)
        thread.join()
        client.close()
        p99.append(percentile(times, 99))
        rates.append(lists.count / done["seconds"])
    note = {"jobs_per_s_meanwhile": figure(rates, "/s"), "median_ms_of_last": statistics.median(times)}
    return [row(f"a status request, 99th percentile, while {lists.count} jobs run", p99, "ms", ("<=", 5), note=note)]


# ---- One URL ----


def latency(daemon, url):
    """fanoutctl fetch and curl in turns; which goes first changes too."""

    def ours():
        return run(BUILD / "fanoutctl", "-S", daemon.socket, "fetch", url)["seconds"] * 1e3

    def theirs():
        return run("curl", "-q", "-s", url)["seconds"] * 1e3

    pairs = []
    for i in range(LATENCY_PAIRS):
        if i % 2:
            b = theirs()
            pairs.append((ours(), b))
        else:
            pairs.append((ours(), theirs()))
    mine, other = zip(*pairs)
    return [row(f"one URL, {LATENCY_PAIRS} pairs: fanoutctl fetch", mine, "ms", ("<=", 3), "curl", other, "more")]


def dump(record):
    return json.dumps(record, indent=1) + "\n"
