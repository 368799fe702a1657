"""The embedded backbone as a vision tower of transformers, so that a small Anomaly-OV sees what stage 1 sees."""

# Without the annotations of __future__, whose strings @strict would not check.
from typing import Any

from huggingface_hub.dataclasses import strict
from torch import Tensor
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from framework.models.backbones.embedded.network import BLOCKS, IMAGE_SIZE, PATCH, WIDTH, Network


@strict
class EmbeddedTowerConfig(PreTrainedConfig):
    """Sizes of the embedded network; they are what they are."""

    model_type = "anomaly_ov_embedded"
    base_config_key = "vision_config"

    hidden_size: int = WIDTH
    num_hidden_layers: int = len(BLOCKS)
    image_size: int = IMAGE_SIZE
    patch_size: int = PATCH


class EmbeddedTower(PreTrainedModel):
    """The network; its hidden state ``i`` is the output of block ``i - 1``; state 0 is never asked for."""

    config: EmbeddedTowerConfig
    config_class = EmbeddedTowerConfig
    main_input_name = "pixel_values"
    _supports_sdpa = _supports_flash_attn = True  # it has attention of its own, so whatever the owner asks is fine

    def __init__(self, config: EmbeddedTowerConfig) -> None:
        super().__init__(config)
        self.network = Network()
        self.post_init()

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutput:
        """``(N, 3, S, S)`` in [-1, 1] -> hidden states ``(N, P, C)``."""
        states = self.network(pixel_values)
        return BaseModelOutput(last_hidden_state=states[-1], hidden_states=(None, *states))

    def _init_weights(self, module: Any) -> None:
        """Nothing: its weights come from the embedded file."""


AutoConfig.register("anomaly_ov_embedded", EmbeddedTowerConfig, exist_ok=True)
AutoModel.register(EmbeddedTowerConfig, EmbeddedTower, exist_ok=True)
