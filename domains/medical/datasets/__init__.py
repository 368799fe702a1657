"""The root of a medical set in; one record per scan, slice or picture out. What a record names the reader opens."""

from domains.medical.datasets.pictures import yes_no
from domains.medical.datasets.volumes import nifti, nifti_slices, open_ms

__all__ = ["nifti", "nifti_slices", "open_ms", "yes_no"]
