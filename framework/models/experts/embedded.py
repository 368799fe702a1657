"""Nothing in, the path of the expert that lies in this repository out: ``model.expert.weights=embedded``."""

from __future__ import annotations

import hashlib
from pathlib import Path

from framework.errors import UserError

WEIGHTS = Path(__file__).with_name("embedded.safetensors")
SHA256 = "afd6167ae8859ad34e2fa856fd3858f47fbb2721769115825f91720777fe3257"
SIZES = {"embedding": 128, "descriptor": 128, "attention": 128, "hidden": 128}


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
