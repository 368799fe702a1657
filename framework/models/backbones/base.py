"""A frozen tower and a function that taps its blocks go in; one kind of backbone comes out, whatever the library."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor, nn

from framework.errors import UserError
from framework.registry import unknown
from framework.types import Features

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

Tap = Callable[[nn.Module, Tensor, list[int]], list[Tensor]]
"""``tap(tower, pixels, wanted)``: normalised ``(N, 3, S, S)`` and 0-based blocks -> their raw outputs ``(N, T, C)``.

T >= P: class and register tokens may stand before the patches. A module-level function (or a ``partial`` of one), so
that a backbone can be copied and pickled.
"""


class Backbone(nn.Module):
    """Patches of a few blocks of a frozen vision transformer, normalised as its checkpoint wants.

    It is always in eval mode, never has gradients, puts nothing into a ``state_dict``, and keeps its dtype whatever
    its owner is cast to and whatever autocast says, because ``identity`` names it.

    Attributes:
        name: as registered.
        blocks: 0-based blocks whose outputs are the levels, shallow to deep.
        final: 0-based block whose output is ``Features.final``.
        width: channels C.
        depth: number of levels L.
        image_size: side S of the square input, pixels.
        grid: (rows, columns) of the patches.
        mean: of the three channels, in [0, 1].
        std: of the three channels, in [0, 1].

    Args:
        name: as registered.
        tower: the frozen module.
        tap: how its blocks are read.
        blocks: see above.
        final: see above.
        width: see above.
        image_size: see above.
        grid: see above.
        mean: see above.
        std: see above.
        dtype: "float32", "bfloat16" or "float16", what the tower computes in.
        architecture: what features depend on beside weights (heads, activation, ...), in words.
        words: frozen text tower of the same checkpoint, for experts that read texts; the tower is whole then.

    Raises:
        UserError: an unknown dtype.
    """

    _shift: Tensor
    _scale: Tensor

    def __init__(
        self,
        name: str,
        tower: nn.Module,
        tap: Tap,
        *,
        blocks: Sequence[int],
        final: int,
        width: int,
        image_size: int,
        grid: tuple[int, int],
        mean: Sequence[float],
        std: Sequence[float],
        dtype: str,
        architecture: str,
        words: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if dtype not in DTYPES:
            raise UserError(unknown(f"dtype of backbone {name!r}", dtype, list(DTYPES)))
        self.name, self.blocks, self.final, self.depth = name, list(blocks), final, len(blocks)
        self.width, self.image_size, self.grid = width, image_size, grid
        self.mean, self.std, self.dtype, self.architecture = tuple(mean), tuple(std), dtype, architecture
        self.tower = tower.to(DTYPES[dtype]).requires_grad_(False)
        self.words: Any = None if words is None else words.to(DTYPES[dtype]).requires_grad_(False)
        self._tap = tap
        self.register_buffer("_shift", torch.tensor(self.mean, dtype=torch.float32).view(3, 1, 1), persistent=False)
        self.register_buffer("_scale", torch.tensor(self.std, dtype=torch.float32).view(3, 1, 1), persistent=False)
        self.register_load_state_dict_post_hook(_miss_nothing)  # type: ignore[no-untyped-call]
        self.train(False)

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Features:
        """Features of N crops.

        Args:
            pixels: ``(N, 3, S, S)`` uint8, on the device of the tower.

        Returns:
            Levels and final ``(N, P, C)`` float32 whatever ``dtype``, raw block outputs, prefix tokens dropped.

        Raises:
            ValueError: pixels of another type or size, or a tower that does not yield P patches of C channels.
        """
        scaled = self.scale(pixels)
        with torch.autocast(pixels.device.type, enabled=False):
            tokens = self._tap(self.tower, scaled, [*self.blocks, self.final])
        *levels, final = [self._patches(t, len(pixels)) for t in tokens]
        return Features(levels, final, self.grid)

    def scale(self, pixels: Tensor) -> Tensor:
        """Crops ``(N, 3, S, S)`` uint8 as the tower takes them: normalised, in its dtype.

        Raises:
            ValueError: pixels of another type or size.
        """
        if pixels.dtype != torch.uint8 or tuple(pixels.shape[1:]) != (3, self.image_size, self.image_size):
            raise ValueError(
                f"backbone {self.name!r} takes uint8 (N, 3, {self.image_size}, {self.image_size}), "
                f"got {pixels.dtype} {tuple(pixels.shape)}"
            )
        return ((pixels.float() / 255 - self._shift) / self._scale).to(DTYPES[self.dtype])  # (N, 3, S, S)

    @cached_property
    def identity(self) -> dict[str, object]:
        """Everything that features depend on, as JSON values; hashing the weights takes about a second per GB."""
        found = {
            "name": self.name,
            "architecture": self.architecture,
            "blocks": self.blocks,
            "final": self.final,
            "image_size": self.image_size,
            "mean": list(self.mean),
            "std": list(self.std),
            "dtype": self.dtype,
            "sha256": digest(self.tower),
        }
        return found if self.words is None else found | {"words": digest(self.words)}

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, whatever the owner is set to."""
        return super().train(False)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing: a backbone is named in a checkpoint, not copied into it."""
        return kwargs.get("destination", args[0] if args else OrderedDict())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Follow the owner to another device and keep the dtype."""
        device = fn(torch.zeros((), device=self._shift.device)).device
        return super()._apply(lambda tensor: tensor.to(device), recurse)  # type: ignore[no-untyped-call]

    def _patches(self, tokens: Tensor, crops: int) -> Tensor:
        count = self.grid[0] * self.grid[1]
        patches = tokens[:, -count:].float()
        if patches.shape != (crops, count, self.width):
            raise ValueError(
                f"backbone {self.name!r}: wants {count} x {self.width}, a block gave {tuple(tokens.shape)}"
            )
        return patches


