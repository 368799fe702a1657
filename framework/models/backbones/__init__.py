"""Weights and blocks by name -> a frozen backbone. Importing this loads no torch.

All factories share four options. ``blocks`` and ``final`` are 0-based block numbers (``hidden_states[b + 1]`` of
transformers); ``base.choose`` gives the default rule, which yields the published 6, 12, 18, 24 and 25 for so400m.
``image_size`` in pixels; None for the checkpoint's. ``dtype`` is what the tower computes in, "float32", "bfloat16" or
"float16"; features come out as float32. ``weights`` is a hub name or a folder; ``HF_HUB_OFFLINE`` is honoured. Every
factory raises UserError where something is missing, is of another architecture, or does not fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from framework.registry import register

if TYPE_CHECKING:
    from framework.models.backbones.base import Backbone


@register("backbone", "siglip")
def siglip(
    weights: str = "google/siglip-so400m-patch14-384",
    blocks: list[int] | None = None,
    final: int | None = None,
    image_size: Annotated[int, "[1, inf)"] | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
) -> Backbone:
    """SigLIP of transformers: a whole model or its vision tower."""
    from framework.models.backbones.huggingface import load

    return load("siglip", weights, blocks, final, image_size, dtype)


@register("backbone", "llava_onevision")
def llava_onevision(
    weights: str = "llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
    blocks: list[int] | None = None,
    final: int | None = None,
    image_size: Annotated[int, "[1, inf)"] | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
) -> Backbone:
    """The fine-tuned SigLIP inside a LLaVA-OneVision checkpoint, which the published experts were trained on.

    Only the tower's tensors are read (and, from the hub, only the shards that hold them are fetched).
    """
    from framework.models.backbones.huggingface import load

    return load("llava_onevision", weights, blocks, final, image_size, dtype)


@register("backbone", "clip")
def clip(
    weights: str = "openai/clip-vit-large-patch14-336",
    blocks: list[int] | None = None,
    final: int | None = None,
    image_size: Annotated[int, "[1, inf)"] | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
) -> Backbone:
    """CLIP of transformers: a whole model or its vision tower."""
    from framework.models.backbones.huggingface import load

    return load("clip", weights, blocks, final, image_size, dtype)


@register("backbone", "dinov2")
def dinov2(
    weights: str = "facebook/dinov2-base",
    blocks: list[int] | None = None,
    final: int | None = None,
    image_size: Annotated[int, "[1, inf)"] | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
) -> Backbone:
    """DINOv2 of transformers, with or without registers; its own size is the 518 pixels of its last training."""
    from framework.models.backbones.huggingface import load

    return load("dinov2", weights, blocks, final, image_size, dtype)


@register("backbone", "open_clip")
def open_clip(
    weights: str = "timm/vit_large_patch14_clip_336.openai",
    tag: str | None = None,
    text: bool = False,
    blocks: list[int] | None = None,
    final: int | None = None,
    image_size: Annotated[int, "[1, inf)"] | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
) -> Backbone:
    """The image tower of open_clip: hub name, folder, or a model it lists (ViT-B-16) with one of its tags (openai).

    ``text`` keeps the text tower of the same checkpoint, which the experts winclip and anomalyclip read.
    """
    from framework.models.backbones.open_clip_tap import load

    return load(weights, tag, blocks, final, image_size, dtype, text)


@register("backbone", "timm")
def timm(
    weights: str = "vit_so400m_patch14_siglip_384.webli",
    blocks: list[int] | None = None,
    final: int | None = None,
    image_size: Annotated[int, "[1, inf)"] | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
) -> Backbone:
    """A plain vision transformer of timm: a listed ``architecture.tag``, hub name, or folder with config.json."""
    from framework.models.backbones.timm_tap import load

    return load(weights, blocks, final, image_size, dtype)


@register("backbone", "embedded")
def embedded(
    blocks: list[int] | None = None,
    final: int | None = None,
    image_size: Annotated[int, "[1, inf)"] | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
) -> Backbone:
    """The small network that lies in this repository, trained by it on procedural pictures: no download."""
    from framework.models.backbones.embedded_tap import load

    return load(blocks, final, image_size, dtype)
