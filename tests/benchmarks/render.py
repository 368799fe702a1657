"""Nothing in -> a table: CPU time per view of our splat renderer and of Open3D's two ways to draw a cloud.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/render.py [--size 384] [--repeats 5]`` (about a minute).
Goal: 50 CPU-ms or less per view of 100,000 points at 384 pixels on one thread. Open3D's projection draws one pixel per
point, so the rear shines through, and its Visualizer needs EGL; neither says which point a pixel shows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from domains.pointcloud.cameras import fibonacci, focal_px
from domains.pointcloud.geometry import estimate_normals, pitch, stand_in, to_unit_sphere
from domains.pointcloud.library import open3d
from domains.pointcloud.render import render, side
from domains.pointcloud.shapes import SHAPES, sample

VIEWS = 9


def best_ms(repeats: int, run: Callable[..., Any], *arguments: Any) -> float:
    """Least process CPU time of several calls, milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run(*arguments)
        times.append(time.process_time() - start)
    return min(times) * 1e3


def lens(size: int) -> np.ndarray:
    """``(3, 3)`` intrinsics of a view."""
    return np.array([[focal_px(size), 0, size / 2], [0, focal_px(size), size / 2], [0, 0, 1.0]])


def project(points: np.ndarray, poses: np.ndarray, size: int) -> None:
    """Open3D's depth image: one pixel per point, no normals, no closing."""
    core = open3d().core
    cloud = open3d().t.geometry.PointCloud(core.Tensor(points.astype(np.float32)))
    for pose in poses:
        cloud.project_to_depth_image(size, size, core.Tensor(lens(size)), core.Tensor(pose), 1.0, 10.0)


def visualizer(points: np.ndarray, normals: np.ndarray, size: int) -> Any:
    """A hidden window of Open3D with the cloud in it, or None where this machine cannot open one."""
    o3d = open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    cloud.normals = o3d.utility.Vector3dVector(normals.astype(np.float64))
    window = o3d.visualization.Visualizer()
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        if not window.create_window(width=size, height=size, visible=False):
            return None
    window.add_geometry(cloud)
    return window


def shoot(window: Any, poses: np.ndarray, size: int) -> float:
    """Every view through a window; the share of the last picture that is not background."""
    camera = open3d().camera.PinholeCameraParameters()
    camera.intrinsic = open3d().camera.PinholeCameraIntrinsic(size, size, lens(size))
    for pose in poses:
        camera.extrinsic = pose
        window.get_view_control().convert_from_pinhole_camera_parameters(camera, allow_arbitrary=True)
        window.poll_events()
        window.update_renderer()
        picture = np.asarray(window.capture_screen_float_buffer(False))
    return float((picture < 0.99).any(-1).mean())


def measure(count: int, size: int, repeats: int) -> list[float]:
    """Milliseconds a view of three ways to draw a torus, and a cloud of three things to know before."""
    poses = fibonacci(VIEWS)
    points = to_unit_sphere(sample(SHAPES["torus"](np.random.default_rng(0)), count, np.random.default_rng(1))[0])
    step = pitch(points)
    normals = estimate_normals(points, step)
    _, owner = render(points, normals, step, poses, size)
    views = [best_ms(repeats, render, points, normals, step, poses, size) / VIEWS]
    views.append(best_ms(repeats, project, points, poses, size) / VIEWS)
    window = visualizer(points, normals, size)
    drawn = window is not None and shoot(window, poses, size) > 0.05
    views.append(best_ms(repeats, shoot, window, poses, size) / VIEWS if drawn else float("nan"))
    if window is not None:
        window.destroy_window()
    before: list[tuple[Any, ...]] = [(pitch, points), (estimate_normals, points, step), (stand_in, points, owner)]
    return [side(size, step), *views, *(best_ms(repeats, call[0], *call[1:]) for call in before)]


def main() -> None:
    """Measure clouds of 10,000 and 100,000 points."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    open3d().utility.set_max_threads(1)
    print("CPU-ms per view: ours, project, Visualizer; per cloud: pitch, normals, stand-in")
    print(" points drawn-at     ours  project  Visual.    pitch  normals stand-in")
    for count in (10_000, 100_000):
        print(f"{count:7} " + " ".join(f"{number:8.1f}" for number in measure(count, options.size, options.repeats)))


if __name__ == "__main__":
    main()
