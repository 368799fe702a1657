"""The root of a medical set in; the names of the splits that it has out, so that patients in several are found."""

from __future__ import annotations

from pathlib import Path

from domains.medical.datasets.listing import folders
from framework.registry import register


@register("splits", "medical/nifti")
@register("splits", "medical/nifti_slices")
def by_folder(root: Path) -> list[str]:
    """Every folder of the root is a split."""
    return [place.name for place in folders(root)]
