"""make bench: pulls. Pages one after another and fanned out; many large pages, and what they cost in memory; many small ones, against a loop.

The API simulator, which shares the processors, plays the APIs. Where a machine is busy with other things the seconds say little; so the
processor time of each program is told too, and the memory, which does not depend on it.
"""

import http.client
import json
import statistics
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from common import cpu_s, ctl
from harness.process import memory_kib
from harness.pulls import write_recipe

ROUNDS = 3
LARGE_ITEMS, LARGE_SIZE = 10_000, 180  # a page, bytes of an item: 1.8 MB
SMALL_PAGES = 1000
MB = 1e6


# ---- Running ----


def quietly(daemon, *args):
    took = ctl(daemon, *args, out=subprocess.DEVNULL)
    del took["out"]
    return took


def pull(daemon, name, pages, items):
    """One run, by the client, to its end: what the client took, and the receipt."""
    took = quietly(daemon, "pull", "run", "-q", name, "--wait")
    receipt = daemon.api.get(f"/v1/pulls/{name}/runs?limit=1").json()["runs"][0]
    if not receipt["complete"] or (receipt["pages"], receipt["items"]) != (pages, items):
        sys.exit(f"not everything is there: {json.dumps(receipt)}")
    return took, receipt


def numbered(daemon, name, url, size, **keys):
    page = {"type": "page", "param": "page", "size": size, "total_items": ".total"}
    write_recipe(daemon, name, url=str(url), page=page, items=".result[]", **keys)


# ---- 16 pages of 0.5 s ----


def fanned(daemon, apisim):
    """16 pages of 0.5 s each: seconds of the client, one after another (once: it cannot vary much) and all at once (a few times)."""
    api = apisim.pages("page", "slow", items=160, size=10, totals="items", latency=0.5)
    numbered(daemon, "serial", api, 10, limit={"concurrency": 1})
    numbered(daemon, "fanned", api, 10)
    serial = pull(daemon, "serial", 16, 160)[0]["seconds"]
    times = [pull(daemon, "fanned", 16, 160)[0]["seconds"] for _ in range(ROUNDS)]
    return {"pages": 16, "serial_s": serial, "fanned_s": times, "fanned_median_s": statistics.median(times)}


# ---- Many large pages ----


def large(daemon, apisim, pages):
    """Pages of 10 000 items: how fast they are stored, what the processes take, how fast the items are written again."""
    items = pages * LARGE_ITEMS
    options = {"size": LARGE_ITEMS, "size_max": LARGE_ITEMS, "item_size": LARGE_SIZE, "totals": "items"}
    numbered(daemon, "large", apisim.pages("page", "large", items=items, **options), LARGE_ITEMS, key=".id", limit={"concurrency": 8})
    workers = daemon.workers()
    before = [cpu_s(daemon.pid), cpu_s(*workers), cpu_s(apisim.process.pid)]
    took, receipt = pull(daemon, "large", pages, items)
    after = [cpu_s(daemon.pid), cpu_s(*workers), cpu_s(apisim.process.pid)]
    view = quietly(daemon, "items", receipt["run"])
    return {
        "pages": pages,
        "items": items,
        "bytes": receipt["bytes"],
        "seconds": took["seconds"],
        "pages_per_s": pages / took["seconds"],
        "mb_per_s": receipt["bytes"] / MB / took["seconds"],
        "cpu_s": dict(zip(("daemon", "workers", "apisim"), (b - a for a, b in zip(before, after)))),
        "daemon_rss_peak_kib": memory_kib(daemon.pid, "VmHWM"),
        "worker_rss_peak_kib": max(memory_kib(pid, "VmHWM") for pid in workers),
        "items_view": view,
        "items_mb_per_s": receipt["bytes"] / MB / view["seconds"],
        "items_mb_per_cpu_s": receipt["bytes"] / MB / view["cpu_s"],
    }


# ---- Many small pages ----


