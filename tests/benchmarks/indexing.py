"""Nothing in -> how many files a second a folder of BMAD's six sets is listed at, ours and the plain way.

Command: ``python tests/benchmarks/indexing.py [--files 20000] [--repeats 3]`` (about two minutes, most of it to write
the files and to remove them again). Goal: 20,000 files a second. Peer: the plain
loader, a sorted glob a folder, and for each picture its label, its group and its mask by operations on paths, with a
look at the disk for the picture and the mask.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # the project

from domains.medical.datasets import bmad
from framework.types import Record

SETS = ("Brain_AD", "Liver_AD", "Retina_RESC_AD", "Retina_OCT2017_AD", "Chest_AD", "Histopathology_AD")
MASKED = SETS[:3]


def write(root: Path, files: int) -> int:
    """Six sets of about ``files`` empty files each, half of them to train on; returns how many there are."""
    count = 0
    for name in SETS:
        places = [root / name / "train/good/img"] * 4 + [root / name / "test/good/img"]
        places += [
            root / name / "test/Ungood/img",
            root / name / "test/Ungood/anomaly_mask",
            root / name / "valid/good/img",
        ]
        if name not in MASKED:
            places.remove(root / name / "test/Ungood/anomaly_mask")
        for number, place in enumerate(places):
            place.mkdir(parents=True, exist_ok=True)
            patient = 5 if place.name == "anomaly_mask" else number  # of the pictures just before
            for k in range(files // 8):
                (place / f"{patient:02}{k // 100:03}_{k % 100}.png").touch()
                count += 1
    return count


def ours(root: Path) -> list[Record]:
    """All splits."""
    return [record for split in ("train", "valid", "test") for record in bmad(root, split)]


def plain(root: Path) -> list[Record]:
    """The same records by a sorted glob and paths."""
    records = []
    for place in sorted(p for p in root.iterdir() if p.is_dir()):
        for split in ("train", "valid", "test"):
            for path in sorted((place / split).glob("*/img/*")):
                if not path.is_file() or path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".bmp"):
                    continue
                anomalous = path.parent.parent.name == "Ungood"
                mask = path.parent.with_name("anomaly_mask") / path.name
                truth = mask if anomalous and mask.exists() else None
                patient, _, number = path.stem.rpartition("_")
                records.append(Record(path, anomalous, place.name, patient, truth, nth=int(number)))
    return records


def best(repeats: int, run: Callable[[Path], Iterable[Any]], root: Path) -> tuple[float, float]:
    """Least wall clock and CPU seconds of several calls."""
    times = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        run(root)
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(w for w, _ in times), min(c for _, c in times)


def main() -> None:
    """Write, measure in turn, compare."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--files", type=int, default=20_000)
    options.add_argument("--repeats", type=int, default=3)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = write(root, given.files)
        mine, theirs = ours(root), plain(root)
        assert sorted(r.path for r in mine) == sorted(r.path for r in theirs)
        assert {r.truth_path for r in mine if r.anomalous} == {r.truth_path for r in theirs if r.anomalous}
        print(f"{files:,} files, {len(mine):,} of them pictures\n{'':5}  wall s   CPU s   files/s")
        for name, run in (("ours", ours), ("plain", plain)):
            wall, cpu = best(given.repeats, run, root)
            print(f"{name:5}  {wall:6.2f}  {cpu:6.2f}  {files / wall:8,.0f}")


if __name__ == "__main__":
    main()
