"""fanoutctl's command line: help, usage errors, completion; and what it tells of the daemon, or of none."""

import csv
import io
import os
import re
import shlex
import subprocess

import pytest

from harness.process import BUILD, ROOT, on_terminal

VERBS = (
    "submit fetch status wait follow results show get cancel retry rm pause resume explain limits limits+set limits+rm limits+resume "
    "pull pull+list pull+check pull+test pull+run pull+show pull+state items audit stats doctor stop completion help version"
).split()
VERBS = [verb.replace("+", " ") for verb in VERBS]


# ---- the daemon ----


def test_stats_in_every_format(ctl, mixed):
    j = ctl("stats", "-f", "json").json()
    assert j["version"] and j["counts"]["done"] == 2
    table = dict(line.split(None, 1) for line in ctl("stats").lines()[1:] if len(line.split(None, 1)) == 2)
    assert table["counts.done"] == "2"
    assert re.match(r"[\d.]+ (ms|s|min)", table["uptime"]) and isinstance(j["uptime_us"], int)
    assert {row["name"]: row["value"] for row in csv.DictReader(io.StringIO(ctl("stats", "-f", "csv").out))}["counts.failed"] == "1"
    assert len(ctl("stats", "-f", "ndjson").rows()) == 1


def test_doctor_finds_everything_in_place(ctl):
    checks = ctl("doctor", "-f", "json").json()
    assert [c["check"] for c in checks] == ["socket", "daemon", "version", "workers", "permission"]
    assert {c["result"] for c in checks} == {"ok"}
    assert checks[0]["detail"].endswith(": given by -S or FANOUT_SOCKET")


def test_doctor_cuts_nothing_on_a_narrow_terminal(fanoutctl, scratch):
    argv = [BUILD / "fanoutctl", "-S", scratch / "none", "doctor"]
    out, _ = on_terminal(argv, columns=50)
    (check,) = fanoutctl(*argv[1:], "-f", "json", check=3).json()
    lines = out.splitlines()
    assert max(map(len, lines)) <= 50 and len(lines) > 2, out
    at = lines[0].index("DETAIL")
    told = lambda text: "".join(text.split())  # a path may be longer than a line
    assert told("".join(line[at:] for line in lines[1:])) == told(check["detail"])


def test_an_audit_fits_a_terminal_of_80_columns(daemon, ctl, apisim):
    ctl("submit", "--wait", "-n", "3", "--rate", "100/6s", apisim.url + "/json")
    out, status = on_terminal([BUILD / "fanoutctl", "-S", daemon.socket, "audit", "last"], columns=80)
    lines = out.splitlines()
    assert status == 0 and max(map(len, lines)) <= 80, out
    assert lines[0].split()[-4:] == ["AT", "WORST", "USE", "VERDICT"] and lines[1].endswith("kept"), out


def test_doctor_says_that_there_is_no_daemon(fanoutctl, scratch):
    (check,) = fanoutctl("-S", scratch / "none", "doctor", "-f", "json", check=3).json()
    assert check["result"] == "wrong" and "does not run" in check["detail"]


def test_no_daemon_is_told_with_what_to_do(fanoutctl, scratch):
    for verb in (["status"], ["submit", "http://h/"], ["wait", "1"], ["get", "1.1"], ["stats"]):
        r = fanoutctl("-S", scratch / "none", *verb, check=3)
        assert f"there is no socket {scratch}/none" in r.err and "--local" in r.err
    assert f"no socket {scratch}/other" in fanoutctl("status", env={"FANOUT_SOCKET": str(scratch / "other")}, check=3).err


def test_a_socket_that_nobody_listens_at_is_told(fanoutctl, scratch):
    import socket

    s = socket.socket(socket.AF_UNIX)
    s.bind(str(scratch / "stale"))
    s.close()
    assert "nobody listens" in fanoutctl("-S", scratch / "stale", "status", check=3).err
    (scratch / "plain").touch()
    for path in ("plain", ""):
        err = fanoutctl("-S", scratch / path, "status", check=3).err
        assert "is no socket" in err and "systemctl" not in err and "--local" in err


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_no_permission_is_told_as_such(daemon):
    os.chmod(daemon.socket, 0o600)
    r = daemon.ctl("status", user=65534, group=65534, extra_groups=[], check=5)
    assert "no permission to use" in r.err and "--local" in r.err


def test_a_socket_path_that_no_system_takes_is_told(fanoutctl):
    assert "too long" in fanoutctl("-S", "/tmp/" + "x" * 200, "status", check=2).err


