"""Files to score, and the lines told of files scored before -> names for results, and one line a file on disk."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from framework.files import write_whole

LINES = "predictions.jsonl"
_NONE: Mapping[Path, Path] = {}


def stems(files: list[Path], others: Collection[str] = (), folders: Mapping[Path, Path] = _NONE) -> dict[Path, str]:
    """A name for each file's results: its stem; its folder's name before it and a number after it to tell it apart.

    Args:
        files: to name.
        others: names that belong to results of other files.
        folders: of files that are all of a folder: it names them.
    """
    plain = {path: path.name.removesuffix(".gz").rsplit(".", 1)[0] for path in files}
    plain |= {path: folder.resolve().name for path, folder in folders.items()}
    counts = Counter(plain.values())
    found: dict[Path, str] = {}
    taken = set(others)
    for path, stem in plain.items():
        wanted = name = f"{path.resolve().parent.name}_{stem}" if counts[stem] > 1 or stem in others else stem
        number = 1
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        found[path] = name
        taken.add(name)
    return found


def tidy(path: Path) -> dict[str, dict[str, Any]]:
    """Rewrite a file of lines with the last line of each file only; the lines by file. Without a line there is no file.

    Lines are added one by one, so a killed process may leave an old line beside the new one and end in half a line.
    """
    found: dict[str, dict[str, Any]] = {}
    for text in path.read_text(errors="replace").splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and "file" in line:
            found.pop(str(line["file"]), None)  # to the end: in the order of scoring
            found[str(line["file"])] = line
    if found:
        write_whole(path, "".join(json.dumps(line) + "\n" for line in found.values()).encode())
    else:
        path.unlink(missing_ok=True)
    return found


def taken(lines: Iterable[dict[str, Any]]) -> set[str]:
    """Names of the results that lines tell of."""
    return {Path(line["map"]).name.rpartition("_map.")[0] for line in lines if "map" in line}
