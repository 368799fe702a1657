"""Parts, fields of noise and a camera -> pictures of procedural scenes. Draws all chance from a stream it is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

Rng = np.random.Generator
SIZE = 224  # pixels, height and width of every picture


@dataclass(frozen=True)
class Shape:
    """A rounded box or disc of one colour, placed relative to the part it belongs to.

    Attributes:
        half: half width and half height in pixels.
        colour: ``(3,)`` reflectance in [0, 1].
        offset: of its centre from the part's centre, in pixels, turned with the part.
        corner: radius of the corners in pixels; equal to ``half`` it makes a disc.
        relief: brightness of the bevel towards the light, as a share of the colour; negative sinks it in.
        bevel: width of the bevel in pixels.
    """

    half: tuple[float, float]
    colour: np.ndarray
    offset: tuple[float, float] = (0.0, 0.0)
    corner: float = 1.0
    relief: float = 0.0
    bevel: float = 4.0


@dataclass(frozen=True)
class Part:
    """Something mounted, printed or laid on a ground: shapes that move together."""

    x: float
    y: float
    angle_rad: float
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Scene:
    """What stands before the camera, and the camera.

    Attributes:
        ground: ``(SIZE, SIZE, 3)`` reflectance in [0, 1].
        grain: ``(SIZE, SIZE, 1)`` factor that lies over ground and parts, mean about 1.
        parts: what lies on the ground.
        gain: ``(SIZE, SIZE, 3)`` light and colour of the light.
        blur: sigma of the lens in pixels.
        noise: ``(SIZE, SIZE, 3)`` of the sensor, in 8-bit steps.
        light_rad: direction the light comes from.
    """

    ground: np.ndarray
    grain: np.ndarray
    parts: list[Part]
    gain: np.ndarray
    blur: float
    noise: np.ndarray
    light_rad: float


def turned(angle_rad: float, x: float = 0.0, y: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """``(SIZE, SIZE)`` pixel coordinates along and across ``angle_rad``, with the origin at ``(x, y)``."""
    dy, dx = np.mgrid[:SIZE, :SIZE] - np.array([y, x])[:, None, None]
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return dx * cos + dy * sin, dy * cos - dx * sin


def clouds(rng: Rng, cells: tuple[int, int], octaves: int = 1) -> np.ndarray:
    """``(SIZE, SIZE)`` smooth noise, mean 0, deviation 1, with ``cells`` = (rows, columns) bumps and finer octaves."""
    total = np.zeros((SIZE, SIZE))
    for octave in range(octaves):
        grid = rng.normal(size=(cells[0] * 2**octave + 3, cells[1] * 2**octave + 3)).astype(np.float32)
        fine = Image.fromarray(grid).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        total += np.asarray(fine) * 0.6**octave
    return (total - total.mean()) / total.std()


def edge_distance(x: np.ndarray, y: np.ndarray, half: tuple[float, float], corner: float) -> np.ndarray:
    """Signed distance in pixels to a rounded box at the origin, negative inside.

    Source: Inigo Quilez, "2D distance functions" (rounded box).
    """
    qx, qy = np.abs(x) - half[0] + corner, np.abs(y) - half[1] + corner
    outside = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0))
    return outside + np.minimum(np.maximum(qx, qy), 0) - corner


def paint(scene: Scene, parts: list[Part]) -> np.ndarray:
    """``(SIZE, SIZE, 3)`` reflectance of the scene with ``parts`` in place of its own."""
    canvas = scene.ground.copy()
    for part in parts:
        for shape in part.shapes:
            _stamp(canvas, part, shape, scene.light_rad)
    return canvas * scene.grain


def expose(scene: Scene, reflectance: np.ndarray) -> np.ndarray:
    """``(SIZE, SIZE, 3)`` uint8 photograph: light, lens, sensor noise, eight bits."""
    from scipy.ndimage import gaussian_filter

    seen = gaussian_filter(reflectance * scene.gain, (scene.blur, scene.blur, 0), truncate=3)
    return np.clip(np.rint(seen * 255 + scene.noise), 0, 255).astype(np.uint8)


def camera(rng: Rng) -> tuple[np.ndarray, float, np.ndarray, float]:
    """Gain, blur, noise and light direction of one photograph, as ``Scene`` takes them.

    They vary much from picture to picture: brightness, contrast and the size of the compressed file then say
    next to nothing about a defect.
    """
    light = rng.uniform(0, 2 * np.pi)
    along, _ = turned(light, SIZE / 2, SIZE / 2)
    slope = 1 + rng.uniform(0, 0.25) * along / SIZE
    hot = np.hypot(*turned(0, *rng.uniform(0, SIZE, 2)))
    glow = 1 + rng.uniform(0, 0.2) * np.exp(-((hot / rng.uniform(60, 140)) ** 2))
    tint = rng.uniform(0.95, 1.05, 3)
    gain = (rng.uniform(0.7, 1.15) * slope * glow)[..., None] * tint
    sigma = np.exp(rng.uniform(np.log(0.8), np.log(6)))
    return gain, rng.uniform(0.4, 1.0), rng.normal(0, sigma, (SIZE, SIZE, 3)), light


def colour(rng: Rng, base: tuple[float, float, float], spread: float) -> np.ndarray:
    """``(3,)`` reflectance near ``base``: one shared step of brightness and a smaller one a channel."""
    return np.clip(np.array(base) + rng.uniform(-spread, spread) + rng.uniform(-spread, spread, 3) / 5, 0.03, 0.95)


def _stamp(canvas: np.ndarray, part: Part, shape: Shape, light_rad: float) -> None:
    """Lay one shape over ``canvas`` in place, inside the window that it can reach."""
    cos, sin = np.cos(part.angle_rad), np.sin(part.angle_rad)
    x = part.x + shape.offset[0] * cos - shape.offset[1] * sin
    y = part.y + shape.offset[0] * sin + shape.offset[1] * cos
    reach = float(np.hypot(*shape.half)) + 2
    left, top = (max(int(v - reach), 0) for v in (x, y))
    right, bottom = (min(int(v + reach) + 1, SIZE) for v in (x, y))
    if right - left < 2 or bottom - top < 2:
        return
    dy, dx = np.mgrid[top:bottom, left:right] - np.array([y, x])[:, None, None]
    distance = edge_distance(dx * cos + dy * sin, dy * cos - dx * sin, shape.half, shape.corner)
    alpha = np.clip(0.5 - distance, 0, 1)[..., None]
    paint_colour = np.broadcast_to(shape.colour, (*distance.shape, 3))
    if shape.relief:
        slope_y, slope_x = np.gradient(distance)
        facing = slope_x * np.cos(light_rad) + slope_y * np.sin(light_rad)
        on_bevel = np.clip(1 + distance / shape.bevel, 0, 1)
        paint_colour = paint_colour * (1 + shape.relief * facing * on_bevel)[..., None]
    window = canvas[top:bottom, left:right]
    window += alpha * (paint_colour - window)
