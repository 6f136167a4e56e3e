"""make bench: 250 requests to a server that allows 100 in any 6 s, behind a network that takes up to 0.3 s each way.

Every client meets the same server with the same seed of delays, under a limit of its own. What counts is what the server
saw: refusals, and the seconds from the first request it received to the last answer it gave. One after the other, but for
curl --rate, which takes long because it has one request in flight at a time, and runs beside the others.
"""

import contextlib
import pathlib
import subprocess
import sys

from common import run
from harness.process import BUILD, spawn

COUNT, ALLOWED, WINDOW_S, JITTER_S = 250, 100, 6, 0.3
PEERS = pathlib.Path(__file__).with_name("peers.py")


def output(argv):
    return run(*argv)["out"].decode()


def fanout(daemon):
    def fetch(url):
        program = [BUILD / "fanoutctl", "-S", daemon.socket]
        rate = f"{ALLOWED}/{WINDOW_S}s"
        batch = output([*program, "submit", "-p", "--wait", "--concurrency", ALLOWED, "--rate", rate, f"{url}/[1-{COUNT}]"]).strip()
        return output([*program, "results", batch, "-f", "csv", "--state", "done"]).count("\n") - 1

    return fetch


def peer(strategy):
    return lambda url: int(output([sys.executable, PEERS, strategy, url, COUNT, ALLOWED, WINDOW_S]))


def curl_argv(url, *options):
    return ["curl", "-q", "-s", *options, "-o", "/dev/null", "-w", "%{http_code}\n", f"{url}/[1-{COUNT}]"]


def curl_parallel(url):
    return output(curl_argv(url, "-Z", "--parallel-max", "100", "--rate", f"{ALLOWED * 60 // WINDOW_S}/m")).count("200\n")


@contextlib.contextmanager
def curl_rate(url):
    """Runs beside what follows; curl sends the next one only when the one before has been answered."""
    argv = curl_argv(url, "--rate", f"{ALLOWED * 60 // WINDOW_S}/m")
    child = spawn(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        yield lambda: child.communicate()[0].count("200\n")
    finally:
        child.kill()
        child.wait()


def limit_for(apisim, name):
    jitter = f"uniform:0:{JITTER_S}"
    return apisim.limit(name, n=ALLOWED, window=WINDOW_S, jitter_in=jitter, jitter_out=jitter)


def judged(limit, results):
    stats = limit.stats()
    return {
        "refused": stats["refused"],
        "results": results,
        "seconds": (stats["last_answered_us"] - stats["first_received_us"]) / 1e6,
        "slowest_s": stats["slowest_us"] / 1e6,
        "worst": stats["worst"],
    }


def limits(apisim, daemon, say):
    """{client: what the server saw of it}"""
    clients = {
        "fanout": fanout(daemon),
        "aiohttp": peer("plain"),
        f"aiohttp, token bucket of {ALLOWED} per {WINDOW_S} s": peer("bucket"),
        f"aiohttp, at most {ALLOWED} sent in any {WINDOW_S} s": peer("log"),
        "aiohttp, sleeping until Retry-After": peer("reset"),
        "curl -Z --rate (which -Z ignores)": curl_parallel,
    }
    rows = {}
    alone = limit_for(apisim, "curl-rate")
    with curl_rate(alone.url) as finish:
        for i, (name, fetch) in enumerate(clients.items()):
            say(f"{COUNT} requests at {ALLOWED} per {WINDOW_S} s: {name}")
            limit = limit_for(apisim, f"client-{i}")
            rows[name] = judged(limit, fetch(limit.url))
        say("waiting for curl --rate, begun before all these")
        rows["curl --rate, one at a time"] = judged(alone, finish())
    return rows


def bound_s(row):
    """The last of the 250 can go two windows after the first; each window may be longer by the slowest response."""
    windows = (COUNT - 1) // ALLOWED
    return 1.05 * windows * (WINDOW_S + row["slowest_s"])


def print_limits(rows, say):
    title = f"{COUNT} requests, {ALLOWED} in any {WINDOW_S} s allowed, up to {JITTER_S} s each way"
    say(f"\n{title:<62} {'refused':>8} {'results':>8} {'seconds':>8} {f'most in {WINDOW_S} s':>12}")
    for name, r in rows.items():
        say(f"  {name:<60} {r['refused']:>8} {r['results']:>8} {r['seconds']:>8.2f} {r['worst']:>12}")
    ours = rows["fanout"]
    say(f"  fanout: {ours['seconds']:.2f} s of at most {bound_s(ours):.2f} s = 1.05 × (2 windows + 2 slowest responses)")
