"""The API simulator does what the other tests rely on."""

import concurrent.futures
import signal
import socket
import subprocess
import time
import uuid

import pytest

from harness.http import fetch
from harness.process import BUILD, ROOT, alive, spawn, wait_until


def talk(apisim, path):
    """Everything that comes back for a GET, and whether the connection was reset."""
    with socket.create_connection(("127.0.0.1", apisim.port), timeout=10) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        got = b""
        try:
            while piece := sock.recv(65536):
                got += piece
        except ConnectionResetError:
            return got, True
    return got, False


def test_readme_lists_the_routes():
    routes = subprocess.run([BUILD / "apisim", "--routes"], capture_output=True, check=True, text=True).stdout
    assert routes.strip()
    assert (ROOT / "tests/apisim/README.md").read_text().endswith("\n\n" + routes)


def test_delayed_answers_overlap(apisim):
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: fetch(apisim.url + "/delay/0.3").status, range(20)))
    assert answers == [200] * 20
    assert 0.3 <= time.monotonic() - begin < 3
    assert apisim.stats()["peak_concurrent"] > 1


def test_uuids_differ(apisim):
    seen = {uuid.UUID(apisim.get("/uuid")["uuid"]) for _ in range(100)}
    assert len(seen) == 100 and all(u.version == 4 for u in seen)


@pytest.mark.parametrize("code", [200, 204, 301, 404, 429, 503, 799])
def test_status_is_the_one_asked_for(apisim, code):
    assert fetch(f"{apisim.url}/status/{code}").status == code


@pytest.mark.parametrize("query", ["", "?chunked=1"])
@pytest.mark.parametrize("n", [0, 1, 64256, 1000003])
def test_bytes_follow_their_pattern(apisim, n, query):
    body = fetch(f"{apisim.url}/bytes/{n}{query}").body
    assert body == bytes(i % 251 for i in range(n))


def test_echo_tells_the_request(apisim):
    answer = fetch(apisim.url + "/echo?a=b%20c", "PUT", "gr\u00fc\u00df".encode(), {"X-One": "1"}).json()
    assert answer["method"] == "PUT" and answer["url"] == "/echo?a=b%20c" and answer["query"] == {"a": "b c"}
    assert answer["headers"]["X-One"] == "1" and answer["body"] == "gr\u00fc\u00df"
    assert fetch(apisim.url + "/echo", "POST", b"\xff\x00").json()["body_hex"] == "ff00"


def test_every_answer_takes_a_delay_and_headers(apisim):
    begin = time.monotonic()
    answer = fetch(apisim.url + "/status/503?delay=0.2&header=Retry-After:3")
    assert answer.status == 503 and answer.headers["Retry-After"] == "3"
    assert time.monotonic() - begin >= 0.2


def test_redirects_count_down_and_lead_anywhere(apisim):
    answer = fetch(apisim.url + "/redirect/2")
    assert (answer.status, answer.headers["Location"]) == (302, "/redirect/1")
    assert fetch(apisim.url + "/redirect/0").status == 200
    answer = fetch(apisim.url + "/redirect-to?url=http://b.example/x&code=307")
    assert (answer.status, answer.headers["Location"]) == (307, "http://b.example/x")


def test_credentials_are_checked(apisim):
    assert fetch(apisim.url + "/basic/u/pw").status == 401
    assert fetch(apisim.url + "/basic/u/pw", headers={"Authorization": "Basic dTpwdw=="}).status == 200
    assert fetch(apisim.url + "/bearer/t", headers={"Authorization": "Bearer x"}).status == 401
    assert fetch(apisim.url + "/bearer/t", headers={"Authorization": "Bearer t"}).status == 200


