"""fanoutctl submit: URLs, patterns, files, pipes, request options, and how each mistake is told."""

import gzip
import json
import os
import re
import signal
import subprocess

import pytest

from harness.process import BUILD, memory_kib, spawn, wait_until


def rows(ctl, batch, *args):
    return ctl("results", batch, "-f", "ndjson", *args).rows()


def submit(ctl, *args, **options):
    """Submits, waits until all is done, and returns the rows."""
    batch = ctl("submit", "-p", *args, **options).out.strip()
    ctl("wait", batch)
    return rows(ctl, batch)


def bodies(ctl, batch):
    return [json.loads(row["body"]) for row in rows(ctl, batch, "--body")]


def test_the_batchs_id_is_all_that_is_printed(ctl, apisim):
    r = ctl("submit", apisim.url + "/uuid")
    assert (r.out, r.err) == ("1\n", "")
    assert ctl("submit", "-p", apisim.url + "/uuid").out == "2\n"


def test_urls_may_stand_on_either_side_of_options(ctl, apisim):
    got = submit(ctl, apisim.url + "/uuid?1", "--tag", "T", apisim.url + "/uuid?2")
    assert [row["url"][-1] for row in got] == ["1", "2"]
    assert [row["tag"] for row in got] == ["T", "T"]


def test_patterns_make_urls_in_curls_order(ctl, apisim):
    got = submit(ctl, apisim.url + "/bytes/[1-2]?{a,b}")
    assert [row["url"].split("/bytes/")[1] for row in got] == ["1?a", "1?b", "2?a", "2?b"]
    assert [row["size"] for row in got] == [1, 1, 2, 2]


def test_globoff_leaves_patterns_alone(ctl, apisim):
    got = submit(ctl, "-g", apisim.url + "/uuid?x=%5B1-2%5D&y={a}")
    assert [row["url"] for row in got] == [apisim.url + "/uuid?x=%5B1-2%5D&y={a}"]


def test_repeat_submits_each_job_so_often(ctl, apisim):
    got = submit(ctl, "-n", "3", apisim.url + "/uuid?{a,b}")
    assert [row["url"][-1] for row in got] == ["a", "a", "a", "b", "b", "b"]


def test_many_more_than_one_request_takes_are_all_there(ctl, apisim):
    got = submit(ctl, apisim.url + "/bytes/1?[1-12345]")
    assert [int(row["url"].rpartition("?")[2]) for row in got] == list(range(1, 12346))


def test_a_file_holds_urls_json_comments_and_blank_lines(ctl, apisim, scratch):
    (scratch / "list").write_text(
        f"# a comment\n\n  {apisim.url}/uuid?1  \r\n" + json.dumps({"url": apisim.url + "/uuid?2", "tag": "two"}) + f"\n{apisim.url}/uuid?3"
    )
    got = submit(ctl, "-i", scratch / "list")
    assert [(row["url"][-1], row["tag"]) for row in got] == [("1", None), ("2", "two"), ("3", None)]


def test_operands_and_a_file_make_one_batch(ctl, apisim, scratch):
    (scratch / "list").write_text(apisim.url + "/uuid?2\n")
    assert [row["url"][-1] for row in submit(ctl, apisim.url + "/uuid?1", "-i", scratch / "list")] == ["1", "2"]


def test_patterns_in_a_file_are_not_expanded(ctl, apisim, scratch):
    (scratch / "list").write_text(apisim.url + "/uuid?{a,b}\n")
    assert len(submit(ctl, "-i", scratch / "list")) == 1


def test_jobs_of_a_pipe_start_while_it_is_open(daemon, apisim):
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "submit", "-i", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdin.write(f"{apisim.url}/uuid\n".encode())
        child.stdin.flush()
        batch = child.stdout.readline().decode().strip()
        wait_until(lambda: daemon.ctl("status", batch, "-f", "json").json()["counts"]["done"] == 1, 10, "the first job is done")
        assert child.poll() is None
        child.stdin.write(f"{apisim.url}/uuid\n".encode())
        child.stdin.close()
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    daemon.ctl("wait", batch)
    assert len(rows(daemon.ctl, batch)) == 2


