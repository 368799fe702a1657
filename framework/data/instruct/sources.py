"""A published list of conversation files, or one such file -> raw entries, each with the place where it stands."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from framework.errors import UnreadableError, UserError
from framework.registry import unknown

_STRATEGY = re.compile(r"(first|end|random):([1-9]\d*)(%?)")
_KEYS = ("json_path", "sampling_strategy")


@dataclass(frozen=True, slots=True)
class _Source:
    """One file of a list and how much of it to take, as written there."""

    path: Path
    strategy: str


def read(path: Path, seed: int) -> list[tuple[str, Any]]:
    """Entries in the order of their files, with the file and number of each, for messages.

    A list is YAML: ``datasets`` holds a ``json_path`` each (relative to the list, or absolute) and a
    ``sampling_strategy``: all, first:N, end:N or random:N, where N is a count or a whole percentage such as 10%.
    As published, a percentage is rounded up, and a count beyond the file takes all of it. ``random`` keeps the order
    of the file; what it takes depends on the seed and the file's name only.

    Args:
        path: a ``.yaml`` list, or a ``.json`` or ``.jsonl`` file of conversations.
        seed: of ``random``.

    Raises:
        UserError: a missing file, a list that is written wrong, an ending that is not known, no entry at all.
        UnreadableError: a file that is not YAML or JSON.
    """
    if path.suffix.lower() not in (".yaml", ".yml"):
        return _entries(path)
    sources = _sources(path)
    missing = [source.path for source in sources if not source.path.is_file()]
    if missing:
        raise UserError(
            f"{path}: no file {missing[0]}; {len(missing)} of {len(sources)} files it names are missing. "
            "A json_path is absolute or relative to the list."
        )
    return [entry for source in sources for entry in _taken(source, seed)]


def _sources(path: Path) -> list[_Source]:
    """The files of a list, checked for how they are written."""
    try:
        content = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise UnreadableError(f"{path}: not YAML ({' '.join(str(error).split())}).") from None
    listed = content.get("datasets") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed:
        raise UserError(f"{path}: expected `datasets:` and below it a `- json_path:` for each file.")
    return [_source(path, number, item) for number, item in enumerate(listed, 1)]


def _source(path: Path, number: int, item: Any) -> _Source:
    place = f"{path}, dataset {number}"
    if not isinstance(item, dict) or not isinstance(item.get("json_path"), str):
        raise UserError(f"{place}: expected a json_path, the path of a .json or .jsonl file.")
    for key in item:
        if key not in _KEYS:
            raise UserError(f"{place}: {unknown('key', str(key), list(_KEYS))}")
    strategy = item.get("sampling_strategy", "all")
    match = _STRATEGY.fullmatch(str(strategy))
    if strategy != "all" and (match is None or (match[3] and int(match[2]) > 100)):
        raise UserError(
            f"{place}: sampling_strategy {strategy!r}: write all, first:N, end:N or random:N, where N is a count "
            "above 0 or a whole percentage such as 10%."
        )
    return _Source(path.parent / Path(item["json_path"]).expanduser(), str(strategy))


def _taken(source: _Source, seed: int) -> list[tuple[str, Any]]:
    """The part of a file's entries that its strategy takes."""
    entries = _entries(source.path)
    match = _STRATEGY.fullmatch(source.strategy)
    if match is None:
        return entries
    kind, count = match[1], int(match[2])
    if match[3]:
        count = -(-count * len(entries) // 100)  # rounded up
    if kind == "first":
        return entries[:count]
    if kind == "end":
        return entries[-count:]
    chosen = random.Random(f"{seed} {source.path.name}").sample(range(len(entries)), min(count, len(entries)))
    return [entries[i] for i in sorted(chosen)]


def _entries(path: Path) -> list[tuple[str, Any]]:
    """All entries of a conversation file with their places, counted from 1."""
    kind = path.suffix.lower()
    if kind not in (".json", ".jsonl"):
        raise UserError(f"{path}: conversations stand in a .json or .jsonl file, or in files that a .yaml lists.")
    text = _text(path)
    if kind == ".jsonl":
        lines = [(f"{path}, line {number}", line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        found = [(place, _parsed(place, line)) for place, line in lines]
    else:
        content = _parsed(str(path), text)
        if not isinstance(content, list):
            raise UserError(f"{path}: expected a list of conversations, found {type(content).__name__}.")
        found = [(f"{path}, entry {number}", entry) for number, entry in enumerate(content, 1)]
    if not found:
        raise UserError(f"{path}: holds no conversations.")
    return found


def _parsed(place: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UnreadableError(f"{place}: not JSON ({error}).") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # with or without the mark that some editors put in front
    except UnicodeDecodeError:
        raise UnreadableError(f"{path}: not UTF-8 text.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
