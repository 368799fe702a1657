"""Records of the published counts -> no line; of other counts -> one line that says how they differ."""

from pathlib import Path

import fake_industrial as fake
import pytest

from domains.industrial.datasets import published
from framework import registry
from framework.cli import main
from framework.data.inspection import inspect
from framework.errors import UserError
from framework.types import Record


def made(category, normal, anomalous, defect="", group="", box=None):
    return [
        Record(Path(f"{category}{i}{defect}"), i >= normal, category, group.format(i), defect=defect, box=box)
        for i in range(normal + anomalous)
    ]


def of_three(known, split):
    return [r for c, (train, n, a) in known.items() for r in made(c, *((train, 0) if split == "train" else (n, a)))]


WHOLE = [
    ("mvtec", "train", of_three(published._MVTEC, "train"), (3629, 0)),
    ("mvtec", "test", of_three(published._MVTEC, "test"), (467, 1258)),
    ("mvtec", "test", of_three(published._MPDD, "test"), (176, 282)),
    ("meta_json", "train", of_three(published._MPDD, "train"), (888, 0)),
    ("mvtec", "test", made("Woven_127", 346, 936) + [r for c in published._DTD[:-1] for r in made(c, 1, 1)],
     (357, 947)),
    ("visa", "train", of_three(published._VISA, "train"), (8659, 0)),
    ("visa", "test", of_three(published._VISA, "test"), (962, 1200)),
    ("btad", "train", of_three(published._BTAD, "train"), (1799, 0)),
    ("btad", "test", of_three(published._BTAD, "test"), (451, 290)),
    ("mvtec_loco", "train", [r for c, n in published._LOCO.items() for r in made(c, n[0], 0)], (1772, 0)),
    ("mvtec_loco", "validation", [r for c, n in published._LOCO.items() for r in made(c, n[1], 0)], (304, 0)),
    ("mvtec_loco", "test", [r for c, n in published._LOCO.items()
                            for r in made(c, n[2], 0) + made(c, 0, n[3], "logical") + made(c, 0, n[4], "structural")],
     (575, 993)),
    ("mvtec_ad2", "test_public", made("can", 372, 698) + [r for c in published._AD2[1:] for r in made(c, 1, 1)],
     (379, 705)),
    ("aitex", "test", made("fabric", 2240, 183), (2240, 183)),
    ("aitex", "train", made("fabric", 1692, 0), (1692, 0)),
    ("elpv", "test", made("mono", 588, 400) + made("poly", 920, 315), (1508, 715)),
    ("dagm", "train", [r for c, bad in published._DAGM_DEFECTS.items()
                       for r in made(c, (575 if int(c[5:]) < 7 else 1150) - bad[0], bad[0])], (7004, 1046)),
    ("dagm", "test", [r for c, bad in published._DAGM_DEFECTS.items()
                      for r in made(c, (575 if int(c[5:]) < 7 else 1150) - bad[1], bad[1])], (6996, 1054)),
    ("ksdd2", "train", made("surface", 2085, 246), (2085, 246)),
    ("ksdd2", "test", made("surface", 894, 110), (894, 110)),
    ("mtd", "test", [r for kind, n in published._TILES.items() for r in made("tile", *n, kind)], (952, 392)),
    ("realiad", "test", made("usb", 63227, 51300, group="s") + [r for c in published._REALIAD if c != "usb"
                                                                for r in made(c, 1, 1)], (63256, 51329)),
    ("deeppcb", "train", made("pcb", 1000, 1000), (1000, 1000)),
    ("deeppcb", "test", made("pcb", 0, 500), (0, 500)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "split", "records", "total"), WHOLE)
def test_a_whole_set_has_the_published_counts_and_no_line(name, split, records, total):
    anomalous = sum(r.anomalous for r in records)
    assert (len(records) - anomalous, anomalous) == total  # the sums that are published beside those of categories
    assert registry.get("checks", f"industrial/{name}")(records, split) == []
    assert len(registry.get("checks", f"industrial/{name}")(records[1:], split)) == 1


def test_a_set_that_differs_is_told_in_one_line():
    records = [*made("bottle", 20, 62), *made("cable", 58, 92), *made("cup", 1, 1)]
    (line,) = published.mvtec(records, "test")
    assert line == (
        "MVTec AD, split test: bottle 20 normal and 62 anomalous (published 20 and 63); 13 of 15 published are not "
        "here: capsule, carpet, grid and 10 more; not published: cup."
    )
    assert published.mvtec(made("cup", 3, 4), "test") == []  # a set of one's own
    (line,) = published.mvtec(made("Woven_001", 3, 4), "test")
    assert line == (
        "DTD-Synthetic, split test: 11 of 12 published are not here: Blotchy_099, Fibrous_183, Marbled_078 and 8 more."
    )


