"""Folders of real pictures -> tables: which changes of a file its look survives, which others it is taken for, speed.

    OMP_NUM_THREADS=1 python tests/benchmarks/leaks.py FOLDER... [--sizes 2000 20000]

A folder is one set, looked through with all below it; files of the same bytes count once. For each change, the share of
pictures that are found again, by the code alone and by both tests of ``framework/data/looks.py``. For each folder the
pairs of different files that are called one picture, and how many a million pairs. Each is named: only an eye can say
whether it is a false match, for public sets hold pictures twice. Goals: 99 % of PNG, JPEG, size and brightness found,
no false match, 20,000 x 20,000 in 10 s and 500 MB.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from framework.data import looks
from framework.types import Record

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
SHOWN = 30  # pairs of a folder that are named


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--sizes", nargs="+", type=int, default=[2000, 20000])
    arguments = parser.parse_args()
    sets = {folder.name: distinct(folder) for folder in arguments.folders}
    found = {name: looks.looks([Record(f, False, "") for f in files]) for name, files in sets.items()}
    print(f"{'found again, of 100: code, both':32}" + "".join(f"{name[:15]:>16}" for name in sets))
    for change, make in CHANGES.items():
        shares = [again(found[name], [changed(f, make) for f in files]) for name, files in sets.items()]
        print(f"{change:32}" + "".join(f"{100 * code:9.1f} {100 * both:6.1f}" for code, both in shares))
    for name, own in found.items():
        pairs(name, sets[name], own)
    everything = [(name, i) for name, own in found.items() for i in range(len(own))]
    across = looks.copies(*[np.concatenate(list(found.values()))] * 2)
    other = [(a, b) for a, b in across if everything[a][0] < everything[b][0]]
    print(f"between folders: {len(other)} pairs {[(everything[a], everything[b]) for a, b in other[:SHOWN]]}")
    for size in arguments.sizes:
        searched(size)
    read([f for files in sets.values() for f in files])


def distinct(folder: Path) -> list[Path]:
    """The pictures of a folder without masks, one of those that are equal byte for byte."""
    files = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in ENDINGS and "ground_truth" not in p.parts]
    return list({hashlib.sha256(p.read_bytes()).hexdigest(): p for p in files}.values())


def again(known: np.ndarray, made: list[np.ndarray]) -> tuple[float, float]:
    """Which share of pictures is known again: by the code alone, by both tests. Of those that have a look."""
    others = np.stack(made)
    has = known.any(1) & others.any(1)  # a picture that a change left plain is not found
    distance = (looks.codes(known[has]) != looks.codes(others[has])).sum(1)
    close = distance <= looks.BITS
    both = close & (looks.peaks(known[has], others[has]) <= looks.PEAK)
    whole = known.any(1).sum()
    return float(close.sum() / whole), float(both.sum() / whole)


def changed(path: Path, make: Callable[[Image.Image], tuple[Image.Image, dict[str, object]]]) -> np.ndarray:
    """The look of a picture that was changed and stored."""
    with Image.open(path) as image:
        picture, options = make(image.convert("RGB"))
    buffer = io.BytesIO()
    picture.save(buffer, **options)
    return looks.look_of(buffer)


def pairs(name: str, files: list[Path], own: np.ndarray) -> None:
    """Different files of one set that are called one picture, and how many the code alone would call so."""
    total = len(own) * (len(own) - 1) // 2
    found = [(a, b) for a, b in looks.copies(own, own) if a < b]
    codes = looks.codes(own)
    alone = int((np.triu((codes @ codes.T) >= codes.shape[1] - 2 * looks.BITS, 1)).sum())
    plain = int((~own.any(1)).sum())
    print(
        f"{name}: {len(own)} files ({plain} plain), {total} pairs; one picture by code {alone}, by both {len(found)}: "
        f"{1e6 * len(found) / max(1, total):.0f} a million"
    )
    for a, b in found[:SHOWN]:
        distance, peak = int((codes[a] != codes[b]).sum()), float(looks.peaks(own[a : a + 1], own[b : b + 1])[0])
        print(f"    {files[a].name} = {files[b].name}  {distance} bits, peak {peak:.2f}")


def searched(size: int) -> None:
    """Seconds of a search, of pictures of noise that are all different, but for one."""
    rng = np.random.default_rng(0)
    own = rng.integers(1, 256, (2 * size, looks.CELLS), np.uint8)
    own[size + 7] = own[5]
    start = time.perf_counter()
    found = looks.copies(own[:size], own[size:])
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{size:,} x {size:,}: {seconds:.2f} s, {found}; the process at most {peak:.0f} MB")


def read(files: list[Path]) -> None:
    """How long the looks of files take."""
    looks._look.cache_clear()
    start = time.perf_counter()
    looks.looks([Record(f, False, "") for f in files])
    seconds = time.perf_counter() - start
    print(f"{len(files)} looks in {seconds:.1f} s: 10,000 such pictures in {10_000 * seconds / len(files):.0f} s")


def scaled(image: Image.Image, share: float) -> Image.Image:
    """The picture, each side times ``share``."""
    size = (round(image.width * share), round(image.height * share))
    return image.resize(size, Image.Resampling.BICUBIC)


def brighter(image: Image.Image, gain: float, offset: float = 0) -> Image.Image:
    """The picture with other greys, clipped."""
    return Image.fromarray((np.asarray(image, np.float32) * gain + offset).clip(0, 255).astype(np.uint8))


CHANGES: dict[str, Callable[[Image.Image], tuple[Image.Image, dict[str, object]]]] = {
    "PNG": lambda image: (image, {"format": "PNG"}),
    "JPEG, quality 95": lambda image: (image, {"format": "JPEG", "quality": 95}),
    "JPEG, quality 75": lambda image: (image, {"format": "JPEG", "quality": 75}),
    "JPEG, quality 30": lambda image: (image, {"format": "JPEG", "quality": 30}),
    "10 % smaller": lambda image: (scaled(image, 0.9), {"format": "PNG"}),
    "10 % larger": lambda image: (scaled(image, 1.1), {"format": "PNG"}),
    "half as large, JPEG 75": lambda image: (scaled(image, 0.5), {"format": "JPEG", "quality": 75}),
    "256 x 256": lambda image: (image.resize((256, 256), Image.Resampling.BICUBIC), {"format": "PNG"}),
    "brightness + 5 %": lambda image: (brighter(image, 1.05), {"format": "PNG"}),
    "brightness - 5 %": lambda image: (brighter(image, 0.95), {"format": "PNG"}),
    "13 greys lighter": lambda image: (brighter(image, 1, 13), {"format": "PNG"}),
    "2 % cropped (not promised)": lambda image: (
        image.crop((round(0.01 * image.width), round(0.01 * image.height), round(0.99 * image.width), image.height)),
        {"format": "PNG"},
    ),
}


if __name__ == "__main__":
    main()
