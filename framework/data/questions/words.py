"""What a set's elements are, and whether it shows several pictures -> the questions that we ask about its samples."""

from __future__ import annotations

from collections.abc import Sequence


def yes_or_no(element: str, several: bool) -> str:
    """The published question (Anomaly-OneVision ``test_detection.py``), for scans in the words of medicine.

    Args:
        element: "pixel", "point", "voxel" or a plug-in's word.
        several: whether several pictures are shown.
    """
    wrong = "abnormalities" if element == "voxel" else "defects for the object"
    return f"Are there any {wrong} in the {_shown(element, several)}? Please reply with 'Yes' or 'No'."


def what_and_where(element: str, several: bool) -> str:
    """A question for a description; arguments as of ``yes_or_no``."""
    return f"Is there anything unusual in the {_shown(element, several)}? Describe what and where."


def captioned(question: str, captions: Sequence[str]) -> str:
    """The question with a line a picture in front that says what it shows: ``Image 2: from the left, below.``.

    The lines follow the pictures' ``<image>``: what the model reads is as published but for them, and an answer can
    name a picture by its number. A picture without a caption has no line.
    """
    lines = [f"Image {number}: {caption}." for number, caption in enumerate(captions, 1) if caption]
    return "\n".join([*lines, question])


def _shown(element: str, several: bool) -> str:
    return "scan" if element == "voxel" else "images" if several else "image"
