"""The API simulator does what the other tests rely on."""

import concurrent.futures
import email.utils
import re
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
    with socket.create_connection(("127.0.0.1", apisim.port), timeout=120) as sock:
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


@pytest.mark.parametrize("port", ["x", "", "80x", "-1", "65536"])
def test_a_port_that_is_none_is_refused(port):
    r = subprocess.run([BUILD / "apisim", "--stdin", "--port", port], input="", capture_output=True, text=True)
    assert r.returncode == 2 and f'not "{port}"' in r.stderr and not r.stdout


def test_a_port_that_another_one_has_is_refused(apisim):
    r = subprocess.run([BUILD / "apisim", "--stdin", "--port", str(apisim.port)], input="", capture_output=True, text=True)
    assert r.returncode == 1 and f"cannot listen on 127.0.0.1:{apisim.port}: Address already in use" in r.stderr and not r.stdout


@pytest.mark.parametrize("what, first, last", [("limit", "kind, n, ", ", x-ratelimit"), ("pages", "style, items, ", ", limit")])
def test_the_options_of_what_is_set_are_named(what, first, last):
    said = subprocess.run([BUILD / "apisim", "--help"], capture_output=True, check=True, text=True).stdout
    (names,) = re.findall(rf"^Options of --{what}: (.*)$", said, re.M)
    assert names.startswith(first) and names.endswith(last)
    r = subprocess.run([BUILD / "apisim", "--stdin", f"--{what}", "a,rate=10/1s"], input="", capture_output=True, text=True)
    assert r.returncode == 2 and r.stderr.endswith(f", which has {names}\n"), r.stderr


def test_delayed_answers_overlap(apisim):
    def overlapped():
        begin = time.monotonic()
        assert at_once(apisim.url + "/delay/0.3", 20) == [200] * 20
        assert time.monotonic() - begin >= 0.299
        return apisim.stats()["peak_concurrent"] > 1

    wait_until(overlapped, 20, "some of twenty overlap")


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
    assert time.monotonic() - begin >= 0.199


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
    wait_until(lambda: apisim.once()["requests"] == 4, what="the one that was given up is counted")
    assert apisim.once() == {"distinct": 2, "requests": 4, "repeated": {"1": 2, "2": 2}}


def test_log_keeps_order_and_times(apisim):
    fetch(apisim.url + "/log?channel=x&delay=0.1", "POST", b"one")
    fetch(apisim.url + "/log?channel=y", "POST", b"other")
    fetch(apisim.url + "/log?channel=x&code=500", "POST", b"two")
    one, two = apisim.log_of("x")
    assert (one["body"], two["body"]) == ("one", "two") and (one["code"], two["code"]) == (200, 500)
    assert one["end_us"] - one["start_us"] >= 99_000
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
    with socket.create_connection(("127.0.0.1", apisim.port), timeout=120) as sock:
        sock.sendall(b"GET /delay/0.05 HTTP/1.1\r\n\r\nGET /json HTTP/1.1\r\nConnection: close\r\n\r\n")
        got = b""
        while piece := sock.recv(65536):
            got += piece
    assert got.count(b"HTTP/1.1 200 OK") == 2 and got.index(b"delay") < got.index(b"items")


def test_malformed_request_is_refused_and_the_rest_goes_on(apisim):
    with socket.create_connection(("127.0.0.1", apisim.port), timeout=120) as sock:
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


def test_two_thousand_requests_at_once(apisim, many_files):
    socks = [socket.create_connection(("127.0.0.1", apisim.port), timeout=120) for _ in range(2000)]
    try:
        for sock in socks:
            sock.sendall(b"GET /delay/1 HTTP/1.1\r\n\r\n")
        assert all(sock.recv(65536).startswith(b"HTTP/1.1 200 ") for sock in socks)
        for sock in socks:
            sock.sendall(b"GET /hang HTTP/1.1\r\n\r\n")
        wait_until(lambda: apisim.stats()["peak_concurrent"] == 2000, what="all are being served")
    finally:
        for sock in socks:
            sock.close()


@pytest.mark.parametrize("name", ["nginx", "httpbin"])
def test_other_servers_answer(request, name):
    server = request.getfixturevalue(name)
    assert fetch(server.url + "/uuid").status == 200


def test_tls_servers_answer_over_http_2(nginx, nghttpd):
    for url in (nginx.tls_url + "/hello", nghttpd.url + "/hello"):
        got = subprocess.run(["curl", "-sk", "-w", " %{http_version}", url], capture_output=True, check=True, text=True)
        assert got.stdout == "hello\n 2"