def test_the_archive_of_loco_holds_more_than_its_table_and_that_is_said():
    records = [r for c, n in published._LOCO.items() for r in made(c, n[0], 0)] + made("splicing_connectors", 6, 0)
    assert published.mvtec_loco(records, "train") == [
        "MVTec LOCO AD, split train: splicing_connectors 360 normal and 0 anomalous (published 354 and 0). Its archive "
        "holds as many of splicing_connectors, more than its table."
    ]


def test_kolektor_is_counted_whole_in_thirds_and_by_commutators():
    def parts(normal, anomalous, groups, box=None):
        return [Record(Path(str(i)), i >= normal, "c", f"kos{i % groups}", box=box) for i in range(normal + anomalous)]

    assert published.ksdd(parts(347, 52, 50), "test") == []
    assert published.ksdd(parts(1143, 54, 50, (0, 0, 1, 1)), "test") == []
    (line,) = published.ksdd(parts(1143, 54, 50), "test")
    assert line == "KolektorSDD, split test: 1,143 normal and 54 anomalous differ from the published 347 and 52."
    (line,) = published.ksdd(parts(100, 9, 17), "test")
    assert line == "KolektorSDD: 17 of the 50 published commutators are in split test."


FIXTURES = {
    "mvtec_loco": (
        fake.mvtec_loco,
        "MVTec LOCO AD, split test: pushpins 1 normal and 0 anomalous (published 138 and 0)",
    ),
    "mvtec_ad2": (fake.mvtec_ad2, "MVTec AD 2, split test_public: 7 of 8 published are not here: fabric, fruit_jelly"),
    "btad": (fake.btad, "BTAD, split test: 01 1 normal and 1 anomalous (published 21 and 49), 02 1 normal"),
    "aitex": (
        fake.aitex,
        "AITEX in tiles, split test: 8 normal and 3 anomalous differ from the published 2,240 and 183",
    ),
    "dagm": (
        fake.dagm,
        "DAGM 2007, split test: Class1 1 normal and 1 anomalous (published 504 and 71), Class10 1 normal",
    ),
    "ksdd": (fake.ksdd, "KolektorSDD: 3 of the 50 published commutators are in split test."),
    "ksdd2": (fake.ksdd2, "KolektorSDD2, split test: 1 normal and 1 anomalous differ from the published 894 and 110."),
    "mtd": (
        fake.mtd,
        "magnetic tiles, split test: normal 1 normal and 0 anomalous (published 952 and 0), crack 0 normal",
    ),
    "realiad": (fake.realiad, "Real-IAD, split test: 29 of 30 published are not here: audiojack, bottle_cap"),
    "deeppcb": (fake.deeppcb, "DeepPCB, split test: 1 normal and 1 anomalous differ from the published 500 and 500 or"),
    "mvtec": (fake.visa_copy, "VisA, split test: candle 1 normal and 1 anomalous (published 100 and 100); 11 of 12"),
}


@pytest.mark.parametrize("name", FIXTURES)
def test_a_made_set_has_no_problem_and_the_line_of_its_counts(tmp_path, capsys, name):
    write, line = FIXTURES[name]
    assert main(["datasets", "check", f"industrial/{name}", str(write(tmp_path))]) == 0
    told = capsys.readouterr().out
    assert f"warning: {line}" in told and "\n0 problems, " in told
    assert "fingerprint  none" not in told


def test_a_split_that_is_not_there_is_told_those_that_are(tmp_path):
    for name, there in (("mvtec_ad2", "train, validation, test_public"), ("ksdd", "test"), ("btad", "train, test")):
        root = FIXTURES[name][0](tmp_path / name)
        with pytest.raises(UserError, match=rf"Splits with samples: {there}\. |no split called 'valid'"):
            inspect(f"industrial/{name}", root, split="valid")


def test_tiles_of_one_picture_in_both_splits_are_told(tmp_path):
    report = inspect("industrial/aitex", fake.aitex(tmp_path), options={"normals": "quarter"})
    (line,) = (line for line in report.warnings if "are in split train too" in line)
    assert line.startswith("2 of 4 objects of split test are in split train too: 0001_000_00, 0002_000_00.")


def test_all_sets_are_listed_with_their_layout(capsys):
    main(["datasets"])
    listed = capsys.readouterr().out
    for name in (*FIXTURES, "elpv", "visa", "sdls", "folder", "csv", "meta_json"):
        after = listed.partition(f"  industrial/{name}: ")[2].splitlines()
        assert after and after[1].strip().startswith("Layout: "), name
