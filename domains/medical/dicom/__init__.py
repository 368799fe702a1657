"""DICOM files in, the series and pictures they are out: where their voxels lie, their values, the patient's pseudonym.

What identifies a patient stays in the files: no name, date, number or UID of a header gets into a value that this
package returns, nor into a message it raises.
"""

from domains.medical.dicom.files import SUFFIXES, broken, is_dicom, quiet
from domains.medical.dicom.pixels import picture, planes
from domains.medical.dicom.series import Series, frames, inside, is_picture, read, samples, series_in

__all__ = [
    "SUFFIXES",
    "Series",
    "broken",
    "frames",
    "inside",
    "is_dicom",
    "is_picture",
    "picture",
    "planes",
    "quiet",
    "read",
    "samples",
    "series_in",
]
