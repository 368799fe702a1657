"""A folder in, the pictures in it out, paired with their masks by stem. Opens no file and asks the disk of none."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from domains.medical import pictures
from framework.errors import TruthError, UserError

_TOLD = 3  # of the names that one line lists


def listed(folder: Path, endings: tuple[str, ...] = pictures.SUFFIXES) -> list[Path]:
    """Files in a folder with one of these endings, sorted by name, without hidden ones; [] where it does not exist.

    Of a file the listing itself tells what it is, so nothing is asked of the disk for each: sets have 100,000. A link
    that leads nowhere is listed, so that reading it fails rather than the set being smaller.

    Raises:
        UserError: the folder cannot be listed.
    """
    names = [
        e.name for e in _entries(folder) if e.name.lower().endswith(endings) and e.name[0] != "." and not e.is_dir()
    ]
    return [folder / name for name in sorted(names)]


def folders(root: Path) -> list[Path]:
    """Folders in a folder, sorted by name, without hidden ones; [] where it does not exist. Raises as ``listed``."""
    return [root / name for name in sorted(e.name for e in _entries(root) if e.name[0] != "." and e.is_dir())]


def stem(path: Path) -> str:
    """The name without its ending, ``.nii.gz`` being one."""
    name = path.name[:-3] if path.name.lower().endswith(".nii.gz") else path.name
    return name.rpartition(".")[0]


def finding_of(folder: str) -> str:
    """The finding that a folder's name says, "" of ``good`` in any case."""
    return "" if folder.lower() == "good" else folder


def paired(
    found: list[Path], masks: Path, tail: str = "", endings: tuple[str, ...] = pictures.SUFFIXES
) -> dict[Path, Path]:
    """The mask of each file: that in ``masks`` of the same stem, or the stem and ``tail``, whatever its ending.

    Never by the order of two listings, which one file too many would shift. A file without one gets a name that is no
    file, so that it cannot be read without.

    Raises:
        TruthError: two masks could be meant, or one mask two files.
    """
    by_stem, mine, ending = defaultdict(list), defaultdict(list), ".png"
    for path in listed(masks, endings):
        by_stem[stem(path)].append(path)
        ending = path.name[len(stem(path)) :]
    for path in found:
        mine[stem(path) + tail].append(path)
    _refuse(masks, [by_stem[name] for name in mine if len(by_stem.get(name, ())) > 1], "masks", "picture")
    _refuse(masks, [same for name, same in mine.items() if len(same) > 1 and name in by_stem], "pictures", "mask")
    return {
        path: by_stem[name][0] if name in by_stem else masks / f"{name}{ending}" for name in mine for path in mine[name]
    }


def twice(found: Iterable[Path]) -> list[str]:
    """What names several files of a folder that differ in their ending alone, in the order given: "a.jpg and a.png"."""
    by_name = defaultdict(list)
    for path in dict.fromkeys(found):
        by_name[path.parent, stem(path)].append(path.name)
    return [" and ".join(names) for names in by_name.values() if len(names) > 1]


def some(names: list[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, in the order of the disk."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed ({error.strerror}).") from None


def _refuse(masks: Path, same: list[list[Path]], what: str, other: str) -> None:
    """Raise TruthError where several files share a stem, naming the first of them."""
    if same:
        names = [" and ".join(p.name for p in paths) for paths in same]
        raise TruthError(f"{masks}: several {what} for one {other}: {some(names)}. Keep one of each.")
