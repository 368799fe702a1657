"""A cloud and what ``splat`` drew of it in; the same with the pictures of Open3D's Visualizer, in a hidden window, out.

For comparison with papers that used it: squares of one size, grey with a light, which let the rear shine through where
samples are sparse. It opens without a display where there is an EGL driver. It does not say which point a pixel shows,
so owners and places are those of ``splat``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from domains.pointcloud.library import open3d
from domains.pointcloud.rendering.cameras import focal_px
from domains.pointcloud.rendering.drawing import Drawn
from domains.pointcloud.rendering.styles import Picture
from framework.errors import UserError

WINDOW = 1024  # pixels a side, made smaller afterwards, as the papers do
GREY = 0.7
STYLES = ("shaded", "rgb")


def draw(
    drawn: Drawn,
    points: np.ndarray,
    normals: np.ndarray,
    cameras: np.ndarray,
    pictures: tuple[Picture, ...],
    colours: np.ndarray | None,
    point_px: float,
) -> Drawn:
    """Replace the views; arguments as ``drawing.draw`` takes them, normals needed.

    Raises:
        UserError: no window can be made here, or a style that it does not have.
    """
    if not {name for picture in pictures for name in picture} <= set(STYLES) or any(len(p) > 1 for p in pictures):
        raise UserError(f"backend visualizer: it has the styles {' and '.join(STYLES)} alone. Use splat for others.")
    size = drawn.views.shape[-1]
    views = np.empty((len(cameras), len(pictures), *drawn.views.shape[1:]), np.uint8)
    for k, (style,) in enumerate(pictures):
        tint = colours / 255 if style == "rgb" and colours is not None else np.full(points.shape, GREY)
        with opened(points, normals, tint, WINDOW, point_px) as window:
            for i, pose in enumerate(cameras):
                picture = torch.from_numpy(shoot(window, pose, WINDOW)).permute(2, 0, 1)[None]
                small = F.interpolate(picture, (size, size), mode="bicubic", antialias=True)[0]
                views[i, k] = (small.clamp(0, 1) * 255 + 0.5).byte().numpy()
    return dataclasses.replace(drawn, views=views.reshape(drawn.views.shape))


@contextmanager
def opened(points: np.ndarray, normals: np.ndarray, colours: np.ndarray, size: int, point_px: float) -> Iterator[Any]:
    """A hidden window of ``size`` pixels a side with a cloud in it, ``colours (N, 3)`` in [0, 1].

    Raises:
        UserError: no window can be made here.
    """
    o3d = open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    cloud.normals = o3d.utility.Vector3dVector(normals.astype(np.float64))
    cloud.colors = o3d.utility.Vector3dVector(colours)
    window = o3d.visualization.Visualizer()
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        made = window.create_window(width=size, height=size, visible=False)
    if not made or window.get_render_option() is None:
        raise UserError(
            "backend visualizer: Open3D cannot make a window here: no display, and no EGL driver "
            "(apt-get install libegl1 libgl1-mesa-dri). Use splat."
        )
    try:
        window.add_geometry(cloud)
        option = window.get_render_option()
        option.background_color, option.light_on, option.point_size = np.ones(3), True, point_px
        yield window
    finally:
        window.destroy_window()


def shoot(window: Any, pose: np.ndarray, size: int) -> np.ndarray:
    """``(size, size, 3)`` float32 in [0, 1]: what the window shows from ``pose (4, 4)``, world to camera."""
    camera = open3d().camera.PinholeCameraParameters()
    lens = np.array([[focal_px(size), 0, size / 2], [0, focal_px(size), size / 2], [0, 0, 1.0]])
    camera.intrinsic = open3d().camera.PinholeCameraIntrinsic(size, size, lens)
    camera.extrinsic = pose
    window.get_view_control().convert_from_pinhole_camera_parameters(camera, allow_arbitrary=True)
    window.poll_events()
    window.update_renderer()
    return np.array(window.capture_screen_float_buffer(False))