# ---- the command line ----


def test_help_knows_every_verb_and_each_explains_itself(fanoutctl):
    listed = re.findall(r"^  ([a-z]+(?: (?:set|rm|resume|list|check|test|run|show|state)\b)?)", fanoutctl("help").out, re.M)
    assert listed == VERBS
    for verb in VERBS:
        out = fanoutctl("help", *verb.split()).out
        assert out.startswith(f"usage: fanoutctl {verb}")
        assert fanoutctl(*verb.split(), "--help").out == out


def test_help_fits_eighty_columns_and_is_aligned(fanoutctl):
    for words in ([], *(verb.split() for verb in VERBS)):
        lines = fanoutctl("help", *words).out.splitlines()
        assert [line for line in lines if len(line) > 79 or line != line.rstrip()] == [], words
    listed = fanoutctl("help").out.partition("VERB ...\n\n")[2].partition("\n\nFor all verbs")[0].splitlines()
    for line in listed:
        beside = line[24:25] == " " and line[25:26].strip()
        assert beside or line.endswith(("NAME]", "FILE...]", "| NAME")), line  # too long to have its text beside it


def test_the_manual_page_tells_of_every_verb_and_option(fanoutctl):
    page = subprocess.run(["mandoc", "-Tascii", ROOT / "docs/fanoutctl.1"], capture_output=True, text=True, check=True).stdout
    page = re.sub(".\b", "", page)
    for verb in VERBS:
        assert re.search(rf"^     (.*, )?{verb}\b", page, re.M), verb
        for option in re.findall(r"--[a-z-]+", fanoutctl("help", *verb.split()).out):
            assert re.search(rf"{option}\b", page), f"{verb} {option}"


def manual_sections():
    """What the manual page says of each verb: from its item, or from "submit also takes:", to the next of them."""
    page, verbs, sections = (ROOT / "docs/fanoutctl.1").read_text(), [], {}
    lines = page[page.index(".Ss Submitting") : page.index(".Sh ENVIRONMENT")].splitlines()
    for line, following in zip(lines, lines[1:] + [""]):
        if line.startswith(".It Cm ") or following == "also takes:" or line.startswith(("Both take:", ".Ss")):
            words = re.split(r" (?:Ar|Op|Oo|bash)\b", re.sub(r"^\.(It )?Cm | Ar batch \.\.\.(?= ,)|Cm ", "", line))[0]
            verbs = ["submit", "fetch"] if line == "Both take:" else [] if line.startswith(".Ss") else re.split(" ?, ", words)
        for verb in verbs:
            sections[verb] = sections.get(verb, "") + line + "\n"
    return sections


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_stands_with_its_verb_in_the_manual_page(fanoutctl, verb):
    """Also its letter; and what stands there as one of its options is one."""
    said = manual_sections()[verb]
    options = fanoutctl("help", *verb.split()).out.partition("\nFor all verbs:")[0].partition("\nOptions:\n")[2]
    known = [word for pair in re.findall(r"^  (?:-(\w), |    )-(-[a-z-]+)", options, re.M) for word in pair if word]
    assert set(known) <= set(re.findall(r"\bFl (-?[A-Za-z][a-z-]*)", said)), said
    items = re.findall(r"\bFl (-?[A-Za-z][a-z-]*)", "\n".join(re.findall(r"^\.It (?!Cm).*", said, re.M)))
    assert set(items) <= set(known) | {"f", "-format"}, items


def test_examples_of_the_manual_page_are_commands(fanoutctl):
    page = (ROOT / "docs/fanoutctl.1").read_text()
    page = page[page.index(".Sh EXAMPLES") : page.index(".Sh SEE ALSO")]
    commands = re.findall(r"\bfanoutctl (.*?)(?= && | \|\| |; \}|\)$|$)", page, re.M)
    assert len(commands) >= 17
    for command in commands:
        words = shlex.split(command)
        assert fanoutctl(*words, "--help").out.startswith(f"usage: fanoutctl {words[1] if words[0] == '--local' else words[0]}"), command


def test_no_verb_and_wrong_verbs_are_usage_errors(fanoutctl):
    r = fanoutctl(check=2)
    assert r.out == "" and "usage:" in r.err
    assert "did you mean submit?" in fanoutctl("sumbit", "x", check=2).err
    assert "did you mean results?" in fanoutctl("help", "resluts", check=2).err
    assert "there is no verb" in fanoutctl("frobnicate", check=2).err


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_option_is_told_by_every_verb(fanoutctl, verb):
    r = fanoutctl(*verb.split(), "--formta", "json", check=2)
    assert f"fanoutctl {verb}: unknown option --formta; did you mean --format?" in r.err and r.out == ""


