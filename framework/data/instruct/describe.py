"""Truth masks of the views of a sample -> one or more sentences: what is wrong, where, how large, how often."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

PLACES = (
    ("in the upper left", "at the top", "in the upper right"),
    ("on the left", "in the centre", "on the right"),
    ("in the lower left", "at the bottom", "in the lower right"),
)
SIZES = ((0.005, "tiny"), (0.03, "small"), (0.15, "medium-sized"))  # below which share of the view; our choice
LARGE = "large"
SPECK = 0.01  # of the largest region's area: what is smaller is no region of its own
_SAYS_NOTHING = ("", "bad", "ng", "ungood", "defect", "defective", "anomaly", "anomalous", "abnormal", "yes")
_NO_NOUN = re.compile(
    r"(.*(ed|en)|bent|rough|large|small|big|inner|outer|top|side|front|back|teeth|colou?r|oil|glue|liquid|rust|dirt)"
)
"""Last words of names of defects that can neither be counted nor take an article: bent, contaminated, oil."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Regions of one mask: how many, the size of the largest, and the places of all, that of the largest first."""

    count: int
    size: str
    places: tuple[str, ...]


def normal(thing: str, element: str = "pixel") -> str:
    """What is said of a normal sample: "No, the capsule looks normal."."""
    return f"No, the {_thing(thing, element)} looks normal."


def describe(
    masks: Sequence[np.ndarray], defect: str, thing: str, element: str = "pixel", captions: Sequence[str] = ()
) -> str:
    """What is said of an anomalous sample; always the same words for the same masks.

    The place of a region is the cell of a 3 x 3 grid of the picture that holds its centroid; its size is its share of
    the picture: tiny below 0.5 %, small below 3 %, medium-sized below 15 %, else large. Of several regions the size
    of the largest is told. Regions below 1 % of the largest do not count: they are frayed edges of masks. The bounds
    are our choice. Where the masks mark nothing, or there are none, no place or size is invented.

    Args:
        masks: ``(H, W)`` for each picture in the order they are shown, or none where only the label is known. Bool,
            and regions are 8-connected; or integers, the number of the region, 0 for none. Several pictures are named
            by their place in that order, from 1.
        defect: kind of anomaly, as the set names it.
        thing: category.
        element: of the domain.
        captions: of the pictures, as the question tells them, or none; with them the pictures that show the anomaly are
            named first.

    Returns:
        ``Yes, there is a small scratch on the capsule, in the upper left of the image.``, or for several pictures
        ``Yes, there is a lesion in the brain. In slice 2 there are 2 lesions in several places: at the top and on the
        left; the largest is tiny.``; with captions ``Yes, there is a dent on the bowl. It can be seen in image 1 (from
        above) and image 4. In image 1 there is ...``.
    """
    noun, on = _noun(defect, element), "in" if element == "voxel" else "on"
    seen = {number: _see(mask) for number, mask in enumerate(masks, 1) if mask.any()}
    whole = f"{on} the {_thing(thing, element)}"
    if len(masks) == 1 and seen:
        return f"Yes, {_what(seen[1], noun)} {whole}, {_where(seen[1], ' of the image')}."
    view = "image" if captions else {"pixel": "image", "voxel": "slice"}.get(element, "view")
    named = f" It can be seen in {_joined([_named(n, captions) for n in seen])}." if captions and seen else ""
    told = [f" In {view} {number} {_what(s, noun)} {_where(s, '')}." for number, s in seen.items()]
    return f"Yes, there is {_with_article(noun)} {whole}.{named}{''.join(told)}"


def _named(number: int, captions: Sequence[str]) -> str:
    caption = captions[number - 1]
    return f"image {number} ({caption})" if caption else f"image {number}"


def _joined(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _see(mask: np.ndarray) -> _Seen:
    labels = ndimage.label(mask, np.ones((3, 3)))[0] if mask.dtype == np.bool_ else mask
    areas = np.bincount(labels.ravel())[1:]
    order = np.argsort(-areas, kind="stable")
    kept = order[areas[order] >= SPECK * areas.max()]
    height, width = mask.shape
    places = []
    for y, x in ndimage.center_of_mass(mask, labels, kept + 1):
        places.append(PLACES[int((y + 0.5) / height * 3)][int((x + 0.5) / width * 3)])
    share = areas.max() / mask.size
    size = next((word for bound, word in SIZES if share < bound), LARGE)
    return _Seen(len(kept), size, tuple(dict.fromkeys(places)))


def _what(seen: _Seen, noun: str) -> str:
    if seen.count == 1:
        return f"there is a {seen.size} {noun}"
    return f"there are {seen.count} {_plural(noun)}"


def _where(seen: _Seen, of_what: str) -> str:
    several = len(seen.places) > 1
    where = f"in several places{of_what}: {_joined(seen.places)}" if several else f"{seen.places[0]}{of_what}"
    return where if seen.count == 1 else f"{where}; the largest is {seen.size}"


def _noun(defect: str, element: str) -> str:
    """The defect as a noun that can be counted."""
    name = _words(defect)
    general = "abnormality" if element == "voxel" else "defect"
    if name in _SAYS_NOTHING:
        return general
    if name.endswith("missing"):
        return f"{name} part"
    return f"{name} {general}" if _NO_NOUN.fullmatch(name.split()[-1]) else name


def _thing(category: str, element: str) -> str:
    """The category without its number: ``bowl0`` is a bowl; what is only a number is an object, or a scan."""
    return _words(re.sub(r"\d+$", "", category)) or ("scan" if element == "voxel" else "object")


def _words(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.lower())).strip()


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _plural(noun: str) -> str:
    if re.search(r"(s|x|z|ch|sh)$", noun):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if re.search(r"[^aeiou]y$", noun) else f"{noun}s"
