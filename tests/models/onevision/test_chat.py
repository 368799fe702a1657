"""Conversations as token ids and labels, against the template, and against a transcript of the published code."""

import copy

import fake_language
import numpy as np
import pytest
import torch
from fake_language import QUESTION, picture
from numpy.testing import assert_array_equal
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from framework.errors import UserError
from framework.models.onevision import chat as chat_module
from framework.models.onevision import small
from framework.models.onevision.chat import Chat, placed, read_tokenizer
from framework.models.onevision.configuration import QWEN_PREFIXES

TALKS = {  # turns, sizes of the pictures
    "one": ([(f"<image>\n{QUESTION}", "No")], [(120, 150)]),
    "turns": ([(f"<image>\n{QUESTION}", "Yes, there is."), ("Why?\nReally?", "Because\n\nof it.\n")], [(300, 310)]),
    "pictures": ([(f"<image>\nand <image>\n{QUESTION}", " Yes"), ("And <image>?", "No")], [(9, 9), (300, 50), (7, 2)]),
    "text": ([("Why?", "Because.")], []),
    "asked": ([(f"<image>\n{QUESTION}", "No"), ("Why?", None)], [(120, 150)]),
    "odd": ([("<image>\n\n  Übergrösse 漢字?", "\nJa — 😀 ")], [(50, 50)]),
}


@pytest.fixture(scope="module")
def chat(loaded):
    return loaded[1]


def expanded(ids, labels, chat, sizes):
    """Each picture token as often as its picture needs."""
    counts = iter([chat.layout.tokens(*size, several=len(sizes) > 1) for size in sizes])
    times = [next(counts) if i == chat.image_id else 1 for i in ids]
    return tuple([t for t, n in zip(values, times, strict=True) for _ in range(n)] for values in (ids, labels))


def messages(turns):
    found = []
    for question, answer in turns:
        found.append({"role": "user", "content": question})
        found += [] if answer is None else [{"role": "assistant", "content": answer}]
    return found


@pytest.mark.parametrize("name", TALKS)
def test_ids_and_labels_are_those_of_the_template(name, chat):
    turns, sizes = TALKS[name]
    found = chat.tokenizer.apply_chat_template(
        messages(turns),
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
        add_generation_prompt=turns[-1][1] is None,
    )
    newline = chat.tokenizer("\n", add_special_tokens=False)["input_ids"]
    ids, mask = found["input_ids"], list(found["assistant_masks"])
    for i in range(1, len(ids)):  # in the template the newline after <|im_end|> is of the answer; nobody needs it
        if mask[i] and ids[i - 1] == chat.end_id:
            assert [ids[i]] == newline
            mask[i] = 0
    wanted = expanded(ids, [t if m else -100 for t, m in zip(ids, mask, strict=True)], chat, sizes)
    prompt = chat.encode(turns, sizes)
    assert (prompt.ids, prompt.labels, prompt.pictures) == (*wanted, len(sizes))
    ends = sum(answer is not None for _, answer in turns)
    assert prompt.labels.count(chat.end_id) == ends  # a model must learn to stop


def transcript(tokenizer, turns, image_id):
    """``preprocess_qwen`` of LLaVA-NeXT, with its names; ids and targets before pictures take their places."""
    im_start, im_end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    (nl_token,) = tokenizer("\n", add_special_tokens=False).input_ids
    unmask_tokens_idx = [nl_token, im_start, im_end]

    def apply_chat_template(role, content):
        return tokenizer(f"<|im_start|>{role}\n{content}<|im_end|>\n", add_special_tokens=False).input_ids

    input_id, target = [], []
    input_id += apply_chat_template("system", "You are a helpful assistant.")
    target += [-100] * len(input_id)
    for conv in messages(turns):
        encode_id = apply_chat_template(conv["role"], conv["content"])
        input_id += encode_id
        if conv["role"] in ["user", "system"]:
            target += [-100] * len(encode_id)
        else:
            target += encode_id
    assert len(input_id) == len(target), f"{len(input_id)} != {len(target)}"
    for idx, encode_id in enumerate(input_id):
        if encode_id in unmask_tokens_idx:
            target[idx] = encode_id
        if encode_id == image_id:
            input_id[idx] = image_id
    return input_id, target


@pytest.mark.parametrize("name", [name for name in TALKS if name != "asked"])
def test_published_labels_are_those_of_the_published_code(name, chat):
    turns, sizes = TALKS[name]
    prompt = chat.encode(turns, sizes, "published")
    assert (prompt.ids, prompt.labels) == expanded(*transcript(chat.tokenizer, turns, chat.image_id), chat, sizes)
    assert sum(label != -100 for label in prompt.labels) > sum(t != -100 for t in chat.encode(turns, sizes).labels)


@pytest.mark.parametrize("labels", ["assistant", "published"])
@pytest.mark.parametrize("name", TALKS)
def test_lengths_are_known_without_the_ids(name, labels, chat):
    prompt = chat.encode(*TALKS[name], labels)
    assert chat.measure(*TALKS[name], labels) == (len(prompt.ids), sum(label != -100 for label in prompt.labels))


