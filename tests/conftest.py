"""What a run of the tests costs: one thread a process, packages compiled once, the long files first."""

import atexit
import gc
import os
import shutil
import sys
import tempfile

import fake_process
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch; workers of pytest-xdist share the cores
if sys.dont_write_bytecode:  # as containers have it: each process would compile every package that it imports
    sys.dont_write_bytecode, sys.pycache_prefix = False, tempfile.mkdtemp(prefix="bytecode-")
    atexit.register(shutil.rmtree, sys.pycache_prefix, ignore_errors=True)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix  # of all that this process starts


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config.option, "loadscopereorder"):  # by the number of tests, which says little of how long they take
        config.option.loadscopereorder = False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    gc.freeze()  # what the packages hold is not looked through again and again
    fake_process.serve()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # some packages complain of what is left at the end
