"""Asking an endpoint that answers, fails for a while, or never does: requests made and the line a user sees."""

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from fake_endpoint import serving

from framework.errors import UserError
from framework.metrics.text.endpoint import Chat, Endpoint, find_endpoint

HELLO = [{"role": "user", "content": "hello"}]


def chat(server, **patience):
    return Chat(Endpoint(server.url, "tiny", **{"backoff_s": 0.001, "timeout_s": 5, "attempts": 3} | patience))


def complaint(server, **patience):
    with pytest.raises(UserError) as caught:
        chat(server, **patience).ask(HELLO, 0)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(server.url, "URL")


def test_a_request_is_pinned_and_carries_the_key():
    with serving(lambda body: "héllo \U0001f642") as server:
        assert chat(server, key="secret").ask([{"role": "user", "content": "ü \ud83d"}], 5) == "héllo \U0001f642"
        assert chat(server).ask(HELLO, 0) == "7"
    first = {"model": "tiny", "messages": [{"role": "user", "content": "ü \ud83d"}], "temperature": 0, "seed": 5}
    assert server.bodies[0] == first
    assert server.paths == ["/v1/chat/completions"] * 2
    assert server.headers[0]["Authorization"] == "Bearer secret"
    assert server.headers[0]["Content-Type"] == "application/json"
    assert "Authorization" not in server.headers[1]
    assert "secret" not in repr(Endpoint("u", "m", "secret"))


@pytest.mark.parametrize("trouble", ["429 after 0", "429", "500", "503", "408", "no json", "no choices", "drop"])
def test_what_may_pass_is_asked_again(trouble):
    with serving(trouble, trouble) as server:
        assert chat(server).ask(HELLO, 0) == "7"
    assert len(server.bodies) == 3


def test_silence_is_a_time_out_and_is_asked_again():
    with serving("hold") as server:
        assert chat(server, timeout_s=0.1).ask(HELLO, 0) == "7"
    assert len(server.bodies) == 2


def test_a_reply_without_text_is_empty():
    with serving("nothing") as server:
        assert chat(server).ask(HELLO, 0) == ""
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("429", "HTTP 429 (as told)"),
        ("500", "HTTP 500 (as told)"),
        ("no json", "an answer that is no chat completion"),
        ("hold", "no answer within 0.1 s"),
    ],
)
def test_after_the_last_attempt_a_line_says_what_happened(trouble, said):
    with serving(then=trouble) as server:
        line = complaint(server, timeout_s=0.1)
    assert line == f"judge: URL: {said}, 3 times in a row. Replies so far are kept: run again when it answers."
    assert len(server.bodies) == 3


def test_a_closed_port_is_asked_again_and_then_told():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    asker = Chat(Endpoint(url, "tiny", backoff_s=0.001, attempts=2))
    with pytest.raises(UserError, match=r"no connection \(.*refused.*\), 2 times in a row\. Replies so far are kept"):
        asker.ask(HELLO, 0)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("401", "Check ANOMALY_OV_JUDGE_KEY."),
        ("403", "Check ANOMALY_OV_JUDGE_KEY and what it may use."),
        ("404", "Check ANOMALY_OV_JUDGE_URL and ANOMALY_OV_JUDGE_MODEL."),
        ("400", "Check ANOMALY_OV_JUDGE_URL and what 'tiny' allows."),
        ("302", "Check ANOMALY_OV_JUDGE_URL and what 'tiny' allows."),
    ],
)
def test_a_refusal_is_told_at_once(status, advice):
    with serving(status) as server:
        assert complaint(server) == f"judge: URL: HTTP {status} (as told). {advice}"
    assert len(server.bodies) == 1


