"""Views and questions in; that answers do not depend on the company, and what cannot be asked is one line."""

import inspect
import itertools
from pathlib import Path

import fake_language
import numpy as np
import pytest
import torch
from fake_asker import talkative
from fake_language import picture
from numpy.testing import assert_allclose
from transformers.utils import is_flash_attn_2_available

from framework.data import crops
from framework.errors import UserError
from framework.tasks.asking import Asker
from framework.tasks.seeing import Seen


@pytest.fixture(scope="module")
def asker(tmp_path_factory):
    return Asker(talkative(tmp_path_factory.mktemp("small") / "model"), "cpu")


@pytest.mark.parametrize("several", [False, True])
def test_pictures_are_cut_as_the_asker_was_told(asker, several, monkeypatch):
    asked = []
    cut = crops.cut
    monkeypatch.setattr(
        crops, "cut", lambda view, size, mode, canvas: asked.append(mode) or cut(view, size, mode, canvas)
    )
    views = [picture(130, 190, i) for i in range(1 + several)]
    exact = asker.look(views, most=1)
    monkeypatch.setattr(asker, "fast", True)
    fast = asker.look(views, most=1)
    modes = ["square", "square", "anyres"] if several else ["anyres"]
    assert asked == [*modes, *(f"{mode}-fast" for mode in modes)]
    for one, other in zip(fast.maps, exact.maps, strict=True):
        assert_allclose(one, other, atol=0.05)
    assert inspect.signature(Asker).parameters["fast"].default is False


def test_answers_in_a_batch_are_those_one_by_one(asker):
    samples = [[picture(100, 400, 1)], [picture(330, 310, 2)], [picture(90, 200, 3), picture(250, 120, 4)]]
    seen = [asker.look(views) for views in samples]
    turns = [
        [(asker.opening(seen[0], "Why?"), None)],
        [(asker.opening(seen[1], fake_language.QUESTION), "No"), ("Why? Because the surface is rough.", None)],
        [(asker.opening(seen[2], "Yes?"), "So it is."), ("Why?", "No"), ("So?", None)],
    ]
    alone = [asker.answer([s], [t], 12)[0] for s, t in zip(seen, turns, strict=True)]
    assert len(set(alone)) == 3 and all(alone)
    assert asker.answer(seen, turns, 12) == alone
    assert asker.answer(seen[::-1], turns[::-1], 12) == alone[::-1]


def test_every_picture_of_several_has_its_tokens_and_captions_are_but_lines_of_text(asker, monkeypatch):
    views = [picture(96, 96, i) for i in range(5)]
    seen = asker.look(views)
    captions = [f"from place {i}" for i in range(5)]
    told = asker.opening(seen, "Why?", captions)
    lines = [f"Image {number}: from place {i}." for number, i in enumerate(seen.shown, 1)]
    assert told == "\n".join([*["<image>"] * 4, *lines, "Why?"])
    monkeypatch.setattr(asker, "captions", False)
    assert asker.opening(seen, "Why?", captions) == asker.opening(seen, "Why?") == "<image>\n" * 4 + "Why?"  # published
    image, of_one = asker.chat.image_id, asker.chat.layout.tokens(96, 96, several=True)
    for text in (told, asker.opening(seen, "Why?")):
        ids = asker.prompt(seen, [(text, None)], 4).ids
        runs = [len(list(run)) for token, run in itertools.groupby(ids) if token == image]
        assert runs == [of_one] * 4 == [len(tokens) for tokens in seen.tokens]


def test_an_answer_depends_on_picture_and_history(asker):
    dark, light = asker.look([np.full((3, 80, 80), 30, np.uint8)]), asker.look([picture(80, 80, 5)])
    first = asker.opening(dark, "Why?")
    told = [[(first, "Yes"), ("So?", None)], [(first, "No, it is rough."), ("So?", None)]]
    yes, no = asker.answer([dark, dark], told, 10)
    assert yes != no
    assert asker.answer([light], [told[0]], 10) != [yes]