# ---- Limits ----


def codes(url, n):
    return [fetch(url).status for _ in range(n)]


def at_once(url, n):
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return sorted(pool.map(lambda _: fetch(url).status, range(n)))


def test_a_sliding_limit_takes_n_and_refuses_the_rest(apisim):
    limit = apisim.limit("a", n=5, window=60)
    assert codes(limit.url + "/x", 8) == [200] * 5 + [429] * 3
    stats = limit.stats()
    assert (stats["arrivals"], stats["accepted"], stats["refused"]) == (8, 5, 3)
    assert (stats["worst"], stats["worst_accepted"]) == (8, 5)
    assert 0 < stats["first_us"] < stats["last_us"]
    limit.forget()
    assert codes(limit.url + "/x", 6) == [200] * 5 + [429]


def record(limit):
    return [(a["counted_us"], a["accepted"]) for a in limit.stats(list=True)["list"]]


def burst(limit, n):
    """So many requests in one write: they are counted at the same time, as far as anybody can tell."""
    with socket.create_connection(limit.address, timeout=120) as sock:
        sock.sendall((f"GET {limit.path}/x HTTP/1.1\r\n\r\n" * (n - 1) + f"GET {limit.path}/x HTTP/1.1\r\nConnection: close\r\n\r\n").encode())
        while sock.recv(65536):
            pass


def stream(limit, taken):
    """Requests in little bursts until `taken` were taken and one was not; the record."""

    def enough():
        burst(limit, 4)
        stats = limit.stats()
        return stats["accepted"] >= taken and stats["refused"]

    wait_until(enough, 20, f"{taken} are taken")
    return record(limit)


@pytest.mark.parametrize("count_refused", [0, 1])
def test_a_sliding_limit_decides_as_its_record_says(apisim, count_refused):
    limit = apisim.limit("a", n=3, window=0.1, count_refused=count_refused)
    if count_refused:  # a steady stream would keep the window full for ever
        for _ in range(5):
            burst(limit, 6)
        seen = record(limit)
    else:
        seen = stream(limit, 12)
    assert any(not taken for _, taken in seen)
    for i, (at, taken) in enumerate(seen):
        counted = sum(1 for t, was_taken in seen[:i] if t > at - 100_000 and (was_taken or count_refused))
        assert taken == (counted < 3), (i, at, counted)


