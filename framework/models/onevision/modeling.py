"""Token ids and the crops of pictures -> logits, answers, scores and maps: Anomaly-OV on transformers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionPreTrainedModel,
)
from transformers.conversion_mapping import get_checkpoint_conversion_mapping, register_checkpoint_conversion_mapping
from transformers.models.llava_onevision.modeling_llava_onevision import LlavaOnevisionCausalLMOutputWithPast

from framework.models.onevision.configuration import AnomalyOVConfig
from framework.models.onevision.encoding import AnomalyOVModel, Initial
from framework.models.onevision.layout import IGNORED
from framework.types import Verdict


@dataclass
class AnomalyOVOutput(LlavaOnevisionCausalLMOutputWithPast):
    """LLaVA-OneVision's output and ``verdict``, the expert's opinion of the pictures; None where there were none."""

    verdict: Verdict | None = None


class AnomalyOV(Initial, LlavaOnevisionForConditionalGeneration):
    """Anomaly-OV whole: tower, expert, projector and language model; 0.5B and 7B by configuration.

    ``get_image_features`` encodes pictures once; its result, as ``mm_encoder_outputs={"image": encoded}``, serves any
    number of calls of ``forward`` and ``generate``.
    """

    config: AnomalyOVConfig
    config_class = AnomalyOVConfig

    def __init__(self, config: AnomalyOVConfig) -> None:
        LlavaOnevisionPreTrainedModel.__init__(self, config)
        self.model = AnomalyOVModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.loss_type = "ForCausalLM"  # the library reads it off the name of a class of its own
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_sizes: Tensor | None = None,
        batch_num_images: Tensor | None = None,
        mm_encoder_outputs: dict[str, Any] | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> Any:
        """As LLaVA-OneVision's; pictures come as ``pixel_values`` or encoded; the result has the expert's verdict."""
        if pixel_values is not None and not (mm_encoder_outputs or {}).get("image"):
            encoded = self.model.get_image_features(pixel_values, image_sizes, batch_num_images=batch_num_images)
            mm_encoder_outputs = {"image": encoded}
        found = super().forward(
            input_ids=input_ids,
            mm_encoder_outputs=mm_encoder_outputs,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            labels=labels,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )
        encoded = (mm_encoder_outputs or {}).get("image")
        if encoded is None or isinstance(found, tuple):
            return found
        return AnomalyOVOutput(**dict(found.items()), verdict=encoded.verdict)

    def losses(self, labels: Tensor, **inputs: Any) -> tuple[Tensor, Tensor, Verdict]:
        """Cross-entropy of each of B conversations, its mean over learned tokens.

        Only positions that are learned pass the head: of thousands of picture tokens none needs logits over the whole
        vocabulary, which would take more memory than the model.

        Args:
            labels: ``(B, T)`` token ids, -100 where nothing is learned.
            inputs: of ``forward``.

        Returns:
            ``(B,)`` float32 losses, 0 where nothing is learned; ``(B,)`` how many tokens are; the expert's verdict.
        """
        encoded = self.model.get_image_features(
            inputs.pop("pixel_values"), inputs.pop("image_sizes"), batch_num_images=inputs.pop("batch_num_images")
        )
        hidden = self.model(**inputs, mm_encoder_outputs={"image": encoded}, use_cache=False).last_hidden_state
        learned = labels[:, 1:] != IGNORED
        logits = self.lm_head(hidden[:, :-1][learned]).float()  # (tokens, vocabulary)
        each = nn.functional.cross_entropy(logits, labels[:, 1:][learned], reduction="none")
        rows = learned.nonzero()[:, 0]
        counts = learned.sum(1)
        total = each.new_zeros(len(labels)).index_add(0, rows, each)
        assert encoded.verdict is not None
        return total / counts.clamp_min(1), counts, encoded.verdict


AutoConfig.register("anomaly_ov", AnomalyOVConfig, exist_ok=True)
AutoModelForImageTextToText.register(AnomalyOVConfig, AnomalyOV, exist_ok=True)
# Else from_pretrained skips the renaming of older files, as for any class not the library's own, and loses weights.
register_checkpoint_conversion_mapping(
    "anomaly_ov", get_checkpoint_conversion_mapping("llava_onevision"), overwrite=True
)
