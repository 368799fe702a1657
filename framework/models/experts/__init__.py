"""Sizes of a backbone -> an anomaly expert. Importing this loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from framework.registry import register

if TYPE_CHECKING:
    from framework.models.experts.look_twice import LookTwice


@register("expert", "look_twice")
def look_twice(
    width: int,
    patches: int,
    levels: int,
    embedding: int = 512,
    descriptor: int = 512,
    attention: int = 512,
    hidden: int = 512,
) -> LookTwice:
    """Anomaly-OV's look-twice feature matching, weight-compatible at width 1152, 729 patches and 4 levels.

    Args:
        width: channels of the backbone's features, C.
        patches: patches of a crop, P = rows * columns.
        levels: how many levels the backbone yields, L.
        embedding: size in which patches and descriptors are compared.
        descriptor: size of the class descriptor.
        attention: size of the queries and keys that refine the selected tokens.
        hidden: size between the two layers of the final predictor.

    Returns:
        The module with freshly drawn weights; ``framework.models.checkpoints`` fills in published ones.
    """
    from framework.models.experts.look_twice import LookTwice

    return LookTwice(width, patches, levels, embedding, descriptor, attention, hidden)
