"""The records of an industrial set in; how its files differ from what was published out, a line for `datasets check`.

Sources of the counts: MVTec AD, Bergmann et al. 2021, table 1; MVTec LOCO AD, Bergmann et al. 2022, table 1; MVTec AD
2, an inventory of its archive; VisA, its README and ``1cls.csv``; MPDD, BTAD, DTD-Synthetic, the lists that published
methods test on; AITEX's tiles, InCTRL's and DRA's tables; ELPV, its README; DAGM, the release of ten classes;
KolektorSDD, KolektorSDD2, their pages; magnetic tiles, Huang et al. 2020; Real-IAD, Wang et al. 2024; DeepPCB, its
README. Sums that are published beside them agree. What is not known here is not compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from domains.industrial.datasets.aitex import without_tile
from domains.industrial.datasets.listing import some
from framework.registry import register
from framework.types import Record

Counts = dict[str, tuple[int, int]]  # normal and anomalous samples of each category

_MVTEC = {
    "bottle": (209, 20, 63), "cable": (224, 58, 92), "capsule": (219, 23, 109), "carpet": (280, 28, 89),
    "grid": (264, 21, 57), "hazelnut": (391, 40, 70), "leather": (245, 32, 92), "metal_nut": (220, 22, 93),
    "pill": (267, 26, 141), "screw": (320, 41, 119), "tile": (230, 33, 84), "toothbrush": (60, 12, 30),
    "transistor": (213, 60, 40), "wood": (247, 19, 60), "zipper": (240, 32, 119),
}  # fmt: skip
_VISA = {
    "candle": (900, 100, 100), "capsules": (542, 60, 100), "cashew": (450, 50, 100), "chewinggum": (453, 50, 100),
    "fryum": (450, 50, 100), "macaroni1": (900, 100, 100), "macaroni2": (900, 100, 100), "pcb1": (904, 100, 100),
    "pcb2": (901, 100, 100), "pcb3": (905, 101, 100), "pcb4": (904, 101, 100), "pipe_fryum": (450, 50, 100),
}  # fmt: skip
_MPDD = {
    "bracket_black": (289, 32, 47), "bracket_brown": (185, 26, 51), "bracket_white": (110, 30, 30),
    "connector": (128, 30, 14), "metal_plate": (54, 26, 71), "tubes": (122, 32, 69),
}  # fmt: skip
_BTAD = {"01": (400, 21, 49), "02": (399, 30, 200), "03": (1000, 400, 41)}
_DTD = (
    "Blotchy_099", "Fibrous_183", "Marbled_078", "Matted_069", "Mesh_114", "Perforated_037", "Stratified_154",
    "Woven_001", "Woven_068", "Woven_104", "Woven_125", "Woven_127",
)  # fmt: skip
_LOCO = {  # train, validation, normal, logical, structural
    "breakfast_box": (351, 62, 102, 83, 90), "juice_bottle": (335, 54, 94, 142, 94), "pushpins": (372, 69, 138, 91, 81),
    "screw_bag": (360, 60, 122, 137, 82), "splicing_connectors": (354, 59, 119, 108, 85),
}  # fmt: skip
_AD2 = ("can", "fabric", "fruit_jelly", "rice", "sheet_metal", "vial", "wallplugs", "walnuts")
_DAGM_DEFECTS = {"Class1": (79, 71), "Class2": (66, 84), "Class3": (66, 84), "Class4": (82, 68), "Class5": (70, 80),
                 "Class6": (83, 67)} | {f"Class{n}": (150, 150) for n in (7, 8, 9, 10)}  # fmt: skip
_TILES = {"": (952, 0), "blowhole": (0, 115), "break": (0, 85), "crack": (0, 57), "fray": (0, 32), "uneven": (0, 103)}
_REALIAD = (
    "audiojack", "bottle_cap", "button_battery", "end_cap", "eraser", "fire_hood", "mint", "mounts", "pcb",
    "phone_battery", "plastic_nut", "plastic_plug", "porcelain_doll", "regulator", "rolled_strip_base", "sim_card_set",
    "switch", "tape", "terminalblock", "toothbrush", "toy", "toy_brick", "transistor1", "u_block", "usb", "usb_adaptor",
    "vcpill", "wooden_beads", "woodstick", "zipper",
)  # fmt: skip


@register("checks", "industrial/mvtec")
@register("checks", "industrial/meta_json")
def mvtec(records: list[Record], split: str) -> list[str]:
    """Counts of the set that shares most categories: MVTec AD, MPDD, DTD-Synthetic, VisA or BTAD."""
    sets: dict[str, Iterable[str]] = {
        "MVTec AD": _MVTEC, "MPDD": _MPDD, "DTD-Synthetic": _DTD, "VisA": _VISA, "BTAD": _BTAD
    }  # fmt: skip
    found = {r.category for r in records}
    name = max(sets, key=lambda known: len(found & set(sets[known])))
    if not found & set(sets[name]):
        return []  # a set of one's own in the same layout
    if name == "DTD-Synthetic":
        return _in_all(name, records, split, _DTD, {"test": (357, 947)})
    known = {"MVTec AD": _MVTEC, "MPDD": _MPDD, "VisA": _VISA, "BTAD": _BTAD}[name]
    return _of_three(name, records, split, known)


@register("checks", "industrial/visa")
def visa(records: list[Record], split: str) -> list[str]:
    """Counts of the split for one class."""
    return _of_three("VisA", records, split, _VISA)


@register("checks", "industrial/btad")
def btad(records: list[Record], split: str) -> list[str]:
    """Counts of the three products."""
    return _of_three("BTAD", records, split, _BTAD)


@register("checks", "industrial/mvtec_loco")
def mvtec_loco(records: list[Record], split: str) -> list[str]:
    """Counts of each category and kind, and that its archive holds more pictures than its table."""
    if split != "test":
        column = ("train", "validation").index(split)
        lines = _line("MVTec LOCO AD", records, split, {c: (n[column], 0) for c, n in _LOCO.items()})
        extra = [(360, 0), (60, 0)][column]
        more = " Its archive holds as many of splicing_connectors, more than its table."
        return [line + more * (_counted(records).get("splicing_connectors") == extra) for line in lines]
    kinds: Counts = {}
    for category, (_, _, normal, logical, structural) in _LOCO.items():
        kinds |= {category: (normal, 0), f"{category} logical": (0, logical), f"{category} structural": (0, structural)}
    return _line("MVTec LOCO AD", records, split, kinds, lambda r: f"{r.category} {r.defect}".strip())


@register("checks", "industrial/mvtec_ad2")
def mvtec_ad2(records: list[Record], split: str) -> list[str]:
    """Counts of all categories together."""
    sums = {"train": (2528, 0), "validation": (302, 0), "test_public": (379, 705)}
    return _in_all("MVTec AD 2", records, split, _AD2, sums)


@register("checks", "industrial/aitex")
def aitex(records: list[Record], split: str) -> list[str]:
    """Counts of tiles of 140 normal pictures, or 141 as the copy on Kaggle has; pictures that no tile is of."""
    pictures = {"140 pictures": 2240, "141, Kaggle": 2256}
    if split == "test":
        known = {name: (tiles, 183) for name, tiles in pictures.items()}
        known |= {f"a quarter of {name}": (tiles // 4, 183) for name, tiles in pictures.items()}
    else:
        known = {name: (tiles - tiles // 4, 0) for name, tiles in pictures.items()}
    lines = _any("AITEX in tiles", records, split, known)
    path = next((r.path for r in records if r.anomalous), Path())
    root = next((p.parent for p in reversed(path.parents) if p.name == "Defect_images"), None)
    lost = without_tile(root) if root else []
    return [*lines, *([f"no tile is of {some(lost)}: no mask, or an empty one."] if lost else [])]


@register("checks", "industrial/elpv")
def elpv(records: list[Record], split: str) -> list[str]:
    """Counts of certain cells, or all, and of a quarter of the normal ones."""
    test = {"certain": (1508, 715), "all": (1803, 821), "a quarter": (377, 715), "a quarter of all": (451, 821)}
    return _any("ELPV", records, split, test if split == "test" else {"certain": (1131, 0), "all": (1352, 0)})


@register("checks", "industrial/dagm")
def dagm(records: list[Record], split: str) -> list[str]:
    """Counts of the ten classes."""
    column = ("train", "test").index(split)
    sizes = {name: 575 if int(name[5:]) < 7 else 1150 for name in _DAGM_DEFECTS}
    known = {name: (sizes[name] - bad[column], bad[column]) for name, bad in _DAGM_DEFECTS.items()}
    return _line("DAGM 2007", records, split, known)


@register("checks", "industrial/ksdd")
def ksdd(records: list[Record], split: str) -> list[str]:
    """Counts of whole pictures or of thirds; of a fold how many commutators it has."""
    groups = len({r.group for r in records})
    if groups != 50:
        return [f"KolektorSDD: {groups} of the 50 published commutators are in split {split}."]
    return _any("KolektorSDD", records, split, {"thirds": (1143, 54)} if records[0].box else {"": (347, 52)})


@register("checks", "industrial/ksdd2")
def ksdd2(records: list[Record], split: str) -> list[str]:
    """Counts of both splits."""
    return _any("KolektorSDD2", records, split, {"": (2085, 246) if split == "train" else (894, 110)})


@register("checks", "industrial/mtd")
def mtd(records: list[Record], split: str) -> list[str]:
    """Counts of each kind of defect."""
    return _line("magnetic tiles", records, split, _TILES, lambda r: r.defect)


@register("checks", "industrial/realiad")
def realiad(records: list[Record], split: str) -> list[str]:
    """Counts of all categories together, of all five views."""
    one_view = max(Counter((r.category, r.group) for r in records).values()) == 1
    sums = {} if one_view else {"train": (36465, 0), "test": (63256, 51329)}
    return _in_all("Real-IAD", records, split, _REALIAD, sums)


@register("checks", "industrial/deeppcb")
def deeppcb(records: list[Record], split: str) -> list[str]:
    """Counts of pairs, or of pictures without their templates."""
    pairs = 1000 if split == "train" else 500
    return _any("DeepPCB", records, split, {"": (pairs, pairs), "no templates": (0, pairs)})


def _of_three(name: str, records: list[Record], split: str, known: dict[str, tuple[int, int, int]]) -> list[str]:
    """Compare with training, normal and anomalous test pictures of each category."""
    return _line(name, records, split, {c: (n[0], 0) if split == "train" else n[1:] for c, n in known.items()})


def _in_all(
    name: str, records: list[Record], split: str, known: Iterable[str], sums: dict[str, tuple[int, int]]
) -> list[str]:
    """Compare the categories, and where all are there, their sum."""
    found = _counted(records)
    if not set(known) <= set(found):
        return _line(name, records, split, dict.fromkeys(known, (-1, -1)))
    inside = [r for r in records if r.category in set(known)]
    return _any(name, inside, split, {"": sums[split]}) if split in sums else []


def _any(name: str, records: list[Record], split: str, known: Counts) -> list[str]:
    """A line where the counts are none of the published ones, each of which has a name, or "" for the usual one."""
    anomalous = sum(r.anomalous for r in records)
    found = (len(records) - anomalous, anomalous)
    words = " or ".join(f"{n:,} and {a:,}{f' ({what})' if what else ''}" for what, (n, a) in known.items())
    line = f"{name}, split {split}: {found[0]:,} normal and {found[1]:,} anomalous differ from the published {words}."
    return [] if found in known.values() else [line]


def _counted(records: list[Record], key: Callable[[Record], str] = lambda r: r.category) -> Counts:
    """Normal and anomalous samples by a key."""
    counted = Counter((key(r), r.anomalous) for r in records)
    return {name: (counted[name, False], counted[name, True]) for name in sorted({key(r) for r in records})}


def _line(
    name: str,
    records: list[Record],
    split: str,
    known: Counts,
    key: Callable[[Record], str] = lambda r: r.category,
) -> list[str]:
    """A line with all that differs; none where nothing does. Of counts below 0 nothing is published."""
    found = _counted(records, key)
    wrong = [
        f"{part or 'normal'} {found[part][0]:,} normal and {found[part][1]:,} anomalous (published {n:,} and {a:,})"
        for part, (n, a) in known.items()
        if part in found and n >= 0 and found[part] != (n, a)
    ]
    lost, new = [part or "normal" for part in known if part not in found], [part for part in found if part not in known]
    parts = [
        *([", ".join(wrong)] if wrong else []),
        *([f"{len(lost)} of {len(known)} published are not here: {some(lost)}"] if lost else []),
        *([f"not published: {some(new)}"] if new else []),
    ]
    return [f"{name}, split {split}: {'; '.join(parts)}."] if parts else []
