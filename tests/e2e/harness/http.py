"""HTTP/1.1 for tests: the daemon's API over its Unix socket, and small requests over TCP."""

import http.client
import json
import socket
import urllib.parse


class Answer:
    """A whole response."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def rows(self):
        """The body as NDJSON."""
        return [json.loads(line) for line in self.body.splitlines() if line]

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


ANSWER_S = 240  # as long as a test may last: what hangs is its timeout's affair


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("fanout", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    """The daemon's API. Each call is a connection of its own."""

    def __init__(self, path, timeout=ANSWER_S):
        self.path = str(path)
        self.timeout = timeout

    def request(self, method, path, body=None, headers=None, timeout=None):
        """`body`: bytes or str as they are, a list as NDJSON, anything else as JSON."""
        connection = UnixConnection(self.path, timeout or self.timeout)
        try:
            connection.request(method, path, encode(body), headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, body=b"" if body is None else body, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def connect(self):
        """A bare socket, for those who want to misbehave."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(self.timeout)
        sock.connect(self.path)
        return sock

    def stream(self, path, headers=None, timeout=None):
        """(connection, response) of an answer that is read as it comes; close the connection."""
        connection = UnixConnection(self.path, timeout or self.timeout)
        connection.request("GET", path, headers=headers or {})
        return connection, connection.getresponse()

    def events(self, path, last=None):
        """Yields (id, event, data) of a stream of server-sent events until it ends."""
        connection, response = self.stream(path, {"Last-Event-ID": str(last)} if last is not None else None)
        try:
            assert response.status == 200, Answer(response)
            fields = {}
            for line in response:
                line = line.decode().rstrip("\r\n")
                if line.startswith(":"):
                    continue
                if line:
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")
                elif fields:
                    yield fields.get("id"), fields.get("event"), json.loads(fields["data"])
                    fields = {}
        finally:
            connection.close()


def encode(body):
    if body is None or isinstance(body, (bytes, bytearray)):
        return body
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, list):
        return b"".join(json.dumps(row).encode() + b"\n" for row in body)
    return json.dumps(body).encode()


def fetch(url, method="GET", body=None, headers=None, timeout=ANSWER_S):
    """One request over TCP, without proxies, redirects or retries."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(method, parts.path + ("?" + parts.query if parts.query else ""), body, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()
