"""A real HTTP server on 127.0.0.1 that misbehaves on request."""

import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """How the server answers for one path.

    Attributes:
        content: what it has.
        ranges: whether it honours Range.
        cuts: bytes of a body after which it closes the connection, one an answer.
        length: a Content-Length that it claims, None for the true one, -1 for none at all.
        statuses: answered before anything else, one a request.
        redirect: where it sends every request.
        etag: None for no ETag; the CRC of the content if "".
        content_range: the Content-Range that it claims.
    """

    content: bytes = b""
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    length: int | None = None
    statuses: list[int] = field(default_factory=list)
    redirect: str | None = None
    etag: str | None = ""
    content_range: str | None = None
    requests: list[dict[str, str]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    paths: dict[str, Behaviour]

    def do_GET(self):
        behaviour = self.paths[self.path]
        behaviour.requests.append(dict(self.headers))
        if behaviour.statuses:
            self.answer(behaviour.statuses.pop(0), b"sorry")
        elif behaviour.redirect:
            self.send_response(302)
            self.send_header("Location", behaviour.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.send_file(behaviour)

    def send_file(self, behaviour):
        tag = behaviour.etag
        tag = f'"{zlib.crc32(behaviour.content)}"' if tag == "" else tag
        start, total = 0, len(behaviour.content)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        unchanged = self.headers.get("If-Range", tag) == tag
        if asked and behaviour.ranges and unchanged:
            start = int(asked[1])
            if start >= total:
                self.answer(416, b"")
                return
        body = behaviour.content[start:]
        self.send_response(206 if start else 200)
        if start:
            claimed = behaviour.content_range or f"bytes {start}-{total - 1}/{total}"
            self.send_header("Content-Range", claimed)
        if tag:
            self.send_header("ETag", tag)
        if behaviour.length == -1:
            self.send_header("Connection", "close")
        else:
            length = len(body) if behaviour.length is None else behaviour.length - start
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if behaviour.cuts:
            body = body[: behaviour.cuts.pop(0)]
            self.close_connection = True
        self.wfile.write(body)
        if behaviour.length is not None:
            self.close_connection = True

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that hangs up early is what many tests are about."""


@contextmanager
def server(**behaviours: Behaviour) -> Iterator[str]:
    """Serves each behaviour under its name; yields the address."""
    handler = type("Paths", (Handler,), {"paths": {f"/{k}": v for k, v in behaviours.items()}})
    with Server(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}"
        finally:
            http.shutdown()
            thread.join()