def test_waits_double_up_to_a_limit_and_follow_the_server(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    script = ["500", "500", "500", "429 after 20", "500", "503 after 1", "429 after soon"]
    with serving(*script) as server:
        asker, waits = chat(server, backoff_s=2, longest_s=60, attempts=8), []
        monkeypatch.setattr(asker.stopped, "wait", waits.append)
        assert asker.ask(HELLO, 0) == "7"
    assert waits[:5] == [2, 4, 8, 20, 32]
    assert waits[5:] == [60, 60]


def test_a_date_to_wait_for_is_waited_for(monkeypatch):
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=50), usegmt=True)
    with serving(f"503 after {then}", f"503 after {past}") as server:
        asker, waits = chat(server), []
        monkeypatch.setattr(asker.stopped, "wait", waits.append)
        assert asker.ask(HELLO, 0) == "7"
    assert 45 < waits[0] <= 50 and waits[1] < 0.01


def test_jitter_takes_up_to_half_of_a_wait(monkeypatch):
    waits = []
    with serving() as server:
        asker = chat(server, backoff_s=8)
        monkeypatch.setattr(asker.stopped, "wait", waits.append)
        for _ in range(50):
            asker._wait(1, 0, "")
    assert 4 <= min(waits) < 5 and 7 < max(waits) <= 8


def test_a_wait_that_is_too_long_ends_in_a_line():
    with serving("429 after 3600") as server:
        line = complaint(server, longest_s=60)
    assert line == "judge: URL: HTTP 429 (as told), and asks to wait 3600 s. Replies so far are kept: run again then."


def test_stop_ends_a_wait_and_lets_no_request_begin():
    with serving(then="500") as server:
        asker, errors = chat(server, backoff_s=30), []

        def ask():
            try:
                asker.ask(HELLO, 0)
            except UserError as error:
                errors.append(str(error))

        thread = threading.Thread(target=ask)
        thread.start()
        while not server.bodies:
            time.sleep(0.005)
        asker.stop()
        thread.join(5)
        assert errors == ["judge: stopped."]
        with pytest.raises(UserError, match=r"^judge: stopped\.$"):
            asker.ask(HELLO, 0)
    assert len(server.bodies) == 1


def test_arguments_come_before_the_environment(monkeypatch):
    monkeypatch.setenv("ANOMALY_OV_JUDGE_URL", "http://host/v1/chat/completions/")
    monkeypatch.setenv("ANOMALY_OV_JUDGE_MODEL", " tiny ")
    monkeypatch.setenv("ANOMALY_OV_JUDGE_KEY", "secret\n")
    assert find_endpoint() == Endpoint("http://host/v1", "tiny", "secret")
    assert find_endpoint("https://x/", "big", "", attempts=2) == Endpoint("https://x", "big", "", attempts=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"model": "m"},
            "judge: ANOMALY_OV_JUDGE_URL is not set. Set it to an OpenAI-compatible endpoint's address, "
            "for example http://localhost:8000/v1.",
        ),
        (
            {"url": "http://x"},
            "judge: ANOMALY_OV_JUDGE_MODEL is not set. Set it to an OpenAI-compatible endpoint's model name there.",
        ),
        (
            {"url": "localhost:80", "model": "m"},
            "judge: 'localhost:80' is no address. Write ANOMALY_OV_JUDGE_URL as http://localhost:8000/v1.",
        ),
        (
            {"url": "http://", "model": "m"},
            "judge: 'http://' is no address. Write ANOMALY_OV_JUDGE_URL as http://localhost:8000/v1.",
        ),
        (
            {"url": "http://x", "model": "m", "key": "sécret"},
            "judge: ANOMALY_OV_JUDGE_KEY holds characters that no key has. Set it to the key alone.",
        ),
    ],
)
def test_what_is_missing_is_told(arguments, message):
    with pytest.raises(UserError) as caught:
        find_endpoint(**arguments)
    assert str(caught.value) == message


def test_an_address_that_only_looks_like_one_is_told():
    with pytest.raises(UserError, match=r"^judge: http://x:port/v1: no address to ask \(.*\)\. Check ANOMALY_OV_JUDGE"):
        Chat(find_endpoint("http://x:port/v1", "m"))


@pytest.mark.parametrize("patience", [{"attempts": 0}, {"timeout_s": 0}, {"backoff_s": -1}, {"longest_s": -1}])
def test_patience_must_make_sense(patience):
    with pytest.raises(UserError, match=r"^judge: attempts and timeout_s must be positive, waits 0 or more, is End"):
        Endpoint("http://x", "m", **patience)
