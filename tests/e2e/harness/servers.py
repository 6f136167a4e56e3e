"""The servers that jobs are sent to. Each listens on a port of its own choice."""

import os
import pathlib
import socket
import subprocess
import sys
import urllib.parse

from harness.daemon import Scratch
from harness.http import fetch
from harness.process import BUILD, SANITIZER, environment, spawn, wait_until


class Server:
    """A process and a scratch directory."""

    def __init__(self):
        self.scratch = Scratch()
        self.dir = self.scratch.path
        self.log_path = self.dir / "log"
        self.process = None

    def spawn(self, argv, **options):
        with open(self.log_path, "ab") as log:
            options.setdefault("stdin", subprocess.DEVNULL)
            options.setdefault("stdout", log)
            self.process = spawn(argv, stderr=log, cwd=self.dir, **options)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def assert_running(self):
        assert self.process.poll() is None, f"{self.process.args[0]} ended with {self.process.returncode}:\n{self.log()}"
        return True

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        log = self.log()
        self.scratch.remove()
        assert not SANITIZER.search(log.encode()), log


class Apisim(Server):
    """tests/apisim. `bind="0.0.0.0"` makes every address of 127.0.0.0/8 a host of it: see host()."""

    def __init__(self, bind="127.0.0.1"):
        super().__init__()
        self.spawn([BUILD / "apisim", "--bind", bind, "--stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.process.stdout.readline().decode()
        assert line.startswith("listening http://"), f"apisim says {line!r}:\n{self.log()}"
        self.port = int(line.rpartition(":")[2])
        self.url = f"http://127.0.0.1:{self.port}"

    def host(self, n):
        """The URL of another host, as far as anybody can tell: 127.0.0.<n>."""
        return f"http://127.0.0.{n}:{self.port}"

    def get(self, path):
        return fetch(self.url + path).json()

    def stats(self):
        return self.get("/stats")

    def once(self):
        """distinct, requests, and {id: count} of those requested more than once."""
        return self.get("/once?list=1")

    def log_of(self, channel):
        """What was posted to /log?channel=..., in order of arrival."""
        return self.get(f"/log?channel={channel}")["entries"]

    def limit(self, name, host=1, **options):
        """Sets the limit NAME (README.md; `jitter_in` for jitter-in) and returns it: a Limit."""
        return Limit(self, name, host, options)

    def pages(self, style, name, host=1, path="items", **options):
        """Sets the paginated API NAME (README.md; `in_` for in, `item_size` for item-size, lists, True): a Pages."""
        return Pages(self, name, host, path, {"style": style, **options})

    def page_log(self, name):
        """What was asked of the paginated API NAME, in order of arrival: page, status, items, position, target, times."""
        return self.get(f"/pages/{name}?list=1")["list"]

    def forget(self):
        for path in ("/once", "/log", "/flaky", "/stats"):
            assert fetch(self.url + path, "DELETE").status == 204


def option_query(options):
    """Options of a limit or of pages, as they are written in Python, for the query."""

    def text(value):
        if isinstance(value, (list, tuple)):
            return ",".join(str(v) for v in value)
        return str(int(value) if isinstance(value, bool) else value)

    return urllib.parse.urlencode({k.rstrip("_").replace("_", "-"): text(v) for k, v in options.items()})


class Pages:
    """/pages/NAME of a simulator. `url` is its first page, and `origin` what next links are expected to begin with."""

    def __init__(self, apisim, name, host, path, options):
        self.control = f"{apisim.url}/pages/{name}"
        self.origin = apisim.host(host)
        self.url = f"{self.origin}/pages/{name}/{path}"
        self.change("PUT", options)

    def __str__(self):
        return self.url

    def change(self, method, options):
        answer = fetch(f"{self.control}?{option_query(options)}", method)
        assert answer.status == 204, answer

    def set(self, **options):
        """Alters it: the options that are not named stay, and so does what it has seen."""
        self.change("PATCH", options)

    def stats(self):
        """items and pages there are; requests, served, peak; by_page {"1": [503, 200], ...}."""
        return fetch(self.control).json()

    def by_page(self):
        """{1: [503, 200], ...}: what the requests for each page got; None: no status yet, or ever."""
        return {int(page): statuses for page, statuses in self.stats()["by_page"].items()}

    def log(self):
        return fetch(self.control + "?list=1").json()["list"]

    def forget(self):
        assert fetch(self.control, "DELETE").status == 204


class Limit:
    """/limit/NAME of a simulator. `url` + "/anything" is what it counts."""

    def __init__(self, apisim, name, host, options):
        self.control = f"{apisim.url}/limit/{name}"
        self.key = f"127.0.0.{host}:{apisim.port}"
        self.address, self.path = (f"127.0.0.{host}", apisim.port), f"/limit/{name}"
        self.url = f"{apisim.host(host)}/limit/{name}"
        answer = fetch(f"{self.control}?{option_query(options)}", "PUT")
        assert answer.status == 204, answer

    def stats(self, window=None, list=False):
        query = {**({"window": window} if window else {}), **({"list": 1} if list else {})}
        return fetch(f"{self.control}?{urllib.parse.urlencode(query)}").json()

    def forget(self):
        assert fetch(self.control, "DELETE").status == 204


NGINX = """
daemon off;
worker_processes {workers};
worker_rlimit_nofile 16384;
pid {dir}/pid;
error_log stderr warn;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    keepalive_requests 1000000000;
    large_client_header_buffers 4 128k;
    ssl_certificate {dir}/cert.pem;
    ssl_certificate_key {dir}/key.pem;
    server {{
        listen {bind}:{port};
        listen 127.0.0.1:{tls_port} ssl http2;
        default_type text/plain;
        location / {{ return 200 "hello\\n"; }}
        location /files/ {{ alias {files}/; }}
    }}
}}
"""


def make_certificate(directory):
    """A self-signed certificate for localhost, as cert.pem and key.pem."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
        check=True,
        capture_output=True,
    )


def listen(bind="127.0.0.1"):
    sock = socket.socket()
    sock.bind((bind, 0))
    sock.listen(4096)
    return sock


class Nginx(Server):
    """nginx that returns 200 and "hello" for everything, on plain HTTP and on TLS with an unknown certificate; below /files/ what is in
    the directory `files`. `bind="0.0.0.0"` makes every address of 127.0.0.0/8 a host of it."""

    def __init__(self, workers=1, bind="127.0.0.1", files=None):
        super().__init__()
        make_certificate(self.dir)
        # nginx takes over listening sockets named in $NGINX (its way to upgrade itself): no port can be lost.
        socks = [listen(bind), listen()]
        port, tls_port = (s.getsockname()[1] for s in socks)
        config = NGINX.format(dir=self.dir, workers=workers, bind=bind, port=port, tls_port=tls_port, files=files or self.dir / "files")
        (self.dir / "nginx.conf").write_text(config)
        fds = [s.fileno() for s in socks]
        self.spawn(
            [nginx_program(), "-e", "stderr", "-p", self.dir, "-c", self.dir / "nginx.conf"],
            env=environment(NGINX="".join(f"{fd};" for fd in fds)),
            pass_fds=fds,
        )
        for sock in socks:
            sock.close()
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.tls_url = f"https://127.0.0.1:{tls_port}"
        wait_until(lambda: self.assert_running() and answers(self.url), 10, "nginx answers")


def nginx_program():
    return "/usr/sbin/nginx" if os.path.exists("/usr/sbin/nginx") else "nginx"


HTTPBIN = """
import httpbin, werkzeug.serving
server = werkzeug.serving.make_server("127.0.0.1", 0, httpbin.app, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


class Httpbin(Server):
    """python3-httpbin: an independent idea of how HTTP behaves. Slow (about 1000 requests/s)."""

    def __init__(self):
        super().__init__()
        self.spawn([sys.executable, "-c", HTTPBIN], stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        assert line, self.log()
        self.url = f"http://127.0.0.1:{int(line)}"


class Nghttpd(Server):
    """An HTTP/2 server with TLS (ALPN) on an unknown certificate; serves files() and /hello."""

    def __init__(self):
        super().__init__()
        make_certificate(self.dir)
        self.files = self.dir / "files"
        self.files.mkdir()
        (self.files / "hello").write_text("hello\n")
        self.spawn(["nghttpd", "-a", "127.0.0.1", "-d", self.files, "0", self.dir / "key.pem", self.dir / "cert.pem"])
        port = wait_until(lambda: self.assert_running() and listening_port(self.process.pid), 10, "nghttpd listens")
        self.url = f"https://127.0.0.1:{port}"


def listening_port(pid):
    """The TCP port a process listens on, or None: for servers that do not say it."""
    inodes = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(os.readlink(fd).removeprefix("socket:[").removesuffix("]"))
        except OSError:
            continue
    for line in pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in inodes:
            return int(fields[1].rpartition(":")[2], 16)
    return None


def answers(url):
    try:
        return fetch(url + "/", timeout=5).status == 200
    except OSError:
        return False
