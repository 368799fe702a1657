"""What lies beside a checkpoint's weights, and the shapes of its tensors -> the configuration of our model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers import Qwen2Config, SiglipVisionConfig

from framework.errors import UnreadableError, UserError
from framework.models.backbones.base import choose
from framework.models.backbones.sources import hush, one_line, read_json
from framework.models.checkpoints import SIZED
from framework.models.onevision import configuration
from framework.models.onevision.configuration import AnomalyOVConfig, canvases
from framework.models.onevision.names import BLOCKS, EXPERT

HEADS = {896: (14, 2), 3584: (28, 4), 1152: (16, 16)}  # width: heads and key-value heads of Qwen2-0.5B, -7B, so400m
TIED = 896  # the width whose head the published evaluation ties by hand, whatever config.json says
PATCH = 14
STANDARD = 384  # pixels
Shapes = dict[str, tuple[int, ...]]


def configure(folder: Path, shapes: Shapes, where: str) -> AnomalyOVConfig:
    """The configuration for tensors of these shapes, under our names.

    Everything that shapes show is taken from them, vocabulary rows above all; the rest from ``config.json``, of
    LLaVA's or of transformers' kind, where there is one, else the published sizes.

    Args:
        folder: where ``config.json`` may lie.
        shapes: of all tensors of the model.
        where: begins an error.

    Raises:
        UserError: shapes of a model that this is not, or heads that nothing tells.
    """
    known = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    try:
        kind = known.get("model_type")
        if kind in ("llava_onevision", "anomaly_ov"):
            with hush():
                values = transformers.AutoConfig.from_pretrained(folder).to_dict()
        else:
            values = _llava(known, shapes, where)
        values = {k: v for k, v in values.items() if k not in ("model_type", "architectures", "transformers_version")}
        values["text_config"]["vocab_size"] = _shape(shapes, "model.language_model.embed_tokens.weight", where)[0]
        values["expert"] = {option: _shape(shapes, EXPERT + key, where)[-1] for option, key in SIZED.items()}
        if kind != "anomaly_ov":
            depth = values["vision_config"]["num_hidden_layers"]
            blocks, _ = choose(where, depth, None, None)
            values["level_layers"] = [block + 1 for block in blocks]
        found = AnomalyOVConfig(**values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, StrictDataclassError) as error:
        raise UnreadableError(f"{folder / 'config.json'}: not a valid config ({one_line(error)}).") from None
    configuration.check(found, where)
    return found


def _llava(known: dict[str, Any], shapes: Shapes, where: str) -> dict[str, Any]:
    """Configuration of a LLaVA-style checkpoint: one flat ``config.json`` of the language model, or none."""
    text = {k: v for k, v in known.items() if k not in ("model_type", "vision_config", "architectures")}
    width = _shape(shapes, "model.language_model.embed_tokens.weight", where)[1]
    text["hidden_size"] = width
    text["intermediate_size"] = _shape(shapes, "model.language_model.layers.0.mlp.gate_proj.weight", where)[0]
    text["num_hidden_layers"] = _count(shapes, "model.language_model.layers.")
    if width in HEADS:
        text.setdefault("num_attention_heads", HEADS[width][0])
        text.setdefault("num_key_value_heads", HEADS[width][1])
        if not known:
            text |= {"rope_theta": 1e6, "max_position_embeddings": 32768}
    elif "num_attention_heads" not in text:
        raise UserError(f"{where}: nothing tells how many heads a width of {width} has. Put its config.json beside it.")
    said = known.get("tie_word_embeddings")
    tied = bool(said) or ("lm_head.weight" not in shapes and (said is None or width == TIED))
    text_config = Qwen2Config(**{k: v for k, v in text.items() if k in _fields()} | {"tie_word_embeddings": tied})
    tower = _tower(known.get("vision_config", {}), shapes, where)
    return {
        "text_config": text_config.to_dict(),
        "vision_config": tower.to_dict(),
        "image_token_index": known.get("image_token_index", 151646),
        "image_grid_pinpoints": canvases(tower.image_size),
        "tie_word_embeddings": tied,
    }


def _fields() -> set[str]:
    return {*Qwen2Config().to_dict(), "rope_theta", "rope_scaling"} - {"vocab_size", "dtype", "torch_dtype"}


def _tower(known: dict[str, Any], shapes: Shapes, where: str) -> SiglipVisionConfig:
    width = _shape(shapes, "model.vision_tower.embeddings.patch_embedding.weight", where)[0]
    heads = known.get("num_attention_heads", HEADS.get(width, (0, 0))[0])
    if not heads:
        raise UserError(
            f"{where}: nothing tells how many heads a tower of width {width} has. Write "
            "vision_config: {num_attention_heads: ...} into its config.json."
        )
    patches = _shape(shapes, "model.vision_tower.embeddings.position_embedding.weight", where)[0]
    side = math.isqrt(patches)
    return SiglipVisionConfig(
        hidden_size=width,
        intermediate_size=_shape(shapes, "model.vision_tower.encoder.layers.0.mlp.fc1.weight", where)[0],
        num_hidden_layers=min(_count(shapes, "model.vision_tower.encoder.layers."), BLOCKS),
        num_attention_heads=heads,
        image_size=STANDARD if side == STANDARD // PATCH else side * PATCH,
        patch_size=PATCH,
        vision_use_head=False,
    )


def _count(shapes: Shapes, prefix: str) -> int:
    """How many blocks a stack has."""
    return len({key.removeprefix(prefix).split(".")[0] for key in shapes if key.startswith(prefix)})


def _shape(shapes: Shapes, key: str, where: str) -> tuple[int, ...]:
    if key not in shapes:
        raise UserError(f"{where}: has no {key}, so it is not a whole LLaVA-OneVision.")
    return shapes[key]