@pytest.mark.parametrize("words, said", [
    (["submit", "-X", "POST", "--retry", "http://h/"], "unknown option --retry\n  what is worth it is tried again anyway; how many tries: --max-attempts N"),
    (["submit", "--retry=3", "http://h/"], "unknown option --retry\n"),
    (["submit", "--retry-uns", "http://h/"], "unknown option --retry-uns; did you mean --retry-unsafe?"),
    (["rm", "--end"], "unknown option --end; did you mean --ended?"),
    (["rm", "--ende=1"], "unknown option --ende; did you mean --ended?"),
    (["retry", "--uns", "1"], "unknown option --uns; did you mean --unsafe?"),
    (["submit", "--conc", "3", "http://h/"], "unknown option --conc; did you mean --concurrency?"),
    (["submit", "--conc=3", "http://h/"], "unknown option --conc; did you mean --concurrency?"),
    (["submit", "http://h/", "--deadl"], "unknown option --deadl; did you mean --deadline?"),
    (["results", "1", "--lim", "-1"], "unknown option --lim; did you mean --limit?"),
    (["--loc", "status"], "unknown option --loc; did you mean --local?"),
])
def test_no_option_is_taken_by_half_its_name(fanoutctl, words, said):
    r = fanoutctl(*words, check=2)
    assert said in r.err and r.out == ""


def test_missing_and_superfluous_operands_are_told(fanoutctl):
    assert "BATCH... is missing" in fanoutctl("wait", check=2).err
    assert '"2" is one word too many' in fanoutctl("follow", "1", "2", check=2).err
    assert "is one word too many" in fanoutctl("stats", "x", check=2).err
    assert "NAME is missing (usage: fanoutctl limits set NAME)" in fanoutctl("limits", "set", check=2).err
    assert "no verb limits sett; did you mean limits set?" in fanoutctl("limits", "sett", "x", check=2).err
    assert '"b.example" is one word too many (usage: fanoutctl limits [HOST | BATCH | NAME])' in fanoutctl("limits", "a.example", "b.example", check=2).err
    assert '"x" is one word too many' in fanoutctl("help", "submit", "x", check=2).err


def test_a_rate_without_its_option_is_told_how_it_is_given(fanoutctl):
    r = fanoutctl("limits", "set", "api.example.org", "100/min", check=2)
    assert '"100/min" is one word too many (usage: fanoutctl limits set NAME)\n  did you mean --rate 100/min?' in r.err
    assert "did you mean" not in fanoutctl("limits", "set", "api.example.org", "other.example.org", check=2).err


@pytest.mark.parametrize("words, said", [
    (["ls"], 'there is no verb "ls"; did you mean status?'), (["list"], "did you mean status?"), (["help", "list"], "did you mean status?"),
    (["logs", "7"], "did you mean follow BATCH, or explain?"), (["run", "http://h/"], "did you mean submit, or pull run?"),
    (["status", "--json"], "unknown option --json\n  -f json prints JSON"), (["submit", "-v", "http://h/"], "fanoutctl show JOB prints requests and headers"),
    (["submit", "-G", "http://h/"], "a query is written into the URL"), (["fetch", "-F", "a=b", "http://h/"], "no multipart form"),
    (["submit", "-j", "8", "http://h/"], "--concurrency K"), (["submit", "-w", "%{http_code}", "http://h/"], "fanoutctl results BATCH --fields"),
    (["submit", "-P8", "http://h/"], "--concurrency K"), (["pull", "run", "x", "--dry-run"], "fanoutctl pull test NAME"),
    (["results", "7", "-o", "f"], "fanoutctl get BATCH -o TEMPLATE"), (["items", "7", "--limit", "3"], "| head -n N"),
    (["wait", "-2"], "unknown option -2\n  -1 is the last batch; others go by their number: fanoutctl status lists them"),
])
def test_habits_of_other_programs_get_what_there_is_here(fanoutctl, words, said):
    r = fanoutctl(*words, check=2)
    assert said in r.err and r.out == ""


