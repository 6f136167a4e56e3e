"""fanoutctl fetch: bodies to stdout in order, or to files."""

import json
import subprocess

import pytest

from harness.process import BUILD, spawn


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


def test_a_directory_that_is_not_there_is_told(daemon, apisim, scratch):
    r = daemon.ctl("fetch", apisim.url + "/bytes/1", "-o", f"{scratch}/none/x", check=1)
    assert "make its directory first" in r.err


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
