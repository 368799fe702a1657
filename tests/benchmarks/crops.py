"""Pictures -> a table: milliseconds from file to crops in five ways, and how far two of them are from the exact.

    OMP_NUM_THREADS=1 python tests/benchmarks/crops.py [FILE ...] [--repeats 9] [--sizes 1024x1024 4032x3024] [--canvas 6]

A picture is laid side by side until it fills the size asked for, so that it is as sharp at its pixels as its camera
made it; without files two pictures are drawn, of soft shapes and of hard edges, which no lens makes. Times are medians
of processor seconds, all ways in turn, over AnyRes crops of 384 pixels; ``--canvas 2`` makes 5 of a square picture,
6 makes 10.

- library: decoded, limited to 1024 pixels, and transformers' PIL processor, which gives normalised float32.
- published: the same numbers by LLaVA-NeXT's own steps, without what the library does around them. The ratios are to it.
- exact, fast, draft: ``tune.decode`` of stage 2, as uint8; a model normalises on its device.

Here, one thread of a shared processor with AVX-512, PNG and JPEG of quality 92 (screw 000 and transistor 024 of MVTec AD):
FIGURES
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from transformers import LlavaOnevisionImageProcessorPil

from framework.data.crops import CANVAS, capped, cut, tiles
from framework.data.decoding import pixels_of

SIZE = 384
KINDS = {"PNG": {}, "JPEG": {"quality": 92}}
BICUBIC = Image.Resampling.BICUBIC


def limited(path: Path) -> Image.Image:
    """Decoded, at most 1024 pixels a side."""
    with Image.open(path) as image:
        full = image.convert("RGB")
    height, width = capped(full.height, full.width)
    return full.resize((width, height), BICUBIC)


def library(path: Path, canvas: int) -> np.ndarray:
    """``(K, 3, S, S)`` float32 in [-1, 1]."""
    processor = LlavaOnevisionImageProcessorPil(
        size={"height": SIZE, "width": SIZE},
        image_grid_pinpoints=[[SIZE * i, SIZE * j] for i in range(1, canvas + 1) for j in range(1, canvas + 1)],
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    crops: np.ndarray = processor(limited(path), return_tensors="np")["pixel_values"][0]
    return crops


def published(path: Path, canvas: int) -> np.ndarray:
    """``(K, 3, S, S)`` float32 in [-1, 1]: ``process_anyres_image`` of LLaVA-NeXT's ``mm_utils.py``, written out."""
    image = limited(path)
    rows, columns = tiles(image.height, image.width, SIZE, canvas)
    scale = min(columns * SIZE / image.width, rows * SIZE / image.height)
    width, height = (min(int(np.ceil(side * scale - 1e-9)), most * SIZE) for side, most in ((image.width, columns), (image.height, rows)))
    sheet = Image.new("RGB", (columns * SIZE, rows * SIZE))
    sheet.paste(image.resize((width, height), BICUBIC), ((sheet.width - width) // 2, (sheet.height - height) // 2))
    corners = [(SIZE * i, SIZE * j) for j in range(rows) for i in range(columns)]
    crops = [image.resize((SIZE, SIZE), BICUBIC), *(sheet.crop((x, y, x + SIZE, y + SIZE)) for x, y in corners)]
    return np.stack([((np.asarray(crop).astype(np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1) for crop in crops])


def ours(path: Path, canvas: int, decode: str) -> np.ndarray:
    """``(K, 3, S, S)`` uint8."""
    return cut(pixels_of(path, decode == "draft"), SIZE, "anyres" if decode == "exact" else "anyres-fast", canvas)


WAYS: dict[str, Callable[[Path, int], np.ndarray]] = {
    "library": library,
    "published": published,
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
    for name in ("library", "published"):
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
    print("ms a picture; times as fast as published; largest gap to exact in 1/255, and for drafts at p99.9")
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