def test_what_a_pipe_brings_is_followed_while_it_comes(daemon, apisim):
    for verb in (["submit", "--follow", "-f", "ndjson"], ["fetch"]):
        child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, *verb, "-i", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        child.stdin.write(f"{apisim.url}/status/200\n{apisim.url}/bytes/10\n".encode())
        child.stdin.flush()
        seen = os.read(child.stdout.fileno(), 1000)
        assert seen and child.poll() is None, "results come while the pipe is open"
        out, err = child.communicate(f"{apisim.url}/status/404\n".encode(), timeout=20)
        assert child.returncode == 1, err
        if verb[0] == "submit":
            assert [json.loads(line)["status"] for line in (seen + out).splitlines()].count(404) == 1
        else:
            assert (seen + out).endswith(bytes(range(10))) and b"404 Not Found" in err


def test_an_interrupt_while_a_pipe_is_followed_closes_the_batch(daemon, apisim):
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "submit", "--follow", "-i", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdin.write(f"{apisim.url}/uuid\n".encode())
    child.stdin.flush()
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    assert child.wait(10) == 130
    for pipe in (child.stdin, child.stdout, child.stderr):
        pipe.close()
    assert daemon.ctl("status", "1", "-f", "json").json()["state"] == "done"


def test_a_malformed_line_behind_a_pipes_first_jobs_is_told_after_their_results(daemon, apisim):
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "submit", "--follow", "-f", "ndjson", "-i", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdin.write(f"{apisim.url}/uuid\n".encode())
    child.stdin.flush()
    first = child.stdout.readline()
    out, err = child.communicate(b"nonsense\n", timeout=20)
    assert (child.returncode, out) == (2, b"")
    assert json.loads(first)["job"] == "1.1" and b"standard input:2: " in err


def test_a_malformed_line_in_ten_thousand_takes_nothing(ctl, apisim, scratch):
    lines = [f"{apisim.url}/once/{i}" for i in range(10000)]
    lines[5006] = '{"url": 7}'
    (scratch / "list").write_text("\n".join(lines) + "\n")
    r = ctl("submit", "-i", scratch / "list", check=2)
    assert f"{scratch}/list:5007: " in r.err and '"url"' in r.err and "nothing was submitted" in r.err
    assert r.out == ""
    assert ctl("status", "-f", "json").json() == []
    assert apisim.once()["requests"] == 0


@pytest.mark.parametrize(
    "line, said",
    [
        ("{\"url\":\"http://h/\"", "does not end on its line"),
        ("{nonsense}", ""),
        ("{\"url\":\"http://h/\",\"colour\":\"red\"}", "colour"),
        ("gopher://h/", "gopher"),
        ("just words", ""),
        ("http://h/\udcff", "UTF-8"),
        ("http://h/\0", "NUL"),
        ("http://" + "x" * 70000 + "/", "65536"),
    ],
)
def test_each_mistake_in_a_file_is_told_with_its_line(ctl, scratch, line, said):
    (scratch / "list").write_bytes(b"http://127.0.0.1:1/\n\n" + os.fsencode(line) + b"\n")
    r = ctl("submit", "-i", scratch / "list", check=2)
    assert f"{scratch}/list:3: " in r.err and said in r.err, r
    assert ctl("status", "-f", "json").json() == []


