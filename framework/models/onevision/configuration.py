"""Sizes of an Anomaly-OV -> its configuration, as ``config.json`` holds it beside the weights."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import LlavaOnevisionConfig

from framework.data.crops import CANVAS
from framework.errors import UserError

LEVELS = [7, 13, 19, 25]  # hidden states, 0 are the embeddings: outputs of the blocks 6, 12, 18, 24
PREFIX = "with {} suspicious features: "
ADVERBS = ("slightly", "moderately", "highly")
THRESHOLDS = [0.3, 0.7]  # below the first: slightly; below the second: moderately
QWEN_PREFIXES = [[4197, first, 31327, 4419, 25, 220] for first in (10078, 69251, 7548)]


@strict
class AnomalyOVConfig(LlavaOnevisionConfig):
    """LLaVA-OneVision's configuration and what the expert adds.

    Attributes:
        expert: sizes of the look-twice expert, ``embedding``, ``descriptor``, ``attention`` and ``hidden``.
        level_layers: hidden states of the tower that are the expert's levels; 0 are the embeddings.
        prefix_token_ids: three lists of one length, the text that introduces the anomaly tokens for a picture that is
            slightly, moderately and highly suspicious.
        prefix_thresholds: scores at which the second and the third begin.
        expert_arithmetic: "safe" computes the expert in float32; "published" in the dtype of the model, step by step as
            the published code does, with its rounding and its NaN.
    """

    model_type = "anomaly_ov"

    expert: dict | None = None
    level_layers: list[int] | None = None
    prefix_token_ids: list[list[int]] | None = None
    prefix_thresholds: list[float] | None = None
    expert_arithmetic: str = "safe"

    def __post_init__(self, **kwargs: Any) -> None:
        self.expert = dict(self.expert or {})
        self.level_layers = LEVELS if self.level_layers is None else self.level_layers
        self.prefix_token_ids = QWEN_PREFIXES if self.prefix_token_ids is None else self.prefix_token_ids
        self.prefix_thresholds = THRESHOLDS if self.prefix_thresholds is None else self.prefix_thresholds
        super().__post_init__(**kwargs)


def canvases(size: int) -> list[list[int]]:
    """The published canvases: 1 to 6 tiles of ``size`` pixels a side, each ``[height, width]``."""
    return [[rows * size, columns * size] for rows in range(1, CANVAS + 1) for columns in range(1, CANVAS + 1)]


def check(config: AnomalyOVConfig, where: str) -> None:
    """Refuse a configuration that our crops or the published token layout do not fit.

    Raises:
        UserError: other canvases than 1 to 6 tiles a side, prefixes of unequal length, or an unknown arithmetic.
    """
    size = config.vision_config.image_size
    if sorted(map(list, config.image_grid_pinpoints)) != sorted(canvases(size)):
        raise UserError(
            f"{where}: image_grid_pinpoints are not 1 to {CANVAS} tiles of {size} pixels a side, so pictures would be "
            "cut otherwise than the model was trained."
        )
    if len({len(ids) for ids in config.prefix_token_ids}) != 1 or len(config.prefix_token_ids) != len(ADVERBS):
        raise UserError(f"{where}: prefix_token_ids must be {len(ADVERBS)} lists of one length.")
    if config.expert_arithmetic not in ("safe", "published"):
        raise UserError(f"{where}: expert_arithmetic={config.expert_arithmetic!r}; write safe or published.")
