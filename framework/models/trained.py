"""Our own checkpoints: what a trained expert is and was trained on, out of and into a file, without pickle's risks."""

from __future__ import annotations

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from framework import registry
from framework.config import ModelConfig
from framework.errors import UserError
from framework.models.cards import SCHEMA, Origin, fault
from framework.models.checkpoints import DAMAGED, load_expert_weights
from framework.models.experts import embedded, traits

KEY = "anomaly_ov"
SCORING = ("smooth", "smooth_on", "score")  # of ``ModelConfig``, in the card since protocols are data


def build_model(config: ModelConfig, backbone: nn.Module | None = None) -> tuple[nn.Module, nn.Module]:
    """The frozen backbone and a fresh expert that fits it.

    Args:
        config: of the model.
        backbone: where it is loaded already, as by a matrix of many cells; None loads it.

    Raises:
        UserError: unknown names or options, weights that are missing or of another model.
    """
    if backbone is None:
        with torch.random.fork_rng(devices=[]):  # so that the expert is drawn alike where the backbone is at hand
            backbone = registry.build("backbone", config.backbone.name, **config.backbone.options)
    options, patches = embedded.options(config.expert), math.prod(backbone.grid)
    name, sizes = config.expert.name, (backbone.width, patches, backbone.depth)
    more = (backbone,) if traits.given(name) > len(sizes) else ()
    expert = registry.build("expert", name, *sizes, *more, **options)
    expert.traits = traits.named(name)
    if config.expert.weights:
        load_expert_weights(expert_weights(config.expert.weights), expert)
    return backbone, expert


def expert_weights(name: str) -> Path:
    """The file that ``model.expert.weights`` means: a path, or the one that lies in the project for "embedded"."""
    return embedded.weights() if name == "embedded" else Path(name).expanduser()


def describe(
    config: ModelConfig, identity: dict[str, Any], origins: list[Origin], run: dict[str, Any]
) -> dict[str, Any]:
    """What travels inside a checkpoint, as plain values.

    Args:
        config: of the model.
        identity: of the backbone, see ``Backbone.identity``.
        origins: the sets it was trained on.
        run: experiment, seed, commit, hash of the config.
    """
    return {
        "schema": SCHEMA,
        "backbone": {
            "name": config.backbone.name,
            "options": plain(config.backbone.options),
            "identity": plain(identity),
        },
        "expert": {"name": config.expert.name, "options": embedded.options(config.expert)},
        "crops": config.crops,
        "pool": config.pool,
        "scoring": {key: getattr(config, key) for key in SCORING},
        "trained_on": [
            {
                "name": o.name,
                "source": o.source,
                "fingerprint": o.fingerprint,
                "digests": list(o.digests),
                "reader": dict(o.reader),
                "root": o.root,
                "groups": list(o.groups),
                "looks": o.looks,
            }
            for o in origins
        ],
        "run": run,
    }


def save(path: Path, expert: nn.Module, card: dict[str, Any]) -> None:
    """Write a trained expert and its card; ``read`` takes it back."""
    weights = {f"expert.{k}": v.detach().cpu() for k, v in expert.state_dict().items()}
    buffer = io.BytesIO()  # on a full disk torch's own writer raises a RuntimeError that does not say so
    torch.save({"state_dict": weights, KEY: card}, buffer)
    path.write_bytes(buffer.getvalue())


def weights_hash(expert: nn.Module, backbone: nn.Module) -> str:
    """Sha256 over the expert's tensors and the hash of the backbone's: everything a score follows from."""
    found = hashlib.sha256(str(backbone.identity["sha256"]).encode())
    found.update(str(backbone.identity.get("words", "")).encode())
    for name, tensor in sorted(expert.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def read(path: Path) -> dict[str, Any]:
    """A checkpoint's content, tensors and plain values only.

    Raises:
        UserError: no file, half a file, or not a checkpoint of ours.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint. `anomaly-ov fit` writes one into its run folder.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED:
        raise UserError(f"{path}: cannot be read as a checkpoint; it is damaged or of another kind.") from None
    if not isinstance(content, dict) or KEY not in content or "state_dict" not in content:
        raise UserError(
            f"{path}: not a checkpoint of `anomaly-ov fit`. A published expert file goes into model.expert.weights."
        )
    found = fault(content[KEY], content["state_dict"])
    if found:
        raise UserError(
            f"{path}: {found}, so another version of anomaly-ov wrote it, or something else. Train again with this one."
        )
    return content


def origins(content: dict[str, Any]) -> list[Origin]:
    """The sets a checkpoint was trained on."""
    return [Origin(**o) for o in content[KEY]["trained_on"]]


def load_expert(path: Path, content: dict[str, Any], backbone: nn.Module, expert: nn.Module) -> None:
    """Put a checkpoint's weights into ``expert``.

    Raises:
        UserError: the checkpoint's expert belongs to another backbone, or has other sizes.
    """
    wanted, found = content[KEY]["backbone"]["identity"], plain(backbone.identity)
    for key, value in wanted.items():
        if found.get(key) != value:
            raise UserError(
                f"{path}: trained on backbone {wanted.get('name')} with {key} {value}; this one has "
                f"{found.get(key)}. Use the same model.backbone, or train again."
            )
    weights = {k.removeprefix("expert."): v for k, v in content["state_dict"].items() if k.startswith("expert.")}
    try:
        expert.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{path}: its expert has other sizes: {' '.join(str(error).split())[:200]}") from None
    for key in getattr(expert, "grows", ()):
        if not len(weights[key]):
            raise UserError(f"{path}: {key} is empty, so this expert was fitted on nothing. Fit it anew.")


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """The same values as JSON has them, so that what was saved compares with what is."""
    found: dict[str, Any] = json.loads(json.dumps(values))
    return found


def model_config(content: dict[str, Any], weights: str = "") -> ModelConfig:
    """The model a checkpoint needs, from what travels inside it.

    Args:
        content: of the checkpoint.
        weights: where the backbone's weights lie on this machine, "" for where they lay when it was trained.
    """
    config = ModelConfig()
    known = content[KEY]
    config.backbone.name = known["backbone"]["name"]
    config.backbone.options = dict(known["backbone"]["options"])
    if weights:
        config.backbone.options["weights"] = weights
    config.expert.name, config.expert.options = known["expert"]["name"], dict(known["expert"]["options"])
    config.crops, config.pool = known["crops"], known["pool"]
    for key, value in known.get("scoring", {}).items():
        setattr(config, key, value)
    return config
