"""make bench: many small GETs against the other tools; submission; reading results; status meanwhile; one URL's latency.

All fetch the same list of small URLs from one nginx on loopback, which shares the processors with them. The tools take turns
(A B C A B C ...), so that what the machine does besides hits all of them. For fanout the time is from the client's start
to its end: by then every job was submitted, stored, fetched, and its result stored, each durably. The others keep nothing.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time

from common import MIB, PARALLEL, Client, ctl, cpu_s, figure, percentile, row, run, say
from harness.process import BUILD, memory_kib

LATENCY_PAIRS = 150
STATUS_PAUSE_S = 0.002
STATUS_LISTS = 3


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


def at_once(yes):
    """Whether this thread gets a processor whenever it wants one, or when its turn comes. False: it may not be so."""
    try:
        os.sched_setscheduler(0, *((os.SCHED_FIFO, os.sched_param(1)) if yes else (os.SCHED_OTHER, os.sched_param(0))))
    except PermissionError:
        return False
    return True


def idle_server(url):
    """A request to a server that has nothing else to do, on a kept connection."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"))

    def ask():
        connection.request("GET", "/")
        connection.getresponse().read()

    return ask


def asked_meanwhile(thread, ask, times):
    """Asks in turns while the thread runs: (whether at once, the request) -> milliseconds."""
    thread.start()
    while thread.is_alive():
        for (prompt, request), ms in zip(ask, times):
            at_once(prompt)
            begin = time.perf_counter()
            request()
            ms.append((time.perf_counter() - begin) * 1e3)
            time.sleep(STATUS_PAUSE_S)
    at_once(False)
    thread.join()


def status(daemon, lists, idle, rounds):
    """What a status request takes on a kept connection while jobs run: the 99th percentile of each round. A client that
    never waits for a processor itself shows what the daemon makes it wait; a server with nothing else to do, what the
    machine does; a plain client waits for its own turn as well."""
    client = Client(daemon)
    batch = client.post("/v1/batches", b'{"close":true}')["batch"]
    ask = [(True, lambda: client.counts(batch)), (True, idle_server(idle)), (False, lambda: client.counts(batch))]
    p99, medians, rates = ([], [], []), [], []
    for _ in range(rounds):
        seconds, times = [], [[] for _ in ask]
        several = lambda took=seconds: took.extend(fetch_all(daemon, lists)[0] for _ in range(STATUS_LISTS))
        asked_meanwhile(threading.Thread(target=several), ask, times)
        for ms, into in zip(times, p99):
            into.append(percentile(ms, 99))
        medians.append(statistics.median(times[0]))
        rates.append(STATUS_LISTS * lists.count / sum(seconds))
    client.close()
    note = {"jobs_per_s_meanwhile": figure(rates, "/s"), "median_ms": figure(medians, "ms"), "client_at_once": at_once(True)}
    at_once(False)
    what = f"a status request, 99th percentile, while {lists.count} jobs run"
    return [
        row(what, p99[0], "ms", ("<=", 5), note=note),
        row("the same", p99[0], "ms", None, "an nginx that has nothing else to do", p99[1], "more"),
        row(what + ", by a client that waits for its turn of a processor", p99[2], "ms"),
    ]


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
