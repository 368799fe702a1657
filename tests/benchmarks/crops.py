"""Large pictures -> a table: seconds from file to crops in four ways, and how far the fast one is from the exact.

    OMP_NUM_THREADS=1 python tests/benchmarks/crops.py [FILE ...] [--repeats 5] [--width 4032 --height 3024]

A picture is laid side by side until it fills the size asked for, so that it is as sharp at its pixels as its camera
made it; without files two pictures are drawn, of soft shapes and of hard edges, which no lens makes. Times are medians
of processor seconds, all ways in turn, over AnyRes crops of 384 pixels. As published: decoded whole, PIL's resize, and
every crop through transformers' processor to normalised float32. Whole: a domain's reader, whose maps need all pixels,
then ``cut``. Exact and fast: ``pixels_of`` of stage 2, then ``cut``.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from transformers import LlavaOnevisionImageProcessorPil

from domains.industrial import Industrial
from framework.data.crops import capped, cut
from framework.data.decoding import pixels_of
from framework.models.onevision.configuration import canvases
from framework.types import Record

SIZE = 384
KINDS = {"PNG": {}, "JPEG": {"quality": 92}}
READER = Industrial()
PROCESSOR = LlavaOnevisionImageProcessorPil(
    size={"height": SIZE, "width": SIZE},
    image_grid_pinpoints=canvases(SIZE),
    image_mean=[0.5] * 3,
    image_std=[0.5] * 3,
)


def published(path: Path) -> np.ndarray:
    """``(K, 3, S, S)`` float32 in [-1, 1]."""
    with Image.open(path) as image:
        full = image.convert("RGB")
    height, width = capped(full.height, full.width)
    limited = full.resize((width, height), Image.Resampling.BICUBIC)
    crops: np.ndarray = PROCESSOR(limited, return_tensors="np")["pixel_values"][0]
    return crops


def whole(path: Path) -> np.ndarray:
    """``(K, 3, S, S)`` uint8, the same crops."""
    return cut(READER.read(Record(path, anomalous=False, category="")).views[0], SIZE, "anyres")


def exact(path: Path) -> np.ndarray:
    """``(K, 3, S, S)`` uint8, the same crops."""
    return cut(pixels_of(path), SIZE, "anyres")


def fast(path: Path) -> np.ndarray:
    """``(K, 3, S, S)`` uint8, nearly the same."""
    return cut(pixels_of(path, "fast"), SIZE, "anyres")


WAYS: dict[str, Callable[[Path], np.ndarray]] = {"published": published, "whole": whole, "exact": exact, "fast": fast}


def drawn(width: int, height: int, soft: bool) -> Image.Image:
    """Shapes without noise; soft: their edges are a few pixels wide."""
    scale = 4 if soft else 1
    image = Image.new("RGB", (width // scale, height // scale), "white")
    draw, generator = ImageDraw.Draw(image), np.random.default_rng(0)
    for _ in range(300):
        x, y = generator.integers(0, image.width), generator.integers(0, image.height)
        reach = generator.integers(5, 300 // scale)
        draw.ellipse((x, y, x + reach, y + reach), fill=tuple(generator.integers(0, 256, 3).tolist()))
    return image.resize((width, height), Image.Resampling.BICUBIC)


def laid(path: Path, width: int, height: int) -> Image.Image:
    """A picture side by side until it fills the size."""
    image, sheet = Image.open(path).convert("RGB"), Image.new("RGB", (width, height))
    for left in range(0, width, image.width):
        for top in range(0, height, image.height):
            sheet.paste(image, (left, top))
    return sheet


def pictures(files: list[Path], width: int, height: int) -> Iterator[tuple[str, Image.Image]]:
    """Name and picture, of files or drawn."""
    yield from ((path.name, laid(path, width, height)) for path in files)
    if not files:
        yield "soft shapes", drawn(width, height, soft=True)
        yield "hard edges", drawn(width, height, soft=False)


def compare(path: Path, repeats: int) -> tuple[dict[str, float], np.ndarray]:
    """Median seconds of each way, and how far each value of the fast crops is from the exact."""
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(repeats):
        for name, way in WAYS.items():
            start = time.process_time()
            way(path)
            taken[name].append(time.process_time() - start)
    gap = np.abs(exact(path).astype(int) - fast(path))
    if np.abs(published(path) - (exact(path) / 127.5 - 1)).max() > 1e-5:
        raise SystemExit(f"{path}: exact crops are not the published ones")
    return {name: statistics.median(seconds) for name, seconds in taken.items()}, gap


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--width", type=int, default=4032)
    parser.add_argument("--height", type=int, default=3024)
    options = parser.parse_args()
    print(f"{options.width} x {options.height} pixels; ms a picture; gap of fast to exact in 1/255")
    names = "".join(f"{name:>11}" for name in WAYS)
    print(f"{'picture':<20}kind{names}  published/fast  whole/fast  p99.9 gap  largest  over 2")
    with tempfile.TemporaryDirectory() as folder:
        for name, image in pictures(options.files, options.width, options.height):
            for kind, how in KINDS.items():
                path = Path(folder) / f"a.{kind.lower()}"
                image.save(path, **how)
                found, gap = compare(path, options.repeats)
                times = "".join(f"{1e3 * seconds:11.0f}" for seconds in found.values())
                ratios = f"{found['published'] / found['fast']:16.1f}{found['whole'] / found['fast']:12.1f}"
                far = f"{np.quantile(gap, 0.999):9.0f}  {gap.max():7}  {np.mean(gap > 2):.1e}"
                print(f"{name[:19]:<20}{kind:<4}{times}{ratios}  {far}", flush=True)


if __name__ == "__main__":
    main()
