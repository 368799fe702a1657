"""The name of a published question set, its files and options -> its items. Loads no torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

from framework.data.questions import mmad, sdls, visa_dr
from framework.data.questions.items import Item
from framework.errors import UserError
from framework.progress import say
from framework.reasoning import QuestionConfig
from framework.registry import unknown

READERS: dict[str, Callable[..., list[Item]]] = {
    "visa_dr": visa_dr.detection,
    "visa_dr_reasoning": visa_dr.reasoning,
    "mmad": mmad.questions,
    "sdls": sdls.questions,
}
PATHS = ("references", "knowledge")  # options that name a file


def open_items(name: str, config: QuestionConfig) -> list[Item]:
    """Read a question set.

    Args:
        name: in the experiment.
        config: which set, and where.

    Raises:
        UserError: an unknown option, or as its reader.
    """
    reader = READERS[config.kind]
    known = [p for p in inspect.signature(reader).parameters if p not in ("path", "images", "root")]
    for key in config.options:
        if key not in known:
            raise UserError(f"questions.{name}: {unknown(f'option of questions {config.kind!r}', key, known)}")
    options = {k: Path(v).expanduser() if k in PATHS else v for k, v in config.options.items()}
    path, images = Path(config.path).expanduser(), Path(config.images).expanduser()
    try:
        items = reader(path, **options) if config.kind == "sdls" else reader(path, images, **options)
    except UserError as error:
        raise type(error)(f"questions.{name}: {error}") from None
    if config.kind == "visa_dr" and (note := visa_dr.difference(items)):
        say(f"questions.{name}: {note}")
    return items
