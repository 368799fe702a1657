"""A JSON file of questions -> checked values, or one line that names the file, the entry and what is wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from framework.data.questions.items import Item
from framework.errors import UnreadableError, UserError

_KINDS = {str: "a text", bool: "true or false", list: "a list", dict: "an object"}


def read_json(path: Path) -> Any:
    """What the file holds.

    Raises:
        UserError: no such file, or it may not be read.
        UnreadableError: it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). Name the file of the questions.") from None
    except ValueError as error:  # of JSON and of UTF-8
        raise UnreadableError(f"{path}: not JSON ({error}). Fetch the file again.") from None


def read_list(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Where each entry of a list of objects stands, for messages, and the entry.

    Raises:
        UserError: no such file, no list, an empty one, or an entry that is no object.
        UnreadableError: it is not JSON.
    """
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise UserError(f"{path}: expected a list of entries, found {_words(content)}.")
    found = [(f"{path}, entry {number}", entry) for number, entry in enumerate(content, 1)]
    for place, entry in found:
        if not isinstance(entry, dict):
            raise UserError(f"{place}: expected an object, found {_words(entry)}.")
    return found


def value(entry: dict[str, Any], key: str, kind: type, place: str) -> Any:
    """``entry[key]`` of that type; a text or list must hold something.

    Raises:
        UserError: it is missing, of another type or empty.
    """
    found = entry.get(key)
    if key not in entry or not isinstance(found, kind) or (kind is not bool and not found):
        what = f"found {_words(found)}" if key in entry else f"has only {', '.join(map(repr, entry)) or 'nothing'}"
        raise UserError(f"{place}: needs {key!r}, {_KINDS[kind]}; {what}.")
    return found


def texts(entry: dict[str, Any], key: str, place: str) -> tuple[str, ...]:
    """``entry[key]``, a list of texts; raises as ``value``."""
    found = value(entry, key, list, place)
    for text in found:
        if not isinstance(text, str) or not text:
            raise UserError(f"{place}: {key!r} must list texts, found {_words(text)} among them.")
    return tuple(found)


def numbered(names: Sequence[str]) -> list[str]:
    """The names, told apart: a name that comes again gets ``#2``, ``#3``, ... behind it."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return found


def check_pictures(items: Iterable[Item], source: Path, images: Path) -> None:
    """Every picture that items name is there, so that a run does not stop in its middle.

    Raises:
        UserError: some are missing: how many, and the first.
    """
    paths = dict.fromkeys(path for item in items for path in item.images)
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UserError(
            f"{source}: {len(missing)} of its {len(paths)} pictures are missing under {images}, the first is "
            f"{missing[0]}. Set images to the folder that its picture paths start from."
        )


def _words(found: Any) -> str:
    """A value for a message, short."""
    if isinstance(found, (dict, list)):
        kind = "an object" if isinstance(found, dict) else "a list"
        return kind if found else f"{kind} of nothing"
    text = json.dumps(found, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
