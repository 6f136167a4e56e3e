"""What README.md says to type, typed."""

import re
import shlex
import subprocess

from harness.daemon import run
from harness.process import BUILD, ROOT, environment, spawn


def tours():
    """The indented lines behind each <!-- tour -->, as they would be copied."""
    found = re.findall(r"<!-- tour -->\n((?:    .*\n)+)", (ROOT / "README.md").read_text())
    assert len(found) == 2
    return [re.sub(r"^    ", "", text, flags=re.M) for text in found]


def start_simulator(line):
    """As the line says, but on a port that is free: its process and port."""
    words = shlex.split(line.removesuffix("&"))
    assert words[:3] == ["apisim", "--port", "8042"]
    child = spawn([BUILD / "apisim", *words[3:], "--stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return child, child.stdout.readline().decode().rpartition(":")[2].strip()


def test_the_tours_work_as_typed(scratch):
    lines = "".join(tours()).splitlines()
    (simulator,) = [line for line in lines if line.startswith("apisim ")]
    child, port = start_simulator(simulator)
    script = "\n".join(line for line in lines if line != simulator and not line.startswith("PATH=")).replace("8042", port)
    env = environment(HOME=str(scratch), TMPDIR=str(scratch), PATH=f"{BUILD}:/usr/bin:/bin")
    try:
        done = run(["sh", "-e", "-c", script], env=env, cwd=scratch)
    finally:
        run([BUILD / "fanoutctl", "stop"], env=env, check=None)
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
    assert "pull cats: complete: 25 pages, 250 items (250 unique)" in done.err, done
    assert re.search(r'^"item 248"\n"item 249"\n"item 250"$', done.out, re.M), done
    assert re.search(r"\b404\b", done.out) and re.search(r" kept$", done.out, re.M), done
    (tour,) = scratch.glob("tmp.*")
    assert [path.name for path in scratch.iterdir() if not path.name.startswith(".")] == [tour.name], "it leaves nothing where it was begun"
    csv = run(["gzip", "-dc", tour / "cats.csv.gz"]).out.splitlines()
    assert len(csv) == 251 and csv[0].startswith("id,name,")


def test_every_verb_is_listed(fanoutctl):
    text = (ROOT / "README.md").read_text()
    words = {word for listed in re.findall(r"`([a-z ]+)`", text[text.index("## Verbs") : text.index("## As a service")]) for word in listed.split()}
    verbs = re.findall(r"^  ([a-z]+(?: [a-z]+)?) ", fanoutctl("help").out, re.M)
    assert len(verbs) > 30
    assert {verb for verb in verbs if verb.split()[-1] not in words} == {"version"}


def test_every_document_that_is_named_is_there():
    for path in [ROOT / "README.md", ROOT / "HACKING.md", *(ROOT / "docs").glob("*.md")]:
        for name in re.findall(r"\bdocs/[A-Za-z.-]+[a-z0-9]\b", path.read_text()):
            assert (ROOT / name).exists(), f"{path.name}: {name}"
