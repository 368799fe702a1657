"""A file of an expert, published (.pth, .safetensors) or of `fit` (.ckpt) -> the weights of an expert."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from framework.errors import UnreadableError, UserError

PREFIXES = ("module.", "model.", "anomaly_encoder.", "expert.")
OURS = {"state_dict", "anomaly_ov"}  # what `fit` writes: the card says what the expert was trained on
THEIRS = "prompt_learner"  # where AnomalyCLIP's published files have their tensors
NAMED = 3  # how many keys a message lists
DAMAGED = (  # what torch.load and safetensors raise on damaged files, found by damaging files of each format
    *(OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError),
    *(struct.error, pickle.UnpicklingError, SafetensorError),
)
SIZED = {  # option of the look-twice expert: a tensor whose last size it is
    "embedding": "positive_embedding",
    "descriptor": "class_predictor.0.bias",
    "attention": "q_former.query_proj.bias",
    "hidden": "final_predictor.0.bias",
}
Shapes = dict[str, tuple[int, ...]]
T = TypeVar("T")


def load_expert_weights(path: Path, expert: nn.Module) -> None:
    """Fill ``expert`` with the weights of a file, all of them or none.

    Args:
        path: ``.safetensors``, or anything ``torch.load`` reads without running code: an ``expert.ckpt`` of a run, or
            a flat dictionary of tensors, whose keys may all begin with "module.", "anomaly_encoder.",
            "model.anomaly_encoder." or "expert.".
        expert: any expert; keeps its dtype and device. Tensors that it names in ``grows`` may have any length; keys
            that begin as one of its ``computed`` are left out, since it computes what they hold.

    Raises:
        UnreadableError: the file is missing, broken, or holds no flat dictionary of tensors.
        UserError: a key is missing, too many or of another shape, or the weights are for another backbone.

    The published loader reads with ``strict=False`` and so may load nothing; ours ignores no other key.
    """
    computed: tuple[str, ...] = getattr(expert, "computed", ())
    weights = {key: value for key, value in strip(_read(path)).items() if not key.startswith(computed)}
    wanted: Shapes = {key: tuple(value.shape) for key, value in expert.state_dict().items()}
    found: Shapes = {key: tuple(value.shape) for key, value in weights.items()}
    theirs, ours = _made_for(found), _made_for(wanted)
    if theirs and ours and theirs != ours:
        raise UserError(f"{path}: built for {theirs}; this backbone gives {ours}. Use the backbone it was trained on.")
    missing, unexpected = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing or unexpected:
        raise UserError(
            f"{path}: not the weights of this expert, {_some('missing', missing)}, {_some('unexpected', unexpected)}. "
            f"The file must hold exactly its {len(wanted)} tensors."
        )
    for key, shape in wanted.items():
        if found[key] != shape and not (key in getattr(expert, "grows", ()) and found[key][1:] == shape[1:]):
            advice = _advice(found, wanted)
            raise UserError(f"{path}: {key} has shape {found[key]}, the expert needs {shape}. {advice}")
        if key in getattr(expert, "grows", ()) and not found[key][0]:
            raise UserError(f"{path}: {key} is empty, so this expert was fitted on nothing. Fit it anew.")
        if not weights[key].isfinite().all():
            raise UserError(f"{path}: {key} holds NaN or infinite numbers. Use another copy of the file.")
    expert.load_state_dict(weights)


def strip(weights: dict[str, T]) -> dict[str, T]:
    """Remove the prefixes that all keys share, so that no two keys can become one."""
    while weights:
        shared = [prefix for prefix in PREFIXES if all(key.startswith(prefix) for key in weights)]
        if not shared:
            break
        weights = {key.removeprefix(shared[0]): value for key, value in weights.items()}
    return weights


def fault(error: BaseException) -> str:
    """What is wrong with a file of weights, in a few words; to a text torch replies with its own history."""
    if isinstance(error, pickle.UnpicklingError):
        return "damaged, or holding more than tensors"
    return str(error).partition("\n")[0][:80] or type(error).__name__


def _read(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file, on the CPU."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UnreadableError(f"{path}: no such file. Give the path of an expert's weights.") from None
    except DAMAGED as error:
        raise UnreadableError(f"{path}: not a readable file of weights ({fault(error)}). Download it again.") from None
    if isinstance(content, dict) and content.keys() == OURS:
        content = content["state_dict"]
    if isinstance(content, dict) and content.keys() == {THEIRS}:
        content = content[THEIRS]
    if not isinstance(content, dict):
        raise UnreadableError(f"{path}: holds {type(content).__name__}, not a flat dictionary of tensors.")
    if not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()):
        keys = _some("keys", [str(key) for key in content])
        raise UnreadableError(f"{path}: holds {keys}, not a flat dictionary of tensors. Save the state_dict alone.")
    return content


def _made_for(shapes: Shapes) -> str:
    """The backbone that shapes reveal, in words; empty where they are not those of a look-twice expert."""
    adaptor, pooling = shapes.get("siglip_adaptors.0.weight", ()), shapes.get("pooling_layer.0.weight", ())
    if len(adaptor) != 2 or len(pooling) != 2:
        return ""
    levels = sum(key.startswith("siglip_adaptors.") and key.endswith(".weight") for key in shapes)
    return f"width {adaptor[1]}, {pooling[1]} patches and {levels} levels"


def _advice(found: Shapes, wanted: Shapes) -> str:
    """What to write so that the expert gets the sizes of a file, both of the same keys."""
    known = wanted.keys() >= set(SIZED.values()) and all(found[key] and wanted[key] for key in SIZED.values())
    sizes = {option: (found[key][-1], wanted[key][-1]) for option, key in SIZED.items()} if known else {}
    changes = [f"model.expert.options.{option}={theirs}" for option, (theirs, ours) in sizes.items() if theirs != ours]
    return f"Write {' '.join(changes)}." if changes else "Set the expert's sizes."


def _some(kind: str, keys: list[str]) -> str:
    """The first few keys and how many more there are."""
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return f"{kind} {', '.join(keys[:NAMED]) or 'none'}{more}"
