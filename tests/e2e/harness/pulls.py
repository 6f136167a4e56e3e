"""Recipes and runs of a daemon, by the API alone; and pulls that many tests want."""

import http.server
import json
import re
import threading

from harness.daemon import libconfig
from harness.process import wait_until

PAGED = {"type": "page", "param": "page", "total_pages": ".pages"}


class Raw(str):
    """Written into a recipe as it is."""


def setting(name, value):
    return f"{name} = {value};\n" if isinstance(value, Raw) else f"{name} = {libconfig(value)};\n"


def write_recipe(daemon, name, **keys):
    text = "".join(setting(k, v) for k, v in keys.items())
    (daemon.dir / "pulls.d" / f"{name}.conf").write_text(text)
    return text


def write_secret(daemon, name, value):
    path = daemon.dir / "secrets" / name
    path.write_text(value + "\n")
    path.chmod(0o600)


class Run:
    """A run of a pull."""

    def __init__(self, daemon, number):
        self.daemon, self.number = daemon, number

    def get(self):
        return self.daemon.api.get(f"/v1/runs/{self.number}").json()

    def ended(self):
        try:
            row = self.get()
        except OSError:  # the daemon is being started again
            return None
        return row if row["state"] == "ended" else None

    def wait(self, timeout=60):
        """Its receipt."""
        return wait_until(self.ended, timeout, f"run {self.number} ends")

    def pages(self):
        return self.daemon.api.get(f"/v1/runs/{self.number}/pages").rows()

    def bodies(self):
        """The stored bodies of its pages, parsed, in order; those behind the end are left out."""
        rows = [row for row in self.pages() if row["state"] == "done" and not row["past_end"]]
        return [self.daemon.api.get(f"/v1/jobs/{row['job']}/body").json() for row in rows]

    def ids(self, member="result"):
        """The ids of its items, in page order."""
        lists = [body if isinstance(body, list) else body.get(member) or [] for body in self.bodies()]
        return [item["id"] for items in lists for item in items]


def start(daemon, name, status=201, **ask):
    answer = daemon.api.post(f"/v1/pulls/{name}/runs", ask)
    assert answer.status == status, answer
    return Run(daemon, answer.json()["run"]) if status < 300 else answer.json()


def pull(daemon, name, **ask):
    """Runs it to its end: the run and its receipt."""
    run = start(daemon, name, **ask)
    return run, run.wait()


def broken(daemon, apisim, *pages, items=50, name="holes", max_attempts=2, **options):
    """A pull these pages of which always fail."""
    fail = [f"{page}:*:503" for page in pages or [3]]
    api = apisim.pages("page", name, items=items, size=10, totals=["pages"], fail=fail, **options)
    write_recipe(daemon, name, url=str(api), page=PAGED, items=".result[]", retry={"max_attempts": max_attempts})
    return api


def played_pages(daemon, *bodies, **keys):
    """The number of a complete run whose pages had these bodies."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            page = int(re.search(r"page=(\d+)", self.path)[1])
            body = (bodies[page - 1] if page <= len(bodies) else "[]").encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Page", str(page))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        write_recipe(daemon, "p", url=f"http://127.0.0.1:{server.server_port}/x", **{"page": {"type": "page", "param": "page"}, "items": ".[]", **keys})
        run, receipt = pull(daemon, "p")
        assert receipt["complete"], receipt
    finally:
        server.shutdown()
        server.server_close()
    return str(run.number)


def ids(text):
    return [json.loads(line)["id"] for line in text.splitlines()]


def silent(result):
    assert (result.out, result.err) == ("", ""), result


def files(directory):
    return sorted(p.name for p in directory.iterdir())


# ---- Why a run waits ----


def explain(daemon, run):
    return daemon.api.get(f"/v1/batches/{run.number}/explain").json()


def wait_for(daemon, run, why):
    """The explanation, once this is why it waits."""

    def waits():
        told = explain(daemon, run)
        return told if [w for w in told["waits"] if w["why"] == why] else None

    return wait_until(waits, 60, f"it waits for {why}")
