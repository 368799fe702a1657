"""An OpenAI-compatible endpoint on this machine that does as it is told, well or badly, and keeps what was asked."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeEndpoint(ThreadingHTTPServer):
    """Meets the coming requests as ``script`` says, one entry each, and all later ones as ``then`` says.

    An entry is "hold" (no answer until ``released`` is set), "drop" (the connection closes without an answer), "no
    json", "no choices", "nothing" (a completion without text), a status as "429" or "429 after 0" (Retry-After), or a
    function from the request's body to the text of the reply.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, *script, then=lambda body: "7"):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.then = list(script), then
        self.bodies, self.headers, self.paths = [], [], []
        self.lock, self.released = threading.Lock(), threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address):
        """A client that went away is no news."""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.headers.append(dict(self.headers))
            self.server.paths.append(self.path)
            entry = self.server.script.pop(0) if self.server.script else self.server.then
        if callable(entry):
            self.reply({"choices": [{"message": {"role": "assistant", "content": entry(body)}}]})
        elif entry == "hold":
            self.server.released.wait(20)
        elif entry == "no json":
            self.send(200, b"<html>busy</html>")
        elif entry == "no choices":
            self.reply({"choices": []})
        elif entry == "nothing":
            self.reply({"choices": [{"message": {"role": "assistant", "content": None}}]})
        elif entry != "drop":
            status, _, after = entry.partition(" after ")
            self.send(int(status), b'{"error": {"message": "as\\ntold"}}', {"Retry-After": after} if after else {})

    def reply(self, content):
        self.send(200, json.dumps(content).encode())

    def send(self, status, content, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextmanager
def serving(*script, **options):
    """A running endpoint."""
    server = FakeEndpoint(*script, **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
