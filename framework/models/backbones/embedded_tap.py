"""The small network that lies in this repository goes in; a Backbone comes out."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from framework.errors import UserError
from framework.models.backbones.base import Backbone, check_size, choose
from framework.models.backbones.embedded import network

NAME = "embedded"
HALF = (0.5, 0.5, 0.5)


def load(blocks: Sequence[int] | None, final: int | None, image_size: int | None, dtype: str) -> Backbone:
    """Load the embedded network.

    Args:
        blocks: see ``base.choose``; None for the blocks it was made for.
        final: see ``base.choose``; None for the block it was made for.
        image_size: pixels, a multiple of its patch; None for the size it was made for.
        dtype: "float32", "bfloat16" or "float16".

    Raises:
        UserError: weights that are missing or changed, a size that is no multiple, blocks that do not exist.
    """
    where = f"backbone {NAME!r}"
    net = network.load()
    patch = net.image_size // net.grid[0]
    size = net.image_size if image_size is None else check_size(where, image_size, patch)
    if size % patch:
        raise UserError(f"{where}: image_size={size} must be a multiple of its patch ({patch}).")
    levels, last = choose(
        where, net.blocks, network.LEVELS if blocks is None else blocks, network.FINAL if final is None else final
    )
    return Backbone(
        NAME,
        net,
        tap,
        blocks=levels,
        final=last,
        width=net.width,
        image_size=size,
        grid=(size // patch, size // patch),
        mean=HALF,
        std=HALF,
        dtype=dtype,
        architecture=f"embedded, patch {patch}",
    )


def tap(tower: nn.Module, pixels: Tensor, wanted: list[int]) -> list[Tensor]:
    """Outputs ``(N, P, C)`` of the blocks ``wanted``, in their order.

    Args:
        tower: the embedded network.
        pixels: ``(N, 3, S, S)``, normalised.
        wanted: 0-based blocks.
    """
    outputs: list[Tensor] = tower(pixels)
    return [outputs[block] for block in wanted]
