"""A folder that is one scan can be asked about; of several samples one has to be named."""

import numpy as np
import pytest

from framework.errors import UserError
from framework.tasks.ask import read


def test_a_folder_of_one_series_is_that_scan_and_of_several_is_not(tmp_path):
    pytest.importorskip("pydicom", reason="needs the extra: uv pip install -e '.[medical]'")
    from fake_dicom import series

    voxels = np.random.default_rng(0).integers(0, 900, (5, 12, 12)).astype(np.int16)
    series(tmp_path / "one", voxels, series="1.1")
    name, _, sample = read(tmp_path / "one", {})
    assert name == "medical" and len(sample.views) > 1
    for number in ("1.2", "1.3"):
        series(tmp_path / "two", voxels, series=number, name=number + "_{}.dcm")
    with pytest.raises(UserError, match=r"two: a folder of 2 samples. Ask about one, such as .*dcm"):
        read(tmp_path / "two", {})
