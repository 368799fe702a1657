"""Layers of colours, arrays of a shape and the script that draws it -> the viewer's page, whole in one file."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from framework.viewer.layers import Layer

_FOLDER = Path(__file__).parent
SIDE = 384  # longest side of a view on the page, pixels


@dataclass(frozen=True, slots=True)
class View:
    """A view beside the shape.

    Attributes:
        picture: ``(H, W, 3)`` uint8.
        overlay: the same under its map.
        caption: where it was seen from; "" where there is nothing to say.
        score: of the view, in [0, 1].
    """

    picture: np.ndarray
    overlay: np.ndarray
    caption: str
    score: float


def build(
    title: str,
    facts: Sequence[str],
    notes: Sequence[str],
    layers: Sequence[Layer],
    views: Sequence[View],
    scene: Mapping[str, np.ndarray],
    script: Path,
    start: int = 0,
    nonce: str = "",
) -> bytes:
    """The page. Nothing in it comes from elsewhere; every text is shown as text.

    Args:
        title: headline.
        facts: what is known, a short line each.
        notes: what to keep in mind while looking.
        layers: ways to colour, the first one chosen.
        views: pictures beside; none where another page shows them, which then sends ``{turn: number of a view}``.
        scene: arrays for the script, of any plain type.
        script: defines ``makeStage(host, scene)``, see ``viewer.js``.
        start: number of the view that it is first seen from.
        nonce: of the page's scripts and style where it is served under a policy that asks for one.
    """
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    data = {
        "start": start,
        "scene": {name: _array(values) for name, values in scene.items()},
        "layers": [_layer(layer) for layer in layers],
        "views": [
            {"view": _address(v.picture), "map": _address(v.overlay), "caption": v.caption, "score": round(v.score, 4)}
            for v in views
        ],
    }
    text = environment.get_template("viewer.html.j2").render(
        title=title,
        facts=facts,
        notes=notes,
        several=bool(views),
        nonce=nonce,
        style=Markup((_FOLDER / "viewer.css").read_text(encoding="utf-8")),
        scripts=[Markup(p.read_text(encoding="utf-8")) for p in (script, _FOLDER / "viewer.js")],
        data=Markup(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")),
    )
    return text.encode()


def _array(values: np.ndarray) -> dict[str, Any]:
    """An array as the script unpacks it: little-endian bytes, type and shape."""
    plain = np.ascontiguousarray(values)
    content = base64.b64encode(plain.astype(plain.dtype.newbyteorder("<"), copy=False).tobytes()).decode("ascii")
    return {"type": plain.dtype.name, "shape": plain.shape, "bytes": content}


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "codes": _array(layer.codes),
        "colours": _array(layer.colours),
        "top": layer.top,
        "ticks": layer.ticks,
        "marks": layer.marks,
        "why": layer.why,
        "scale": layer.scale,
    }


def _address(picture: np.ndarray) -> str:
    """A picture as an address that holds it."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)  # of 28 pictures ten times as fast as WebP
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