def choose(where: str, depth: int, blocks: Sequence[int] | None, final: int | None) -> tuple[list[int], int]:
    """Which blocks to tap, 0-based.

    The rule where nothing is given: final is the last block, and the levels are the blocks ``k * (final - 1) // 4``
    for k = 1..4, four even steps that end just before final. SigLIP so400m (27 blocks) counts as 26, since the
    published model drops its last block; so both it and the tower of LLaVA-OneVision (26 blocks) give the published
    6, 12, 18, 24 and 25. 12 blocks give 2, 5, 7, 10 and 11. Towers of fewer than 5 blocks give fewer than 4 levels.

    Args:
        where: begins the message of an error.
        depth: how many blocks the tower has.
        blocks: levels as asked for, or None.
        final: as asked for, or None.

    Returns:
        Blocks shallow to deep, and the final block.

    Raises:
        UserError: a block that the tower does not have, or levels that do not go from shallow to deep.
    """
    last = final if final is not None else (26 if depth == 27 else depth) - 1
    known = f"it has blocks 0 to {depth - 1}"
    if not isinstance(last, int) or not 0 <= last < depth:
        raise UserError(f"{where}: no block final={last!r}; {known}.")
    if blocks is None:
        return sorted({max(0, k * (last - 1) // 4) for k in (1, 2, 3, 4)}), last
    if isinstance(blocks, str | int) or not blocks or not all(isinstance(b, int) and 0 <= b < depth for b in blocks):
        raise UserError(f"{where}: blocks={blocks!r} must be a list of block numbers; {known}.")
    if any(deep <= shallow for shallow, deep in pairwise(blocks)):
        raise UserError(f"{where}: blocks={list(blocks)} must go from shallow to deep.")
    return list(blocks), last


def check_size(where: str, size: int, patch: int = 1) -> int:
    """The side of the input in pixels, if it is one.

    Raises:
        UserError: not a whole number, or less than one patch.
    """
    if not isinstance(size, int) or size < patch:
        raise UserError(f"{where}: image_size={size!r} must be a whole number of pixels, at least one patch ({patch}).")
    return size


def digest(module: nn.Module) -> str:
    """sha256 of a module's parameters and saved buffers: names, types, shapes and bytes, in the order of names."""
    total = hashlib.sha256()
    for key, tensor in sorted(module.state_dict().items()):
        total.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def _miss_nothing(backbone: nn.Module, report: Any) -> None:
    """Its weights are in no checkpoint, so a strict load of the owner must not ask for them."""
    own = tuple(f"{part}.{key}" for part, kept in backbone.named_children() for key in kept.state_dict())
    report.missing_keys[:] = [key for key in report.missing_keys if not key.endswith(own)]
