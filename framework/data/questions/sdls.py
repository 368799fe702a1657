"""SDLS AbnormalDetect -> one item a check of a picture: what to look at, and the sentence that says what is wrong.

Source of the layout: letsgo-2/sdls-abnormaldetect, ``readme.md``. The wording of the question is ours.
"""

from __future__ import annotations

from pathlib import Path

from framework.data.questions.items import Item
from framework.data.questions.reading import check_pictures, numbered, read_list, value
from framework.errors import UserError

QUESTION = "Is there anything unusual in the image? Describe what and where."


def questions(root: Path) -> list[Item]:
    """Every record of ``data/annotation/records_<arm>_final.json``; pictures lie in ``data/image``.

    A picture may be normal under one check and anomalous under another, so the check stands before the question. It is
    ``Detection_Content``; ``Caption`` tells what is in the picture and would give the answer away. The reference is
    ``Anomaly_Label_Description``, the category the step and phase of the check, such as ``step14_pre``, the dataset
    the arm with the camera.

    Raises:
        UserError: no such files, a missing picture, or a record that is not as above, which is named.
        UnreadableError: a file is not JSON.
    """
    folder = root / "data" / "annotation"
    files = sorted(folder.glob("records_*.json"))
    if not files:
        raise UserError(f"{folder}: no records_*.json. Set root to the folder that holds data/annotation.")
    records = [(file, place, record) for file in files for place, record in read_list(file)]
    checks = [f"{value(r, 'step', str, place)}_{value(r, 'phase', str, place)}" for _, place, r in records]
    pictures = [value(r, "Image_Id", str, place) for _, place, r in records]
    names = numbered([f"{picture}#{check}" for picture, check in zip(pictures, checks, strict=True)])
    found = []
    for name, check, picture, (file, place, record) in zip(names, checks, pictures, records, strict=True):
        question = f"{value(record, 'Detection_Content', str, place)} {QUESTION}"
        reason = value(record, "Anomaly_Label_Description", str, place)
        label = value(record, "Anomaly_Label", bool, place)
        arm = file.stem.removeprefix("records_").removesuffix("_final")
        found.append(Item(name, (root / picture,), (question,), (reason,), check, label, "description", f"sdls/{arm}"))
    check_pictures(found, folder, root)
    return found
