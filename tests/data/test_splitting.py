"""Parts of a set share no group."""

from pathlib import Path

import pytest

from framework.data.splitting import part_of
from framework.types import Record

SCANS = [
    Record(Path(f"/data/{patient}_{scan}.nii"), patient % 3 == 0 and scan == 1, "brain", group=f"p{patient}")
    for patient in range(30)
    for scan in range(3)
]


def groups(records):
    return {r.group for r in records}


def test_two_parts_make_the_whole_and_share_no_patient():
    first, second = part_of(SCANS, 0, 0.7), part_of(SCANS, 0.7, 1)
    assert not groups(first) & groups(second) and sorted(map(id, first + second)) == sorted(map(id, SCANS))
    assert len(groups(first)) == 21 and first == [r for r in SCANS if r in first]


def test_each_part_has_its_share_of_anomalous_patients():
    ill = {r.group for r in SCANS if r.anomalous}
    assert len(groups(part_of(SCANS, 0, 0.5)) & ill) == len(ill) / 2


def test_a_part_does_not_depend_on_the_order_or_the_place_of_the_files():
    moved = [Record(Path("/other") / r.path.name, r.anomalous, r.category, group=r.group) for r in reversed(SCANS)]
    assert groups(part_of(moved, 0, 0.3)) == groups(part_of(SCANS, 0, 0.3))
    alone = [Record(Path(f"/data/a/{i}.png"), i % 2 == 0, "brain") for i in range(10)]
    elsewhere = [Record(Path("/mnt/x/a") / r.path.name, r.anomalous, "brain") for r in alone]
    names = [[r.path.name for r in part_of(records, 0, 0.5)] for records in (alone, elsewhere)]
    assert names[0] == names[1] and 4 <= len(names[0]) <= 6


def test_a_patient_with_scans_of_two_organs_is_in_one_part():
    scans = SCANS + [Record(Path(f"/data/l{i}.nii"), i % 2 == 0, "liver", group=f"p{i}") for i in range(30)]
    parts = part_of(scans, 0, 0.5), part_of(scans, 0.5, 1)
    assert not groups(parts[0]) & groups(parts[1]) and sum(map(len, parts)) == len(scans)


@pytest.mark.parametrize(("low", "high", "count"), [(0, 1, 90), (0.5, 0.5, 0), (0.99, 1, 0)])
def test_the_whole_and_nothing(low, high, count):
    assert len(part_of(SCANS, low, high)) == count
    assert part_of([], low, high) == []
