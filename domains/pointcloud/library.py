"""Nothing in; the ``open3d`` module out, or one line that says what to install."""

from __future__ import annotations

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
