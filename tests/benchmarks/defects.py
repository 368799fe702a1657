"""Nothing in -> a table: CPU time of one defect on a cloud, beside the quickstart's simpler defects on the same points.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/defects.py [--points 60000] [--repeats 5]`` (about 20 s).
"spoiled" makes a whole cloud: draw points, find a place, move them, noise, pose; "twin" all of that but the defect.
"quickstart" moves points that are drawn already. Medians over the shapes of the least of the repeats. "body" is what a
shape costs once, however many clouds are made of it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from domains.pointcloud.files import Shape
from domains.pointcloud.making import amplitude, defects
from domains.pointcloud.making.body import Body, body_of
from domains.pointcloud.making.making import Wish, cloud
from domains.pointcloud.making.shapes import SHAPES
from domains.pointcloud.making.spoiling import KINDS


def cpu_ms(work: Callable[[], object], repeats: int) -> float:
    """Least CPU time of the process over some repeats."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=60_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    bodies: dict[str, Body] = {}
    made = []
    for name, shape in SHAPES.items():
        points, faces = shape(np.random.default_rng(0))
        start = time.process_time()
        bodies[name] = body_of(Path(name), Shape(points, faces=faces), int(2.5 * given.points))
        made.append(1e3 * (time.process_time() - start))
    print(f"body: {statistics.median(made):.0f} ms; then, of {given.points} points, ms of CPU:")
    print(f"{'':10} {'spoiled':>8} {'worst':>8} {'twin':>8} {'quickstart':>11}")
    count = (given.points, given.points)
    for kind in KINDS:
        spoiled, twin, simple = [], [], []
        for body in bodies.values():
            wish = Wish(kind, amplitude.parse("any"), (1,))
            spoiled.append(cpu_ms(lambda body=body, wish=wish: cloud(body, wish, count, True), given.repeats))
            twin.append(cpu_ms(lambda body=body, wish=wish: cloud(body, wish, count, False), given.repeats))
            if kind in defects.DEFECTS:
                drawn = body.skin.points[: given.points], body.skin.normals[: given.points]
                work = lambda drawn=drawn: defects.spoil(kind, drawn[0], drawn[1], 0.02, 0.5, np.random.default_rng(1))  # noqa: B023, E731
                simple.append(cpu_ms(work, given.repeats))
        figures = [statistics.median(spoiled), max(spoiled), statistics.median(twin)]
        peer = f"{statistics.median(simple):11.0f}" if simple else f"{'-':>11}"
        print(f"{kind:10}" + "".join(f" {figure:8.0f}" for figure in figures) + f" {peer}")


if __name__ == "__main__":
    main()
