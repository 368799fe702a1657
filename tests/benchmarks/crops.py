"""Pictures -> a table: milliseconds from file to crops in five ways, and how far two of them are from the exact.

    OMP_NUM_THREADS=1 python tests/benchmarks/crops.py [FILE ...] [--repeats 9] [--canvas 6]
                                                       [--sizes 1024x1024 4032x3024]

A picture is laid side by side until it fills the size asked for, so that it is as sharp at its pixels as its camera
made it; without files two pictures are drawn, of soft shapes and of hard edges, which no lens makes. Times are medians
of processor seconds, all ways in turn, over AnyRes crops of 384 pixels; ``--canvas 2`` makes 5 of a square picture,
6 makes 10.

- published: decoded, limited to 1024 pixels, and LLaVA-NeXT's ``process_anyres_image`` with its processor, step by
  step: normalised float32. The ratios are to it.
- least: the same float32 without the detours of that processor, the least that this arithmetic costs with PIL.
- exact, fast, draft: ``tune.decode`` of stage 2, as uint8; a model normalises on its device.

On one thread of a shared processor with AVX-512, JPEG of quality 92, screw 002 and transistor 024 of MVTec AD:

- 1024 x 1024, 10 crops: JPEG published 60 ms, least 38, exact 35, fast 10, which is 5.6 to 6.0 times as fast as
  published and 3.7 times as fast as the least. PNG 82 to 86, 55 to 66, 52 to 63, 26 to 38: 3.1 times and, where
  decoding alone takes 31 ms, 2.3 times. 5 crops: JPEG 4.8 times, PNG 2.6 and 1.9 times.
- 4032 x 3024, 7 crops: JPEG published 189 ms, fast 129, draft 32; PNG 282 to 305, 228 to 254, 180 to 194.
- The largest gap is 2 of 255 wherever no JPEG is reduced; in drafts of large JPEGs 3 to 7 (p99.9: 1 to 2) on
  photographs, 24 (9) on hard edges.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from transformers.image_transforms import normalize, rescale, resize
from transformers.image_utils import ChannelDimension

from framework.data.crops import CANVAS, capped, cut, tiles
from framework.data.decoding import pixels_of

SIZE = 384
KINDS = {"PNG": {}, "JPEG": {"quality": 92}}
FIRST = ChannelDimension.FIRST
BICUBIC = Image.Resampling.BICUBIC


def limited(path: Path) -> Image.Image:
    """Decoded, at most 1024 pixels a side."""
    with Image.open(path) as image:
        full = image.convert("RGB")
    height, width = capped(full.height, full.width)
    return full.resize((width, height), BICUBIC)


def patches(path: Path, canvas: int) -> list[Image.Image]:
    """K pictures of S x S: ``process_anyres_image`` of LLaVA-NeXT's ``mm_utils.py``, before its processor."""
    image = limited(path)
    rows, columns = tiles(image.height, image.width, SIZE, canvas)
    sheet = Image.new("RGB", (columns * SIZE, rows * SIZE))
    across, down = sheet.width / image.width, sheet.height / image.height
    if across < down:
        width, height = sheet.width, min(math.ceil(image.height * across), sheet.height)
    else:
        width, height = min(math.ceil(image.width * down), sheet.width), sheet.height
    sheet.paste(image.resize((width, height), BICUBIC), ((sheet.width - width) // 2, (sheet.height - height) // 2))
    corners = [(SIZE * column, SIZE * row) for row in range(rows) for column in range(columns)]
    return [image.resize((SIZE, SIZE), BICUBIC), *(sheet.crop((x, y, x + SIZE, y + SIZE)) for x, y in corners)]


def published(path: Path, canvas: int) -> np.ndarray:
    """``(K, 3, S, S)`` float32 in [-1, 1]: each by the steps of LLaVA-NeXT's ``SigLipImageProcessor.preprocess``."""
    found = []
    for patch in patches(path, canvas):
        values = resize(np.array(patch), (SIZE, SIZE), BICUBIC, data_format=FIRST)
        values = rescale(values, 1 / 255, data_format=FIRST)
        found.append(normalize(values, [0.5] * 3, [0.5] * 3, data_format=FIRST))
    return np.stack(found)


def least(path: Path, canvas: int) -> np.ndarray:
    """``(K, 3, S, S)`` float32 in [-1, 1], the same numbers without the processor's detours."""
    found = [
        ((np.asarray(patch).astype(np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1) for patch in patches(path, canvas)
    ]
    return np.stack(found)


def ours(path: Path, canvas: int, decode: str) -> np.ndarray:
    """``(K, 3, S, S)`` uint8."""
    return cut(pixels_of(path, decode == "draft"), SIZE, "anyres" if decode == "exact" else "anyres-fast", canvas)


WAYS: dict[str, Callable[[Path, int], np.ndarray]] = {
    "published": published,
    "least": least,
    **{decode: partial(ours, decode=decode) for decode in ("exact", "fast", "draft")},
}


def drawn(width: int, height: int, soft: bool) -> Image.Image:
    """Shapes without noise; soft: their edges are a few pixels wide."""
    scale = 4 if soft else 1
    image = Image.new("RGB", (width // scale, height // scale), "white")
    draw, generator = ImageDraw.Draw(image), np.random.default_rng(0)
    for _ in range(300):
        x, y = generator.integers(0, image.width), generator.integers(0, image.height)
        reach = generator.integers(5, 300 // scale)
        draw.ellipse((x, y, x + reach, y + reach), fill=tuple(generator.integers(0, 256, 3).tolist()))
    return image.resize((width, height), BICUBIC)


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


def compare(path: Path, canvas: int, repeats: int) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Median seconds of each way, and how far each value of the fast and the drafted crops is from the exact."""
    made = {name: way(path, canvas) for name, way in WAYS.items()}
    wanted = made["exact"] / 127.5 - 1
    for name in ("published", "least"):
        if np.abs(made[name] - wanted).max() > 1e-5:
            raise SystemExit(f"{path}: exact crops are not those of {name}")
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(repeats):
        for name, way in WAYS.items():
            start = time.process_time()
            way(path, canvas)
            taken[name].append(time.process_time() - start)
    gaps = {name: np.abs(made["exact"].astype(int) - made[name]) for name in ("fast", "draft")}
    return {name: statistics.median(seconds) for name, seconds in taken.items()}, gaps


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--sizes", nargs="+", default=["1024x1024", "4032x3024"], help="width x height")
    parser.add_argument("--canvas", type=int, default=CANVAS, help="most tiles a side")
    options = parser.parse_args()
    print("ms a picture; published over ours; largest gap to exact in 1/255, and for drafts at p99.9")
    names = "".join(f"{name:>10}" for name in WAYS)
    print(f"{'picture':<14}{'pixels':<10}kind{names}   exact fast draft   gap fast  draft p99.9")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            width, height = map(int, size.split("x"))
            for name, image in pictures(options.files, width, height):
                for kind, how in KINDS.items():
                    path = Path(folder) / f"a.{kind.lower()}"
                    image.save(path, **how)
                    found, gaps = compare(path, options.canvas, options.repeats)
                    times = "".join(f"{1e3 * seconds:10.1f}" for seconds in found.values())
                    ratios = "".join(f"{found['published'] / found[way]:6.1f}" for way in ("exact", "fast", "draft"))
                    far = f"{gaps['fast'].max():8}{gaps['draft'].max():10}{np.quantile(gaps['draft'], 0.999):6.0f}"
                    print(f"{name[:13]:<14}{size:<10}{kind:<4}{times}  {ratios}{far}", flush=True)


if __name__ == "__main__":
    main()
