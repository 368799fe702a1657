"""Where real data and weights lie: a skip says which variable to set; a variable that is set must be right."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2].parent / "shared"


@pytest.fixture(scope="session")
def data() -> Callable[[str], Path]:
    """The folder of that name under $ANOMALY_OV_DATA, by default under ../shared/data."""
    return partial(_folder, "ANOMALY_OV_DATA", SHARED / "data")


@pytest.fixture(scope="session")
def weights() -> Callable[[str], Path]:
    """The folder of that name under $ANOMALY_OV_WEIGHTS, by default under ../shared/weights."""
    return partial(_folder, "ANOMALY_OV_WEIGHTS", SHARED / "weights")


def _folder(variable: str, default: Path, name: str) -> Path:
    """Skips the test where nothing is set and nothing there; fails it where what is set does not hold the folder."""
    given = os.environ.get(variable)
    folder = Path(given or default) / name
    if folder.is_dir():
        return folder
    if given:
        pytest.fail(f"no {folder}: {variable}={given} must hold {name}; unset it to skip these tests", pytrace=False)
    pytest.skip(f"no {folder}: set {variable} to the folder that holds {name}")
