"""Names of tensors in LLaVA-style, llava-hf and Anomaly-OV checkpoints -> names in our model. Loads no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

BLOCKS = 26  # of 27: the published code deletes the last block of the tower and never misses it
EXPERT = "model.anomaly_expert."
_RENAMES = [  # the first that matches a whole key gives its name
    (r"model\.vision_tower\.vision_tower\.vision_model\.(.+)", r"model.vision_tower.\1"),
    (r"model\.mm_projector\.0\.(.+)", r"model.multi_modal_projector.linear_1.\1"),
    (r"model\.mm_projector\.2\.(.+)", r"model.multi_modal_projector.linear_2.\1"),
    (r"model\.((?:embed_tokens|layers|norm)\..+)", r"model.language_model.\1"),
    (r"(?:model\.)?anomaly_(?:encoder|expert)\.(.+)", EXPERT + r"\1"),
    (r"(?:language_model\.)?lm_head\.weight", "lm_head.weight"),
    (r"(?:model\.)?image_newline", "model.image_newline"),
    (r"language_model\.(?:model\.)?(.+)", r"model.language_model.\1"),
    (r"(?:model\.)?vision_tower\.(?:vision_model\.)?(.+)", r"model.vision_tower.\1"),
    (r"(?:model\.)?multi_modal_projector\.(.+)", r"model.multi_modal_projector.\1"),
    (r"model\.language_model\.(.+)", r"model.language_model.\1"),
]
_DROPPED = [  # what a key is left out for
    (r".*\.(?:rotary_emb\.)?inv_freq", "computed from the configuration"),
    (r".*\.position_ids", "computed from the configuration"),
    (r"(?:.*\.)?faster_token", "of video, which the model does not read"),
    (r"model\.vision_tower\.(?:head\.|.*probe).*", "pooling head of the tower, which the model does not run"),
]
_BLOCK = re.compile(r"model\.vision_tower\.encoder\.layers\.(\d+)\..+")


@dataclass(frozen=True, slots=True)
class Move:
    """One tensor of a source.

    Attributes:
        source: its key there.
        target: its key in our model; "" where it is left out.
        why: why it is left out.
    """

    source: str
    target: str
    why: str = ""


def moves(keys: Iterable[str]) -> list[Move]:
    """Where each tensor of a checkpoint goes, in the order of its ``keys``."""
    named = [(key, _renamed(key.removeprefix("module."))) for key in keys]
    depth = 1 + max((int(m[1]) for _, target in named if (m := _BLOCK.fullmatch(target))), default=-1)
    found = []
    for key, target in named:
        why = next((why for pattern, why in _DROPPED if re.fullmatch(pattern, target)), "")
        block = _BLOCK.fullmatch(target)
        if block and depth == BLOCKS + 1 and int(block[1]) == BLOCKS:
            why = "last block of the tower, which the published model does not run"
        found.append(Move(key, "" if why else target, why))
    return found


def _renamed(key: str) -> str:
    for pattern, replacement in _RENAMES:
        if re.fullmatch(pattern, key):
            return re.sub(pattern, replacement, key)
    return key
