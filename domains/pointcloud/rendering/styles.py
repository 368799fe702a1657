"""The style that a user names in; which pictures a camera gives, and what each of their channels shows, out.

``a+b`` gives more views: first all styles of the first camera, then all of the second. ``a|b|c`` stacks three grey
styles as red, green and blue of one view. Both together: ``shaded|depth|facing+normals``.
"""

from __future__ import annotations

from framework.errors import UserError
from framework.registry import unknown

GREY = ("shaded", "depth", "facing")
COLOUR = ("normals", "rgb")
NAMES = (*GREY, *COLOUR)

Picture = tuple[str, ...]
"""One style, or three grey ones for the three channels."""


def parse(style: str) -> tuple[Picture, ...]:
    """The pictures of a camera, K.

    Raises:
        UserError: a name that is not in ``NAMES``, a stack that is not of three grey styles, a picture given twice.
    """
    pictures = tuple(tuple(name.strip() for name in part.split("|")) for part in style.split("+"))
    for picture in pictures:
        for name in picture:
            if name not in NAMES:
                raise UserError(unknown("pointcloud style", name, list(NAMES)))
        if len(picture) > 1 and (len(picture) != 3 or not set(picture) <= set(GREY)):
            raise UserError(
                f"pointcloud style {style!r}: channels must be three of {', '.join(GREY)}, such as "
                "'shaded|depth|facing'; join others as views: 'shaded+normals'."
            )
    if len(set(pictures)) < len(pictures):
        raise UserError(f"pointcloud style {style!r}: the same picture twice says nothing new. Name each once.")
    return pictures