@pytest.mark.parametrize("word", ["top", "stp", "rmm", "cancle"])
def test_no_verb_that_ends_or_deletes_is_guessed(fanoutctl, word):
    for verb in ([word], ["help", word]):
        err = fanoutctl(*verb, check=2).err
        assert f'there is no verb "{word}"' in err and not re.search(r"did you mean (stop|rm|cancel|limits rm)\?", err), err


@pytest.mark.parametrize("word", ["r", "rmm", "re", "se", "resmue"])
def test_no_second_word_that_deletes_is_guessed(fanoutctl, ctl, word):
    err = fanoutctl("limits", word, "api.example", check=2).err
    assert f"no verb limits {word}" in err and "there are fanoutctl limits set, rm, resume" in err
    assert "did you mean limits rm" not in err
    # alone it may be a host, and is asked for as one
    r = ctl("limits", word)
    assert r.out == "" and r.err == f'no limits for a host "{word}"; there are also fanoutctl limits set, rm, resume\n'


@pytest.mark.parametrize("words, meant", [
    (["limits", "list"], "limits [HOST]"), (["limits", "show", "api.example"], "limits [HOST]"), (["limits", "ls", "-f", "json"], "limits [HOST]"),
    (["limits", "add", "api.example", "--rate", "5/s"], "limits set"), (["limits", "create", "x"], "limits set"),
    (["limits", "remove", "api.example"], "limits rm"), (["limits", "delete", "x"], "limits rm"), (["limits", "help"], "help limits"),
    (["pull", "start", "cats"], "pull run"), (["pull", "help"], "help pull"), (["help", "limits", "list"], "limits [HOST]"),
])
def test_words_of_other_programs_get_those_of_this_one(fanoutctl, scratch, words, meant):
    r = fanoutctl("-S", scratch / "none", *words, check=2)
    word = words[2] if words[0] == "help" else words[1]
    assert f"no verb {words[-2] if words[0] == 'help' else words[0]} {word}; did you mean fanoutctl {meant}?" in r.err and r.out == ""


def test_a_slip_in_a_second_word_is_told_also_where_its_options_follow(fanoutctl):
    assert "no verb limits sett; did you mean limits set?" in fanoutctl("limits", "sett", "h", "--rate", "5/s", check=2).err
    assert "no verb pull rnu; did you mean pull run?" in fanoutctl("pull", "rnu", "cats", "--wait", check=2).err
    assert "unknown option --rate" in fanoutctl("limits", "api.example.org", "--rate", "5/s", check=2).err


def test_what_cannot_be_had_comes_with_what_to_do(fanoutctl, scratch):
    for said, words in {
        "bashcompinit": ["completion", "zsh"],
        "jq(1) has the language": ["items", "1", "--jq", ".x |"],
        "- for standard input": ["-S", scratch / "s", "submit", "-i", scratch / "nosuch"],
    }.items():
        assert said in fanoutctl(*words, check=2).err, words


def test_the_version_is_printed(fanoutctl):
    assert re.fullmatch(r"fanoutctl \d+\.\d+\.\d+\n", fanoutctl("version").out)
    assert fanoutctl("--version").out == fanoutctl("version").out


def test_bash_completes_verbs_and_options(fanoutctl, scratch):
    (scratch / "completion").write_text(fanoutctl("completion", "bash").out)

    def complete(*words):
        script = f'. {scratch}/completion; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fanoutctl; echo "${{COMPREPLY[@]}}"'
        return subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True).stdout.split()

    assert complete("fanoutctl", "re") == ["results", "retry", "resume"]
    assert complete("fanoutctl", "submit", "--max-") == ["--max-attempts", "--max-redirects", "--max-body"]
    assert complete("fanoutctl", "-S", "/s", "wait", "--t") == ["--timeout"]
    assert complete("fanoutctl", "status", "-f", "nd") == ["ndjson"]
    assert complete("fanoutctl", "submit", "--on-limit", "d") == ["drop"]
    assert complete("fanoutctl", "limits", "r") == ["rm", "resume"]
    assert complete("fanoutctl", "limits", "set", "h", "--ra") == ["--rate"]
    assert complete("fanoutctl", "limits", "--ra") == []
    assert complete("fanoutctl", "limits", "h", "s") == []
    assert complete("fanoutctl", "audit", "--un") == ["--until"]
    assert complete("fanoutctl", "pull", "") == ["list", "check", "test", "run", "show", "state"]
    assert complete("fanoutctl", "pull", "run", "x", "--max") == ["--max-pages"]
    assert complete("fanoutctl", "pull", "run", "x", "--overlap", "re") == ["replace"]
