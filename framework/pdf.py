"""Pictures, texts and boxes with their places -> one page of PDF. Text is Helvetica, which every reader has."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

Box = tuple[float, float, float, float]  # x, y of the top left corner, width, height
Colour = tuple[int, int, int]


def page(
    width: float,
    height: float,
    images: Sequence[tuple[float, float, float, float, np.ndarray]],
    texts: Sequence[tuple[float, float, float, Colour, str]],
    boxes: Sequence[tuple[float, float, float, float, Colour]],
) -> bytes:
    """A file of one page, places in points from its top left corner.

    Args:
        width: of the page.
        height: of the page.
        images: x, y, width, height and ``(H, W, 3)`` uint8.
        texts: x, y of their top, size of the letters, colour, words; letters that Windows-1252 lacks become "?".
        boxes: x, y, width, height, colour.
    """
    drawn = [
        f"q {w:.2f} 0 0 {h:.2f} {x:.2f} {height - y - h:.2f} cm /I{i} Do Q" for i, (x, y, w, h, _) in enumerate(images)
    ]
    drawn += [f"{_rgb(c)} rg {x:.2f} {height - y - h:.2f} {w:.2f} {h:.2f} re f" for x, y, w, h, c in boxes]
    drawn += [
        f"BT {_rgb(c)} rg /F {size * 0.94:.2f} Tf {x:.2f} {height - y - size * 0.92:.2f} Td ({_escaped(text)}) Tj ET"
        for x, y, size, c, text in texts
    ]
    names = " ".join(f"/I{i} {i + 6} 0 R" for i in range(len(images)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width:.2f} {height:.2f}] /Contents 4 0 R "
        f"/Resources << /Font << /F 5 0 R >> /XObject << {names} >> >> >>".encode(),
        _stream("", "\n".join(drawn).encode("cp1252")),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        *(_image(image[-1]) for image in images),
    ]
    return _file(objects)


def _file(objects: Sequence[bytes]) -> bytes:
    """Numbered objects, and the table that says where each begins."""
    content, starts = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, found in enumerate(objects, 1):
        starts.append(len(content))
        content += f"{number} 0 obj\n".encode() + found + b"\nendobj\n"
    table = len(content)
    content += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    content += b"".join(f"{start:010d} 00000 n \n".encode() for start in starts)
    content += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(content)


def _image(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=92, subsampling=0)
    size = f"/Width {pixels.shape[1]} /Height {pixels.shape[0]}"
    return _stream(
        f"/Type /XObject /Subtype /Image {size} /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode ",
        buffer.getvalue(),
    )


def _stream(entries: str, content: bytes) -> bytes:
    return f"<< {entries}/Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream"


def _escaped(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text).encode("cp1252", "replace").decode("cp1252")
    return plain.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _rgb(colour: Colour) -> str:
    return " ".join(f"{c / 255:.3f}" for c in colour)
