"""What cannot be converted whole: the line a user sees, and no folder left behind."""

import json

import fake_language
import pytest
import torch
from fake_language import TINY, mistake, write

from framework.errors import UnreadableError, UserError
from framework.models.onevision import conversion, small
from framework.models.onevision.conversion import convert

NORM, EMBEDDED = "model.norm.weight", "model.language_model.embed_tokens.weight"
POSITIVE = "anomaly_encoder.positive_embedding"


@pytest.fixture
def found():
    return fake_language.state(fake_language.names(**TINY))


@pytest.fixture
def root(tmp_path):
    return tmp_path


def expert_of(found):
    return {k.removeprefix("anomaly_encoder."): v for k, v in found.items() if k.startswith("anomaly_encoder.")}


def test_no_expert(root, found):
    write(root / "in", {k: v for k, v in found.items() if not k.startswith("anomaly_encoder.")})
    assert mistake(root) == ("in: has no expert, whose 32 tensors would be random. Give one with --expert FILE.")


def test_a_bare_expert_without_its_base(root, found):
    torch.save(expert_of(found), root / "expert.pth")
    assert mistake(root, source="expert.pth") == (
        "expert.pth: a bare expert. Give the LLaVA-OneVision it belongs to with --base."
    )


def test_a_base_for_a_whole_model(root, found):
    write(root / "in", found)
    assert mistake(root, base=root / "in") == "in: is a whole model already; --base is for a bare expert."


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"model.mm_projector.0.bias": None},
            "in: lacks model.multi_modal_projector.linear_1.bias. No tensor may be left random or over.",
        ),
        (
            {EMBEDDED.replace("language_model.", ""): None},
            f"in: has no {EMBEDDED}, so it is not a whole LLaVA-OneVision.",
        ),
        (
            {
                "model.layers.0.strange": torch.ones(1),
                "model.more.a": torch.ones(1),
                "x": torch.ones(1),
                "y": torch.ones(1),
            },
            "in: has, and the model has not, model.language_model.layers.0.strange, model.more.a, x and 1 more. "
            "No tensor may be left random or over.",
        ),
        ({NORM: torch.ones(9)}, "in: model.language_model.norm.weight has shape (9,), the model needs (8,)."),
        (
            {"anomaly_encoder.pooling_layer.0.weight": torch.ones(1, 576)},
            "in: model.anomaly_expert.pooling_layer.0.weight has shape (1, 576), the model needs (1, 729).",
        ),
        (
            {"anomaly_encoder.pooling_layer.0.weight": None},
            "in: lacks model.anomaly_expert.pooling_layer.0.weight. No tensor may be left random or over.",
        ),
        (
            {POSITIVE: None},
            "in: has no model.anomaly_expert.positive_embedding, so it is not a whole LLaVA-OneVision.",
        ),
        (
            {NORM: torch.full((8,), torch.nan)},
            f"in: {NORM} holds NaN or infinite numbers. Use another copy of the file.",
        ),
        (
            {POSITIVE: torch.full((1, 4), -torch.inf)},
            f"in: {POSITIVE} holds NaN or infinite numbers. Use another copy of the file.",
        ),
        (
            {"model.language_model.norm.weight": torch.ones(8)},
            f"in: both model.language_model.norm.weight and {NORM} are model.language_model.norm.weight.",
        ),
    ],
)
def test_a_tensor_that_is_missing_too_many_or_wrong(change, line, root, found):
    changed = {k: v for k, v in (found | change).items() if v is not None}
    write(root / "in", changed)
    assert mistake(root) == line


def test_an_untied_model_without_its_head(root, found):
    del found["lm_head.weight"]
    write(root / "in", found, tie_word_embeddings=False)
    assert mistake(root) == "in: lacks lm_head.weight. No tensor may be left random or over."


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("key", "in: lacks model.anomaly_expert.q_former.key_proj.bias. No tensor may be left random or over."),
        ("shape", "in: model.anomaly_expert.siglip_adaptors.1.weight has shape (4, 9), the model needs (4, 8)."),
        (
            "extra",
            "in: has, and the model has not, model.anomaly_expert.other. No tensor may be left random or over.",
        ),
    ],
)
def test_an_expert_that_does_not_fit(change, line, root, found):
    write(root / "in", found)
    expert = expert_of(found)
    if change == "key":
        del expert["q_former.key_proj.bias"]
    else:
        expert["siglip_adaptors.1.weight" if change == "shape" else "other"] = torch.ones(4, 9)
    torch.save(expert, root / "expert.pth")
    assert mistake(root, expert=root / "expert.pth") == line


