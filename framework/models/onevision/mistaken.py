"""A path that is no language model -> what it is and what to do with it, where that can be told."""

from __future__ import annotations

from pathlib import Path

from framework import registry
from framework.errors import UserError
from framework.models import trained
from framework.models.experts import traits

TUNED, EXPERT = "tuned.safetensors", "expert.ckpt"  # in the folder of a run
OURS = "look_twice"  # the expert that a language model is built around


def told(path: Path) -> str:
    """What a file or folder is that was given as a language model; "" where it is nothing of ours.

    Args:
        path: of the file or folder.
    """
    if path.is_dir():
        if (path / TUNED).is_file():
            return f"{path}: the folder of a run. Give the model that it tuned, {path / TUNED}."
        return told(path / EXPERT) if (path / EXPERT).is_file() else ""
    try:
        name = trained.read(path)[trained.KEY]["expert"]["name"]
    except UserError:  # no checkpoint of `fit`
        return ""
    known = traits.named(name) if name in registry.names("expert") else traits.Traits()  # else a plug-in's
    kind = f"{path}: the expert {name!r} that `anomaly-ov fit` trained, without a language model to ask"
    if known.transductive:
        return f"{kind}. It scores whole sets: use `anomaly-ov test`."
    whole = f", or put it into a model with `anomaly-ov convert SOURCE OUT --expert {path}`" if name == OURS else ""
    return f"{kind}. Score files with `anomaly-ov predict --checkpoint {path} FILE`{whole}."
