"""Recipes and runs of a daemon, by the API alone."""

from harness.daemon import libconfig
from harness.process import wait_until


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
