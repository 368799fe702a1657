"""Talks are apart, few, and forgotten."""

import io

import numpy as np
import pytest
from fake_language import QUESTION
from numpy.testing import assert_array_equal
from PIL import Image

from framework import registry
from framework.colours import overlay
from framework.errors import UserError
from framework.web import talks
from framework.web.talks import Talk, Talks

registry.load_domain("industrial")


def noise(*shape):
    return np.random.default_rng(0).integers(0, 255, shape, np.uint8)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_pictures_are_the_view_and_the_map_over_it(asker):
    views = noise(1, 3, 40, 60)
    seen, talk = asker.look(list(views)), Talk(asker, "a.png", "industrial", views)
    (shown,) = talk.pictures
    view = views[0].transpose(1, 2, 0)
    assert_array_equal(pixels(shown["view"]), view)
    assert_array_equal(pixels(shown["map"]), overlay(view, seen.maps[0].numpy()))
    assert talk.told["score"] == pytest.approx(seen.score)
    assert (talk.told["adverb"], talk.told["views"], talk.told["shown"]) == (seen.adverb, 1, [0])
    assert not talk.subject.seen.maps and not talk.subject.sample.views.size


def test_large_pictures_are_made_small(asker):
    (shown,) = Talk(asker, "a.png", "industrial", noise(1, 3, 100, 2048)).pictures
    assert pixels(shown["view"]).shape == pixels(shown["map"]).shape == (50, 1024, 3)


def test_only_views_that_the_model_saw_are_shown(asker):
    talk = Talk(asker, "a.ply", "industrial", noise(6, 3, 40, 40))
    assert len(talk.pictures) == len(talk.told["shown"]) == 4 and talk.told["views"] == 6


def test_a_question_follows_the_last_and_a_picture_token_is_refused(asker):
    talk, pieces = Talk(asker, "a.png", "industrial", noise(1, 3, 40, 40)), []
    with pytest.raises(UserError, match=r"the question holds the control token <image>\. Take it out\."):
        talk.ask("<image> what?", pieces.append)
    talk.ask(QUESTION, pieces.append)
    assert "".join(pieces).strip() == talk.subject.turns[0][1]
    talk.ask("Why?", pieces.append)
    assert [question for question, _ in talk.subject.turns] == [f"<image>\n{QUESTION}", "Why?"]


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
