"""The text tower beside an open_clip backbone, against the library itself, on small models saved into folders."""

import copy
import pickle

import open_clip
import pytest
import torch
from fake_clip import TEXT, VISION, save_clip
from fake_towers import picture
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from framework.errors import UserError
from framework.registry import build

SENTENCES = ["a photo of a metal nut.", "a photo of the damaged metal nut for visual inspection.", ""]
CUSTOM = {
    **TEXT,
    "no_causal_mask": True,
    "pool_type": "last",
    "proj_bias": True,
}  # as SigLIP's: the other class of model


@pytest.fixture(params=["CLIP", "CustomTextCLIP"])
def both(request, tmp_path):
    custom = {"text": CUSTOM, "custom_text": True} if request.param == "CustomTextCLIP" else {}
    model = save_clip(tmp_path, **custom)
    assert type(model).__name__ == request.param
    return model, build("backbone", "open_clip", weights=str(tmp_path), text=True), tmp_path


@torch.no_grad()
def test_texts_are_encoded_as_by_the_library(both):
    model, backbone, folder = both
    theirs = model.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(SENTENCES))
    assert_close(backbone.words.encode(SENTENCES), theirs)
    assert theirs.std(0).max() > 1e-3  # the sentences differ, far beyond the tolerance


@torch.no_grad()
def test_embedded_texts_are_encoded_as_the_texts_are(both):
    words = both[1].words
    ids = words.tokens(SENTENCES)
    assert_close(words.encode_embedded(words.embed(ids), ids), words.encode(SENTENCES))


@torch.no_grad()
def test_deep_tokens_stand_in_before_the_blocks_after_the_first(tmp_path):
    model = save_clip(tmp_path)
    words = build("backbone", "open_clip", weights=str(tmp_path), text=True).words
    ids, deep = words.tokens(SENTENCES), [torch.full((2, 16), 0.5), torch.full((2, 16), -0.25)]
    x = model.token_embedding(ids) + model.positional_embedding
    for number, block in enumerate(model.transformer.resblocks):
        if number:
            x[:, 1:3] = deep[number - 1]
        x = block(x, attn_mask=model.attn_mask)
    by_hand = model.ln_final(x)[torch.arange(3), ids.argmax(1)] @ model.text_projection
    assert_close(words.encode_embedded(words.embed(ids), ids, deep), by_hand)
    assert not torch.allclose(by_hand, words.encode(SENTENCES), atol=1e-3)


@torch.no_grad()
def test_features_are_those_of_the_backbone_without_texts(both):
    _, backbone, folder = both
    plain, pixels = build("backbone", "open_clip", weights=str(folder)), picture(64)
    assert_close(backbone(pixels).levels, plain(pixels).levels, rtol=0, atol=0)
    assert plain.words is None and "words" not in plain.identity


def test_the_identity_knows_the_text_tower(tmp_path):
    save_clip(tmp_path)
    first = build("backbone", "open_clip", weights=str(tmp_path), text=True).identity
    path = tmp_path / "open_clip_model.safetensors"
    save_file({k: v + (k == "text_projection") for k, v in load_file(path).items()}, path)
    second = build("backbone", "open_clip", weights=str(tmp_path), text=True).identity
    assert {key for key in first if first[key] != second[key]} == {"words"}


def test_it_is_frozen_kept_out_of_checkpoints_and_can_be_copied(tmp_path):
    save_clip(tmp_path)
    backbone = build("backbone", "open_clip", weights=str(tmp_path), text=True)
    assert not backbone.state_dict() and not any(p.requires_grad for p in backbone.parameters())
    owner = torch.nn.ModuleDict({"backbone": backbone, "head": torch.nn.Linear(2, 2)})
    owner.load_state_dict({f"head.{k}": v for k, v in owner["head"].state_dict().items()})  # strict, and misses nothing
    for other in (copy.deepcopy(backbone), pickle.loads(pickle.dumps(backbone))):
        assert_close(other.words.encode(SENTENCES), backbone.words.encode(SENTENCES))


def test_half_precision_gives_nearly_the_same_directions(tmp_path):
    save_clip(tmp_path)
    full, half = (
        build("backbone", "open_clip", weights=str(tmp_path), text=True, dtype=dtype).words.encode(SENTENCES)
        for dtype in ("float32", "bfloat16")
    )
    assert half.dtype == torch.float32
    assert torch.cosine_similarity(full, half).min() > 0.999


def test_a_text_longer_than_the_tower_reads_is_refused_in_one_line(tmp_path):
    save_clip(tmp_path)
    words = build("backbone", "open_clip", weights=str(tmp_path), text=True).words
    assert words.tokens(["a " * 30]).shape == (1, 32)  # 30 and the two ends fit
    with pytest.raises(
        UserError, match=r"takes more than the 32 tokens that its text tower reads\. Write shorter"
    ) as e:
        words.tokens(["short", "a " * 31])
    assert "\n" not in str(e.value)


def _without_text(folder):
    path = folder / "open_clip_model.safetensors"
    save_file({k: v for k, v in load_file(path).items() if k.startswith("visual.")}, path)


TRUNK = {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "token", "timm_proj": "linear", "image_size": 224}
REFUSED = [
    (VISION, TEXT, _without_text, "cannot be loaded: Error(s) in loading state_dict"),
    (TRUNK, TEXT, None, "its image tower is timm's, which text=true does not read"),
    (VISION, {**TEXT, "vocab_size": 40}, None, "its text tower knows 40 tokens, its tokenizer writes 49408."),
    (VISION, {**TEXT, "hf_tokenizer_name": "nobody/nothing"}, None, "its tokenizer cannot be loaded: "),
]


@pytest.mark.parametrize(("vision", "text", "spoil", "message"), REFUSED, ids=["weights", "timm", "words", "tokenizer"])
def test_a_model_whose_texts_cannot_be_read_is_refused_in_one_line(tmp_path, vision, text, spoil, message):
    save_clip(tmp_path, vision, text)
    if spoil:
        spoil(tmp_path)
    with pytest.raises(UserError) as caught:
        build("backbone", "open_clip", weights=str(tmp_path), text=True)
    assert message in str(caught.value) and "\n" not in str(caught.value)
