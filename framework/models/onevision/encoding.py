"""The crops of pictures -> what takes their place in a prompt, and a verdict: tower, expert and projector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlavaOnevisionModel, initialization
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.llava_onevision.modeling_llava_onevision import (
    get_anyres_image_grid_shape,
    image_size_to_num_patches,
)
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults

from framework.models.experts.look_twice import LookTwice
from framework.models.experts.published import published
from framework.models.onevision import tower as _tower  # noqa: F401 - registers itself
from framework.models.onevision.configuration import AnomalyOVConfig
from framework.models.onevision.layout import LOCAL
from framework.types import Features, Verdict


@dataclass
class Encoded(BaseModelOutputWithPooling):
    """M pictures, ready for any number of questions: give it to ``forward`` or ``generate`` in ``mm_encoder_outputs``.

    Attributes:
        pooler_output: M tensors ``(tokens, D)``, what takes the place of each picture's placeholders.
        verdict: the expert's: logits ``(M,)``, maps ``(N, rows, columns)``, tokens and summary.
        crops: crops of each picture; sums to N.
    """

    verdict: Verdict | None = None
    crops: list[int] | None = None


class Initial:
    """Fresh weights of the expert's two bare parameters, which transformers would leave as whatever memory holds."""

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, LookTwice):
            initialization.normal_(module.positive_embedding)
            initialization.normal_(module.negative_embedding)


class AnomalyOVModel(Initial, LlavaOnevisionModel):
    """LLaVA-OneVision without its head, whose pictures bring their anomaly tokens.

    The expert is the one of stage 1, ``LookTwice``: same class, same tensors.
    """

    config: AnomalyOVConfig
    _keep_in_fp32_modules_strict = {"anomaly_expert"}  # noqa: RUF012 - as the library declares it

    def __init__(self, config: AnomalyOVConfig) -> None:
        super().__init__(config)
        vision = config.vision_config
        side = vision.image_size // vision.patch_size
        self.anomaly_expert = LookTwice(vision.hidden_size, side * side, len(config.level_layers), **config.expert)
        self.post_init()

    @merge_with_config_defaults
    @can_return_tuple
    def get_image_features(
        self,
        pixel_values: Tensor,
        image_sizes: Tensor,
        vision_feature_layer: int | None = None,
        vision_feature_select_strategy: str | None = None,
        vision_aspect_ratio: str | None = None,
        batch_num_images: Tensor | None = None,
        **kwargs: Any,
    ) -> Encoded:
        """One pass of the tower over all crops of M pictures, the expert's verdict, and the tokens of each picture.

        Args:
            pixel_values: ``(N, 3, S, S)``, crops end to end, uint8; or normalised, as transformers has them, also
                ``(M, most crops, 3, S, S)``.
            image_sizes: ``(M, 2)`` height and width of each picture, its longest side at most 1024.
            vision_feature_layer: as in LLaVA-OneVision; None for the configured.
            vision_feature_select_strategy: as in LLaVA-OneVision.
            vision_aspect_ratio: as in LLaVA-OneVision.
            batch_num_images: pictures of each sample; None: one each. Of several each is one padded square,
                and so is every one of a model without canvases.
            kwargs: of the tower.

        Source: Anomaly-OneVision ``llava_arch.py``: image tokens, prefix text for the score, summary, four tokens of
        the base crop, those of the tiles as a grid with a newline after each row; all pass the projector.
        """
        if not self.config.image_grid_pinpoints:  # no tiles; the library looks no further than the sizes
            batch_num_images = torch.tensor([max(2, len(image_sizes))])
        if pixel_values.dtype == torch.uint8:
            pixel_values = (pixel_values.float() / 255 - 0.5) / 0.5
        levels = self.config.level_layers
        options = {k: v for k, v in kwargs.items() if k not in ("output_hidden_states", "return_dict")}
        found = super().get_image_features(
            pixel_values.to(self.vision_tower.dtype),
            image_sizes,
            vision_feature_layer=vision_feature_layer,
            vision_feature_select_strategy=vision_feature_select_strategy,
            vision_aspect_ratio=vision_aspect_ratio,
            batch_num_images=batch_num_images,
            output_hidden_states=[*levels, vision_feature_layer],
            return_dict=True,
            **options,
        )
        states = found.hidden_states
        crops = self._crops(image_sizes, batch_num_images)
        features = Features([states[i] for i in levels], states[vision_feature_layer], self._grid())
        judge = published if self.config.expert_arithmetic == "published" else LookTwice.__call__
        verdict: Verdict = judge(self.anomaly_expert, features, crops)
        packed = self._packed(found.pooler_output, verdict, crops, image_sizes)
        return Encoded(pooler_output=packed, verdict=verdict, crops=crops)

    def _packed(self, images: list[Tensor], verdict: Verdict, crops: list[int], sizes: Tensor) -> list[Tensor]:
        """Each picture's image tokens, prefix and anomaly tokens, ``(tokens, D)``."""
        dtype = images[0].dtype
        tokens = self.multi_modal_projector(verdict.tokens.to(dtype))  # (N, 4, D)
        summary = self.multi_modal_projector(verdict.summary.to(dtype))  # (M, D)
        prefixes = self.get_input_embeddings()(self.prefixes(verdict.logits)).to(dtype)  # (M, P, D)
        parts = zip(images, prefixes, summary[:, None], tokens.split(crops), sizes, strict=True)
        return [torch.cat([image, text, total, self._grown(local, size)]) for image, text, total, local, size in parts]

    def prefixes(self, logits: Tensor) -> Tensor:
        """``(M,)`` logits -> ``(M, P)`` token ids of the text that says how suspicious each picture is.

        The published arithmetic compares scores that are rounded to the dtype of the tower; NaN is highly suspicious.
        """
        rounded = self.config.expert_arithmetic == "published"
        scores = logits.detach().to(self.vision_tower.dtype if rounded else torch.float32).sigmoid()
        edges = torch.tensor(self.config.prefix_thresholds, dtype=torch.float64, device=logits.device)
        ids = torch.tensor(self.config.prefix_token_ids, device=logits.device)
        return ids[torch.bucketize(scores.double(), edges, right=True)]

    def _grown(self, local: Tensor, size: Tensor) -> Tensor:
        """``(K, 4, D)`` tokens of the crops of a picture -> those of the base crop, then rows ending in a newline."""
        newline = self.image_newline.to(local)
        if len(local) == 1:
            return torch.cat([local[0], newline[None]])
        rows, columns = get_anyres_image_grid_shape(
            size, self.config.image_grid_pinpoints, self.config.vision_config.image_size
        )
        grid = local[1:].unflatten(0, (rows, columns)).unflatten(2, (LOCAL, LOCAL))  # (rows, columns, 2, 2, D)
        grid = grid.transpose(1, 2).flatten(2, 3).flatten(0, 1)  # (2 rows, 2 columns, D)
        ends = newline.expand(len(grid), 1, -1)
        return torch.cat([local[0], torch.cat([grid, ends], 1).flatten(0, 1)])

    def _crops(self, sizes: Tensor, pictures: Tensor | None) -> list[int]:
        alone = [True] * len(sizes) if pictures is None else [n == 1 for n in pictures for _ in range(int(n))]
        side, canvases = self.config.vision_config.image_size, self.config.image_grid_pinpoints
        return [
            image_size_to_num_patches(size, canvases, side) if one else 1
            for size, one in zip(sizes, alone, strict=False)  # as the library, which looks no further than the sizes
        ]

    def _grid(self) -> tuple[int, int]:
        side = self.config.vision_config.image_size // self.config.vision_config.patch_size
        return side, side
