"""Values of an experiment -> the first one that cannot be meant, as one line that names its key. Loads no torch."""

from __future__ import annotations

import difflib
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework import registry
from framework.errors import UserError

if TYPE_CHECKING:
    from framework.config import Config

MIXED = ("32-true", "32", "16-mixed", "bf16-mixed", "16", "bf16")  # of the others Lightning walks into our batches
PRECISIONS = (*MIXED, "16-true", "bf16-true", "64-true", "64")  # of stage 2
CHOICES = {  # a strategy is for Lightning to judge: plug-ins of its own add names
    "model.crops": ("base", "anyres", "base-fast", "anyres-fast"),
    "model.score": ("own", "max", "top1%", "half_max_half_own"),
    "optim.labels": ("view", "sample"),
    "select.by": ("none", "source"),
    "averaging": ("category", "pooled"),
    "store.mode": ("auto", "always", "never"),
    "store.dtype": ("float16", "float32"),
    "trainer.accelerator": ("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "trainer.precision": MIXED,
}
POSITIVE = (
    *("optim.lr", "optim.batch_size", "optim.restart", "test_batch_size"),
    *("trainer.max_epochs", "trainer.num_nodes", "trainer.accumulate_grad_batches"),
)
NOT_NEGATIVE = ("seed", "workers", "optim.weight_decay", "trainer.gradient_clip_val")
SMOOTHED = ("model.smooth", "model.smooth_on")  # which stage 2 has not
FILLED = ("out", "store.path")  # "" would be the current folder, which nobody means
SIZES = 3  # parameters of every expert that are ours to fill, see ``framework.models.experts.traits``
LIMITS = ("trainer.limit_train_batches", "trainer.limit_test_batches")
HIGHEST_SEED = 2**32 - 1  # of NumPy
PLAINLY = (  # what OmegaConf and PyYAML say of a value: what the user reads
    (r"[Mm]andatory|is not Optional|Incompatible value 'None'", r"needs a value."),
    (r"Value (.*) of type .* converted to Float", r"write a number, not \1."),
    (r"Value (.*) of type .* converted to Integer", r"write a whole number, not \1."),
    (r"Value (.*) is not a valid bool", r"write true or false, not \1."),
    (r"Cannot convert '\w+' to string: '(.*)'", r"write text, not \1."),
    (r"is not a ListConfig", r"write a list, for example [a, b]."),
    (r"type hint '[\w.]*List\[float\]'", r"write a list of numbers, for example [0.8, 0.9]."),
    (r"Environment variable '(.+)' not found", r"set the environment variable \1, or write the value."),
    (r"Interpolation key '(.+)' not found", r"${\1}: there is no such key."),
    (r"while (parsing|scanning)", r"not valid YAML after the equals sign; quote text that holds any of { } [ ] : ,"),
)


def check_values(config: Config, path: Path) -> None:
    """Choices, signs and shapes, so that a mistyped value fails before anything is loaded.

    Raises:
        UserError: names ``path``, the key, what is wrong and what to write.
    """
    for key, choices in CHOICES.items():
        value = _at(config, key)
        if value not in choices:
            close = difflib.get_close_matches(value, choices, n=1, cutoff=0.4)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise UserError(f"{path}: {key}: {value!r} is none of {', '.join(choices)}.{hint}")
    for key in POSITIVE:
        if not 0 < _at(config, key) < math.inf:
            raise UserError(f"{path}: {key}: must be positive and finite, is {_at(config, key)}.")
    for key in (*NOT_NEGATIVE, *SMOOTHED):
        if not 0 <= _at(config, key) < math.inf:
            raise UserError(f"{path}: {key}: must be 0 or more and finite, is {_at(config, key)}.")
    if config.seed > HIGHEST_SEED:
        raise UserError(f"{path}: seed: must be at most {HIGHEST_SEED}, is {config.seed}.")
    if not re.fullmatch(r"max|mean|top[1-9]\d*|half_max_half_mean", config.model.pool):
        known = "max, mean, topK (for example top3), half_max_half_mean"
        raise UserError(f"{path}: model.pool: {config.model.pool!r} is none of {known}.")
    if not re.fullmatch(r"[A-Za-z0-9][\w.=+-]*", config.name):
        raise UserError(f"{path}: name: {config.name!r} names folders; use letters, digits and . _ - = + only.")
    if not 0 < config.select.share < 1:
        raise UserError(f"{path}: select.share: must lie between 0 and 1, is {config.select.share}.")
    if config.model.smooth_on and not config.model.smooth:
        raise UserError(
            f"{path}: model.smooth_on: says on what model.smooth is measured, which is 0. Set both or none."
        )
    _check_options(config, path)
    _check_filled(config, path)
    _check_shares(config, path)
    _check_trainer(config, path)
    for key, bounds in config.expect.items():
        if len(bounds) != 2 or not bounds[0] <= bounds[1]:
            raise UserError(f"{path}: expect.{key}: write [low, high], two numbers in this order, not {bounds}.")


def plainly(error: Exception) -> str:
    """One line on a value that the libraries below us refused, in this project's words where there are any."""
    said = str(error).strip().partition("\n")[0]
    for pattern, words in PLAINLY:
        if found := re.search(pattern, said):
            return found.expand(words)
    return said


def _check_options(config: Config, path: Path) -> None:
    """Options of the backbone and the expert, of those that are registered before plug-ins are loaded."""
    for kind, thing, given in (("backbone", config.model.backbone, 0), ("expert", config.model.expert, SIZES)):
        if thing.name not in registry.names(kind):
            continue
        try:
            registry.judge(kind, thing.name, thing.options, given)
        except UserError as error:
            raise type(error)(f"{path}: model.{kind}.options: {error}") from None


def _check_filled(config: Config, path: Path) -> None:
    """A folder that is the empty text."""
    folders = {key: _at(config, key) for key in FILLED}
    for part in ("train", "test"):
        folders |= {f"{part}.{name}.root": data.root for name, data in getattr(config, part).items()}
    for key, folder in folders.items():
        if not folder.strip():
            raise UserError(f"{path}: {key}: is empty; write a folder, or . for the current one.")


def _check_shares(config: Config, path: Path) -> None:
    """Which part of a set's groups is taken."""
    for part in ("train", "test"):
        for name, data in getattr(config, part).items():
            if len(data.share) != 2 or not 0 <= data.share[0] < data.share[1] <= 1:
                raise UserError(
                    f"{path}: {part}.{name}.share: write [low, high] with 0 <= low < high <= 1, not {data.share}."
                )


def _check_trainer(config: Config, path: Path) -> None:
    """The fields of the trainer that take several types; Lightning judges the rest when it is made."""
    devices = config.trainer.devices
    if not (_which(devices) or (isinstance(devices, list) and devices and all(map(_index, devices)))):
        raise UserError(
            f"{path}: trainer.devices: {devices!r} is neither how many (2), which ([0, 2]), -1 for all, nor auto."
        )
    for key in LIMITS:
        value = _at(config, key)
        whole = _index(value) and value > 0
        if not whole and not (isinstance(value, float) and 0 < value <= 1):
            raise UserError(
                f"{path}: {key}: {value!r} is neither a count of 1 or more (5) nor a fraction up to 1 (0.5)."
            )


def _which(devices: Any) -> bool:
    """A count, all of them, or a text that says the same or lists them."""
    if isinstance(devices, str):
        return devices == "auto" or bool(re.fullmatch(r"-1|[1-9]\d*|\d+(, ?\d+)+", devices))
    return devices == -1 or (_index(devices) and devices > 0)


def _index(value: Any) -> bool:
    """A whole number from 0; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _at(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = getattr(config, part)
    return config
