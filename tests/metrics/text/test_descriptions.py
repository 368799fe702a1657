"""ROUGE-L by its definition, and sentence embeddings of a tiny encoder against a plain loop."""

import hashlib
import json
import shutil
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
import torch
import transformers
from huggingface_hub.errors import RemoteEntryNotFoundError
from tokenizers import BertWordPieceTokenizer

from framework.errors import UserError
from framework.metrics.text.descriptions import EMBEDDER, Embedder, rouge_l

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "the", "scratch", "dent", "rim", "on", "##es", "##s", "."]
TEXTS = ["a scratch on the rim.", "dents", "the the the the the the rim dent.", "scratches", "", "blue"]
LIMITS = "sentence_bert_config.json"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"))
    transformers.BertTokenizer(tokenizer_object=tokenizer._tokenizer, model_max_length=20).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, initializer_range=0.5, **sizes)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def copy(encoder, tmp_path):
    return shutil.copytree(encoder, tmp_path / "copy")


def plain(folder, texts, limit=20):
    """One text at a time, without padding."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.BertModel.from_pretrained(folder).eval()
    rows = []
    for text in texts:
        tokens = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
        with torch.no_grad():
            mean = model(**tokens).last_hidden_state[0].mean(0).numpy()
        rows.append(mean / np.linalg.norm(mean))
    return np.stack(rows)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_embeddings_are_those_of_a_plain_loop_at_any_batch_size(encoder, batch_size):
    found = Embedder(str(encoder), batch_size).embed(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, plain(encoder, TEXTS), atol=1e-6)
    assert np.ptp(found[:3], axis=0).max() > 0.01


def test_similarity_is_the_cosine_and_0_for_a_blank(encoder):
    embedder, rows = Embedder(str(encoder)), plain(encoder, TEXTS)
    found = embedder.similarity(
        [TEXTS[0], TEXTS[0], TEXTS[1], "", " \n"], [TEXTS[1], TEXTS[0], TEXTS[2], "dent", "dent"]
    )
    np.testing.assert_allclose(found, [rows[0] @ rows[1], 1, rows[1] @ rows[2], 0, 0], atol=1e-6)
    assert found.max() <= 1
    assert embedder.similarity([], []).shape == (0,)
    with pytest.raises(ValueError, match=r"^1 candidates, 2 references$"):
        embedder.similarity(["a"], ["a", "b"])


def test_a_text_is_cut_where_the_checkpoint_says(copy):
    long = "the rim " * 10 + "scratch dent " * 10
    np.testing.assert_allclose(Embedder(str(copy)).embed([long]), plain(copy, [long]), atol=1e-6)
    (copy / LIMITS).write_text(json.dumps({"max_seq_length": 8}))
    np.testing.assert_allclose(Embedder(str(copy)).embed([long]), plain(copy, [long], limit=8), atol=1e-6)
    assert abs(plain(copy, [long], 8) - plain(copy, [long])).max() > 0.01


def test_the_hash_is_of_the_weights_that_are_read(encoder, copy):
    first = Embedder(str(encoder)).sha256
    assert len(first) == len(hashlib.sha256().hexdigest())
    model = transformers.BertModel.from_pretrained(copy)
    transformers.BertModel(model.config, add_pooling_layer=False).save_pretrained(copy)
    assert Embedder(str(copy)).sha256 != first
    bare = transformers.BertModel(model.config, add_pooling_layer=False)
    bare.load_state_dict(model.state_dict(), strict=False)
    bare.save_pretrained(copy)
    assert Embedder(str(copy)).sha256 == first


def test_another_pooling_is_refused(copy):
    (copy / "1_Pooling").mkdir()
    path = copy / "1_Pooling" / "config.json"
    path.write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    assert Embedder(str(copy)).embed(["dent"]).shape == (1, 16)
    path.write_text(json.dumps({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}))
    with pytest.raises(UserError) as caught:
        Embedder(str(copy))
    assert str(caught.value) == (
        f"embeddings: {path} says that this model does not pool by the mean. Name one that does."
    )


def test_weights_that_do_not_fit_are_told_in_one_line(copy):
    state = transformers.BertModel.from_pretrained(copy)
    del state.encoder.layer[1]
    state.save_pretrained(copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    with pytest.raises(
        UserError, match=r"^embeddings: the weights in .* lack 16 tensors, 'encoder\.layer\.1\.attention"
    ):
        Embedder(str(copy))


@pytest.mark.parametrize("broken", ["model.safetensors", "config.json", "tokenizer.json"])
def test_broken_files_are_told_in_one_line(copy, broken):
    (copy / broken).write_text("{" if broken.endswith("json") else "broken")
    with pytest.raises(UserError) as caught:
        Embedder(str(copy))
    assert str(caught.value).startswith(f"embeddings: {copy} holds no encoder and tokenizer that can be read (")
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_model_and_a_device_that_is_not_there_are_told(encoder, tmp_path):
    with pytest.raises(UserError, match=r"embeddings \(text\.similarity\): .* has no config\.json"):
        Embedder(str(tmp_path))
    with pytest.raises(UserError, match=r"^embeddings: no device 'cuda:77' here \(.*\)\. Write cpu\.$"):
        Embedder(str(encoder), device="cuda:77")


def test_the_default_without_cache_and_network_says_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError) as caught:
        Embedder()
    assert f"{EMBEDDER!r} is not whole in the local cache and the hub cannot be reached" in str(caught.value)
    assert f"Run `hf download {EMBEDDER}`" in str(caught.value)


def test_a_hub_name_in_the_cache_brings_its_pooling_and_limit(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    home = tmp_path / "models--owner--tiny"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("0" * 40)
    folder = shutil.copytree(encoder, home / "snapshots" / ("0" * 40))
    (folder / LIMITS).write_text(json.dumps({"max_seq_length": 3}))
    found = Embedder("owner/tiny").embed(TEXTS)
    np.testing.assert_allclose(found, plain(encoder, TEXTS, limit=3), atol=1e-6)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": False}))
    with pytest.raises(UserError, match="does not pool by the mean"):
        Embedder("owner/tiny")


def test_of_the_hub_all_that_the_numbers_depend_on_is_fetched(encoder, monkeypatch):
    fetched = []

    def fetch(repo, file):
        fetched.append(file)
        if not (encoder / file).is_file():
            raise RemoteEntryNotFoundError("no such file", response=SimpleNamespace(headers={}, request=None))
        return str(encoder / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    assert Embedder("owner/tiny").embed(["dent"]).shape == (1, 16)
    assert {"config.json", "model.safetensors", "tokenizer.json", LIMITS, "1_Pooling/config.json"} <= set(fetched)


def longest(first, second):
    """Length of the longest common subsequence, by its recursion."""
    if not first or not second:
        return 0
    if first[0] == second[0]:
        return 1 + longest(first[1:], second[1:])
    return max(longest(first[1:], second), longest(first, second[1:]))


def test_rouge_l_is_the_f1_of_the_longest_common_subsequence():
    rng = np.random.default_rng(0)
    draw = [[" ".join(rng.choice(list("abcd"), rng.integers(1, 8))) for _ in range(40)] for _ in range(2)]
    found = rouge_l(*draw)
    assert found.dtype == np.float64
    for value, c, r in zip(found, *([x.split() for x in texts] for texts in draw), strict=True):
        common = longest(c, r)
        precision, recall = common / len(c), common / len(r)
        assert value == pytest.approx(2 * precision * recall / (precision + recall) if common else 0, abs=1e-6)


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [  # values of rouge-score 0.1.2, rougeL, use_stemmer=False
        ("dents metal-nut", "no surface. 3 metal-nut a", 0.4444444444444444),
        ("3 the Edge, is scratch on is scratch surface. scratch no dents", "a no is no Edge, on on a", 0.2),
        ("Edge, a dents is", "is", 0.4),
        ("", "3 left", 0),
        ("a dent", "", 0),
        ("dented", "dent", 0),
        ("划痕", "划痕", 0),
        ("A  DENT!", "a dent", 1),
    ],
)
def test_rouge_l_takes_words_as_rouge_score_does(candidate, reference, expected):
    assert rouge_l([candidate], [reference])[0] == pytest.approx(expected, abs=1e-6)


def test_pairs_must_match():
    with pytest.raises(ValueError, match="argument 2 is longer"):
        rouge_l(["a"], ["a", "b"])
    assert rouge_l([], []).shape == (0,)
