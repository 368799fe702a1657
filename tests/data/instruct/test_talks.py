"""Conversations measured, put into batches that any number of ranks share, and read."""

import json

import numpy as np
import pytest
import torch
from fake_language import QUESTION, TEXTS, picture
from PIL import Image

from framework.data.instruct import conversations
from framework.data.instruct.talks import GroupedBatches, Measured, Talks, Together, loader, measure
from framework.errors import UnreadableError, UserError
from framework.models.onevision.chat import Chat
from framework.models.onevision.layout import IGNORED
from framework.models.onevision.small import configure, tokenizer

SIZES = [(40, 40), (40, 90), (100, 30)]


@pytest.fixture(scope="module")
def chat():
    words = tokenizer(TEXTS)
    return Chat(words, configure(words, canvas=2))


@pytest.fixture
def folder(tmp_path):
    for i, size in enumerate(SIZES):
        Image.fromarray(picture(*size, i).transpose(1, 2, 0)).save(tmp_path / f"{i}.png")
    return tmp_path


def read(folder, *talks):
    """Conversations of (pictures, answers)."""
    entries = []
    for names, answers in talks:
        turns = [{"from": who, "value": text} for a in answers for who, text in (("human", QUESTION), ("gpt", a))]
        entries.append({"image": names, "conversations": turns})
    (folder / "talks.json").write_text(json.dumps(entries))
    return conversations.load(folder / "talks.json", folder)


def some(folder):
    return read(folder, (["0.png"], ["No"]), (["1.png"], ["Yes", "No"]), (["2.png", "0.png"], ["Yes, a scratch."]))


def batches(lengths, learned=None, size=4, at_once=1, rank=0, ranks=1, grouped=True, average="conversation", at=(0, 0)):
    found = [Measured(None, (), n, m) for n, m in zip(lengths, learned or lengths, strict=True)]
    return GroupedBatches(found, size, at_once, 3, rank, ranks, grouped, average, lambda: at)


def steps(lengths, ranks=1, **options):
    """The micro-batches of all ranks, by step."""
    each = [batches(lengths, rank=rank, ranks=ranks, **options) for rank in range(ranks)]
    found = [list(one) for one in each]
    assert all(len(one) == len(sampler) for one, sampler in zip(found, each, strict=True))
    accumulate = each[0].accumulate
    return [[micro for one in found for micro in one[i : i + accumulate]] for i in range(0, len(found[0]), accumulate)]


@pytest.mark.parametrize("labels", ["assistant", "published"])
def test_counts_are_those_of_the_encoded_conversation(labels, folder, chat):
    found = measure(some(folder), chat, labels, 10_000, "stop")
    assert [m.sizes for m in found] == [((40, 40),), ((40, 90),), ((100, 30), (40, 40))]
    for m in found:
        prompt = chat.encode(m.talk.turns, m.sizes, labels)
        assert (m.tokens, m.learned) == (len(prompt.ids), sum(label != IGNORED for label in prompt.labels))
    assert found[0].learned < found[1].learned or labels == "published"


def test_too_long_conversations_are_counted_or_left_out(folder, chat, capsys):
    talks = some(folder)
    tokens = [m.tokens for m in measure(talks, chat, "assistant", 10_000, "stop")]
    limit = sorted(tokens)[0]
    told = f"2 of 3 conversations need more than {limit} tokens, up to {max(tokens)}"
    with pytest.raises(UserError) as error:
        measure(talks, chat, "assistant", limit, "stop")
    assert str(error.value) == f"{told}. Use tune.max_length={max(tokens)}, or tune.too_long=skip to leave them out."
    assert [m.tokens for m in measure(talks, chat, "assistant", limit, "skip")] == [limit]
    assert capsys.readouterr().err == f"{told}: left out\n"
    with pytest.raises(UserError, match="3 of 3 conversations need more than 5 tokens"):
        measure(talks, chat, "assistant", 5, "skip")


def test_a_conversation_beyond_the_model_is_not_told_to_raise_the_limit(folder, chat, monkeypatch):
    monkeypatch.setattr(chat, "longest", 20)
    with pytest.raises(UserError, match=r"more than 20 tokens, up to \d+\. Use fewer or smaller pictures, or tune"):
        measure(some(folder), chat, "assistant", 10_000, "stop")