def loop_urllib(url):
    """As many write it at first: one request after the other, a connection for each. The number of items."""
    count, page = 0, 1
    while True:
        with urllib.request.urlopen(f"{url}?page={page}") as answer:
            body = json.load(answer)
        count += len(body["result"])
        if count >= body["total"]:
            return count
        page += 1


def loop_kept(url):
    """The same on one connection, which is what a session of `requests` does."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    count, page = 0, 1
    while True:
        connection.request("GET", f"{parts.path}?page={page}")
        body = json.loads(connection.getresponse().read())
        count += len(body["result"])
        if count >= body["total"]:
            connection.close()
            return count
        page += 1


def loop(function, url, items):
    begin, cpu = time.perf_counter(), time.process_time()
    count = function(url)
    if count != items:
        sys.exit(f"{function.__name__} has {count} items, not {items}")
    return {"seconds": time.perf_counter() - begin, "cpu_s": time.process_time() - cpu}


def small(daemon, apisim, latency):
    """1000 pages of 10 items, an API that takes so long for each; in turns."""
    items = SMALL_PAGES * 10
    api = apisim.pages("page", "small", items=items, size=10, totals="items", latency=latency)
    numbered(daemon, "small", api, 10, key=".id")
    tools = {
        "fanout": lambda: pull(daemon, "small", SMALL_PAGES, items)[0],
        "Python, urllib": lambda: loop(loop_urllib, api.url, items),
        "Python, kept connection": lambda: loop(loop_kept, api.url, items),
    }
    times = {name: [] for name in tools}
    for _ in range(ROUNDS if latency == 0 else 1):
        for name, tool in tools.items():
            times[name].append(tool()["seconds"])
    return {name: {"seconds": t, "median_s": statistics.median(t), "pages_per_s": SMALL_PAGES / statistics.median(t)} for name, t in times.items()}


# ---- All of it ----


def pulls(daemon, apisim, large_pages=500):
    """Runs all; the daemon's memory is that of a fresh one only if it has done nothing else before."""
    return {
        "large": large(daemon, apisim, large_pages),
        "fanned": fanned(daemon, apisim),
        "small": small(daemon, apisim, 0),
        "small_10ms": small(daemon, apisim, 0.01),
    }


def print_pulls(r, say):
    f, b = r["fanned"], r["large"]
    times = " ".join(f"{t:.3f}" for t in f["fanned_s"])
    say(f"\n16 pages of 0.5 s each, all of them told by the first: {f['serial_s']:.3f} s one after another,", end=" ")
    say(f"{f['fanned_median_s']:.3f} s fanned out (median of {times})")
    say(f"\n{b['pages']} pages of {LARGE_ITEMS} items, {b['bytes'] / MB:.0f} MB: {b['seconds']:.1f} s, {b['pages_per_s']:.1f} pages/s,", end=" ")
    say(f"{b['mb_per_s']:.1f} MB/s stored; processor time: " + ", ".join(f"{name} {s:.1f} s" for name, s in b["cpu_s"].items()))
    say(f"  memory at most: daemon {b['daemon_rss_peak_kib'] / 1024:.1f} MiB, a worker {b['worker_rss_peak_kib'] / 1024:.1f} MiB")
    view = b["items_view"]
    say(f"  its items, written by fanoutctl items: {view['seconds']:.1f} s, {b['items_mb_per_s']:.1f} MB/s", end=" ")
    say(f"({b['items_mb_per_cpu_s']:.1f} MB per second of its processor time), {view['rss_peak_kib'] / 1024:.1f} MiB")
    for name, title in (("small", "answered at once"), ("small_10ms", "answered after 10 ms")):
        say(f"\n{SMALL_PAGES} pages of 10 items, {title}    median s    pages/s")
        for tool, t in r[name].items():
            say(f"  {tool:<40} {t['median_s']:>9.3f}   {t['pages_per_s']:>8.0f}")
