"""A transformers checkpoint (SigLIP, CLIP, DINOv2, or LLaVA-OneVision for its tower) goes in; a Backbone comes out."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from framework.errors import UnreadableError, UserError
from framework.models.backbones import sources
from framework.models.backbones.base import Backbone, check_size, choose

TOWERS = {  # backbone -> what config.json may call itself -> the tower's class
    "siglip": {"siglip": "SiglipVisionModel", "siglip_vision_model": "SiglipVisionModel"},
    "clip": {"clip": "CLIPVisionModel", "clip_vision_model": "CLIPVisionModel"},
    "dinov2": {"dinov2": "Dinov2Model", "dinov2_with_registers": "Dinov2WithRegistersModel"},
    "llava_onevision": {"llava_onevision": "SiglipVisionModel"},
}
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
STATISTICS = {  # mean and std that a family was trained with, for checkpoints without an image processor
    "siglip": HALF,
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "dinov2": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "llava_onevision": HALF,
}
SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
TOWER_KEY = re.compile(r"(?:model\.)?vision_tower\.(?:vision_model\.)?(.+)")
FINAL_NORM = re.compile(r"(post_)?layernorm\.")


def load(
    name: str, weights: str, blocks: Sequence[int] | None, final: int | None, image_size: int | None, dtype: str
) -> Backbone:
    """Load the vision tower of a checkpoint, and of it only the blocks that are used.

    Args:
        name: a key of ``TOWERS``.
        weights: hub name or folder.
        blocks: see ``base.choose``.
        final: see ``base.choose``.
        image_size: pixels; other sizes than the checkpoint's interpolate its position embeddings, as the library does.
        dtype: "float32", "bfloat16" or "float16".

    Raises:
        UserError: nothing there, another architecture, weights that do not fit, blocks that do not exist.
    """
    where = f"backbone {name!r} ({weights})"
    llava = name == "llava_onevision"
    files = SAFE if llava else SAFE + PICKLED
    folder = sources.folder(name, weights, "config.json", files, PROCESSORS, _in_tower if llava else lambda key: True)
    config, kind = _config(where, name, folder)
    levels, last = choose(where, config.num_hidden_layers, blocks, final)
    native, patch = config.image_size, config.patch_size
    size = native if image_size is None else check_size(where, image_size, patch)
    config.num_hidden_layers = last + 1
    if hasattr(config, "vision_use_head"):
        config.vision_use_head = False
    tower = _tower(where, kind, config, folder, _tower_tensors(where, folder) if llava else None)
    mean, std = _statistics(name, folder)
    architecture = (
        f"{config.model_type}, {config.num_attention_heads} heads, {config.hidden_act}, "
        f"norm eps {config.layer_norm_eps:g}, patch {patch}, trained at {native}"
    )
    return Backbone(
        name,
        tower,
        partial(tap, stretch=size != native and name != "dinov2"),  # DINOv2 stretches without being asked
        blocks=levels,
        final=last,
        width=config.hidden_size,
        image_size=size,
        grid=(size // patch, size // patch),
        mean=mean,
        std=std,
        dtype=dtype,
        architecture=architecture,
    )


def tap(tower: nn.Module, pixels: Tensor, wanted: list[int], stretch: bool = False) -> list[Tensor]:
    """Raw outputs of the blocks ``wanted``, in their order: ``hidden_states[b + 1]`` of the library for block b.

    Hooks live for one call only: the library's own stay behind after ``output_hidden_states``, and a module with them
    cannot be pickled into another process.

    Args:
        tower: of ``TOWERS``.
        pixels: ``(N, 3, S, S)``, normalised.
        wanted: 0-based blocks.
        stretch: interpolate the position embeddings to the size of ``pixels``.

    Returns:
        ``(N, T, C)`` each, prefix tokens first.
    """
    kept: dict[int, Tensor] = {}
    stack = _blocks(tower)
    hooks = [stack[b].register_forward_hook(partial(_keep, kept, b)) for b in set(wanted)]
    try:
        tower(pixels, **({"interpolate_pos_encoding": True} if stretch else {}))
    finally:
        for hook in hooks:
            hook.remove()
    return [kept[b] for b in wanted]


def _keep(kept: dict[int, Tensor], block: int, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
    kept[block] = output


def _blocks(tower: nn.Module) -> nn.ModuleList:
    """The stack of blocks, ``layers`` in SigLIP and CLIP, ``layer`` in DINOv2."""
    found = next(child for child in tower.get_submodule("encoder").children() if isinstance(child, nn.ModuleList))
    return found


def _config(where: str, name: str, folder: Path) -> tuple[Any, str]:
    """Config of the vision tower, and the name of its class."""
    path = folder / "config.json"
    found = sources.read_json(path).get("model_type")
    known = TOWERS[name]
    if found not in known:
        other = next((n for n, kinds in TOWERS.items() if found in kinds), "")
        hint = f"; use backbone {other!r}" if other else ""
        raise UserError(f"{where}: {path} is of model_type {found!r}, not {' or '.join(known)}{hint}.")
    try:
        with sources.hush():
            config: Any = transformers.AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, TypeError, KeyError, StrictDataclassError) as error:
        raise UnreadableError(f"{path}: not a valid config ({sources.one_line(error)}).") from None
    config = getattr(config, "vision_config", config)
    if name == "llava_onevision" and config.model_type != "siglip_vision_model":
        raise UserError(f"{where}: its tower is a {config.model_type!r}, not siglip_vision_model.")
    return config, known[found]


def _tower(where: str, kind: str, config: Any, folder: Path, tensors: dict[str, Tensor] | None) -> nn.Module:
    """The tower with all its weights and without the final norm, which no tapped block passes."""
    source = {"state_dict": tensors} if tensors is not None else {}
    try:
        with sources.hush():
            tower, report = getattr(transformers, kind).from_pretrained(
                None if source else folder, config=config, dtype=torch.float32, output_loading_info=True, **source
            )
    except (OSError, RuntimeError, ValueError, EOFError, SafetensorError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{where}: the weights in {folder} cannot be read or do not fit its config.json "
            f"({sources.one_line(error)}); download the checkpoint again."
        ) from None
    missing = sorted(key for key in report["missing_keys"] if not FINAL_NORM.match(key))
    if missing:
        raise UserError(
            f"{where}: the weights in {folder} lack {len(missing)} tensors of the tower, {missing[0]!r} first; "
            "download the checkpoint again."
        )
    setattr(tower, "layernorm" if hasattr(tower, "layernorm") else "post_layernorm", nn.Identity())
    return tower


def _in_tower(key: str) -> bool:
    return TOWER_KEY.fullmatch(key) is not None


def _tower_tensors(where: str, folder: Path) -> dict[str, Tensor]:
    """The tower's tensors of a LLaVA checkpoint under the names of a bare tower; others are never read from disk."""
    index = folder / SAFE[1]
    files = {file for key, file in sources.shards(index).items() if _in_tower(key)} if index.is_file() else {SAFE[0]}
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder / file for file in files):
        try:
            with safe_open(path, framework="pt") as shard:
                for key in shard.keys():  # noqa: SIM118 - not a mapping
                    if match := TOWER_KEY.fullmatch(key):
                        tensors[match[1]] = shard.get_tensor(key)
        except (OSError, SafetensorError) as error:
            raise UnreadableError(f"{path}: cannot be read ({sources.one_line(error)}).") from None
    if not tensors:
        raise UserError(f"{where}: {folder} holds no tensors named vision_tower.*, so no tower can be loaded.")
    return tensors


def _statistics(name: str, folder: Path) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and std of the checkpoint's image processor, else those of the family."""
    for file in PROCESSORS:
        if (folder / file).is_file():
            found = sources.read_json(folder / file)
            found = found.get("image_processor", found)
            if "image_mean" in found and "image_std" in found:
                return found["image_mean"], found["image_std"]
    return STATISTICS[name]
