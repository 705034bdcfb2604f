"""A real S3 server on loopback, and what stands before it: order, counts, delays and faults.

moto checks a condition and writes afterwards, without a lock between. A service does both at
once, and so does the proxy: one request that changes a key at a time.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

BUCKET = "workbench-tests"
START_S = 60

CODES = {
    "AccessDenied": 403,
    "InvalidAccessKeyId": 403,
    "RequestTimeTooSkewed": 403,
    "SlowDown": 503,
    "InternalError": 500,
    "NotImplemented": 501,
}


@dataclass
class Fault:
    """What happens to the next requests that match.

    `what` is a code of `CODES`, ``"lost"`` (it is done, the answer does not arrive), ``"cut"``
    (it is not done, and no answer arrives), ``"half"`` (half of the answer arrives) or ``"late"``
    (nothing but `meanwhile`, which is called before).
    """

    what: str
    matches: Callable[[str, str], bool]
    times: int
    meanwhile: Callable[[], None] = lambda: None


class S3Proxy:
    """Between a client and the server at a port.

    `latency_s`, and `page`, the most names in one answer to a list, may change at any time.
    """

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.latency_s = 0.0
        self.page = 0
        self.requests: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.log: list[tuple[str, str]] = []
        self.spans: list[tuple[float, float]] = []
        self.guard = threading.Lock()
        self.keys: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._faults: list[Fault] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.proxy = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def inject(
        self,
        what: str,
        method: str = "",
        ending: str = "",
        times: int = 1,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Fault:
        """Let requests of a method for keys of some ending fail, so many times."""
        matches = lambda m, key: m.startswith(method) and key.endswith(ending)  # noqa: E731
        fault = Fault(what, matches, times, meanwhile)
        with self.guard:
            self._faults.append(fault)
        return fault

    def heal(self) -> None:
        with self.guard:
            self._faults.clear()
        self.latency_s = 0.0
        self.page = 0

    def fault_for(self, method: str, key: str) -> str:
        with self.guard:
            for fault in self._faults:
                if fault.times > 0 and fault.matches(method, key):
                    fault.times -= 1
                    break
            else:
                return ""
        fault.meanwhile()
        return fault.what

    @contextmanager
    def counted(self) -> Iterator[Counter[str]]:
        """Count the requests of a block by their method; a list counts as ``"LIST"``."""
        with self.guard:
            before = Counter(self.requests)
        found: Counter[str] = Counter()
        yield found
        with self.guard:
            found.update(self.requests - before)

    def rounds(self, spans: list[tuple[float, float]]) -> int:
        """Return how many requests followed each other, of which no two were under way at once."""
        found, end = 0, 0.0
        for began, ended in sorted(spans, key=lambda span: span[1]):
            if began >= end:
                found, end = found + 1, ended
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None:
        pass

    def _pass_on(self) -> None:
        proxy: S3Proxy = self.server.proxy  # type: ignore[attr-defined]
        parts = urlsplit(self.path)
        key = unquote(parts.path)
        body = self._body()
        is_list = self.command == "GET" and "list-type" in parts.query
        began = time.monotonic()
        with proxy.guard:
            proxy.requests["LIST" if is_list else self.command] += 1
            proxy.bytes["up"] += len(body)
            proxy.log.append((self.command, self.path))
        time.sleep(proxy.latency_s)
        fault = proxy.fault_for(self.command, key)
        if fault == "cut":
            self._hang_up()
            return
        if fault in CODES:
            self._refuse(fault)
            return
        changing = self.command in ("PUT", "POST", "DELETE")
        with proxy.guard:
            lock = proxy.keys[key]
        with lock if changing else threading.Lock():
            try:
                status, headers, data = self._asked(body)
            except OSError:  # the server has ended, as at the end of the tests
                self._hang_up()
                return
        with proxy.guard:
            proxy.spans.append((began, time.monotonic()))
        if fault == "lost":
            self._hang_up()
            return
        self._answer(status, headers, data, len(data) // 2 if fault == "half" else len(data))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - http.server's names

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _asked(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        proxy: S3Proxy = self.server.proxy  # type: ignore[attr-defined]
        connection = http.client.HTTPConnection("127.0.0.1", proxy.upstream, timeout=60)
        try:
            path = self.path
            if proxy.page and "list-type" in path:
                path = f"{path}&max-keys={proxy.page}"
            connection.request(self.command, path, body, dict(self.headers))
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], data: bytes, most: int = 1 << 40
    ) -> None:
        proxy: S3Proxy = self.server.proxy  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "server"):
                self.send_header(name, value)
        length = {n.lower(): v for n, v in headers}.get("content-length", "0")
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(data)))
        try:
            self.end_headers()
            if self.command != "HEAD":
                for start in range(0, min(len(data), most), 1 << 16):
                    piece = data[start : min(start + (1 << 16), most)]
                    self.wfile.write(piece)
                    with proxy.guard:
                        proxy.bytes["down"] += len(piece)
            if most < len(data):
                self._hang_up()
        except ConnectionError:  # the client wants no more of it
            self.close_connection = True

    def _refuse(self, code: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"
        self._answer(CODES[code], [("Content-Type", "application/xml")], text.encode())

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def s3_server() -> Iterator[S3Proxy]:
    """Start both; the bucket is there and empty."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert put_when_it_answers(port, process, f"/{BUCKET}", dict) == 200
        proxy = S3Proxy(port)
        try:
            yield proxy
        finally:
            proxy.close()
    finally:
        process.kill()
        process.wait(START_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def put_when_it_answers(
    port: int, process: subprocess.Popen[bytes], path: str, headers: Callable[[], dict[str, str]]
) -> int:
    """Send a ``PUT`` to a server that has just been started; return its status."""
    limit = time.monotonic() + START_S
    while time.monotonic() < limit:
        assert process.poll() is None, "the server ended by itself"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("PUT", path, headers=headers())
            return connection.getresponse().status
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise TimeoutError("the server did not start")


def environment(proxy: S3Proxy) -> dict[str, str]:
    """Return what a client has to find in its environment."""
    return {
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key-of-the-tests",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
    }
