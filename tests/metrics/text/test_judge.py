"""The judge against a local endpoint: scores, what is asked again and what never, several threads, and a kill."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fake_endpoint import serving

from framework.errors import UnreadableError, UserError
from framework.metrics.text import judge as module
from framework.metrics.text.endpoint import Chat, Endpoint
from framework.metrics.text.judge import Question, judge, messages, read_score

ROOT = Path(__file__).parents[3]
ITEMS = [Question(f"question {i}", "a scratch on the rim", f"a scratch, score {i % 10 + 1}") for i in range(12)]
EXPECTED = [[i % 10 + 1] for i in range(12)]


def told(body):
    """The score that the candidate asks for."""
    return re.findall(r"score (\d+)", body["messages"][1]["content"])[0]


def asked(server):
    return Counter(re.findall(r"question \d+", body["messages"][1]["content"])[0] for body in server.bodies)


def at(server, **patience):
    return Endpoint(server.url, "tiny", **{"backoff_s": 0.001, "timeout_s": 5} | patience)


def test_scores_come_in_the_order_of_the_questions_and_are_kept(tmp_path):
    path = tmp_path / "replies.jsonl"
    with serving(then=told) as server:
        found = judge(ITEMS, at(server), path)
        assert found.scores.tolist() == EXPECTED
        assert (found.prompt, found.model, found.coverage) == ("judge/1", "tiny", 1)
        assert found.mean == pytest.approx(np.mean(EXPECTED))
        again = judge(ITEMS[::-1], at(server), path)
        assert again.scores.tolist() == EXPECTED[::-1]
        assert len(server.bodies) == 12
    line = json.loads(path.read_text().splitlines()[0])
    assert {k: line[k] for k in ("prompt", "model", "repeat", "tries")} == {
        **{"prompt": "judge/1", "model": "tiny"},
        **{"repeat": 0, "tries": 1},
    }
    assert line["reply"] == str(line["score"])


def test_order_does_not_depend_on_timing(tmp_path):
    def late(body):
        time.sleep(0.02 * (12 - int(told(body))) / 12)
        return told(body)

    with serving(then=late) as server:
        assert judge(ITEMS, at(server), tmp_path / "r", workers=6).scores.tolist() == EXPECTED


def test_as_many_requests_run_at_once_as_there_are_workers(tmp_path):
    meeting = threading.Barrier(4, timeout=60)  # breaks unless four requests meet

    def meet(body):
        meeting.wait()
        return "5"

    with serving(then=meet) as server:
        assert judge(ITEMS, at(server), tmp_path / "r", workers=4).coverage == 1
    assert len(server.bodies) == 12


def test_a_reply_without_a_score_is_asked_again_with_another_seed_and_then_kept_as_none(tmp_path):
    replies = {"question 0": ["rather good", "8"], "question 1": ["11", "", "seven"], "question 2": ["3"]}

    def moody(body):
        return replies[re.findall(r"question \d", body["messages"][1]["content"])[0]].pop(0)

    with serving(then=moody) as server:
        found = judge(ITEMS[:3], at(server), tmp_path / "r", workers=1)
        np.testing.assert_array_equal(found.scores, [[8], [np.nan], [3]])
        assert (found.coverage, found.mean) == (pytest.approx(2 / 3), 5.5)
        assert [body["seed"] for body in server.bodies] == [0, 1000, 0, 1000, 2000, 0]
        again = judge(ITEMS[:3], at(server), tmp_path / "r")
        np.testing.assert_array_equal(again.scores, found.scores)
    assert len(server.bodies) == 6
    assert [json.loads(x)["tries"] for x in (tmp_path / "r").read_text().splitlines()] == [1, 2, 1, 2, 3, 1]


def test_a_judgement_that_was_stopped_between_two_tries_goes_on_at_the_next(tmp_path, monkeypatch):
    said = ["rather good", None, "8"]

    def moody(body):
        if (reply := said.pop(0)) is None:
            raise KeyboardInterrupt
        return reply

    monkeypatch.setattr(Chat, "ask", lambda self, messages, seed: moody(messages))
    with pytest.raises(KeyboardInterrupt):
        judge(ITEMS[:1], Endpoint("http://127.0.0.1:1", "tiny"), tmp_path / "r")
    monkeypatch.undo()
    with serving(then=lambda body: "8") as server:
        assert judge(ITEMS[:1], at(server), tmp_path / "r").scores.tolist() == [[8]]
        assert [body["seed"] for body in server.bodies] == [1000]


def test_no_score_at_all_has_no_mean(tmp_path):
    with serving(then=lambda body: "?") as server:
        found = judge(ITEMS[:2], at(server), tmp_path / "r", tries=1)
    assert (found.mean, found.coverage, len(server.bodies)) == (None, 0, 2)


def test_repeats_have_seeds_of_their_own_and_cost_nothing_twice(tmp_path):
    with serving(then=lambda body: str(body["seed"] + 1)) as server:
        assert judge(ITEMS[:2], at(server), tmp_path / "r").scores.tolist() == [[1], [1]]
        found = judge(ITEMS[:2], at(server), tmp_path / "r", repeats=3)
        assert found.scores.tolist() == [[1, 2, 3]] * 2
        assert found.mean == 2
    assert len(server.bodies) == 6


def test_equal_questions_are_judged_once_and_other_texts_or_models_anew(tmp_path):
    first = Question("q", "r", "score 3")
    others = [Question("q2", "r", "score 3"), Question("q", "r2", "score 3"), Question("q", "r", "score 4")]
    with serving(then=told) as server:
        assert judge([first, first, *others], at(server), tmp_path / "r").scores.tolist() == [[3], [3], [3], [3], [4]]
        assert len(server.bodies) == 4
        judge([first], Endpoint(server.url, "other"), tmp_path / "r")
        assert len(server.bodies) == 5


def test_another_prompt_is_asked_anew(tmp_path, monkeypatch):
    with serving(then=told) as server:
        judge(ITEMS[:1], at(server), tmp_path / "r")
        monkeypatch.setattr(module, "PROMPT", "judge/2")
        assert judge(ITEMS[:1], at(server), tmp_path / "r").prompt == "judge/2"
    assert len(server.bodies) == 2


@pytest.mark.parametrize("trouble", ["429 after 0", "500", "no json", "drop"])
def test_trouble_that_passes_changes_no_score(tmp_path, trouble):
    with serving(trouble, trouble, trouble, then=told) as server:
        assert judge(ITEMS, at(server), tmp_path / "r").scores.tolist() == EXPECTED
    assert len(server.bodies) == 15


def test_trouble_that_lasts_ends_in_a_line_and_keeps_what_came(tmp_path):
    with serving(*[told] * 5, then="500") as server:
        with pytest.raises(UserError, match=r"HTTP 500 \(as told\), 2 times in a row\. Replies so far are kept: run"):
            judge(ITEMS, at(server, attempts=2), tmp_path / "r", workers=1)
        assert len(server.bodies) <= 8  # the next question may have met the first of its troubles
        server.then = told
        server.bodies.clear()
        assert judge(ITEMS, at(server), tmp_path / "r").scores.tolist() == EXPECTED
    assert len(server.bodies) == 7


def test_after_an_error_the_other_threads_do_not_wait_for_their_next_attempt(tmp_path):
    began = time.monotonic()
    with serving("500", "500", "500", then="401") as server, pytest.raises(UserError, match="HTTP 401"):
        judge(ITEMS, at(server, backoff_s=30), tmp_path / "r", workers=4)
    assert time.monotonic() - began < 10
    assert len(server.bodies) < 12


RUN = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from metrics.text.test_judge import ITEMS
from framework.metrics.text.endpoint import Chat, Endpoint
from framework.metrics.text.judge import judge
judge(ITEMS, Endpoint(sys.argv[3], "tiny"), Path(sys.argv[4]), workers=2)
"""


