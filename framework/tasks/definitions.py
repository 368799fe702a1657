"""A metric and the level it is measured at -> its definition in words, with a version, which every row carries."""

from __future__ import annotations

from framework.tasks.levels import Level

PROTOCOLS = {
    "auroc": "auroc/1",
    "ap": "ap/1; ties as scikit-learn",
    "f1_max": "f1_max/1; best threshold of the set",
    "aupro": "aupro/1; false-positive rate up to 0.3",
    "aupro_05": "aupro/1; false-positive rate up to 0.05",
    "aupro_lineage": "aupro_lineage/1; 200 even thresholds, false-positive rate below 0.3 stretched to 1",
    "dice_best": "dice/1; mean over scans with a lesion, best threshold of the set",
    "dice_fixed": "dice/1; mean over scans with a lesion, threshold 0.5",
    "f1_source": "f1_source/1; threshold of best F1 on the source",
    "sensitivity": "sensitivity/1; lesions found at 1 false positive a scan, both 26-connected, 1 % flagged at most",
}
REGIONS = {  # what makes one region of AUPRO
    "pixel": "regions 8-connected in a view",
    "voxel": "regions 26-connected among the voxels scored",
    "point": "regions of points within 3 sampling pitches",
}
OWN_REGIONS = "regions as its domain numbers them"


def definition(metric: str, level: Level) -> str:
    """For example "aupro/1; false-positive rate up to 0.3, regions 8-connected in a view"."""
    regions = REGIONS["pixel"] if level.name == "grid" or level.flat else REGIONS.get(level.element, OWN_REGIONS)
    return PROTOCOLS[metric] + level.note + (f", {regions}" if metric.startswith("aupro") else "")
