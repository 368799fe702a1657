"""A timm vision transformer (library name, hub name or folder) goes in; a Backbone comes out."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
from safetensors import SafetensorError
from timm.models import get_pretrained_cfg, is_model
from torch import Tensor, nn

from framework.errors import UserError
from framework.models.backbones import sources
from framework.models.backbones.base import Backbone, check_size, choose

NAME = "timm"
FILES = ("model.safetensors", "pytorch_model.bin")
LOADING = (OSError, RuntimeError, ValueError, TypeError, KeyError, EOFError, SafetensorError, pickle.UnpicklingError)
COMPLETED = ("classifier", "num_classes", "mean", "std", "first_conv", "input_size", "fixed_input_size")


def load(weights: str, blocks: Sequence[int] | None, final: int | None, image_size: int | None, dtype: str) -> Backbone:
    """Load a timm vision transformer, and of it only the blocks that are used.

    Args:
        weights: ``architecture.tag`` as timm lists it, hub name (owner/name), or a folder with config.json.
        blocks: see ``base.choose``.
        final: see ``base.choose``.
        image_size: pixels; other sizes than the checkpoint's resample its position embeddings, as timm does.
        dtype: "float32", "bfloat16" or "float16".

    Raises:
        UserError: nothing there, not a plain vision transformer, weights that do not fit, blocks that do not exist.
    """
    where = f"backbone {NAME!r} ({weights})"
    model = _create(where, weights, image_size)
    found = model.pretrained_cfg
    return wrap(NAME, where, model, blocks, final, found["mean"], found["std"], dtype)


def wrap(
    name: str,
    where: str,
    model: nn.Module,
    blocks: Sequence[int] | None,
    final: int | None,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: str,
) -> Backbone:
    """A Backbone around a timm model with its weights, pruned to what is used.

    Raises:
        UserError: not a plain vision transformer with one grid for all blocks, or blocks that do not exist.
    """
    trunk: Any = model
    steps = {step["reduction"] for step in trunk.feature_info} if isinstance(trunk.feature_info, list) else set()
    grid = getattr(getattr(trunk, "patch_embed", None), "grid_size", None)
    if len(steps) != 1 or grid is None or len(trunk.feature_info) != len(getattr(trunk, "blocks", ())):
        raise UserError(f"{where}: {type(model).__name__} is not a plain vision transformer with one grid of patches.")
    levels, last = choose(where, len(trunk.blocks), blocks, final)
    trunk.prune_intermediate_layers(sorted({*levels, last}), prune_norm=True, prune_head=True)
    height, width = trunk.patch_embed.img_size
    if height != width:
        raise UserError(f"{where}: takes {height} x {width} pixels; only square inputs are supported.")
    return Backbone(
        name,
        model,
        tap,
        blocks=levels,
        final=last,
        width=trunk.embed_dim,
        image_size=height,
        grid=(grid[0], grid[1]),
        mean=mean,
        std=std,
        dtype=dtype,
        architecture=f"timm {trunk.pretrained_cfg['architecture']}, {_heads(trunk.blocks[0])} heads",
    )


def tap(tower: nn.Module, pixels: Tensor, wanted: list[int]) -> list[Tensor]:
    """Raw outputs ``(N, P, C)`` of the blocks ``wanted``, in their order, by the library's own tap.

    Args:
        tower: a timm vision transformer, or open_clip's.
        pixels: ``(N, 3, S, S)``, normalised.
        wanted: 0-based blocks.
    """
    order = sorted(set(wanted))
    maps = tower.forward_intermediates(  # type: ignore[operator]
        pixels, indices=order, stop_early=True, intermediates_only=True, output_fmt="NCHW"
    )
    found = maps["image_intermediates"] if isinstance(maps, dict) else maps
    tokens = dict(zip(order, (m.flatten(2).transpose(1, 2) for m in found), strict=True))
    return [tokens[block] for block in wanted]


def _heads(block: nn.Module) -> int | None:
    """Attention heads of a block; None where it counts them in its own way."""
    return getattr(getattr(block, "attn", None), "num_heads", None)


def _create(where: str, weights: str, image_size: int | None) -> Any:
    """The timm model with pretrained weights, whole and strictly loaded."""
    folder = sources.folder(NAME, _repository(where, weights), "config.json", FILES)
    options: dict[str, Any] = {"pretrained_cfg_overlay": _completion(where, folder)}
    if image_size is not None:
        options["img_size"] = check_size(where, image_size)
    try:
        with sources.hush():
            return timm.create_model(f"{sources.LOCAL_PREFIX}{folder}", pretrained=True, **options)
    except LOADING as error:
        if isinstance(error, TypeError) and image_size is not None and "img_size" in str(error):
            raise UserError(f"{where}: takes images of its own size only; leave image_size out.") from None
        raise UserError(f"{where}: cannot be loaded: {sources.one_line(error)}.") from None


def _repository(where: str, weights: str) -> str:
    """Folder or hub name; for a model that timm lists, the hub repository it is listed with."""
    if sources.local(NAME, weights) is not None or "/" in weights:
        return weights
    try:
        listed = get_pretrained_cfg(weights)
    except RuntimeError as error:  # of another tag
        raise UserError(f"{where}: {sources.one_line(error)}") from None
    if listed is None:
        raise UserError(f"{where}: neither a folder nor a model that timm lists; a hub name is owner/name.")
    if not listed.hf_hub_id or listed.hf_hub_filename:
        raise UserError(f"{where}: timm lists no hub repository of this model; set weights to a folder.")
    return listed.hf_hub_id


def _completion(where: str, folder: Path) -> dict[str, Any]:
    """What a folder's config.json leaves out, from timm's own entry of that architecture and tag."""
    config = sources.read_json(folder / "config.json")
    inner = config.get("pretrained_cfg", config)
    name = config.get("architecture")
    if not isinstance(name, str) or not is_model(name):
        raise UserError(f"{where}: {folder / 'config.json'} names no architecture of timm (found {name!r}).")
    try:
        known = get_pretrained_cfg(f"{name}.{inner['tag']}" if inner.get("tag") else name)
    except RuntimeError:  # a tag of the user's own
        known = get_pretrained_cfg(name)
    return {
        key: getattr(known, key)
        for key in COMPLETED
        if known is not None and key not in inner and key not in config and getattr(known, key) is not None
    }
