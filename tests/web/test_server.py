"""``anomaly-ov serve`` from its start to its end."""

import os
import signal
import socket
import threading
import time
import urllib.request

import pytest
from fake_cli import mistake

from framework.cli import main
from framework.web import server


@pytest.fixture
def serving(asker, monkeypatch, capsys):
    """Serve, send a signal once the page was seen; the exit status and what was said."""
    monkeypatch.setattr(server, "Asker", lambda checkpoint, **options: asker)

    def run(number, *arguments):
        ports, pages = [], []
        listen = server._listen

        def remember(host, port):
            ports.append((found := listen(host, port)).getsockname()[1])
            return found

        def visit():
            while not ports:
                time.sleep(0.01)
            with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/", timeout=30) as response:
                pages.append(response.read())
            os.kill(os.getpid(), number)  # answered, so its handler is there

        monkeypatch.setattr(server, "_listen", remember)
        visitor = threading.Thread(target=visit, daemon=True)
        visitor.start()
        status = main(["serve", "--checkpoint", "x", "--port", "0", *arguments])
        visitor.join()
        assert pages
        return status, ports[0], capsys.readouterr()

    return run


def test_sigterm_ends_it_well(serving):
    status, port, said = serving(signal.SIGTERM)
    assert status == 0 and said.out == f"http://127.0.0.1:{port} (Ctrl-C ends it)\n" and said.err == ""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_ctrl_c_ends_it_as_it_ends_the_other_verbs(serving):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # some ignore it for all they start
    try:
        status, _, said = serving(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert status == 130 and said.err == "anomaly-ov: interrupted; run the same command again to go on.\n"


def test_listening_to_everybody_is_warned_of(serving):
    status, _, said = serving(signal.SIGTERM, "--host", "0.0.0.0")
    assert status == 0
    assert said.err == "anomaly-ov: --host 0.0.0.0: anybody on the network can use this page.\n"


def test_a_port_that_is_taken(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = mistake(capsys, "serve", "--checkpoint", "nowhere", "--port", port)
    assert f"--host 127.0.0.1 --port {port}: cannot listen there (Address already in use). Choose another." in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "--port 70000: cannot listen there ("),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid --port 7860: cannot listen there ("),
        (["--most-mb", "0"], "--most-mb 0: allow 1 or more."),
        (["--reader", "slizes=8"], "no reader option called 'slizes'. Did you mean 'slices'?"),
        (["--reader", "slices=-1"], "slices: -1 is below 0; write 0 for all, else how many."),
        (["--port", "0"], "nowhere"),
    ],
)
def test_mistakes(capsys, arguments, message):
    assert message in mistake(capsys, "serve", "--checkpoint", "nowhere", *arguments)


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("10.0.0.1", False), ("a.b", False)],
)
def test_what_only_this_machine_reaches(host, alone):
    assert server._is_loopback(host) is alone