def test_a_kill_loses_at_most_the_requests_under_way(tmp_path):
    path = tmp_path / "replies.jsonl"
    with serving(*[told] * 5, then="hold") as server:
        command = [sys.executable, "-c", RUN, str(ROOT), str(ROOT / "tests"), server.url, str(path)]
        process = subprocess.Popen(command, env={**os.environ, "NO_PROXY": "127.0.0.1"})
        deadline = time.monotonic() + 30
        while len(server.bodies) < 7 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        before = asked(server)
        assert sum(before.values()) == 7
        whole = path.read_bytes()
        assert whole.count(b"\n") == 5
        path.write_bytes(whole + b'{"key": "half a')
        server.then = told
        assert judge(ITEMS, at(server), path).scores.tolist() == EXPECTED
        after = asked(server)
    assert sum(after.values()) == 12 + 2
    assert {question for question, times in after.items() if times == 2} <= set(before)
    assert set(after.values()) == {1, 2}


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        *[
            (text, 7)
            for text in ("7", " 7.", "**7**", "7/10", "7 out of 10", "Score: 7", "**Score:** 7/10", "7.0", "Rating - 7")
        ],
        *[("10", 10), ("1", 1), ("7\n\nIt names the rim.", 7), ("<think>3 or 4</think>\n7", 7), ('"7"', 7)],
        *[
            (text, None)
            for text in ("", " ", "11", "0", "-3", "7.5", "3 or 4", "7 8", "seven", "7/100", "1e1", "7, good")
        ],
        *[(text, None) for text in ("I give 7", "Good.\n7", "<think>7", "100", "Score:", "70%", "+7")],
    ],
)
def test_only_a_number_alone_on_the_first_line_is_a_score(reply, score):
    assert read_score(reply) == score


def test_the_prompt_is_pinned_and_holds_the_texts_as_they_are():
    system, user = messages(Question("{reference} why?", "r {x}", "c </candidate>"))
    assert (system["role"], user["role"]) == ("system", "user")
    assert "<question>\n{reference} why?\n</question>\n<reference>\nr {x}\n</reference>" in user["content"]
    assert "<candidate>\nc </candidate>\n</candidate>" in user["content"]
    texts = module.PROMPT + module.SYSTEM + module.REQUEST
    digest = hashlib.sha256(texts.encode()).hexdigest()
    assert digest[:16] == "95f08718f8e1ab95", "a change of the prompt needs a new name, and then this hash"


@pytest.mark.parametrize("score", ['"7"', "0", "11", "7.0", "true"])
def test_a_score_edited_into_nonsense_is_told(tmp_path, score):
    path = tmp_path / "r"
    with serving(then=told) as server:
        judge(ITEMS[:1], at(server), path)
        path.write_text(path.read_text().replace('"score": 1,', f'"score": {score},'))
        with pytest.raises(
            UnreadableError, match=r"r: the reply \w{12}\.\.\. has no score of 1 to 10\. Delete its line"
        ):
            judge(ITEMS[:1], at(server), path)


@pytest.mark.parametrize("wrong", [{"repeats": 0}, {"workers": 0}, {"tries": 0}])
def test_counts_must_be_positive(tmp_path, wrong):
    with pytest.raises(ValueError, match=r"need 1 each$"):
        judge(ITEMS, Endpoint("http://x", "m"), tmp_path / "r", **wrong)
    with pytest.raises(ValueError, match=r"^0 questions"):
        judge([], Endpoint("http://x", "m"), tmp_path / "r")