def test_a_config_that_is_damaged(root, found):
    write(root / "in", found)
    config = root / "in" / "config.json"
    config.write_text("{")
    assert mistake(root, UnreadableError).startswith("in/config.json: cannot be read as JSON (")
    write(root / "in", found, rms_norm_eps="small")
    assert mistake(root, UnreadableError).startswith("in/config.json: not a valid config (")
    write(root / "in", found, vision_config={"num_attention_heads": 3})
    assert mistake(root).startswith("in: its config.json describes no model (embed_dim must be divisible by num_heads")
    write(root / "in", found, num_key_value_heads=1)
    key = "model.language_model.layers.0.self_attn.k_proj.weight"
    assert mistake(root) == f"in: {key} has shape (4, 8), the model needs (2, 8)."
    for wrong in ([], "siglip"):
        write(root / "in", found, vision_config=wrong)
        assert mistake(root, UnreadableError).startswith("in/config.json: not a valid config (")


def test_something_is_there_already(root, found):
    write(root / "in", found)
    (root / "out").mkdir()
    assert mistake(root) == "out: is there already. Choose another folder, or remove it."


def test_nothing_tells_how_many_heads(root, found):
    write(root / "in", found)
    config = root / "in" / "config.json"
    known = json.loads(config.read_text())
    config.write_text(json.dumps({k: v for k, v in known.items() if k != "vision_config"}))
    assert mistake(root) == (
        "in: nothing tells how many heads a tower of width 8 has. Write vision_config: {num_attention_heads: ...} "
        "into its config.json."
    )
    config.unlink()
    assert mistake(root) == "in: nothing tells how many heads a width of 8 has. Put its config.json beside it."


def test_a_tokenizer_that_is_not_the_checkpoints(root, found):
    write(root / "in", found, tokenizer=False)
    assert mistake(root) == "in: holds no tokenizer, and 448 vocabulary rows are not Qwen2's. Give --tokenizer."
    (root / "empty").mkdir()
    assert mistake(root, tokenizer=root / "empty").startswith("empty: holds no tokenizer that can be read (")
    tokens = small.tokenizer([f"word{i} number{i}" for i in range(400)])
    tokens.save_pretrained(root / "words")
    assert mistake(root, tokenizer=root / "words") == (
        f"words: {len(tokens)} tokens, but the checkpoint has 448 vocabulary rows."
    )


def test_a_tokenizer_that_spells_the_adverbs_in_different_lengths(root, found, monkeypatch):
    write(root / "in", found)
    monkeypatch.setattr(conversion.chat, "prefix_ids", lambda words: [[1, 2], [1, 2, 3], [1, 2]])
    assert mistake(root) == (
        "in: 'with ... suspicious features: ' with slightly, moderately, highly gives token lists of different lengths."
    )


@pytest.mark.parametrize("stop", [KeyboardInterrupt, UserError("out: the disk is full.")])
@pytest.mark.parametrize("at", ["_write", "_report"])
def test_an_interrupted_conversion_leaves_nothing(stop, at, root, found, monkeypatch):
    write(root / "in", found)
    before = sorted(root.rglob("*"))
    seen = []

    def interrupted(folder, *rest):
        seen.append(folder.is_dir())
        raise stop

    monkeypatch.setattr(conversion, at, interrupted)
    with pytest.raises(type(stop) if isinstance(stop, Exception) else stop):
        convert(root / "in", root / "out")
    assert seen == [True] and sorted(root.rglob("*")) == before


@pytest.mark.parametrize("content", ['[{"name": "a"', '[{"name": "a"}]', "[1]"])
def test_a_damaged_list_of_what_was_trained_on_is_one_line(root, content):
    (root / conversion.ORIGINS).write_text(content)
    with pytest.raises(UnreadableError, match=rf"^{root}/{conversion.ORIGINS}: damaged\. Copy it again"):
        conversion.origins(root)


def test_what_an_earlier_interruption_left_does_not_get_in(root, found):
    write(root / "in", found)
    (root / ".partial-out").mkdir()
    (root / ".partial-out" / "stale").touch()
    convert(root / "in", root / "out")
    assert not (root / "out" / "stale").exists() and not (root / ".partial-out").exists()
