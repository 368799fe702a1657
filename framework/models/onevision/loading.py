"""A model folder -> Anomaly-OV and its chat, with no tensor left random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from framework.errors import UserError
from framework.models.backbones.sources import hush, one_line, read_json
from framework.models.onevision import configuration
from framework.models.onevision.chat import Chat, read_tokenizer
from framework.models.onevision.modeling import AnomalyOV

DTYPES = {"auto": "auto", "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load(folder: Path, dtype: str = "auto", attention: str = "sdpa") -> tuple[AnomalyOV, Chat]:
    """Read a folder written by ``anomaly-ov convert``, or tuned.

    Args:
        folder: with config, weights and tokenizer.
        dtype: "auto" (as saved), "float32", "bfloat16" or "float16"; the expert stays float32.
        attention: of transformers: "sdpa", "eager", "flash_attention_2".

    Returns:
        The model, in eval mode on the CPU, and its chat.

    Raises:
        UserError: no such folder, another kind of model, damaged files, a tensor that is missing, too many or of
            another shape, or an attention that is not installed.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no model folder. Make one with `anomaly-ov convert SOURCE {folder}`.")
    kind = read_json(folder / "config.json").get("model_type")
    if kind != AnomalyOV.config_class.model_type:
        raise UserError(f"{folder}: a {kind!r}, not yet an Anomaly-OV. Run `anomaly-ov convert {folder} OUT` first.")
    try:
        with hush():
            loaded: Any = AnomalyOV.from_pretrained(
                folder,
                dtype=DTYPES[dtype],
                attn_implementation=attention,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # to name them below
                local_files_only=True,
                use_safetensors=True,
            )
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise UserError(f"{folder}: cannot be loaded ({one_line(error)}). Convert it again.") from None
    except ImportError as error:
        raise UserError(
            f"attention {attention!r}: not installed here ({one_line(error)}). Install it, or set model.attention=sdpa."
        ) from None
    except StrictDataclassError as error:
        raise UserError(f"{folder / 'config.json'}: not a valid config ({one_line(error)}).") from None
    model, report = loaded
    for fault in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[fault]:
            first = sorted(map(str, report[fault]))[0]
            raise UserError(
                f"{folder}: {len(report[fault])} {fault.replace('_', ' ')}, {first} first. Convert it again."
            )
    configuration.check(model.config, str(folder))
    return model.eval(), Chat(read_tokenizer(folder), model.config)
