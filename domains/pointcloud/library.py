"""Nothing in; the ``open3d`` module out, or one line that says what to install."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from framework.errors import MissingPackageError

SYSTEM_LIBRARIES = "apt-get install --no-install-recommends libusb-1.0-0 libx11-6 libegl1 libgl1"
PACKAGE = "uv pip install -e '.[pointcloud]'"


def open3d() -> ModuleType:
    """Import Open3D where it is used: it takes two seconds and needs libraries that a bare machine lacks.

    Raises:
        MissingPackageError: the package or one of the system libraries it links to is missing.
    """
    try:
        import open3d as module
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"point clouds need the package {error.name}; run: {PACKAGE}") from None
    except (ImportError, OSError) as error:  # "libEGL.so.1: cannot open shared object file: ..."
        raise MissingPackageError(f"Open3D cannot start: {error}; run: {SYSTEM_LIBRARIES}") from None
    return module


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing that Open3D, or a library below it, has to say of a file reaches standard error: the caller says it."""
    o3d = open3d()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
