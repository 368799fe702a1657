"""Talks are apart, few, and forgotten."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from fake_language import QUESTION
from numpy.testing import assert_array_equal
from PIL import Image

from framework import registry
from framework.colours import overlay
from framework.errors import UserError
from framework.tasks.subject import elements
from framework.types import Record, Sample
from framework.web import talks
from framework.web.talks import Talk, Talks

registry.load_domain("industrial")


def noise(*shape):
    return np.random.default_rng(0).integers(0, 255, shape, np.uint8)


def talk_of(asker, *shape):
    views = noise(*shape)
    return Talk(asker, "a.png", "industrial", Sample(Record(Path("a.png"), False, ""), views))


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_pictures_are_the_view_and_the_map_over_it(asker):
    views = noise(1, 3, 40, 60)
    seen, talk = asker.look(list(views)), talk_of(asker, 1, 3, 40, 60)
    (shown,) = talk.pictures
    view = views[0].transpose(1, 2, 0)
    assert_array_equal(pixels(shown["view"]), view)
    assert_array_equal(pixels(shown["map"]), overlay(view, seen.maps[0].numpy()))
    assert talk.told["score"] == pytest.approx(seen.score)
    assert (talk.told["adverb"], talk.told["of"], talk.told["shown"]) == (seen.adverb, 1, [0])
    (view,) = talk.told["views"]
    assert view == {"number": 1, "caption": "", "score": pytest.approx(float(seen.logits.sigmoid()), abs=1e-5)}
    assert talk.viewer is None and not talk.told["viewer"]
    assert not talk.subject.seen.maps and not talk.subject.sample.views.size


def test_large_pictures_are_made_small(asker):
    (shown,) = talk_of(asker, 1, 3, 100, 2048).pictures
    assert pixels(shown["view"]).shape == pixels(shown["map"]).shape == (50, 1024, 3)


def test_only_views_that_the_model_saw_are_shown(asker):
    talk = talk_of(asker, 6, 3, 40, 40)
    assert len(talk.pictures) == len(talk.told["shown"]) == 4 and talk.told["of"] == 6


def test_a_question_follows_the_last_and_a_picture_token_is_refused(asker):
    talk, pieces = talk_of(asker, 1, 3, 40, 40), []
    with pytest.raises(UserError, match=r"the question holds the control token <image>\. Take it out\."):
        talk.ask("<image> what?", pieces.append)
    talk.ask(QUESTION, pieces.append)
    assert "".join(pieces).strip() == talk.subject.turns[0][1]
    talk.ask("Why?", pieces.append)
    assert [question for question, _ in talk.subject.turns] == [f"<image>\n{QUESTION}", "Why?"]


def test_a_shape_is_coloured_by_the_maps_of_all_views_and_captions_are_told(asker):
    registry.load_domain("pointcloud")
    views = noise(5, 3, 40, 40)
    owner = np.random.default_rng(1).integers(0, 30, (5, 40, 40)).astype(np.int32)
    captions = tuple(f"from place {i}" for i in range(5))
    sample = Sample(Record(Path("a.ply"), False, ""), views, owner, captions=captions)
    seen = asker.look(list(views))
    scores = elements(seen, sample)
    scene = {"elements": np.arange(3, 30, dtype=np.int32), "place": np.zeros((27, 3), np.uint16)}
    talk = Talk(asker, "a.ply", "pointcloud", sample, scene)
    assert talk.told["viewer"] and [v["caption"] for v in talk.told["views"]] == [captions[i] for i in seen.shown]
    text = talk.viewer.decode()
    assert f'<script nonce="{talk.nonce}">' in text and "makeStage" in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    codes = np.frombuffer(base64.b64decode(data["layers"][0]["codes"]["bytes"]), "<u2")
    assert np.abs(codes / 65535 - scores[3:]).max() < 1e-4
    assert data["start"] == int(seen.logits.argmax()) and data["views"] == []
    assert sample.owner is None  # what is shown is made: nothing else is kept
    talk.ask(QUESTION, lambda _: None)
    ((asked, _),) = talk.subject.turns
    assert asked.startswith(f"{'<image>' + chr(10)}" * 4 + f"Image 1: from place {seen.shown[0]}.")


def test_secrets_differ_and_forget():
    kept = Talks()
    first, second = kept.add("a"), kept.add("b")
    assert (kept.get(first), kept.get(second), kept.get("c")) == ("a", "b", None) and len(first) > 40
    kept.forget(first)
    kept.forget(first)
    assert (kept.get(first), kept.get(second)) == (None, "b")


def test_the_one_idle_longest_makes_room(monkeypatch):
    monkeypatch.setattr(talks, "MOST", 2)
    kept = Talks()
    first, second = kept.add("a"), kept.add("b")
    kept.get(first)
    third = kept.add("c")
    assert [kept.get(s) for s in (first, second, third)] == ["a", None, "c"]


def test_after_an_hour_a_talk_is_forgotten(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(talks.time, "monotonic", lambda: now[0])
    kept = Talks()
    first, second = kept.add("a"), kept.add("b")
    now[0] = 1800.0
    kept.get(second)
    now[0] = 3601.0
    kept.forget_idle()
    assert (kept.get(first), kept.get(second)) == (None, "b")