def test_gzip_unpacks_and_the_bomb_is_small_on_the_wire(apisim):
    import zlib

    answer = fetch(apisim.url + "/gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert b'"gzipped":true' in zlib.decompress(answer.body, 31)
    packed = fetch(apisim.url + "/bomb?mib=8").body
    assert len(packed) < 100_000 and zlib.decompress(packed, 31) == bytes(8 << 20)
    with pytest.raises(zlib.error):
        zlib.decompress(fetch(apisim.url + "/gzip-broken").body, 31)


def test_drip_takes_its_time(apisim):
    begin = time.monotonic()
    assert len(fetch(apisim.url + "/drip?bytes=10&seconds=0.4").body) == 10
    assert time.monotonic() - begin >= 0.39


def test_cut_answers_are_cut(apisim):
    got, reset = talk(apisim, "/reset")
    assert reset and got.endswith(b"x" * 500) and b"Content-Length: 1000" in got
    assert talk(apisim, "/reset?bytes=0") == (b"", True)
    assert talk(apisim, "/empty") == (b"", False)
    got, reset = talk(apisim, "/close-early?n=80")
    assert not reset and b"Content-Length: 80" in got and got.endswith(b"\r\n\r\n" + b"x" * 40)
    got, reset = talk(apisim, "/chunk-cut")
    assert not reset and got.endswith(b"5\r\nwhole\r\n3e8\r\n" + b"x" * 100)


def test_wrong_answers_are_wrong(apisim):
    assert talk(apisim, "/conflict")[0].count(b"Content-Length") == 2
    assert not talk(apisim, "/garbage")[0].startswith(b"HTTP")
    assert fetch(apisim.url + "/soft-error").json() == {"message": "Token not valid!"}


def test_hang_never_answers(apisim):
    with pytest.raises(TimeoutError):
        fetch(apisim.url + "/hang", timeout=0.3)
    wait_until(lambda: apisim.stats()["lost"] == 1, what="the lost request is counted")


def test_flaky_fails_first(apisim):
    codes = [fetch(apisim.url + "/flaky?id=a&fail=2&code=502").status for _ in range(4)]
    assert codes == [502, 502, 200, 200]
    assert fetch(apisim.url + "/flaky?id=b&fail=1").status == 503


def test_once_counts_at_arrival(apisim):
    for i in ("1", "2", "2"):
        apisim.get(f"/once/{i}")
    with pytest.raises(TimeoutError):
        fetch(apisim.url + "/once/1?delay=30", timeout=0.2)
    assert apisim.once() == {"distinct": 2, "requests": 4, "repeated": {"1": 2, "2": 2}}


def test_log_keeps_order_and_times(apisim):
    fetch(apisim.url + "/log?channel=x&delay=0.1", "POST", b"one")
    fetch(apisim.url + "/log?channel=y", "POST", b"other")
    fetch(apisim.url + "/log?channel=x&code=500", "POST", b"two")
    one, two = apisim.log_of("x")
    assert (one["body"], two["body"]) == ("one", "two") and (one["code"], two["code"]) == (200, 500)
    assert one["end_us"] - one["start_us"] >= 100_000
    assert one["end_us"] <= two["start_us"] <= two["end_us"]


def test_stats_tell_hosts_apart(apisim):
    fetch(apisim.url + "/json")
    fetch(apisim.host(2) + "/json")
    fetch(apisim.host(2) + "/json")
    stats = apisim.stats()
    assert stats["paths"] == {"/json": 3}
    assert stats["hosts"] == {f"127.0.0.1:{apisim.port}": 1, f"127.0.0.2:{apisim.port}": 2}
    apisim.forget()
    assert apisim.stats()["requests"] == 0


def test_connection_is_kept_for_pipelined_requests(apisim):
    with socket.create_connection(("127.0.0.1", apisim.port), timeout=10) as sock:
        sock.sendall(b"GET /delay/0.05 HTTP/1.1\r\n\r\nGET /json HTTP/1.1\r\nConnection: close\r\n\r\n")
        got = b""
        while piece := sock.recv(65536):
            got += piece
    assert got.count(b"HTTP/1.1 200 OK") == 2 and got.index(b"delay") < got.index(b"items")


def test_malformed_request_is_refused_and_the_rest_goes_on(apisim):
    with socket.create_connection(("127.0.0.1", apisim.port), timeout=10) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert fetch(apisim.url + "/json").status == 200


def test_it_ends_with_its_input_its_parent_and_on_sigterm(apisim):
    apisim.process.stdin.close()
    assert apisim.process.wait(10) == 0
    shell = spawn(["sh", "-c", f"{BUILD}/apisim & echo $!; read x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    lines = sorted(shell.stdout.readline() for _ in range(2))
    assert lines[1].startswith(b"listening ")
    pid = int(lines[0])
    shell.kill()
    shell.wait()
    wait_until(lambda: not alive(pid), what="apisim ends with its parent")
    again = spawn([BUILD / "apisim"], stdout=subprocess.PIPE)
    again.stdout.readline()
    again.send_signal(signal.SIGTERM)
    assert again.wait(10) == 0


def test_two_thousand_requests_at_once(apisim):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    socks = [socket.create_connection(("127.0.0.1", apisim.port), timeout=20) for _ in range(2000)]
    try:
        for sock in socks:
            sock.sendall(b"GET /delay/1 HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert all(sock.recv(65536).startswith(b"HTTP/1.1 200 ") for sock in socks)
    finally:
        for sock in socks:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert apisim.stats()["peak_concurrent"] == 2000


@pytest.mark.parametrize("name", ["nginx", "httpbin"])
def test_other_servers_answer(request, name):
    server = request.getfixturevalue(name)
    assert fetch(server.url + "/uuid").status == 200


def test_tls_servers_answer_over_http_2(nginx, nghttpd):
    for url in (nginx.tls_url + "/hello", nghttpd.url + "/hello"):
        got = subprocess.run(["curl", "-sk", "-w", " %{http_version}", url], capture_output=True, check=True, text=True)
        assert got.stdout == "hello\n 2"
