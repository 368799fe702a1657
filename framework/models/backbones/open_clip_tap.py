"""An open_clip model (library name and tag, hub name or folder) goes in; a Backbone of its image tower comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import open_clip
from open_clip.transformer import VisionTransformer
from torch import nn

from framework.errors import UserError
from framework.models.backbones import sources
from framework.models.backbones.base import Backbone, check_size, choose
from framework.models.backbones.open_clip_text import language
from framework.models.backbones.timm_tap import LOADING, tap, wrap

NAME = "open_clip"
CONFIG = "open_clip_config.json"
FILES = (  # in the library's own order of preference
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "pytorch_model.bin",
)


def load(
    weights: str,
    tag: str | None,
    blocks: Sequence[int] | None,
    final: int | None,
    image_size: int | None,
    dtype: str,
    text: bool = False,
) -> Backbone:
    """Load the image tower of an open_clip model, and of it only the blocks that are used.

    Args:
        weights: hub name (owner/name), a folder with open_clip_config.json, or a model that open_clip lists.
        tag: which pretrained weights of a listed model; None for a hub name or folder.
        blocks: see ``base.choose``.
        final: see ``base.choose``.
        image_size: pixels; other sizes than the checkpoint's resample its position embeddings, as open_clip does.
        dtype: "float32", "bfloat16" or "float16".
        text: whether to keep the text tower, and the whole image tower with it, as ``Backbone.words``.

    Raises:
        UserError: nothing there, not a vision transformer, weights that do not fit, blocks that do not exist; with
            ``text`` no text tower or no tokenizer on this machine.
    """
    where = f"backbone {NAME!r} ({weights})"
    source, options = _source(where, weights, tag)
    model = _create(where, source, options, weights, tag, image_size)
    visual, words = model.visual, language(where, model, source) if text else None
    mean, std = visual.preprocess_cfg["mean"], visual.preprocess_cfg["std"]
    if not isinstance(visual, VisionTransformer):
        return wrap(NAME, where, _trunk(where, visual, image_size, text), blocks, final, mean, std, dtype)
    stack = visual.transformer.resblocks
    levels, last = choose(where, len(stack), blocks, final)
    if words is None:
        visual.prune_intermediate_layers([last, *levels], prune_norm=True, prune_head=True)
        visual.attn_pool = None
    (height, width), block = visual.image_size, stack[0]
    if height != width:
        raise UserError(f"{where}: takes {height} x {width} pixels; only square inputs are supported.")
    return Backbone(
        NAME,
        visual,
        tap,
        blocks=levels,
        final=last,
        width=visual.conv1.out_channels,
        image_size=height,
        grid=visual.grid_size,
        mean=mean,
        std=std,
        dtype=dtype,
        architecture=(
            f"open_clip, {type(block).__name__}, {block.attn.num_heads} heads, "
            f"{type(block.mlp.gelu).__name__}, patch {visual.patch_size[0]}"
        ),
        words=words,
    )


def _trunk(where: str, visual: Any, image_size: int | None, text: bool) -> Any:
    """The tower of timm in an image tower that is not open_clip's own."""
    trunk = getattr(visual, "trunk", None)
    if trunk is None:
        raise UserError(f"{where}: its image tower {type(visual).__name__} is not a vision transformer.")
    if image_size is not None and not hasattr(trunk, "set_input_size"):
        raise UserError(f"{where}: takes images of its own size only; leave image_size out.")
    if text:
        raise UserError(f"{where}: its image tower is timm's, which text=true does not read; take another model.")
    return trunk


def _create(
    where: str, source: str, options: dict[str, Any], weights: str, tag: str | None, image_size: int | None
) -> Any:
    """The whole model with its weights."""
    if image_size is not None:
        options["force_image_size"] = check_size(where, image_size)
    try:
        with sources.hush():
            model: nn.Module = open_clip.create_model(source, require_pretrained=True, **options)
    except LOADING as error:
        if tag is not None and "Failed to download" in str(error):
            raise sources.unreachable(NAME, f"{weights} {tag}") from None
        raise UserError(f"{where}: cannot be loaded: {sources.one_line(error)}.") from None
    return model


def _source(where: str, weights: str, tag: str | None) -> tuple[str, dict[str, Any]]:
    """What ``open_clip.create_model`` is called with.

    QuickGELU goes with the tag, not with the name: without it the published CLIP weights load and give other features.
    """
    if weights in open_clip.list_models():
        known = open_clip.list_pretrained_tags_by_model(weights)
        if tag not in known:
            raise UserError(f"{where}: tag={tag!r} is not one of {', '.join(known) or 'none'}.")
        quick = bool(open_clip.get_pretrained_cfg(weights, tag).get("quick_gelu"))
        return weights, {"pretrained": tag, "force_quick_gelu": quick}
    if tag is not None:
        raise UserError(f"{where}: tag={tag!r} goes with a model that open_clip lists, not with a hub name or folder.")
    if sources.local(NAME, weights) is None and "/" not in weights:
        raise UserError(f"{where}: neither a folder nor a model that open_clip lists; a hub name is owner/name.")
    return f"{sources.LOCAL_PREFIX}{sources.folder(NAME, weights, CONFIG, FILES)}", {}
