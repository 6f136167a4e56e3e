"""fanoutctl fetch: bodies to stdout in order, or to files."""

import json
import os
import re
import subprocess

import pytest

from harness.process import BUILD, on_terminal, spawn


def out_of(daemon, *args):
    child = spawn([BUILD / "fanoutctl", "-S", daemon.socket, "fetch", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.communicate(timeout=30)
    return child.returncode, out, err.decode()


def test_one_url_is_its_body(daemon, apisim):
    code, out, err = out_of(daemon, apisim.url + "/bytes/3000")
    assert (code, err) == (0, "")
    assert out == bytes(i % 251 for i in range(3000))


def test_bodies_come_in_the_order_of_the_urls_not_of_their_ends(daemon, apisim):
    code, out, _ = out_of(daemon, apisim.url + "/delay/{0.3,0,0.1}")
    seconds = [json.loads(part + b"}")["delay"] if b"delay" in part else part for part in out.replace(b"\n", b"").split(b"}") if part]
    plain = [out_of(daemon, f"{apisim.url}/delay/{s}")[1] for s in ("0.3", "0", "0.1")]
    assert code == 0 and seconds
    assert out == b"".join(plain)


def test_failures_are_told_and_their_bodies_left_out(daemon, apisim):
    code, out, err = out_of(daemon, apisim.url + "/{bytes/1,status/404,bytes/2}")
    assert (code, out) == (1, b"\0\0\1")
    assert "fanoutctl: 1.2 " in err and "404 Not Found" in err


def test_files_are_named_by_the_template(daemon, apisim, scratch):
    code, out, err = out_of(daemon, apisim.url + "/bytes/[1-12]", "-o", f"{scratch}/{{host}}-{{seq:3}}.bin", "--concurrency", "12")
    assert (code, out) == (0, b""), err
    assert sorted(p.name for p in scratch.iterdir()) == [f"127.0.0.1-{i:03}.bin" for i in range(1, 13)]
    assert (scratch / "127.0.0.1-007.bin").read_bytes() == bytes(range(7))
    assert "12 done" in err


def test_a_file_that_is_there_is_replaced_and_a_failed_job_writes_none(daemon, apisim, scratch):
    (scratch / "1").write_text("old")
    (scratch / "2").write_text("old")
    code, _, err = out_of(daemon, apisim.url + "/{bytes/1,status/500}", "-o", f"{scratch}/{{seq}}", "--max-attempts", "1")
    assert code == 1 and "500" in err
    assert (scratch / "1").read_bytes() == b"\0"
    assert (scratch / "2").read_text() == "old"


def test_a_tag_cannot_lead_out_of_the_directory(daemon, apisim, scratch):
    (scratch / "in").mkdir()
    line = json.dumps({"url": apisim.url + "/bytes/1", "tag": "../escaped"}) + "\n"
    daemon.ctl("fetch", "-i", "-", "-o", f"{scratch}/in/{{tag}}", input=line)
    assert [p.name for p in (scratch / "in").iterdir()] == ["_._escaped"]
    assert sorted(p.name for p in scratch.iterdir()) == ["in"]


@pytest.mark.parametrize("template, said", [("out", "put {seq}"), ("{sq}", "did you mean {seq}?"), ("{seq", "does not begin with a field")])
def test_a_template_that_cannot_do_is_refused_before_anything_is_sent(daemon, apisim, template, said):
    r = daemon.ctl("fetch", apisim.url + "/bytes/[1-2]", "-o", template, check=2)
    assert said in r.err
    assert daemon.ctl("status", "-f", "json").json() == []


@pytest.mark.parametrize("name, said, code", [("none/x", "make its directory first", 1), ("", "names a directory", 2), ("none/{seq}/x", "cannot write into", 1)])
def test_a_directory_that_is_not_there_is_told_before_anything_is_sent(daemon, apisim, scratch, name, said, code):
    r = daemon.ctl("fetch", apisim.url + "/bytes/1", "-o", f"{scratch}/{name}", check=code)
    assert said in r.err
    assert daemon.ctl("status", "-f", "json").json() == []


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_a_directory_that_may_not_be_written_is_told_before_anything_is_sent(daemon, apisim, scratch):
    os.chmod(daemon.socket, 0o666)
    r = daemon.ctl("fetch", apisim.url + "/bytes/1", "-o", f"{scratch}/x", user=65534, group=65534, extra_groups=[], check=5)
    assert f"cannot write into {scratch}: Permission denied" in r.err
    assert daemon.ctl("status", "-f", "json").json() == []


def test_directories_are_made_on_request(daemon, apisim, scratch):
    daemon.ctl("fetch", apisim.url + "/bytes/[1-2]", "--create-dirs", "-o", f"{scratch}/a/{{host}}/{{seq}}/b")
    assert sorted(str(p.relative_to(scratch)) for p in scratch.rglob("b")) == ["a/127.0.0.1/1/b", "a/127.0.0.1/2/b"]
    assert "which is not given" in daemon.ctl("fetch", "--create-dirs", apisim.url + "/bytes/1", check=2).err


@pytest.mark.parametrize("template, tags", [("{tag}", ["same"] * 3), ("{batch}", [None] * 3), ("{host}.json", [None] * 3), ("{seq}{tag}", [str(n) for n in range(11, 0, -1)])])
def test_no_file_of_a_run_replaces_another_one_of_it(daemon, apisim, scratch, template, tags):
    """The eleventh case: {seq}{tag} is 111 for the first job with tag 11, and for the eleventh with tag 1."""
    lines = [json.dumps({"url": f"{apisim.url}/bytes/{n}", **({"tag": tag} if tag else {})}) for n, tag in enumerate(tags, 1)]
    r = daemon.ctl("fetch", "--chain", "-i", "-", "-o", f"{scratch}/{template}", input="\n".join(lines), check=1)
    repeated = len(tags) - len(list(scratch.iterdir()))
    assert repeated >= 1
    assert len(re.findall(r"is already used by job 1\.1$", r.err, re.M)) == repeated, r.err
    first = scratch / ("111" if template == "{seq}{tag}" else template.format(tag="same", batch=1, host="127.0.0.1"))
    assert first.stat().st_size == 1, "the first job's body stays"


def test_one_name_for_all_bodies_of_a_batch_is_refused_beforehand(daemon, apisim, scratch):
    batch = daemon.ctl("submit", "--wait", apisim.url + "/bytes/[1-3]", apisim.url + "/status/404", check=1).out.strip()
    r = daemon.ctl("get", batch, "-o", f"{scratch}/x.json", check=2)
    assert "all 3 bodies would be written to the one file" in r.err and "put {seq} into the name" in r.err
    assert list(scratch.glob("x*")) == []
    daemon.ctl("get", batch, "--state", "failed", "-o", f"{scratch}/x.json")
    assert (scratch / "x.json").exists()


def test_a_body_that_is_not_there_yet_is_told_with_its_job_once(daemon, gate, scratch):
    batch = daemon.ctl("submit", "-p", gate.url).out.strip()
    r = daemon.ctl("get", batch, "--state", "queued,running", "-o", f"{scratch}/{{seq}}", check=1)
    assert r.err.startswith(f"fanoutctl: job {batch}.1 has no body yet: "), r.err
    gate.open()


def test_an_error_on_a_terminal_begins_a_line_of_its_own(daemon, apisim):
    shown, code = on_terminal([BUILD / "fanoutctl", "-S", daemon.socket, "fetch", "--chain", apisim.url + "/uuid", apisim.url + "/status/404"])
    assert code == 1 and re.search(r"}\r?\nfanoutctl: 1\.2 ", shown), shown


def test_names_that_hold_the_jobs_number_apart_are_all_written(daemon, apisim, scratch):
    for template in ("{tag}-{seq}", "{seq:2}.{tag}", "{job}", "x{seq}"):
        into = scratch / template.replace("{", "").replace("}", "")
        daemon.ctl("fetch", apisim.url + "/bytes/[1-12]", "--tag", "1", "--create-dirs", "-o", f"{into}/{template}")
        assert len(list(into.iterdir())) == 12


def test_a_form_of_data_is_refused_where_bodies_are_written(daemon, apisim):
    assert "-f has no use here" in daemon.ctl("fetch", "-f", "json", apisim.url + "/bytes/1", check=2).err


def test_progress_with_files_names_the_batch_on_a_terminal(daemon, gate, scratch):
    argv = [BUILD / "fanoutctl", "-S", daemon.socket, "fetch", "-o", f"{scratch}/{{seq}}", "--concurrency", "1", gate.url + "/?[1-4]"]
    out, status = on_terminal(argv, seen=b" of 4", then=gate.open)
    assert status == 0
    assert re.search(r"batch 1: [0-3] of 4", out), out
    assert "batch 1: 4 done in" in out


# ---- get, of a batch ----


def test_the_bodies_of_a_batch_are_written_later_as_fetch_would_have(daemon, apisim, scratch):
    daemon.ctl("submit", "--wait", apisim.url + "/{bytes/3,status/404,bytes/5}", check=1)
    r = daemon.ctl("get", "1", "-o", f"{scratch}/{{seq:2}}.bin")
    assert {p.name: p.stat().st_size for p in scratch.iterdir()} == {"01.bin": 3, "03.bin": 5}
    assert "batch 1: 2 bodies written" in r.err
    daemon.ctl("get", "1", "-o", f"{scratch}/{{seq}}", "--state", "failed")
    assert (scratch / "2").exists()


def test_a_batch_of_many_pages_is_written_whole(daemon, apisim, scratch):
    daemon.ctl("submit", "--wait", apisim.url + "/bytes/1?[1-1203]")
    assert "1203 bodies written" in daemon.ctl("get", "1", "-o", f"{scratch}/{{seq}}").err
    assert len(list(scratch.iterdir())) == 1203


def test_a_batch_needs_names_for_its_bodies(daemon, apisim):
    daemon.ctl("submit", "--wait", apisim.url + "/bytes/1")
    assert "add -o TEMPLATE" in daemon.ctl("get", "1", check=2).err
    assert "--state is for a batch" in daemon.ctl("get", "1.1", "--state", "done", check=2).err


def test_get_of_a_body_that_is_not_whole_is_an_error_with_its_reason(daemon, apisim, scratch):
    daemon.ctl("submit", "--wait", "--max-body", "10", "--max-attempts", "1", apisim.url + "/bytes/300", "http://127.0.0.1:1/", check=1)
    r = daemon.ctl("get", "1.1", "-o", scratch / "x", check=1)
    assert "the body is larger than 10 B" in r.err and list(scratch.iterdir()) == []
    assert "refused" in daemon.ctl("get", "1.2", check=1).err
    daemon.ctl("submit", "--wait", apisim.url + "/status/404", check=1)
    assert daemon.ctl("get", "2.1").out, "the body of a 404 is a body"


def test_an_answer_without_a_body_is_empty(daemon, apisim):
    code, out, err = out_of(daemon, "-X", "HEAD", apisim.url + "/bytes/10")
    assert (code, out) == (0, b""), err


def test_rm_removes_the_batch_when_all_was_written(daemon, apisim):
    assert out_of(daemon, "--rm", apisim.url + "/bytes/1")[0] == 0
    assert daemon.ctl("status", "-f", "json").json() == []
    assert out_of(daemon, "--rm", apisim.url + "/status/404")[0] == 1
    assert len(daemon.ctl("status", "-f", "json").json()) == 1


def test_large_bodies_are_whole(daemon, apisim):
    code, out, _ = out_of(daemon, apisim.url + "/bytes/{3000000,10}")
    assert code == 0 and len(out) == 3000010
    assert out[-10:] == bytes(range(10))
