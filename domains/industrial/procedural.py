"""A seed -> two small sets of photographs in the layout of MVTec AD, with no product in common."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from domains.industrial.defects import damage, kinds, photograph
from domains.industrial.surfaces import SOURCE, TARGET, Surface
from framework.errors import UserError
from framework.pictures import write_png
from framework.registry import register

TRAIN = 4  # normal pictures of a category in its train folder
SCENE, DEFECT = 0, 1  # random streams of one picture


@register("procedural", "industrial")
def write(root: Path, seed: int = 0, samples: int = 180) -> None:
    """Write ``root/source`` and ``root/target``: PNG pictures with masks, as ``industrial/mvtec`` reads them.

    The source set shows cloth, brushed metal and printed carton; the target set leather, tablets and tiles. In each
    product every second picture has one of seven defects, from faint to plain. Light, colour, pose, scale, texture
    and noise vary in normal and defective pictures alike. The two folders appear only when both are whole.

    Args:
        root: made if need be.
        seed: the same seed writes the same bytes.
        samples: test pictures of each set, at least two a product; about half are defective.

    Raises:
        UserError: too few samples, a set that is already there, or a file that cannot be written.
    """
    sides = {"source": SOURCE, "target": TARGET}
    if samples < 2 * len(SOURCE):
        raise UserError(f"samples: a set needs at least {2 * len(SOURCE)}, got {samples}.")
    for name in sides:
        if (root / name).exists():
            raise UserError(f"{root / name}: is already there. Remove it or choose another folder.")
    for number, (name, surfaces) in enumerate(sides.items()):
        shutil.rmtree(root / f".{name}.part", ignore_errors=True)
        _write_set(root / f".{name}.part", surfaces, [seed, number], samples)
    for name in sides:
        (root / f".{name}.part").rename(root / name)


def _write_set(root: Path, surfaces: dict[str, Surface], seed: list[int], samples: int) -> None:
    """``samples`` test pictures over all products in turn, and the train folders."""
    names = list(surfaces)
    for index in range(samples + TRAIN * len(names)):
        product, turn = names[index % len(names)], index // len(names)
        scene = surfaces[product](np.random.default_rng([*seed, index, SCENE]))
        folder = root / product
        if index >= samples:
            write_png(folder / "train" / "good" / f"{index:03}.png", photograph(scene))
        elif turn % 2 == 0:
            write_png(folder / "test" / "good" / f"{index:03}.png", photograph(scene))
        else:
            known = kinds(scene)
            kind = known[turn // 2 % len(known)]
            picture, mask = damage(scene, kind, np.random.default_rng([*seed, index, DEFECT]))
            write_png(folder / "test" / kind / f"{index:03}.png", picture)
            write_png(folder / "ground_truth" / kind / f"{index:03}_mask.png", mask.astype(np.uint8) * 255)
