"""``model.expert.weights=embedded`` -> the path of the expert that lies in this repository, and its sizes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from framework.config import ExpertConfig
from framework.errors import UserError

WEIGHTS = Path(__file__).with_name("embedded.safetensors")
SHA256 = "afd6167ae8859ad34e2fa856fd3858f47fbb2721769115825f91720777fe3257"
SIZES = {"embedding": 128, "descriptor": 128, "attention": 128, "hidden": 128}
NAMES = ("embedded", "look_twice")  # the weights and the expert whose sizes these are


def weights() -> Path:
    """The file, made by ``pretrain`` from procedural pictures for the embedded backbone.

    Raises:
        UserError: the file is missing or is not the published one.
    """
    try:
        found = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{WEIGHTS}: cannot be read ({error.strerror}); check the file out again.") from None
    if found != SHA256:
        raise UserError(f"{WEIGHTS}: sha256 is {found[:12]}..., not {SHA256[:12]}...; check the file out again.")
    return WEIGHTS


def options(expert: ExpertConfig) -> dict[str, Any]:
    """The options that an expert is built with: the experiment's, and the sizes that the embedded file brings.

    Raises:
        UserError: the experiment starts from the embedded file and asks for another size than it has.
    """
    if (expert.weights, expert.name) != NAMES:
        return dict(expert.options)
    for key, size in SIZES.items():
        value = expert.options.get(key, size)
        if value != size:
            raise UserError(
                f"model.expert.options.{key}: {value}, but model.expert.weights=embedded needs {size}. "
                f"Write {size}, or leave the option out."
            )
    return {**SIZES, **expert.options}