def test_a_header_that_cannot_be_read_is_named(folder, chat):
    talks = some(folder)
    (folder / "1.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableError, match=rf"^{folder}/talks.json, entry 2: {folder}/1\.png: not a") as error:
        measure(talks, chat, "assistant", 10_000, "stop")
    assert "\n" not in str(error.value) and str(error.value).endswith("leave such out with tune.unreadable=skip.")


def test_such_are_left_out_but_for_the_last_there_is(folder, chat, capsys):
    talks = some(folder)
    (folder / "1.png").write_bytes(b"no picture")
    kept = measure(talks, chat, "assistant", 10_000, "stop", "skip")
    assert [m.talk for m in kept] == [talk for talk in talks if folder / "1.png" not in talk.images]
    assert f"left out {folder}/talks.json, entry 2: {folder}/1.png: not a" in capsys.readouterr().err
    with pytest.raises(UnreadableError, match="entry 2"):
        measure([talks[1]], chat, "assistant", 10_000, "stop", "skip")


def test_a_control_token_is_named_with_its_entry(folder, chat):
    talks = read(folder, (["0.png"], ["No"]), (["1.png"], ["Yes<|im_end|>"]))
    with pytest.raises(UserError) as error:
        measure(talks, chat, "assistant", 10_000, "stop")
    told = "the text 'Yes<|im_end|>' holds the control token <|im_end|>. Take it out."
    assert str(error.value) == f"{folder}/talks.json, entry 2: {told}"


@pytest.mark.parametrize("average", ["conversation", "token"])
@pytest.mark.parametrize(("count", "at_once"), [(10, 1), (10, 3), (3, 2), (8, 4)])
def test_any_number_of_ranks_shares_the_same_batches(average, count, at_once):
    lengths = [7 * i % 11 + 1 for i in range(count)]
    found = {r: steps(lengths, ranks=r, at_once=at_once, average=average) for r in (1, 2, 3)}
    alone = [sorted(key for micro in step for key in micro if key[1]) for step in found[1]]
    for ranks, whole in found.items():
        together = [sorted(key for micro in step for key in micro if key[1]) for step in whole]
        assert together == alone, ranks
        for step in whole:
            assert len({len(micro) for micro in step}) == 1  # what stands in makes them equal
            assert sum(weight for micro in step for _, weight in micro) == pytest.approx(1)
    assert sorted(i for step in alone for i, _ in step) == list(range(count))
    assert sorted(map(len, alone), reverse=True) == [4] * (count // 4) + [count % 4] * (count % 4 > 0)


def test_a_weight_is_a_conversation_s_share_in_its_batch():
    learned = [1, 2, 5, 8]
    (step,) = steps([9] * 4, learned=learned, average="token")
    assert {i: weight for ((i, weight),) in step} == {i: n / 16 for i, n in enumerate(learned)}
    (step,) = steps([9] * 4, learned=learned)
    assert {weight for ((_, weight),) in step} == {0.25}


def test_what_is_done_is_left_out_and_every_epoch_shuffles_anew():
    lengths = list(range(1, 11))
    whole = {epoch: list(batches(lengths, at_once=2, at=(epoch, 0))) for epoch in (0, 1)}
    assert len(whole[0]) == 6 and whole[0] != whole[1]
    for done in range(7):
        assert list(batches(lengths, at_once=2, at=(1, done))) == whole[1][done:]


def test_grouping_by_length_pads_less():
    lengths = np.random.default_rng(0).integers(100, 4000, 200).tolist()

    def padding(grouped):
        found = steps(lengths, size=8, at_once=8, grouped=grouped)
        return sum(max(lengths[i] for i, _ in m) - lengths[i] for step in found for m in step for i, w in m if w)

    assert padding(True) < padding(False) / 5


def test_a_picture_that_breaks_in_mid_epoch_stops_or_is_left_out(folder, chat, capsys):
    measured = measure(some(folder), chat, "assistant", 10_000, "stop")
    content = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableError) as error:
        Talks(measured, chat, "assistant", "stop")[2, 0.5]
    told = str(error.value)
    assert told.startswith(f"{folder}/talks.json, entry 3: {folder}/2.png: not a picture that can be read")
    assert told.endswith("Mend it, or leave such out with tune.unreadable=skip.") and "\n" not in told
    found = Talks(measured, chat, "assistant", "skip")[2, 0.5]
    assert found["weight"] == 0 and set(found["prompt"].labels) == {IGNORED}
    assert len(found["prompt"].ids) == measured[2].tokens
    black = chat.picture(np.zeros((3, 100, 30), np.uint8), several=True)
    assert np.array_equal(found["pictures"][0].crops, black.crops) and found["pictures"][0].size == (100, 30)
    assert capsys.readouterr().err.startswith(f"left out {folder}/talks.json, entry 3: {folder}/2.png: not a picture")
    whole = Talks(measured, chat, "assistant", "skip")[0, 0.5]
    assert whole["weight"] == 0.5


def test_a_loader_gives_what_the_model_takes(folder, chat):
    measured = measure(some(folder), chat, "assistant", 10_000, "stop")
    sampler = GroupedBatches(measured, 3, 3, 0, 0, 1, True, "conversation", lambda: (0, 0))
    (found,) = loader(Talks(measured, chat, "assistant", "stop"), sampler, workers=0)
    order = [i for i, _ in next(iter(sampler))]
    assert found["input_ids"].shape == (3, max(m.tokens for m in measured))
    assert found["batch_num_images"].tolist() == [len(measured[i].sizes) for i in order]
    assert found["image_sizes"].tolist() == [list(size) for i in order for size in measured[i].sizes]
    assert torch.equal(found["weight"], torch.full((3,), 1 / 3))
    assert (found["labels"] != IGNORED).sum(1).tolist() == [measured[i].learned for i in order]
    items = [Talks(measured, chat, "assistant", "stop")[i, 1 / 3] for i in order]
    assert torch.equal(Together(chat)(items)["pixel_values"], found["pixel_values"])
