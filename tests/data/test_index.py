"""One-vs-rest: a class to train on, and all but it to test on."""

import pytest

from framework.config import DataConfig
from framework.data.index import open_index


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({}, {"bolt", "cup", "nut"}),
        ({"categories": ["cup"]}, {"cup"}),
        ({"exclude": ["cup"]}, {"bolt", "nut"}),
        ({"categories": ["cup", "nut"], "exclude": ["cup"]}, {"nut"}),
    ],
)
def test_categories_are_kept_and_left_out(tmp_path, chosen, found):
    for category in ("bolt", "cup", "nut"):
        path = tmp_path / category / "test" / "good" / "0.png"
        path.parent.mkdir(parents=True)
        path.touch()
    index = open_index("parts", DataConfig("industrial", "mvtec", str(tmp_path), **chosen))
    assert {record.category for record in index.records} == found
