"""Sizes of a backbone -> an anomaly expert. Importing this loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from framework.models.experts.traits import declare
from framework.registry import register

if TYPE_CHECKING:
    from framework.models.backbones.base import Backbone
    from framework.models.experts.anomalyclip import AnomalyCLIP
    from framework.models.experts.linear_probe import LinearProbe
    from framework.models.experts.look_twice import LookTwice
    from framework.models.experts.musc import MuSc
    from framework.models.experts.nearest_normal import NearestNormal
    from framework.models.experts.winclip import WinCLIP


@register("expert", "look_twice")
def look_twice(
    width: int,
    patches: int,
    levels: int,
    embedding: Annotated[int, "[1, inf)"] = 512,
    descriptor: Annotated[int, "[1, inf)"] = 512,
    attention: Annotated[int, "[1, inf)"] = 512,
    hidden: Annotated[int, "[1, inf)"] = 512,
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


@register("expert", "linear_probe")
@declare(fits="once", masks=True, seeded=False)
def linear_probe(width: int, patches: int, levels: int, l2: Annotated[float, "(0, inf)"] = 1.0) -> LinearProbe:
    """A linear layer on the mean final patch, fitted to labels; one on patches, fitted to masks where there are any.

    Args:
        width: channels of the backbone's features, C.
        patches: not used.
        levels: not used.
        l2: weight of the penalty.
    """
    from framework.models.experts.linear_probe import LinearProbe

    return LinearProbe(width, l2)


@register("expert", "nearest_normal")
@declare(fits="once", needs="normal", seeded=False)
def nearest_normal(
    width: int,
    patches: int,
    levels: int,
    features: Literal["levels", "final"] = "levels",
    keep: Annotated[float, "(0, 1]"] = 1.0,
    top: Annotated[float, "(0, 1]"] = 0.01,
    limit_mib: Annotated[int, "[1, inf)"] = 256,
) -> NearestNormal:
    """Distance to the nearest patch of the normal samples of the train sets.

    Args:
        width: channels of the backbone's features, C.
        patches: patches of a crop, P.
        levels: how many levels the backbone yields, L.
        features: which are compared: all levels together, or the final map.
        keep: share of the bank that a greedy coreset keeps.
        top: share of a view's patches whose mean distance is its score, at least of one.
        limit_mib: most that the bank may take; of more patches a random choice.
    """
    from framework.models.experts.nearest_normal import NearestNormal

    return NearestNormal(width, patches, levels, features, keep, top, limit_mib)


@register("expert", "musc")
@declare(fits="never", transductive=True)
def musc(
    width: int,
    patches: int,
    levels: int,
    degrees: list[Annotated[int, "[1, inf) odd"]] = [1, 3, 5],  # noqa: B006, read only
    share: Annotated[float, "(0, 1]"] = 0.3,
    neighbours: list[Annotated[int, "[1, inf)"]] = [1, 2, 3],  # noqa: B006, read only
    subsets: Annotated[int, "[1, inf)"] = 1,
    largest: Annotated[int, "[2, inf)"] | None = None,
    limit_mib: Annotated[int, "[1, inf)"] = 4096,
) -> MuSc:
    """MuSc: the samples of a category of a test set score each other, without labels and without training.

    Args:
        width: channels of the backbone's features, C.
        patches: patches of a crop, P.
        levels: how many levels the backbone yields, L.
        degrees: sides of the neighbourhoods that patches are averaged over.
        share: of the other images, those that match a patch best, whose distances are averaged.
        neighbours: counts of the most similar images that an image's score is averaged over.
        subsets: parts of a category that are scored apart, which takes so many times less memory and time.
        largest: samples of a part; of a category with more there are as many parts as it takes.
        limit_mib: most that a subset of a category, its features and their similarities, may take in memory.
    """
    from framework.models.experts.musc import MuSc

    return MuSc(width, patches, levels, degrees, share, neighbours, subsets, largest, limit_mib)


@register("expert", "winclip")
@declare(fits="never", reads="pixels", categories=True)
def winclip(
    width: int,
    patches: int,
    levels: int,
    backbone: Backbone,
    names: dict[str, str] | None = None,
    scales: list[Annotated[int, "[2, inf)"]] = [2, 3],  # noqa: B006, never changed
    temperature: Annotated[float, "(0, inf)"] = 0.07,
) -> WinCLIP:
    """WinCLIP, zero-shot by texts: pictures and windows of patches against sentences about the category.

    Args:
        width: of the backbone, not used.
        patches: of the backbone, not used.
        levels: of the backbone, not used.
        backbone: open_clip with ``text: true``.
        names: category: what it is called in sentences, such as ``{pcb1: printed circuit board}``; others by their own
            name, or "object" where that says nothing.
        scales: sides of the windows in patches.
        temperature: of the softmax.
    """
    from framework.models.experts.winclip import WinCLIP

    return WinCLIP(backbone, names, scales, temperature)


@register("expert", "anomalyclip")
@declare(reads="pixels", masks=True)
def anomalyclip(
    width: int,
    patches: int,
    levels: int,
    backbone: Backbone,
    length: Annotated[int, "[1, inf)"] = 12,
    depth: Annotated[int, "[1, inf)"] = 9,
    tokens: Annotated[int, "[1, inf)"] = 4,
    second_path: Annotated[int, "[1, inf)"] | None = None,
    temperature: Annotated[float, "(0, inf)"] = 0.07,
) -> AnomalyCLIP:
    """AnomalyCLIP: two learned texts for whatever the object is, trained on scores and masks.

    Args:
        width: of the backbone, not used.
        patches: of the backbone, not used.
        levels: of the backbone, not used.
        backbone: open_clip with ``text: true``; its ``blocks`` are the levels of the maps.
        length: learned tokens in front of a text.
        depth: blocks of the text tower that read learned tokens.
        tokens: learned tokens before each of them but the first.
        second_path: last blocks of the image tower that attend values with values for the maps; null: 19 of 24, or in
            proportion.
        temperature: of the softmax.
    """
    from framework.models.experts.anomalyclip import AnomalyCLIP

    return AnomalyCLIP(backbone, length, depth, tokens, second_path, temperature)
