"""What the parts of make bench share: running programs, what of a process is counted, and the rows of the table.

A row is one target: our figures and the other side's, round by round, taken in turns. Ratios and differences are made of each
round on its own: what a slow minute of the machine did to both is out of them. Their median decides.
"""

import json
import os
import statistics
import subprocess
import sys
import time

from harness.daemon import Daemon
from harness.http import UnixConnection
from harness.process import BUILD, environment

PARALLEL = 64
MIB = 1024  # of KiB


def say(text="", end="\n"):
    print(text, end=end, flush=True)


# ---- Running ----


def disk_daemon(directory, **config):
    """A daemon whose state is on the disk of the build directory, not on what may be a tmpfs."""
    directory.mkdir(mode=0o700)
    daemon = Daemon({"state_dir": directory, "workers": os.cpu_count(), **config})
    daemon.state = directory
    return daemon.start()


def run(*argv, out=subprocess.PIPE):
    """Runs a program to its good end: seconds, processor time, peak of memory (KiB), standard output.

    Linux counts the memory of whoever starts a program as the program's own (ru_maxrss outlives exec): this process, which has
    had many results in its hands, starts time(1), which is small."""
    begin = time.perf_counter()
    argv = ["time", "-f", "%M", *argv]
    child = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, env=environment())
    said = child.stdout.read() if child.stdout else b""
    error = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    for pipe in (child.stdout, child.stderr):
        if pipe:
            pipe.close()
    if child.returncode != 0:
        sys.exit(f"{argv} ended with {child.returncode}: {error[-2000:].decode(errors='replace')}")
    return {"seconds": seconds, "cpu_s": usage.ru_utime + usage.ru_stime, "rss_peak_kib": int(error.split()[-1]), "out": said}


def ctl(daemon, *args, out=subprocess.PIPE):
    return run(BUILD / "fanoutctl", "-S", daemon.socket, *args, out=out)


def cpu_s(*pids):
    """Processor time of processes, in seconds, so far."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


# ---- The API on one kept connection ----


class Client:
    def __init__(self, daemon):
        self.connection = UnixConnection(daemon.socket, 120)

    def ask(self, method, path, body=None):
        self.connection.request(method, path, body)
        response = self.connection.getresponse()
        text = response.read()
        if response.status not in (200, 201, 202, 204):
            sys.exit(f"{method} {path}: {response.status} {text[:500].decode(errors='replace')}")
        return json.loads(text) if text else None

    def post(self, path, body=b""):
        return self.ask("POST", path, body)

    def counts(self, batch):
        return self.ask("GET", f"/v1/batches/{batch}")["counts"]

    def submit(self, bodies, **options):
        """A held batch of these NDJSON bodies, one request each: its number, and the seconds of the requests alone."""
        batch = self.post("/v1/batches", json.dumps({"hold": True, **options}).encode())["batch"]
        seconds = 0.0
        for body in bodies:
            begin = time.perf_counter()
            self.post(f"/v1/batches/{batch}/jobs", body)
            seconds += time.perf_counter() - begin
        return batch, seconds

    def close(self):
        self.connection.close()


def job_lines(urls, count, size=20_000):
    """NDJSON bodies of `size` jobs each, made when they are asked for; job i goes to urls[i % len(urls)]."""
    heads = [b'{"url":"%s/' % url.encode() for url in urls]
    for at in range(0, count, size):
        yield b"".join(heads[i % len(heads)] + b'%d"}\n' % i for i in range(at, min(at + size, count)))


# ---- Rows ----


def figure(values, unit):
    values = [float(v) for v in values]
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "all": values, "unit": unit}


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def kept(value, relation, bound):
    return value >= bound if relation == ">=" else value <= bound


def row(what, ours, unit, target=None, peer=None, theirs=None, compare=None, note=None):
    """`target` is (relation, number): of our figure, or of what `compare` makes of both: "speed" (theirs / ours, of times),
    "rate" (ours / theirs, of rates and of sizes), "times" (ours / theirs, of times), "more" (ours - theirs)."""
    result = {"what": what, "fanout": figure(ours, unit)}
    value = result["fanout"]["median"]
    if theirs:
        result["peer"] = {"name": peer, **figure(theirs, unit)}
        pairs = list(zip(ours, theirs))
        made = {
            "speed": [t / o for o, t in pairs],
            "rate": [o / t for o, t in pairs],
            "times": [o / t for o, t in pairs],
            "more": [o - t for o, t in pairs],
        }[compare]
        result["compared"] = {"how": compare, **figure(made, unit if compare == "more" else "×")}
        value = result["compared"]["median"]
    if target:
        result["target"] = {"relation": target[0], "bound": target[1]}
        result["kept"] = kept(value, *target)
    if note:
        result["note"] = note
    return result