def bad_lines(count, of=20000):
    """A list in which so many lines are refused, spread over several requests, and their numbers."""
    lines, at = [f"http://127.0.0.1:1/{'x' * 20}/{i}" for i in range(of)], [of // count * i for i in range(count)]
    for n, i in enumerate(at):
        lines[i] = ("nonsense", '{"url":7}', "gopher://h/")[n % 3]
    return "\n".join(lines) + "\n", [i + 1 for i in at]


@pytest.mark.parametrize("count", [2, 5, 6, 500])
def test_the_first_bad_lines_of_a_file_are_told_and_all_are_counted(ctl, scratch, count):
    text, numbers = bad_lines(count)
    (scratch / "list").write_text(text)
    r = ctl("submit", "-i", scratch / "list", check=2)
    assert [int(n) for n in re.findall(rf"^fanoutctl: {scratch}/list:(\d+): ", r.err, re.M)] == numbers[:5], r.err
    more = f"and {count - 5} more: " if count > 5 else ""
    assert f"\nfanoutctl: {more}{count} lines of {scratch}/list are refused\n  nothing was submitted\n" in r.err
    assert r.out == "" and ctl("status", "-f", "json").json() == []


def test_bad_lines_that_the_client_finds_are_told_among_the_others(ctl, scratch):
    (scratch / "list").write_bytes(b"http://127.0.0.1:1/\nnonsense\nhttp://h/\xff\nhttp://127.0.0.1:1/\ngopher://h/\n")
    for more in ([], ["-n", "3"]):
        r = ctl("submit", *more, "-i", scratch / "list", check=2)
        assert re.findall(rf"{scratch}/list:(\d+): ", r.err) == ["2", "3", "5"] and "3 lines of" in r.err, r.err
    (scratch / "list").write_bytes(b"http://h/\xff\n")
    assert f"{scratch}/list:1: the URL is not valid UTF-8\n  percent-encode such bytes; nothing was submitted" in ctl("submit", "-i", scratch / "list", check=2).err


def test_a_refused_submission_of_a_short_list_uses_no_number(ctl, scratch):
    (scratch / "list").write_text("http://127.0.0.1:1/\nnonsense\n")
    for args in (["-i", scratch / "list"], ["http://127.0.0.1:1/", "gopher://h/"]):
        ctl("submit", *args, check=2)
    (scratch / "list").write_text("http://127.0.0.1:1/\n" * 1000)
    assert ctl("submit", "-p", "-i", scratch / "list").out == "1\n"


def test_a_line_that_is_cut_hides_no_other(ctl, scratch):
    good, cut, long = b"http://127.0.0.1:1/", b'{"url":"http://127.0.0.1:1/"', b'{"url":"http://h/' + b"x" * (4 << 20) + b'"}'
    (scratch / "list").write_bytes(b"\n".join([good, b"nonsense", cut, long, b"[1,", b"gopher://h/", good, cut, b""]))
    for text in (b"", good + b"\n"):  # also in the second request
        (scratch / "long").write_bytes(5000 * text + (scratch / "list").read_bytes())
        r = ctl("submit", "-i", scratch / "long", check=2)
        before = 5000 * bool(text)
        assert [int(n) - before for n in re.findall(rf"^fanoutctl: {scratch}/long:(\d+): ", r.err, re.M)] == [2, 3, 4, 5, 6], r.err
        assert "and 1 more: 6 lines of" in r.err and "nothing was submitted" in r.err
        for said in ("does not end on its line", "longer than 2097152 bytes", "a JSON array begins here", "gopher"):
            assert said in r.err


def test_a_list_that_is_refused_at_its_beginning_leaves_no_batch(ctl, scratch):
    good, many = '{"url":"http://127.0.0.1:1/"}\n', "http://127.0.0.1:1/\n" * 20000
    for bad, text in (("list:2: ", good + '{"url":7}\n'), ("list:1: ", "nonsense\n" + good * 5000), ("list:1: ", '{"url":7}\n' + many), ("list:1: ", '{"url":\n' + many)):
        (scratch / "list").write_text(text)
        r = ctl("submit", "-i", scratch / "list", check=2)
        assert bad in r.err and "nothing was submitted" in r.err and r.out == "", r
    for text in ("nonsense\n" + good, '{"url":7}\n' + good):
        r = ctl("submit", "-i", "-", input=text, check=2)
        assert "standard input:1: " in r.err and "nothing was submitted" in r.err and r.out == "", r
    r = ctl("submit", "-g", *["ftp://h/"] * 1500, check=2)
    assert "ftp" in r.err and "nothing was submitted" in r.err and r.out == "", r
    assert ctl("status", "-f", "json").json() == []


def test_standard_input_that_is_a_file_is_taken_whole_or_not_at_all(ctl, scratch):
    (scratch / "list").write_text("http://127.0.0.1:1/\nnonsense\nhttp://127.0.0.1:1/\ngopher://h/\n")
    with open(scratch / "list") as f:
        r = ctl("submit", "-i", "-", stdin=f, check=2)
    assert re.findall(r"standard input:(\d+): ", r.err) == ["2", "4"] and "nothing was submitted" in r.err
    (scratch / "list").write_text("http://127.0.0.1:1/\n" * 9000)
    with open(scratch / "list") as f:
        assert ctl("submit", "-p", "-i", "-", stdin=f).out == "1\n"
    assert sum(ctl("status", "1", "-f", "json").json()["counts"].values()) == 9000


@pytest.mark.parametrize("refused", ["nonsense", '{"url":7}', '{"url":"http://h/"', "http://h/\udcff", "http://h/\0", "[", "too long"])
@pytest.mark.parametrize("before", [3, 7000])
@pytest.mark.parametrize("kind", ["urls", "json"])
def test_of_a_pipe_what_stands_before_a_refused_line_is_taken_and_nothing_behind_it(ctl, refused, before, kind):
    url = "http://127.0.0.1:1/{}" if kind == "urls" else '{{"url":"http://127.0.0.1:1/{}"}}'
    refused = "x" * (4 << 20) if refused == "too long" else refused
    lines = [url.format(i) for i in range(before)] + [refused, url.format("behind"), "nonsense"]
    r = ctl("submit", "-i", "-", input=os.fsencode("\n".join(lines)), check=2)
    assert f"standard input:{before + 1}: " in r.err and f"what came before it ({before}) was taken as batch 1 and goes on" in r.err, r.err
    assert r.out == "1\n"
    status = ctl("status", "1", "-f", "json").json()
    assert status["closed"] and sum(status["counts"].values()) == before


def test_what_stands_before_a_refused_line_of_a_pipe_is_followed(ctl, apisim):
    """However soon the refusal comes: here with the first jobs."""
    text = f"{apisim.url}/bytes/2\n{apisim.url}/bytes/3\nnonsense\n"
    r = ctl("submit", "--follow", "-f", "ndjson", "-i", "-", input=text, check=2)
    assert sorted(row["size"] for row in r.rows()) == [2, 3] and "standard input:3: " in r.err
    r = ctl("fetch", "-i", "-", input=text, check=2)
    assert len(r.out) == 5 and "standard input:3: " in r.err


def test_of_a_pipe_in_pieces_no_more_and_no_less_is_taken(daemon):
    """The same as of one that comes at once."""
    for last in (b"nonsense\nhttp://127.0.0.1:1/4\n", b'http://127.0.0.1:1/3\n{"url":7}\n'):
        child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "submit", "-i", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        child.stdin.write(b"http://127.0.0.1:1/1\nhttp://127.0.0.1:1/2\n")
        child.stdin.flush()
        batch = child.stdout.readline().decode().strip()
        _, err = child.communicate(last, timeout=20)
        taken = 2 + last.count(b"/3")
        assert child.returncode == 2 and f"what came before it ({taken}) was taken".encode() in err, err
        assert sum(daemon.ctl("status", batch, "-f", "json").json()["counts"].values()) == taken


def test_a_first_line_that_is_refused_leaves_no_empty_batch(ctl):
    r = ctl("submit", "-i", "-", input="nonsense\nhttp://127.0.0.1:1/\n", check=2)
    assert "standard input:1: " in r.err and "nothing was submitted" in r.err and r.out == ""
    assert ctl("status", "-f", "json").json() == []


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# only a comment\n"])
def test_an_empty_list_is_refused(ctl, scratch, content):
    (scratch / "list").write_bytes(content)
    assert "no URLs in" in ctl("submit", "-i", scratch / "list", check=2).err
    assert "no URLs in standard input" in ctl("submit", "-i", "-", input=content, check=2).err
    assert ctl("status", "-f", "json").json() == []


def test_a_list_that_cannot_be_read_is_told(ctl, scratch):
    assert "No such file" in ctl("submit", "-i", scratch / "none", check=2).err
    assert "directory" in ctl("submit", "-i", scratch, check=2).err


@pytest.mark.parametrize("url", ["h", "ftp://h/", "http://", "http://h:99999/", "http://a b/", "http://" + "x" * 70000])
def test_a_bad_url_is_refused_and_nothing_is_submitted(ctl, url):
    r = ctl("submit", "-g", url, check=2)
    assert "nothing was submitted" in r.err and r.out == ""
    assert ctl("status", "-f", "json").json() == []


def test_request_options_are_those_of_curl(ctl, apisim, scratch):
    (scratch / "data").write_bytes(b"one\r\ntwo\n")
    echo = apisim.url + "/echo"
    cases = [
        (["-d", "a=1", "-d", "b=2"], "POST", "a=1&b=2", "application/x-www-form-urlencoded"),
        (["--json", '{"a":1}'], "POST", '{"a":1}', "application/json"),
        (["-X", "PUT", "-d", "x", "-H", "Content-Type: text/plain"], "PUT", "x", "text/plain"),
        (["-d", f"@{scratch}/data"], "POST", "onetwo", "application/x-www-form-urlencoded"),
        (["--data-binary", f"@{scratch}/data", "-H", "Content-Type: a/b"], "POST", "one\r\ntwo\n", "a/b"),
        (["-X", "DELETE"], "DELETE", "", None),
    ]
    for args, method, body, content_type in cases:
        batch = ctl("submit", "-p", "--wait", *args, echo).lines()[0]
        (got,) = bodies(ctl, batch)
        headers = {name.lower(): value for name, value in got["headers"].items()}
        assert got["method"] == method, args
        assert got.get("body", "") == body, args
        assert headers.get("content-type") == content_type, args
        if "--json" in args:
            assert headers["accept"] == "application/json"


def test_data_from_stdin_reaches_the_server_byte_by_byte(ctl, apisim):
    data = bytes(range(256))
    batch = ctl("submit", "-p", "--wait", "--data-binary", "@-", apisim.url + "/echo", input=data).lines()[0]
    (got,) = bodies(ctl, batch)
    assert bytes.fromhex(got["body_hex"]) == data


def test_basic_authentication_is_sent_and_not_shown(ctl, apisim):
    batch = ctl("submit", "-p", "--wait", "-u", "me:secret", apisim.url + "/basic/me/secret").lines()[0]
    (row,) = rows(ctl, batch)
    assert row["status"] == 200
    assert "me:secret" not in ctl("status", batch, "-f", "json").out + ctl("show", f"{batch}.1").out


def test_a_chain_runs_one_after_the_other(ctl, apisim):
    got = submit(ctl, "--chain", apisim.url + "/delay/0.05?[1-4]")
    assert len(got) == 4
    for before, after in zip(got, got[1:]):
        assert before["ended_at"] <= after["started_at"]


def test_without_a_concurrency_all_run_at_once_and_with_one_so_many(ctl, gate):
    for args, most in (([], 10), (["--concurrency", "3"], 3), (["--concurrency", "1"], 1)):
        gate.shut()
        gate.peak = 0
        batch = ctl("submit", "-p", *args, gate.url + "/?[1-10]").out.strip()
        wait_until(lambda: len(gate.held) == most, what=f"{most} run")
        gate.open()
        ctl("wait", batch)
        assert gate.peak == most


def test_a_name_and_a_priority_are_kept(ctl, apisim):
    batch = ctl("submit", "-p", "--name", "my näme", "--priority", "9", "--concurrency", "3", apisim.url + "/uuid").out.strip()
    b = ctl("status", batch, "-f", "json").json()
    assert (b["name"], b["priority"], b["concurrency"]) == ("my näme", 9, 3)


def test_max_attempts_and_timeouts_act(ctl, apisim):
    batch = ctl("submit", "-p", "--max-attempts", "1", "--timeout", "200ms", apisim.url + "/hang").out.strip()
    ctl("wait", batch, check=1)
    (row,) = rows(ctl, batch)
    assert (row["reason"], row["attempts"]) == ("timeout", 1)


def test_a_body_over_the_cap_fails_the_job(ctl, apisim):
    batch = ctl("submit", "-p", "--max-body", "1K", "--max-attempts", "1", apisim.url + "/bytes/[1024-1025]").out.strip()
    ctl("wait", batch, check=1)
    assert [row["reason"] for row in rows(ctl, batch)] == [None, "too_large"]


def test_the_same_key_submits_once(ctl, apisim):
    first = ctl("submit", "--key", "K", apisim.url + "/once/k")
    again = ctl("submit", "--key", "K", apisim.url + "/once/k")
    assert first.out == again.out == "1\n"
    assert "submitted before with this key" in again.err
    assert len(ctl("status", "-f", "json").json()) == 1


def test_a_key_with_another_list_is_warned_of_also_with_quiet(ctl, apisim, scratch):
    url = apisim.url + "/uuid?"
    ctl("submit", "-q", "--wait", "--key", "K", url + "[1-3]")
    for verb in (["submit", "-q", "--wait"], ["submit", "-p"], ["submit", "-q", "--follow"], ["fetch", "-q"]):
        for urls, said in ((["[1-2]"], "3 jobs then, 2 now"), (["[1-3000]"], "3 jobs then, 3000 now"), (["[2-4]"], "the URLs are others now")):
            r = ctl(*verb, "--key", "K", *(url + u for u in urls))
            assert r.err.startswith("warning: submitted before with this key, as batch 1, and it was another list (" + said), (verb, r.err)
            assert "nothing was added" in r.err and "another key, as --key nightly-$(date +%F)" in r.err
    (scratch / "list").write_text(f"{url}1\n" + json.dumps({"url": url + "2"}) + f"\n{url}4\n")
    assert "the URLs are others now" in ctl("submit", "-q", "--wait", "--key", "K", "-i", scratch / "list").err
    assert "the URLs are others now" in ctl("submit", "-q", "--wait", "--key", "K", "-i", "-", input=(scratch / "list").read_text()).err
    assert len(ctl("status", "-f", "json").json()) == 1


def test_a_key_with_the_same_list_is_no_matter_for_quiet(ctl, apisim, scratch):
    with_user = apisim.url.replace("http://", "http://me:secret@") + "/uuid?u"
    (scratch / "list").write_text(f"{apisim.url}/uuid?a#b\n{with_user}\n" + json.dumps({"url": apisim.url + "/uuid?\u00e9"}) + "\n")
    for words in (["-i", scratch / "list"], ["-n", "2", apisim.url + "/uuid?[1-2]", with_user], [apisim.url + "/bytes/1?[1-3000]"]):
        for _ in range(2):
            r = ctl("submit", "-q", "--wait", "--key", str(words), *words)
            assert (r.out, r.err) == ("", "")
    assert len(ctl("status", "-f", "json").json()) == 3


@pytest.mark.parametrize("lines", [1, 2000])
def test_a_submission_that_is_under_way_is_left_alone_by_another_with_its_key(daemon, ctl, apisim, lines):
    argv = [BUILD / "fanoutctl", "-S", daemon.socket, "submit", "-p", "--key", "K", "-i", "-"]
    child = spawn(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdin.write(f"{apisim.url}/uuid\n".encode())
        child.stdin.flush()
        batch = child.stdout.readline().decode().strip()
        r = ctl("submit", "-p", "--key", "K", "-i", "-", input=f"{apisim.url}/uuid?2\n" * lines, check=1)
        assert f"batch {batch} was begun with this key and is not complete" in r.err and "nothing was submitted" in r.err
        child.stdin.write(f"{apisim.url}/uuid?3\n".encode())
    finally:
        child.stdin.close()
    assert child.wait(60) == 0
    child.stdout.close()
    ctl("wait", batch)
    assert [row["url"] for row in rows(ctl, batch)] == [f"{apisim.url}/uuid", f"{apisim.url}/uuid?3"]


def test_hold_starts_nothing_before_the_input_ends(daemon, apisim):
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "submit", "--hold", "-i", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdin.write(f"{apisim.url}/uuid\n".encode())
        child.stdin.flush()
        listed = wait_until(lambda: [b for b in daemon.ctl("status", "-f", "json").json() if b["counts"]["queued"] == 1], 10, "the job is queued")
        assert listed[0]["state"] == "held"
        child.stdin.close()
        assert child.wait(10) == 0
        assert child.stdout.read() == f"{listed[0]['batch']}\n".encode()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    daemon.ctl("wait", listed[0]["batch"])


def test_formats_of_the_id(ctl, apisim):
    url = apisim.url + "/uuid"
    assert ctl("submit", "-f", "json", url).json() == {"batch": 1, "jobs": 1, "existed": False}
    assert ctl("submit", "-f", "csv", url).out.splitlines() == ["batch", "2"]


def test_waiting_for_a_submission_has_the_batchs_exit_status(ctl, apisim):
    r = ctl("submit", "--wait", apisim.url + "/uuid")
    assert r.out == "1\n" and "batch 1: 1 done in" in r.err
    r = ctl("submit", "--wait", apisim.url + "/{uuid,status/404}", check=1)
    assert "1 done, 1 failed" in r.err


def test_print_id_prints_nothing_else(ctl, apisim):
    r = ctl("submit", "-p", "--wait", apisim.url + "/{uuid,status/404}", check=1)
    assert (r.out, r.err) == ("1\n", "")


def test_waiting_and_following_at_once_is_refused(ctl, apisim):
    assert "leave --wait away" in ctl("submit", "--wait", "--follow", apisim.url, check=2).err


def test_what_is_followed_has_the_columns_that_were_asked_for(ctl, apisim):
    r = ctl("submit", "--follow", "--fields", "url,status", "-f", "csv", apisim.url + "/uuid")
    assert r.out == f"url,status\r\n{apisim.url}/uuid,200\r\n"
    r = ctl("submit", "--follow", "--fields", "status", "-f", "csv", "-i", "-", input=apisim.url + "/uuid\n")
    assert r.out == "status\r\n200\r\n"
    assert "fanoutctl results BATCH --fields" in ctl("submit", "--fields", "url", apisim.url + "/uuid", check=2).err
    assert "statsu" in ctl("submit", "--follow", "--fields", "statsu", apisim.url + "/uuid", check=2).err
    assert len(ctl("status", "-f", "json").json()) == 2, "what is refused is not submitted"


def test_ten_million_urls_need_no_memory_and_an_interrupt_takes_them_back(daemon):
    """URLs are made as they are sent. An interrupted submission that was held is taken back."""
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "submit", "-p", "--hold", "http://127.0.0.1:1/[1-10000000]"], stdout=subprocess.PIPE)
    try:
        wait_until(lambda: any(b["counts"]["queued"] > 20000 for b in daemon.ctl("status", "-f", "json").json()), 30, "some jobs are in")
        assert memory_kib(child.pid) < 60000
    finally:
        child.terminate()
        child.wait(30)
        child.stdout.close()
    assert child.returncode == 130
    wait_until(lambda: daemon.ctl("status", "-f", "json").json() == [], 30, "the held batch is taken back")