def test_a_fixed_window_has_room_again_at_a_multiple_of_its_length(apisim):
    limit = apisim.limit("a", kind="fixed", n=3, window=0.2)
    by_window = {}
    for at, taken in stream(limit, 10):
        by_window.setdefault(at // 200_000, []).append(taken)
    assert len(by_window) > 2
    for taken in by_window.values():
        assert taken == [True] * min(3, len(taken)) + [False] * (len(taken) - 3)


def test_a_bucket_holds_its_burst_and_fills_evenly(apisim):
    limit = apisim.limit("a", kind="bucket", n=20, window=1, burst=3)
    seen = stream(limit, 12)
    tokens, before = 3.0, seen[0][0]
    for at, taken in seen:
        tokens, before = min(3.0, tokens + (at - before) * 20 / 1e6), at
        if abs(tokens - 1) > 1e-6:
            assert taken == (tokens >= 1), (at, tokens)
        tokens -= taken


def test_an_open_limit_counts_only(apisim):
    limit = apisim.limit("a", kind="open")
    assert codes(limit.url + "/x", 30) == [200] * 30
    assert limit.stats()["arrivals"] == 30


def test_the_worst_window_is_that_of_the_record(apisim):
    limit = apisim.limit("a", n=20, window=0.2, jitter_in="uniform:0:0.3")
    for _ in range(3):
        at_once(limit.url + "/x", 30)
    arrivals = limit.stats(list=True)["list"]
    times = [a["counted_us"] for a in arrivals]
    taken = [a["counted_us"] for a in arrivals if a["accepted"]]
    assert times == sorted(times) and len(times) == 90
    for window in (0.01, 0.2, 1.5):
        stats = limit.stats(window=window)
        for name, counted in (("worst", times), ("worst_accepted", taken)):
            assert stats[name] == max(sum(t <= u < t + window * 1e6 for u in counted) for t in counted), (window, name)
    assert limit.stats()["worst_accepted"] <= 20


@pytest.mark.parametrize(
    "spec, low, high, mean",
    [
        ("const:0.2", 0.2, 0.2, 0.2),
        ("uniform:0.1:0.3", 0.1, 0.3, 0.2),
        ("exp:0.1", 0, 1, 0.1),
        ("exp:0.1:0.15", 0, 0.15, 0.078),
        ("pareto:0.05:1.5:3", 0.05, 3, 0.137),
    ],
)
def test_a_distribution_is_bounded_and_the_same_for_the_same_seed(apisim, spec, low, high, mean):
    draws = apisim.get(f"/jitter/{spec}?n=20000")["draws"]
    assert low <= min(draws) and max(draws) <= high
    assert abs(sum(draws) / len(draws) - mean) < 0.06 * mean, sum(draws) / len(draws)
    if low < high:
        assert max(draws) > 0.95 * high or spec == "exp:0.1", max(draws)
        assert draws != apisim.get(f"/jitter/{spec}?n=20000&seed=2")["draws"]
    assert draws == apisim.get(f"/jitter/{spec}?n=20000&seed=1")["draws"]


@pytest.mark.parametrize("spec", ["uniform:0.3:0.1", "uniform:1", "const:-1", "pareto:1:0:3", "exp:x", "exp", "gauss:1:2", "const:1:2"])
def test_what_is_no_distribution_is_refused(apisim, spec):
    assert fetch(f"{apisim.url}/jitter/{spec}").status == 400
    assert fetch(f"{apisim.url}/limit/a?jitter-in={spec}", "PUT").status == 400


def test_a_limit_counts_at_the_counter_and_answers_after_the_way_back(apisim):
    limit = apisim.limit("a", n=5, window=60, jitter_in="const:0.2", jitter_out="const:0.1")
    assert at_once(limit.url + "/x", 8) == [200] * 5 + [429] * 3
    for a in limit.stats(list=True)["list"]:
        # The timers of the simulator are those of epoll: up to a millisecond early.
        assert a["counted_us"] - a["received_us"] >= 199_000 and a["answered_us"] - a["counted_us"] >= 99_000


def test_a_request_arrives_at_the_counter_though_its_client_hung_up(apisim):
    for turn, way in enumerate((0.4, 4, 40), 1):
        limit = apisim.limit("a", n=1, window=600, jitter_in=f"const:{way}")
        with socket.create_connection(("127.0.0.1", apisim.port), timeout=120) as sock:
            sock.sendall(b"GET /limit/a/x HTTP/1.1\r\n\r\n")
            wait_until(lambda: apisim.stats()["paths"].get("/limit/a/x") == turn, what="the request is on its way")
        if limit.stats()["arrivals"] == 0:  # else it was quicker than we: a longer way
            break
    wait_until(lambda: limit.stats()["arrivals"] == 1, way + 10, "it arrives")
    (only,) = limit.stats(list=True)["list"]
    assert only["accepted"] and only["answered_us"] == 0
    assert codes(limit.url + "/x", 1) == [429]


def test_the_same_seed_draws_the_same_ways(apisim):
    def ways(seed):
        limit = apisim.limit("a", kind="open", jitter_in="uniform:0:0.06", seed=seed)
        codes(limit.url + "/x", 5)
        return [a["counted_us"] - a["received_us"] for a in limit.stats(list=True)["list"]]

    one, again, two = ways(7), ways(7), ways(8)
    draws = apisim.get("/jitter/uniform:0:0.06?n=10&seed=7")["draws"][::2]  # the way back draws too
    assert all(way >= 1e6 * draw - 1000 for way, draw in zip(one, draws)), (one, draws)
    assert one != two and again != two


def test_below_a_limit_are_the_other_routes(apisim):
    limit = apisim.limit("a", kind="open")
    assert fetch(limit.url + "/status/503").status == 503
    assert fetch(limit.url + "/bytes/1000").body == bytes(i % 251 for i in range(1000))
    answer = fetch(limit.url + "/redirect-to?url=/limit/b/x")
    assert (answer.status, answer.headers["Location"]) == (302, "/limit/b/x")
    assert fetch(limit.url + "/log?channel=x", "POST", b"one").status == 200
    assert apisim.log_of("x")[0]["body"] == "one"
    begin = time.monotonic()
    assert fetch(limit.url + "/anything?delay=0.2&header=X-A:b").headers["X-A"] == "b"
    assert time.monotonic() - begin >= 0.19
    stats = limit.stats(list=True)
    assert stats["arrivals"] == 5 and all(a["answered_us"] for a in stats["list"])
    assert stats["slowest_us"] >= 199_000
    assert stats["last_answered_us"] - stats["first_received_us"] >= 199_000
    assert fetch(apisim.url + "/limit/a/limit/a/x").status == 404
    assert fetch(apisim.url + "/limit/nobody/x").status == 404


def test_refusals_come_first_when_asked_to(apisim):
    limit = apisim.limit("a", kind="open", code=503, refuse_first=2, tell=1)
    answers = [fetch(limit.url + "/x") for _ in range(3)]
    assert [(a.status, a.headers["Retry-After"]) for a in answers] == [(503, "1"), (503, "1"), (200, None)]


@pytest.mark.parametrize("form", ["seconds", "date", "none", "garbage"])
def test_retry_after_has_the_form_asked_for(apisim, form):
    limit = apisim.limit("a", n=1, window=2000, retry_after=form)
    before = time.time()
    assert fetch(limit.url + "/x").headers["Retry-After"] is None
    value = fetch(limit.url + "/x").headers["Retry-After"]
    if form == "seconds":
        assert 2000 - (time.time() - before) <= int(value) <= 2000
    elif form == "date":
        when = email.utils.parsedate_to_datetime(value)
        assert before + 1999 <= when.timestamp() <= time.time() + 2001
        assert email.utils.format_datetime(when, usegmt=True) == value
    elif form == "none":
        assert value is None
    else:
        assert value and not value.isdigit() and email.utils.parsedate(value) is None


def test_ratelimit_fields_are_those_of_the_draft(apisim):
    limit = apisim.limit("a", n=2, window=2000, ratelimit="draft")
    begin = time.monotonic()
    answers = [fetch(limit.url + "/x") for _ in range(3)]
    assert {a.headers["RateLimit-Policy"] for a in answers} == {'"default";q=2;w=2000'}
    told = [re.fullmatch(r'"default";r=(\d);t=(\d+)', a.headers["RateLimit"]) for a in answers]
    assert [m[1] for m in told] == ["1", "0", "0"]
    assert all(2000 - (time.monotonic() - begin) <= int(m[2]) <= 2000 for m in told)


@pytest.mark.parametrize("form, unit", [("epoch", 1), ("epoch-ms", 1000), ("delta", 1)])
def test_x_ratelimit_reset_has_the_unit_asked_for(apisim, form, unit):
    limit = apisim.limit("a", n=2, window=2000, x_ratelimit=form)
    origin = time.time()
    headers = [fetch(limit.url + "/x").headers for _ in range(3)]
    assert [h["X-RateLimit-Limit"] for h in headers] == ["2"] * 3
    assert [h["X-RateLimit-Remaining"] for h in headers] == ["1", "0", "0"]
    taken = time.time() - origin
    for h in headers:
        reset = int(h["X-RateLimit-Reset"]) / unit - (0 if form == "delta" else origin)
        assert 1999 - taken <= reset <= 2001 + taken


def test_what_a_limit_tells_may_be_untrue(apisim):
    limit = apisim.limit("a", n=1, window=20, ratelimit="draft", x_ratelimit="delta", tell=999999)
    headers = [fetch(limit.url + "/x").headers for _ in range(2)][1]
    assert headers["Retry-After"] == headers["X-RateLimit-Reset"] == "999999"
    assert headers["RateLimit"] == '"default";r=0;t=999999'


@pytest.mark.parametrize("option", ["n=0", "window=0", "n=x", "kind=round", "code=99", "colour=red", "retry-after=soon", "seed=-x"])
def test_a_bad_option_of_a_limit_is_refused_and_the_limit_stays(apisim, option):
    limit = apisim.limit("a", n=1, window=20)
    fetch(limit.url + "/x")
    answer = fetch(f"{limit.control}?{option}", "PUT")
    assert answer.status == 400 and answer.body.strip()
    assert limit.stats()["accepted"] == 1
    done = subprocess.run([BUILD / "apisim", "--limit", f"a,{option}"], capture_output=True, text=True)
    assert done.returncode == 2 and "--limit a," in done.stderr


def test_limits_come_from_the_command_line_too():
    child = spawn([BUILD / "apisim", "--limit", "a,kind=sliding,n=2,window=60s,jitter-in=uniform:0:0.01,code=503"], stdout=subprocess.PIPE)
    url = child.stdout.readline().decode().split()[1]
    try:
        assert codes(url + "/limit/a/x", 3) == [200, 200, 503]
    finally:
        child.terminate()
        child.wait(10)
        child.stdout.close()
