"""The root of a medical set in; one record per scan, slice or picture out. What a record names the reader opens."""

from domains.medical.datasets import published, splits
from domains.medical.datasets.bmad import bmad
from domains.medical.datasets.dicom import dicom_tree
from domains.medical.datasets.folders import folder
from domains.medical.datasets.masked import isic, meta_json, polyps, tn3k
from domains.medical.datasets.own_pictures import findings
from domains.medical.datasets.pictures import covid, head_ct, yes_no
from domains.medical.datasets.tumours import brats, decathlon, lits
from domains.medical.datasets.volumes import nifti, nifti_slices, open_ms

__all__ = [
    "bmad",
    "brats",
    "covid",
    "decathlon",
    "dicom_tree",
    "findings",
    "folder",
    "head_ct",
    "isic",
    "lits",
    "meta_json",
    "nifti",
    "nifti_slices",
    "open_ms",
    "polyps",
    "published",
    "splits",
    "tn3k",
    "yes_no",
]
