"""Layers of colours, arrays of a shape and the script that draws it -> the viewer's page, whole in one file."""

from __future__ import annotations

import base64
import io
import json
import zlib
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
_LARGE = 1 << 14  # bytes that are worth compressing
_TRIED = 1 << 17  # bytes that tell how an array is best compressed
_COMPRESSION = 3  # of zlib: a scan shrinks hardly more above it


@dataclass(frozen=True, slots=True)
class View:
    """A view beside the shape.

    Attributes:
        picture: ``(H, W, 3)`` uint8.
        overlay: the same under its map.
        caption: where it was seen from; "" where there is nothing to say.
        score: of the view, in [0, 1].
        number: of the view, where not every view is beside; None: they come in order.
    """

    picture: np.ndarray
    overlay: np.ndarray
    caption: str
    score: float
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """How a page speaks of what it shows, and packs it.

    Attributes:
        thing: what is on the stage.
        views: headline of the views beside.
        hint: what choosing one does.
        side: longest side of a view, pixels.
        deflated: whether large arrays are compressed, which takes a browser of 2023 or later.
    """

    thing: str
    views: str
    hint: str
    side: int = 384
    deflated: bool = False


SHAPE = Kind("The shape", "Rendered views", "Choose a view to turn the shape to where it was seen from.")
SCAN = Kind("The scan", "Most suspicious slices", "Choose a slice to go there.", side=256, deflated=True)


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
    kind: Kind = SHAPE,
) -> bytes:
    """The page. Nothing in it comes from elsewhere; every text is shown as text.

    Args:
        title: headline.
        facts: what is known, a short line each.
        notes: what to keep in mind while looking.
        layers: ways to colour, the first one chosen.
        views: pictures beside; none where another page shows them, which then sends ``{turn: number of a view}``.
        scene: arrays for the script, of any plain type; of texts as lists.
        script: defines ``makeStage(host, scene)``, see ``viewer.js``; a style of its name may lie beside it.
        start: number of the view that it is first seen from.
        nonce: of the page's scripts and style where it is served under a policy that asks for one.
        kind: of what is shown.
    """
    own = script.with_suffix(".css")
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    data = {
        "start": start,
        "scene": {name: _array(values, kind.deflated) for name, values in scene.items()},
        "layers": [_layer(layer, kind.deflated) for layer in layers],
        "views": [_view(view, kind.side) for view in views],
    }
    text = environment.get_template("viewer.html.j2").render(
        title=title,
        facts=facts,
        notes=notes,
        several=bool(views),
        nonce=nonce,
        kind=kind,
        style=Markup("".join(p.read_text(encoding="utf-8") for p in (_FOLDER / "viewer.css", own) if p.is_file())),
        scripts=[Markup(p.read_text(encoding="utf-8")) for p in (script, _FOLDER / "viewer.js")],
        data=Markup(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")),
    )
    return text.encode()


def _array(values: np.ndarray, deflated: bool = False) -> dict[str, Any]:
    """An array as the script unpacks it: little-endian bytes, type and shape; or texts."""
    if values.dtype.kind == "U":
        return {"texts": values.tolist()}
    plain = np.ascontiguousarray(values)
    content = plain.astype(plain.dtype.newbyteorder("<"), copy=False).tobytes()
    packed: dict[str, Any] = {}
    if deflated and len(content) >= _LARGE:
        content, stepped = _deflated(content, plain.itemsize)
        packed = {"deflated": True, "stepped": stepped}
    return {"type": plain.dtype.name, "shape": plain.shape, "bytes": base64.b64encode(content).decode("ascii")} | packed


def _deflated(content: bytes, size: int) -> tuple[bytes, bool]:
    """Numbers of ``size`` bytes compressed, and whether each byte is a step from the one before, if that is smaller.

    First come the lowest bytes of all numbers, then the next: the high ones are much the same. Maps are smooth, so
    steps take a third of what they do; noise is not.
    """
    apart = np.ascontiguousarray(np.frombuffer(content, np.uint8).reshape(-1, size).T).ravel()
    steps = np.diff(apart, prepend=np.uint8(0))
    start = len(apart) // (2 * size)
    tried = [len(zlib.compress(a[start : start + _TRIED].data, _COMPRESSION)) for a in (steps, apart)]
    stepped = tried[0] < tried[1]
    return zlib.compress((steps if stepped else apart).data, _COMPRESSION), stepped


def _layer(layer: Layer, deflated: bool) -> dict[str, Any]:
    return {
        "name": layer.name,
        "codes": _array(layer.codes, deflated),
        "colours": _array(layer.colours),
        "top": layer.top,
        "ticks": layer.ticks,
        "marks": layer.marks,
        "why": layer.why,
        "scale": layer.scale,
    }


def _view(view: View, side: int) -> dict[str, Any]:
    pictures = {"view": _address(view.picture, side), "map": _address(view.overlay, side)}
    numbered = {} if view.number is None else {"number": view.number}
    return pictures | {"caption": view.caption, "score": round(view.score, 4)} | numbered


def _address(picture: np.ndarray, side: int) -> str:
    """A picture as an address that holds it, made small where it is larger than ``side``."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)  # of 28 pictures ten times as fast as WebP
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
