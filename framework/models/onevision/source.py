"""A folder or file of weights -> its tensors, one at a time, whatever format they lie in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from framework.errors import UnreadableError, UserError
from framework.models.backbones.sources import one_line, shards
from framework.models.checkpoints import DAMAGED, fault

INDEX = ".index.json"
NAMES = ("model.safetensors", f"model.safetensors{INDEX}", "pytorch_model.bin", f"pytorch_model.bin{INDEX}")


class Source:
    """The tensors of a checkpoint; none is read before it is asked for, where the format allows.

    Args:
        path: a folder with ``model.safetensors``, ``pytorch_model.bin`` or the index of their shards; or one file.

    Attributes:
        shapes: of every tensor, by key.

    Raises:
        UnreadableError: a file is missing, damaged or holds more than tensors.
        UserError: no weights there, or two files hold one key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: dict[str, Path] = {}
        self._pickled: dict[Path, dict[str, Tensor]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        for file in _files(path):
            for key, shape in self._shapes(file):
                if key in self._file:
                    raise UserError(f"{file}: {key} is also in {self._file[key]}; keep one of the two.")
                self._file[key], self.shapes[key] = file, shape

    def tensor(self, key: str) -> Tensor:
        """One tensor, on the CPU, in the dtype it was saved in."""
        file = self._file[key]
        if file.suffix != ".safetensors":
            return self._pickled[file][key]
        try:
            with safe_open(file, framework="pt") as shard:
                return shard.get_tensor(key)
        except (OSError, SafetensorError) as error:
            raise UnreadableError(f"{file}: cannot be read ({one_line(error)}). Copy it again.") from None

    def _shapes(self, file: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
        if file.suffix == ".safetensors":
            try:
                with safe_open(file, framework="pt") as shard:
                    yield from ((key, tuple(shard.get_slice(key).get_shape())) for key in sorted(shard.keys()))
            except (OSError, SafetensorError) as error:
                raise UnreadableError(f"{file}: cannot be read ({one_line(error)}). Copy it again.") from None
            return
        self._pickled[file] = _unpickled(file)
        yield from ((key, tuple(value.shape)) for key, value in self._pickled[file].items())


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder. Give a checkpoint's folder, or a file of weights.")
    name = next((name for name in NAMES if (path / name).is_file()), "")  # the first, as transformers chooses
    if not name:
        raise UserError(f"{path}: holds no weights (looked for {', '.join(NAMES)}).")
    if not name.endswith(INDEX):
        return [path / name]
    found = [path / file for file in sorted(set(shards(path / name).values()))]
    for file in found:
        if not file.is_file():
            raise UnreadableError(f"{file}: missing, though {name} lists it. Download the checkpoint again.")
    return found


def _unpickled(file: Path) -> dict[str, Tensor]:
    """A file of ``torch.save``, read without running code."""
    try:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except (RuntimeError, ValueError):  # of the older format, which cannot be mapped
            content = torch.load(file, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise UnreadableError(f"{file}: not a readable file of weights ({fault(error)}).") from None
    content = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()
    ):
        raise UnreadableError(f"{file}: holds more than a flat dictionary of tensors. Save the state_dict alone.")
    return content
