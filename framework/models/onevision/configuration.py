"""Sizes of an Anomaly-OV -> its configuration, as ``config.json`` holds it beside the weights."""

# Without the annotations of __future__, whose strings @strict would not check.
import math
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import LlavaOnevisionConfig

from framework.data.crops import CANVAS
from framework.errors import UserError
from framework.models.onevision.layout import MOST_TILES

LEVELS = [7, 13, 19, 25]  # hidden states, 0 are the embeddings: outputs of the blocks 6, 12, 18, 24
PREFIX = "with {} suspicious features: "
SETTINGS = {  # of LLaVA-OneVision, as published; our token layout and the expert know no other
    "vision_aspect_ratio": f"anyres_max_{MOST_TILES}",
    "vision_feature_select_strategy": "full",
    "vision_feature_layer": -1,
}
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
        self.level_layers = list(LEVELS) if self.level_layers is None else self.level_layers
        self.prefix_token_ids = [*map(list, QWEN_PREFIXES)] if self.prefix_token_ids is None else self.prefix_token_ids
        self.prefix_thresholds = list(THRESHOLDS) if self.prefix_thresholds is None else self.prefix_thresholds
        super().__post_init__(**kwargs)


def canvases(size: int, most: int = CANVAS) -> list[list[int]]:
    """All canvases of 1 to ``most`` tiles of ``size`` pixels a side, ``[height, width]``; published: 6; 0: none."""
    return [[rows * size, columns * size] for rows in range(1, most + 1) for columns in range(1, most + 1)]


def canvas(config: AnomalyOVConfig) -> int:
    """Most tiles a side that a model's pictures are cut into; 0: each is one padded square."""
    return math.isqrt(len(config.image_grid_pinpoints))


def check(config: AnomalyOVConfig, where: str) -> None:
    """Refuse a configuration that our crops or the published token layout do not fit.

    Raises:
        UserError: other canvases than all of 1 to n tiles a side, another setting of LLaVA-OneVision, levels that the
            tower has not, other thresholds than two, prefixes of unequal length, or an unknown arithmetic.
    """
    size = config.vision_config.image_size
    if sorted(map(list, config.image_grid_pinpoints)) != sorted(canvases(size, canvas(config))):
        raise UserError(
            f"{where}: image_grid_pinpoints are not all canvases of 1 to n tiles of {size} pixels a side, so "
            "pictures would be cut otherwise than the model was trained."
        )
    if len({len(ids) for ids in config.prefix_token_ids}) != 1 or len(config.prefix_token_ids) != len(ADVERBS):
        raise UserError(f"{where}: prefix_token_ids must be {len(ADVERBS)} lists of one length.")
    for name, value in SETTINGS.items():
        if getattr(config, name) != value:
            raise UserError(f"{where}: {name}={getattr(config, name)!r}; the model works with {value!r} only.")
    depth = config.vision_config.num_hidden_layers
    if not config.level_layers or not all(1 <= level <= depth for level in config.level_layers):
        raise UserError(f"{where}: level_layers={config.level_layers}; the tower has hidden states 1 to {depth}.")
    if (
        len(config.prefix_thresholds) != len(ADVERBS) - 1
        or sorted(config.prefix_thresholds) != config.prefix_thresholds
    ):
        raise UserError(f"{where}: prefix_thresholds={config.prefix_thresholds}; write two scores, the lower first.")
    if config.expert_arithmetic not in ("safe", "published"):
        raise UserError(f"{where}: expert_arithmetic={config.expert_arithmetic!r}; write safe or published.")
