"""The name of a kind of thing goes in; WinCLIP's sentences about it, whole and damaged, come out. Loads no torch."""

from __future__ import annotations

import re

# Compositional prompt ensemble of WinCLIP (Jeong et al., CVPR 2023, arXiv 2303.14814, supplement): each state in each
# template. The list of anomalib and of zqhang/Accurate-WinCLIP-pytorch lacks "a cropped photo of a" and "a jpeg
# corrupted photo of a", and has one template twice.
NORMAL = (
    "{}",
    "flawless {}",
    "perfect {}",
    "unblemished {}",
    "{} without flaw",
    "{} without defect",
    "{} without damage",
)
ANOMALOUS = ("damaged {}", "{} with flaw", "{} with defect", "{} with damage")
TEMPLATES = (
    "a cropped photo of the {}.",
    "a cropped photo of a {}.",
    "a close-up photo of a {}.",
    "a close-up photo of the {}.",
    "a bright photo of a {}.",
    "a bright photo of the {}.",
    "a dark photo of the {}.",
    "a dark photo of a {}.",
    "a jpeg corrupted photo of a {}.",
    "a jpeg corrupted photo of the {}.",
    "a blurry photo of the {}.",
    "a blurry photo of a {}.",
    "a photo of a {}.",
    "a photo of the {}.",
    "a photo of a small {}.",
    "a photo of the small {}.",
    "a photo of a large {}.",
    "a photo of the large {}.",
    "a photo of the {} for visual inspection.",
    "a photo of a {} for visual inspection.",
    "a photo of the {} for anomaly detection.",
    "a photo of a {} for anomaly detection.",
)
OBJECT = "object"  # what a thing without a name is called


def words(category: str, names: dict[str, str]) -> str:
    """What a category is called in a sentence: as ``names`` says, else its own name, "metal_nut" as "metal nut".

    "CandyCane" is "Candy Cane". Clouds and scans have no sentences of their own: a cloud is called by its object, a
    scan by its organ, as MVFA (CVPR 2024) does.

    Of a nested one ("line_2/metal_nut") the last part is its name. A category whose name says nothing ("", "01") is
    called "object". Names that nobody uses (pcb1, macaroni2) are the user's to replace; papers differ in what they
    write there.
    """
    if category in names:
        return names[category]
    own = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", category.rpartition("/")[2])
    own = " ".join(own.replace("_", " ").split())
    return own if any(letter.isalpha() for letter in own) else OBJECT


def ensemble(thing: str) -> tuple[list[str], list[str]]:
    """154 normal and 88 anomalous sentences about a thing, every state in every template."""
    normal, anomalous = (
        [template.format(state.format(thing)) for state in states for template in TEMPLATES]
        for states in (NORMAL, ANOMALOUS)
    )
    return normal, anomalous