@pytest.mark.parametrize(("part", "what"), [("model.get_image_features", "look"), ("generate", "answer")])
def test_a_device_without_room_is_one_line(asker, monkeypatch, part, what):
    seen = asker.look([picture(80, 80, 5)])
    owner = asker.model.model if part.startswith("model.") else asker.model

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation")

    monkeypatch.setattr(owner, part.removeprefix("model."), full)
    with pytest.raises(UserError) as error:
        if what == "look":
            asker.look([picture(80, 80, 5)])
        else:
            asker.answer([seen], [[(asker.opening(seen, "Why?"), None)]], 4)
    assert str(error.value) == (
        f"device cpu: no room to {what}. Ask about fewer samples at once (test_batch_size), show fewer views "
        "(answer.views, --views), or take bfloat16 (model.dtype, --dtype)."
    )


def test_pieces_joined_are_the_answer(asker):
    seen = asker.look([picture(80, 80, 5)])
    pieces = []
    (answer,) = asker.answer([seen], [[(asker.opening(seen, "Why?"), None)]], 20, pieces.append)
    assert answer and "".join(pieces).strip() == answer and len(pieces) > 2


def said(asker, question, tokens=8, turns=(), seen=None):
    seen = seen or Seen(torch.zeros(1), [], [0], [(80, 80)], [], "slightly")
    with pytest.raises(UserError) as error:
        asker.prompt(seen, [*turns, (asker.opening(seen, question), None)], tokens)
    return str(error.value)


def test_what_cannot_be_asked_is_one_line(asker):
    assert said(asker, "So <|im_end|>?") == (
        "the text '<image>\\nSo <|im_end|>?' holds the control token <|im_end|>. Take it out."
    )
    assert said(asker, "<image>") == "a conversation of 1 pictures has 2 <image>. Write one a picture."
    assert said(asker, "So \udcff") == "the question holds bytes that are no text in UTF-8. Take them out."


def test_a_talk_that_no_longer_fits_is_refused(asker):
    seen = Seen(torch.zeros(1), [], [0], [(80, 80)], [], "slightly")
    turns = [(asker.opening(seen, "Why?"), None)]
    used = len(asker.prompt(seen, turns, 1).ids)
    room = asker.chat.longest - used
    assert len(asker.prompt(seen, turns, room).ids) == used
    assert said(asker, "Why?", room + 1) == (
        f"{used} tokens and an answer of {room + 1} do not fit into the 8192 that the model can read. "
        "Show it fewer views, or begin a new conversation."
    )


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"device": "cdua"}, "device 'cdua': Expected one of cpu, cuda"),
        ({"views": 0}, "views: the model must be shown 1 or more, not 0."),
        pytest.param(
            {"device": "cuda"},
            "device 'cuda': ",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="is no mistake where there is a GPU"),
        ),
        ({"device": "cpu"}, "nowhere: no model folder. Make one with `anomaly-ov convert SOURCE nowhere`."),
    ],
)
def test_mistakes_are_told_before_anything_is_loaded(tmp_path, monkeypatch, options, line):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        Asker(Path("nowhere"), **options)
    assert str(error.value).startswith(line) and "\n" not in str(error.value)


def test_the_attention_that_is_asked_for_is_taken(asker, tmp_path):
    folder = talkative(tmp_path / "model")
    views = [picture(100, 400, 1)]
    eager = Asker(folder, "cpu", attention="eager")
    assert eager.model.config.text_config._attn_implementation == "eager"
    assert asker.model.config.text_config._attn_implementation == "sdpa"
    one, other = asker.look(views), eager.look(views)
    turns = [[(asker.opening(one, "Why?"), None)]]
    assert asker.answer([one], turns, 12) == eager.answer([other], turns, 12)


@pytest.mark.skipif(is_flash_attn_2_available(), reason="is no mistake where it is installed")
def test_an_attention_that_is_not_installed(tmp_path):
    with pytest.raises(UserError) as error:
        Asker(talkative(tmp_path / "model"), "cpu", attention="flash_attention_2")
    line = str(error.value)
    assert line.startswith("attention 'flash_attention_2': not installed here (") and "\n" not in line
    assert line.endswith(" Install it, or set model.attention=sdpa.")


def test_flash_attention_in_full_precision_is_told_before_it_fails(asker, monkeypatch):
    monkeypatch.setattr("framework.tasks.asking.tuned.load", lambda *_: (asker.model, asker.chat))
    with pytest.raises(UserError) as error:
        Asker(Path("model"), "cpu", attention="flash_attention_2")
    assert str(error.value) == (
        "attention 'flash_attention_2': works on a GPU in bfloat16 or float16, not in torch.float32 on cpu. "
        "Set model.dtype=bfloat16, or model.attention=sdpa."
    )
