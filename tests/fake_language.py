"""Sizes go in; names and weights of a small published Anomaly-OV, its folder, and a small model of our own come out."""

import json

import numpy as np
import pytest
import torch
from golden.recipe import weight
from safetensors.torch import save_file
from transformers import SiglipVisionConfig

from framework.errors import UserError
from framework.models.onevision import small
from framework.models.onevision.configuration import AnomalyOVConfig, canvases
from framework.models.onevision.conversion import convert
from framework.models.onevision.modeling import AnomalyOV

VISION = "model.vision_tower.vision_tower.vision_model."
QUESTION = "Are there any defects for the object in the image? Please reply with 'Yes' or 'No'."
TEXTS = [
    QUESTION,
    "Yes, there is a small scratch in the upper left.",
    "No",
    "Why? Because the surface is rough.\nSo it is.",
]
GOLDEN = {"width": 64, "mlp": 128, "blocks": 26, "layers": 2, "words": 70000, "expert": 512}  # of published.json
TINY = {"width": 8, "mlp": 12, "blocks": 6, "layers": 1, "words": 448, "expert": 4}


def names(width, mlp, blocks, layers, words, expert, patches=729):
    """Published key -> shape, of a tower, a language model with half as many keys, and an expert of these sizes."""
    found = {
        "model.image_newline": (width,),
        "model.embed_tokens.weight": (words, width),
        "model.norm.weight": (width,),
    }
    for i in range(layers):
        layer = f"model.layers.{i}."
        for name, rows in (("q", width), ("k", width // 2), ("v", width // 2)):
            found |= _linear(f"{layer}self_attn.{name}_proj", width, rows)
        found[f"{layer}self_attn.o_proj.weight"] = (width, width)
        found |= {f"{layer}mlp.{name}_proj.weight": (mlp, width) for name in ("gate", "up")}
        found[f"{layer}mlp.down_proj.weight"] = (width, mlp)
        found |= {f"{layer}{name}_layernorm.weight": (width,) for name in ("input", "post_attention")}
    found |= {
        f"{VISION}embeddings.patch_embedding.{k}": v for k, v in (("weight", (width, 3, 14, 14)), ("bias", (width,)))
    }
    found[f"{VISION}embeddings.position_embedding.weight"] = (patches, width)
    for i in range(blocks):
        found |= block(i, width, mlp)
    found |= {f"{VISION}post_layernorm.{kind}": (width,) for kind in ("weight", "bias")}
    found |= _linear("model.mm_projector.0", width, width) | _linear("model.mm_projector.2", width, width)
    found["lm_head.weight"] = (words, width)
    return found | {f"anomaly_encoder.{key}": shape for key, shape in expert_names(width, patches, expert).items()}


def block(i, width, mlp):
    """Published key -> shape of one block of the tower."""
    here = f"{VISION}encoder.layers.{i}."
    found = {f"{here}layer_norm{n}.{kind}": (width,) for n in (1, 2) for kind in ("weight", "bias")}
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        found |= _linear(f"{here}self_attn.{name}", width, width)
    return found | _linear(f"{here}mlp.fc1", width, mlp) | _linear(f"{here}mlp.fc2", mlp, width)


def expert_names(width, patches, size):
    """The 32 keys of the published expert -> shape."""
    found = {f"{sign}_embedding": (1, size) for sign in ("positive", "negative")}
    found |= _linear("pooling_layer.0", patches, 1)
    found |= _linear("class_predictor.0", width, size) | _linear("class_predictor.2", size, size)
    for i in range(4):
        found |= _linear(f"siglip_adaptors.{i}", width, size) | _linear(f"prompt_adaptors.{i}", 2 * size, size)
    found |= _linear("final_predictor.0", width, size) | _linear("final_predictor.2", size, 1)
    return found | _linear("q_former.query_proj", width, size) | _linear("q_former.key_proj", width, size)


def state(shapes):
    """Key -> its deterministic float32 weight."""
    return {key: torch.from_numpy(np.asarray(weight(key, shape), np.float32)) for key, shape in shapes.items()}


def tensors(**changes):
    """A tiny published checkpoint."""
    return state(names(**TINY | changes))


def write(folder, tensors, tokenizer=True, **config):
    """A published folder: weights, the flat config of LLaVA, and the tokenizer of our small model."""
    folder.mkdir(parents=True, exist_ok=True)
    if tensors:
        save_file(tensors, folder / "model.safetensors")
    known = {"model_type": "llava_qwen", "num_attention_heads": 4, "num_key_value_heads": 2, "rope_theta": 10000.0}
    known |= {"vision_config": {"num_attention_heads": 4}, **config}
    (folder / "config.json").write_text(json.dumps(known))
    if tokenizer:
        small.tokenizer(TEXTS).save_pretrained(folder)
    return folder


def whole(folder):
    """The model, which must have found each of its tensors in the folder, and no other."""
    model, report = AnomalyOV.from_pretrained(folder, output_loading_info=True)
    assert not any(report[fault] for fault in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    return model


def siglip(words, tied=True, **changes):
    """The configuration of our small model with a small SigLIP in place of the embedded tower."""
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 5, "num_attention_heads": 2}
    tower = SiglipVisionConfig(**sizes, image_size=56, patch_size=14, vision_use_head=False)
    values = small.configure(words).to_dict() | {"vision_config": tower.to_dict(), "level_layers": [1, 2, 3, 4]}
    values |= {"image_grid_pinpoints": canvases(56, 2), "tie_word_embeddings": tied, **changes}
    values["text_config"]["tie_word_embeddings"] = tied
    return AnomalyOVConfig.from_dict(values)


def picture(height, width, seed=0):
    """``(3, height, width)`` uint8 noise in blocks, so that crops differ."""
    noise = np.random.default_rng(seed).integers(0, 256, (3, -(-height // 8), -(-width // 8)), dtype=np.uint8)
    return np.kron(noise, np.ones((1, 8, 8), np.uint8))[:, :height, :width].copy()


VIEWS = [  # a conversation's pictures: two crops, five crops, two squares, none
    [picture(150, 130, 1)],
    [picture(300, 310, 2)],
    [picture(90, 200, 3), picture(250, 120, 4)],
]


def example(chat, views, answer="Yes, there is a small scratch."):
    several = len(views) > 1
    pictures = [chat.picture(view, several) for view in views]
    turns = [("<image>\n" * len(views) + QUESTION, answer)]
    return chat.encode(turns, [view.shape[1:] for view in views]), pictures


def batch(chat, samples, side="right", answer="Yes, there is a small scratch."):
    prompts, pictures = zip(*[example(chat, views, answer) for views in samples], strict=True)
    return chat.batch(prompts, [p for found in pictures for p in found], side)


def asked(chat, samples, side="left"):
    """A batch without answers, to be generated from."""
    found = batch(chat, samples, side, answer=None)
    found.pop("labels")
    return found


def _linear(name, inside, outside):
    return {f"{name}.weight": (outside, inside), f"{name}.bias": (outside,)}


def mistake(root, kind=UserError, source="in", **options):
    """The line, with the folder of the test left out; nothing was written."""
    before = sorted(root.rglob("*"))
    with pytest.raises(kind) as error:
        convert(root / source, root / "out", **options)
    assert "\n" not in str(error.value) and sorted(root.rglob("*")) == before
    return str(error.value).replace(f"{root}/", "")
