"""Frozen features of one set on disk: computed once, memory-mapped, resumable, refused where they do not fit.

A store is a folder of shards. A shard is an array ``features-<first>.npy`` of ``(crops, L + 1, P, C)`` and, written
after it, ``index-<first>.json`` with the crops and targets of its samples. Both are renamed into place whole, so what
has an index is complete, and what a killed process leaves behind is not read.
"""

from __future__ import annotations

import bisect
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framework.data.fingerprint import content as content_of
from framework.data.index import Index
from framework.errors import UserError
from framework.files import make_folder, write_whole

SHARD = 16  # samples in a shard
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Stored:
    """One sample of a store.

    Attributes:
        features: ``(crops, L + 1, P, C)``, levels shallow to deep, then final; a view of the mapped file.
        crops: crops of each view.
        targets: ``(V,)`` float32, see ``targets.view_targets``.
    """

    features: np.ndarray
    crops: list[int]
    targets: np.ndarray


def manifest(index: Index, identity: dict[str, Any], crops: str, dtype: str) -> dict[str, Any]:
    """Everything that stored features depend on, as JSON values.

    Args:
        index: the set; its content enters by hash, whatever its groups and categories are.
        identity: of the backbone: library, blocks, preprocessing, hash of the weights.
        crops: "base" or "anyres", or these with "-fast".
        dtype: "float16" or "float32".
    """
    content = {
        "schema": SCHEMA,
        "set": index.source,
        "fingerprint": content_of(index.records),
        "order": hashlib.sha256("\n".join(_relative(index)).encode()).hexdigest(),
        "samples": len(index.records),
        "reader": repr(index.reader) + getattr(index.reader, "drawn", ""),  # options, and how it draws
        "backbone": identity,
        "crops": crops,
        "dtype": dtype,
    }
    plain: dict[str, Any] = json.loads(json.dumps(content))
    return plain


def folder_of(base: Path, content: dict[str, Any]) -> Path:
    """Where the store of a manifest lies under ``base``: its name holds the manifest's hash."""
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    return base.expanduser() / f"{content['set'].replace('/', '-')}-{key}"


class Store:
    """Features of one set, read by position.

    Args:
        folder: of the store; made when absent.
        content: the manifest it must have.

    Raises:
        UserError: the folder holds another manifest, or an unreadable one.
    """

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self.folder, self.content = folder, content
        self.grid: tuple[int, int] = (0, 0)
        self._firsts: list[int] = []
        self._entries: dict[int, list[dict[str, Any]]] = {}
        self._arrays: dict[int, np.ndarray] = {}
        make_folder(folder)
        path = folder / "manifest.json"
        if path.exists():
            self._compare(path)
        else:
            write_whole(path, json.dumps(content, indent=1).encode())
        self.refresh()

    def __len__(self) -> int:
        return sum(len(entries) for entries in self._entries.values())

    def __getstate__(self) -> dict[str, Any]:
        """Maps are opened anew in every worker process."""
        return {**self.__dict__, "_arrays": {}}

    @property
    def size(self) -> int:
        """Bytes of the complete shards."""
        return sum(self._array_path(first).stat().st_size for first in self._firsts)

    def missing(self) -> list[int]:
        """First positions of the shards that are still to be computed."""
        return [first for first in range(0, self.content["samples"], SHARD) if first not in self._entries]

    def refresh(self) -> None:
        """Look at the disk again: which shards are complete.

        Raises:
            UserError: an index that is damaged.
        """
        self._entries = {}
        for path in sorted(self.folder.glob("index-*.json")):
            first = int(path.stem.split("-")[1])
            try:
                entry = json.loads(path.read_text())
                samples, grid = entry["samples"], tuple(entry["grid"])
            except (ValueError, LookupError, TypeError):
                raise UserError(f"{path}: not an index of features. Delete {self.folder} and run again.") from None
            if self._array_path(first).exists():
                self._entries[first], self.grid = samples, grid
        self._firsts = sorted(self._entries)

    def add(self, first: int, samples: list[Stored], grid: tuple[int, int]) -> None:
        """Write one shard whole.

        Args:
            first: position of its first sample, a multiple of ``SHARD``.
            samples: features as float32, in order.
            grid: (rows, columns) of the patches.

        Raises:
            UserError: the disk is full, or a feature does not fit the store's dtype.
        """
        with np.errstate(over="ignore"):  # told below, in words
            array = np.concatenate([s.features for s in samples]).astype(self.content["dtype"])
        if not np.isfinite(array).all():
            dtype = self.content["dtype"]
            raise UserError(f"{self.folder}: features do not fit {dtype}. Set store.dtype=float32 or store.mode=never.")
        start, entries = 0, []
        for sample in samples:
            entries.append({"start": start, "crops": sample.crops, "targets": sample.targets.tolist()})
            start += sum(sample.crops)
        text = json.dumps({"grid": list(grid), "samples": entries}).encode()
        write_whole(self._array_path(first), _header(array), array.data)
        write_whole(self.folder / f"index-{first:07d}.json", text)
        self._entries[first], self.grid = entries, grid
        bisect.insort(self._firsts, first)

    def __getitem__(self, position: int) -> Stored:
        first = self._firsts[bisect.bisect_right(self._firsts, position) - 1]
        entry = self._entries[first][position - first]
        if first not in self._arrays:
            self._arrays[first] = self._map(first)
        stop = entry["start"] + sum(entry["crops"])
        return Stored(
            self._arrays[first][entry["start"] : stop], entry["crops"], np.asarray(entry["targets"], np.float32)
        )

    def _map(self, first: int) -> np.ndarray:
        path = self._array_path(first)
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise UserError(f"{path}: cannot be read ({error}). Delete {self.folder} and run again.") from None
        crops = sum(sum(e["crops"]) for e in self._entries[first])
        if len(array) != crops:
            raise UserError(f"{path}: holds {len(array)} crops, not {crops}. Delete {self.folder} and run again.")
        return array

    def _array_path(self, first: int) -> Path:
        return self.folder / f"features-{first:07d}.npy"

    def _compare(self, path: Path) -> None:
        try:
            found = json.loads(path.read_text())
        except ValueError:
            raise UserError(f"{path}: not a manifest of a feature store. Delete {self.folder} and run again.") from None
        for key, wanted in self.content.items():
            if found.get(key) != wanted:
                raise UserError(
                    f"{path}: made for {key} {found.get(key)!r}, this experiment has {wanted!r}. "
                    f"Delete {self.folder} or set another store.path."
                )


def _header(array: np.ndarray) -> bytes:
    """What ``np.save`` writes before the numbers; with them it would lose the error number of a full disk."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_2_0(buffer, np.lib.format.header_data_from_array_1_0(array))
    return buffer.getvalue()


def _relative(index: Index) -> list[str]:
    root = Path(index.config.root).expanduser().resolve()
    names = []
    for record in index.records:
        path = record.path.resolve()
        name = path.relative_to(root) if path.is_relative_to(root) else path
        names.append(f"{name}#{record.frame}" if record.frame is not None else str(name))
    return names
