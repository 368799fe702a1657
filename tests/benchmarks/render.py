"""Nothing in -> tables: what drawing a cloud costs, beside Open3D's Visualizer in the same run.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/render.py [--size 384] [--device cpu]`` (two minutes).

Goals on one thread: per view at least 1.5 times faster than the Visualizer at 100,000 points and 6 times at 1,000,000;
100,000 points in 14 views, sampling and normals included, in one CPU second; at 1,000,000 points at most 150 MB above
the cloud. Ours says which point a pixel shows and where every point is visible; the Visualizer does not, and needs EGL.

With ``--device cuda`` times are those of a clock on the wall, for the CPU waits.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from domains.pointcloud.geometry import sampling, stand_in, to_unit_sphere
from domains.pointcloud.library import open3d
from domains.pointcloud.making.shapes import SHAPES, sample
from domains.pointcloud.rendering import splat
from domains.pointcloud.rendering.cameras import fibonacci, focal_px
from domains.pointcloud.rendering.drawing import draw
from domains.pointcloud.rendering.normals import estimate_normals
from domains.pointcloud.rendering.projection import Cloud, Raster, project
from domains.pointcloud.rendering.window import opened, shoot
from framework.errors import UserError

COUNTS = (10_000, 100_000, 1_000_000)
FASTER = {100_000: 1.5, 1_000_000: 6.0}  # than the Visualizer
CPU_S, PEAK_MB = 1.0, 150
VIEWS, ALL_VIEWS = 9, 14


def best_ms(
    repeats: int, run: Callable[..., Any], *given: Any, clock: Callable[[], float] = time.process_time
) -> float:
    """Least time of several calls, milliseconds."""
    times = []
    for _ in range(repeats):
        start = clock()
        run(*given)
        times.append(clock() - start)
    return min(times) * 1e3


def torus(count: int) -> np.ndarray:
    """``(count, 3)`` float64 in the unit sphere."""
    return to_unit_sphere(sample(SHAPES["torus"](np.random.default_rng(0)), count, np.random.default_rng(1))[0])


def visualizer_ms(points: np.ndarray, normals: np.ndarray, size: int, repeats: int) -> float:
    """A view of Open3D's Visualizer at the view's own size; NaN where this machine cannot open its window."""
    poses = fibonacci(VIEWS)
    try:
        with opened(points, normals, np.full(points.shape, 0.7), size, 5.0) as window:
            if (shoot(window, poses[0], size) < 0.99).mean() < 0.05:
                return float("nan")
            return best_ms(repeats, lambda: [shoot(window, pose, size) for pose in poses]) / VIEWS
    except UserError as error:
        print(error)
        return float("nan")


def zbuffers(points: np.ndarray, normals: np.ndarray, size: int, repeats: int) -> tuple[float, float, float]:
    """Milliseconds a view of our z-buffer and of Open3D's projection with the index as a colour; share that differs."""
    core, cloud = open3d().core, Cloud.of(points, normals, torch.device("cpu"))
    raster = Raster(size, size, 0.01, 2.0)
    poses, middle = fibonacci(VIEWS), size / 2 - 0.5  # it rounds to the nearest pixel
    lens = core.Tensor(np.array([[focal_px(size), 0, middle], [0, focal_px(size), middle], [0, 0, 1.0]]))
    theirs = open3d().t.geometry.PointCloud(core.Tensor(points.astype(np.float32)))
    index = np.zeros((len(points), 3), np.float32)
    index[:, 0] = np.arange(len(points))
    theirs.point.colors = core.Tensor(index)

    def one(pose: np.ndarray) -> Any:
        return theirs.project_to_rgbd_image(size, size, lens, core.Tensor(pose), 1.0, 10.0)

    turned = torch.from_numpy(poses.astype(np.float32))
    ours_ms = best_ms(repeats, lambda: [project(cloud, pose, raster) for pose in turned]) / VIEWS
    theirs_ms = best_ms(repeats, lambda: [one(pose) for pose in poses]) / VIEWS
    nearest = project(cloud, turned[0], raster).nearest
    ours = torch.where(nearest < nearest.max(), nearest & 0xFFFFFFFF, -1).numpy()
    image = one(poses[0])
    other = np.where(image.depth.as_tensor().numpy()[..., 0] > 0, image.color.as_tensor().numpy()[..., 0], -1)
    return ours_ms, theirs_ms, float((ours != other).sum() / (ours >= 0).sum())


def peak_mb(count: int, size: int, given: bool) -> float:
    """Memory above the cloud while 14 views are drawn, in a process of its own; ``given``: normals are known."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_mb, (count, size, given))


def _peak_mb(count: int, size: int, given: bool) -> float:
    torch.set_num_threads(1)
    open3d().utility.set_max_threads(1)
    draw(torus(2_000), fibonacci(1), size)  # what libraries need once
    points = torus(count)
    normals = estimate_normals(points, sampling(points).pitch) if given else None
    with open("/proc/self/clear_refs", "w") as file:  # the peak starts anew
        file.write("5")
    before = _status_mb("VmRSS")
    draw(points, fibonacci(ALL_VIEWS), size, normals=normals)
    return _status_mb("VmHWM") - before


def _status_mb(name: str) -> float:
    """A line of what Linux tells of this process, megabytes."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) / 1024


def measure(count: int, size: int, repeats: int, device: str) -> None:
    """Print the line of a torus of ``count`` points."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    points, poses = torus(count), fibonacci(VIEWS)
    known = sampling(points)
    normals = estimate_normals(points, known.pitch)

    def ours(many: np.ndarray) -> Any:
        return splat.draw(points, normals, known, many, size, device=torch.device(device))

    shown = (ours(poses).place >= 0).any(0)
    view = best_ms(repeats, ours, poses, clock=clock) / VIEWS
    theirs = visualizer_ms(points, normals, size, repeats)
    whole = best_ms(repeats, lambda: draw(points, fibonacci(ALL_VIEWS), size, device=device), clock=clock) / 1e3
    mine, projection, differs = zbuffers(points, normals, size, repeats)
    before = [best_ms(1, *call) for call in ((sampling, points), (estimate_normals, points, known.pitch))]
    before.append(best_ms(1, stand_in, points, shown))
    faster, goal = theirs / view, FASTER.get(count)
    print(
        f"{count:8} {splat.side(size, known.pitch):5} {view:7.1f} {theirs:7.1f} {faster:5.1f}x {goal or '':>4} "
        f"{whole:7.2f}  {' '.join(f'{ms:7.1f}' for ms in before)}  {mine:6.2f} {projection:6.2f} {differs:8.5f}"
    )


def main() -> None:
    """Measure clouds of all sizes, then memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    open3d().utility.set_max_threads(1)
    print(
        f"{options.device}, {options.size} px: ms a view of ours and the Visualizer, goal; s for {ALL_VIEWS} views with"
    )
    print(
        "normals; ms a cloud of sampling, normals, stand-in; ms a view of our z-buffer and Open3D's, share that differs"
    )
    print("  points  made    ours Visual. faster goal      s   sampl. normals stand-i    ours  Open3D  differs")
    for count in COUNTS:
        measure(count, options.size, options.repeats, options.device)
    if options.device == "cpu":
        known, all_of_it = (peak_mb(1_000_000, options.size, given) for given in (True, False))
        print(
            f"peak above 1,000,000 points: {known:.0f} MB, with sampling and normals {all_of_it:.0f} MB; goal {PEAK_MB}"
        )
    print(f"goal for 100,000 points, {ALL_VIEWS} views, normals included: {CPU_S} s")


if __name__ == "__main__":
    main()