def test_pictures_take_the_places_of_their_placeholders(chat):
    turns, sizes = TALKS["pictures"]
    ids = chat.encode(turns, sizes).ids
    assert ids.count(chat.image_id) == 3 * (400 + 1 + 6 + 1 + 4 + 1)
    assert placed("Why?", 2) == "<image>\n<image>\nWhy?" and placed("Why?", 0) == "Why?"


def test_the_template_places_pictures_and_the_system_turn(chat):
    content = [{"type": "text", "text": "Why?"}, {"type": "image"}]
    render = chat.tokenizer.apply_chat_template
    head = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    asked = "<|im_start|>user\n<image>\nWhy?<|im_end|>\n"
    assert render([{"role": "user", "content": content}], tokenize=False) == head + asked
    own = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
    wanted = f"<|im_start|>system\nBe brief.<|im_end|>\n{asked}<|im_start|>assistant\n"
    assert render(own, tokenize=False, add_generation_prompt=True) == wanted


def test_the_text_of_an_answer_comes_back_without_control_tokens(chat):
    turns = [("Why?", " Because of it.")]
    labels = torch.tensor([label for label in chat.encode(turns, []).labels if label != -100])
    assert chat.text(labels) == "Because of it."


@pytest.mark.parametrize("token", ["<image>", "<|im_start|>", "<|im_end|>", "<|endoftext|>"])
def test_a_control_token_in_a_text_is_refused(token, chat):
    line = f"the text 'So {token}.' holds the control token {token}. Take it out.".replace
    with pytest.raises(UserError) as error:
        chat.encode([("Why?", f"So {token}.")], [])
    assert str(error.value) == line("", "")
    if token != "<image>":
        with pytest.raises(UserError, match="holds the control token"):
            chat.encode([(f"<image>\nSo {token}.", None)], [(9, 9)])


@pytest.mark.parametrize(
    ("question", "pictures", "found"), [("Why?", 1, 0), ("<image><image>", 1, 2), ("<image>", 0, 1)]
)
def test_another_number_of_placeholders_is_refused(question, pictures, found, chat):
    with pytest.raises(UserError) as error:
        chat.encode([(question, "No")], [(9, 9)] * pictures)
    assert str(error.value) == (f"a conversation of {pictures} pictures has {found} <image>. Write one a picture.")


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_is_padded_on_the_side_that_was_asked(side, chat):
    long, short = chat.encode(*TALKS["turns"]), chat.encode(*TALKS["text"])
    views = [chat.picture(picture(300, 310), several=False)]
    found = chat.batch([long, short], views, side)
    gap = len(long.ids) - len(short.ids)
    pads = [chat.tokenizer.pad_token_id] * gap
    row = pads + short.ids if side == "left" else short.ids + pads
    assert_array_equal(found["input_ids"], [long.ids, row])
    row = [-100] * gap + short.labels if side == "left" else short.labels + [-100] * gap
    assert_array_equal(found["labels"], [long.labels, row])
    row = [0] * gap + [1] * len(short.ids) if side == "left" else [1] * len(short.ids) + [0] * gap
    assert_array_equal(found["attention_mask"], [[1] * len(long.ids), row])
    assert_array_equal(found["pixel_values"], views[0].crops)
    assert found["image_sizes"].tolist() == [[300, 310]] and found["batch_num_images"].tolist() == [1]


def test_a_picture_of_several_is_a_square_and_a_large_one_is_capped(chat):
    view = picture(600, 2048)
    assert chat.picture(view, several=True).crops.shape == (1, 3, 160, 160)
    assert chat.picture(view, several=False).crops.shape == (1 + 2 * 6, 3, 160, 160)
    for several in (False, True):
        exact, fast = (chat.picture(view, several, fast).crops.astype(int) for fast in (False, True))
        assert_array_equal(chat.picture(view, several).crops, exact)
        assert 0 < np.abs(fast - exact).max() <= 2
    assert chat.picture(view, several=False).size == chat.picture(view, several=True).size == (300, 1024)


def test_the_published_prefixes_are_the_ids_of_qwen():
    assert [[4197, second, 31327, 4419, 25, 220] for second in (10078, 69251, 7548)] == QWEN_PREFIXES


def test_a_tokenizer_without_the_control_tokens_is_refused(loaded):
    model, chat = loaded
    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), eos_token="</s>")
    with pytest.raises(UserError) as error:
        Chat(bare, model.config)
    assert str(error.value) == "tokenizer: has no token <image>. Use the tokenizer of the checkpoint."
    config = copy.deepcopy(model.config)
    config.image_token_index = 7
    with pytest.raises(UserError) as error:
        Chat(chat.tokenizer, config)
    assert str(error.value) == "tokenizer: <image> has another id than the model's image_token_index 7."


def test_a_tokenizer_gets_the_picture_token_and_the_template(tmp_path):
    words = small.tokenizer(fake_language.TEXTS)
    words.chat_template = "another"
    words.save_pretrained(tmp_path / "has")
    found = read_tokenizer(tmp_path / "has")
    assert found.chat_template == chat_module.TEMPLATE and len(found) == len(words)
    content = words._tokenizer.to_str().replace('"<image>"', '"<other>"')
    other = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(content), eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    other.save_pretrained(tmp_path / "lacks")
    found = read_tokenizer(tmp_path / "lacks")
    assert found("a<image>", add_special_tokens=False)["input_ids"][-1] == len(other) == len(found) - 1