@pytest.mark.parametrize("words", [["http://127.0.0.1:1/[1-9999999]"], ["-n", "3333333", "http://127.0.0.1:1/{a,b,c}"]])
def test_a_pattern_of_millions_is_told_before_they_are_there(daemon, words):
    argv = [BUILD / "fanoutctl", "-S", daemon.socket, "submit", "--hold"]
    child = spawn([*argv, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        said = child.stderr.readline().decode()
    finally:
        child.terminate()
        child.wait(30)
        child.stdout.close()
        child.stderr.close()
    assert said == "these are 9999999 jobs: ^C stops handing them over, fanoutctl cancel ends those that were\n"
    assert child.returncode == 130


# ---- for cron ----


def test_quiet_and_waiting_say_nothing_when_all_is_well(ctl, apisim):
    r = ctl("submit", "-q", "--wait", apisim.url + "/uuid?[1-3]")
    assert (r.out, r.err) == ("", "")
    assert ctl("submit", "-q", apisim.url + "/uuid").out == "2\n", "without --wait the number is what was asked for"


def test_quiet_and_waiting_tell_a_failure_in_one_paragraph(ctl, apisim):
    r = ctl("submit", "-q", "--wait", apisim.url + "/{uuid,status/404}?[1-5]", check=1)
    lines = r.err.splitlines()
    assert r.out == "" and lines[0] == "fanoutctl: batch 1: 5 of 10 done, 5 failed", r
    assert re.fullmatch(r"  1\.6 .*/status/404\?1: .*404 Not Found.*", lines[1])
    assert len(lines) == 5 and lines[4] == "  and 2 more: fanoutctl results 1 --state failed"


def test_the_number_comes_first_on_stderr_where_rows_have_stdout(ctl, apisim):
    r = ctl("submit", "-p", "--follow", "-f", "ndjson", apisim.url + "/uuid")
    assert r.err == "1\n" and len(r.rows()) == 1
    r = ctl("submit", "-p", "--follow", "-f", "ndjson", "-i", "-", input=apisim.url + "/uuid\n")
    assert r.err == "2\n" and len(r.rows()) == 1


def test_a_key_that_was_used_is_told_also_with_the_number_alone(ctl, apisim):
    ctl("submit", "-p", "--key", "k", apisim.url + "/uuid")
    r = ctl("submit", "-p", "--key", "k", apisim.url + "/uuid?another")
    assert r.out == "1\n" and "nothing was added" in r.err


# ---- what curl's users try ----


@pytest.mark.parametrize(
    "option, said", [("-L", "followed anyway"), ("-s", "-q is quiet"), ("-O", "fetch -o TEMPLATE"), ("-I", "-X HEAD"), ("-k", "always verified"), ("--location", "followed anyway")]
)
def test_options_of_curl_get_a_pointer(fanoutctl, option, said):
    r = fanoutctl("submit", option, "http://h/", check=2)
    assert f"unknown option {option}" in r.err and said in r.err


def test_what_is_no_url_or_no_json_is_told_before_anything_is_sent(ctl):
    for operand, scheme in (("example.org/x", "https"), ("8.8.8.8/x", "https"), ("example.org:8443", "https"), ("localhosts", "https"),
                            ("127.0.0.1:8043/json", "http"), ("localhost", "http"), ("[::1]:3000/x", "http"), ("10.0.0.7", "http"),
                            ("example.org:80/x", "http"), ("example.org:8080", "http")):
        assert f"did you mean {scheme}://{operand}?" in ctl("submit", operand, check=2).err, operand
    assert "this is no JSON" in ctl("submit", "--json", "{a:1}", "http://h/", check=2).err
    assert "jq -c '.[]'" in ctl("submit", "-i", "-", input='[\n{"url":"http://h/"}\n]\n', check=2).err
    assert ctl("status", "-f", "json").json() == []


def test_what_was_meant_as_a_list_is_told_how_a_list_is_given(fanoutctl, scratch):
    (scratch / "u300").write_text("http://h/\n")
    assert '"-" is no URL; did you mean -i -?' in fanoutctl("submit", "-", check=2).err
    for word in (scratch / "u300", f"@{scratch}/u300"):
        assert f"-i {scratch}/u300 reads a list of jobs from the file; nothing was submitted" in fanoutctl("submit", word, check=2).err
    r = fanoutctl("fetch", "-i", "http://h/x", check=2)
    assert "cannot read http://h/x: " in r.err and "-i names a list: without it, this is a URL; fanoutctl show JOB prints the header" in r.err
    for words in (["-d", "@nofile"], ["-H", "@nofile"]):
        assert "cannot read nofile: No such file or directory\n  name a file that is there; @- is standard input" in fanoutctl("submit", *words, "http://h/", check=2).err


def test_how_to_stop_what_came_before_a_refused_line_is_told_whatever_else_is(ctl, apisim):
    r = ctl("submit", "-i", "-", input=json.dumps({"url": apisim.url + "/uuid"}) + "\n" + json.dumps({"url": "http://h/", "nosuch": 1}) + "\n", check=2)
    assert "known: url method headers" in r.err and "goes on; to stop it: fanoutctl cancel 1\n" in r.err


def test_a_line_without_a_scheme_is_told_as_on_the_command_line(ctl):
    r = ctl("submit", "-i", "-", input="http://h/\n127.0.0.1:8942/json\n", check=2)
    assert 'standard input:2: "url": "127.0.0.1:8942/json" is no URL; did you mean http://127.0.0.1:8942/json?' in r.err
    assert '"www.example.org" is no URL; did you mean https://www.example.org?' in ctl("submit", "--hold", "-i", "-", input="www.example.org", check=2).err
    assert '"/x" is no URL' in ctl("submit", "/x", check=2).err and "has no host" in ctl("submit", "http:///json", check=2).err


def test_a_packed_list_is_told_as_such(ctl, scratch):
    (scratch / "urls.gz").write_bytes(gzip.compress(b"http://h/\n" * 9))
    r = ctl("submit", "-i", scratch / "urls.gz", check=2)
    assert "urls.gz looks like gzip" in r.err and "zcat FILE | fanoutctl submit -i -" in r.err and "nothing was submitted" in r.err
    assert ctl("status", "-f", "json").json() == []
