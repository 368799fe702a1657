import subprocess
import sys

import pytest

from domains.pointcloud.library import open3d
from framework.errors import MissingPackageError


def test_a_missing_package_is_one_line_that_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(MissingPackageError) as error:
        open3d()
    assert str(error.value) == "point clouds need the package open3d; run: uv pip install -e '.[pointcloud]'"


def test_a_missing_system_library_is_one_line_with_the_apt_command(monkeypatch, tmp_path) -> None:
    fake = tmp_path / "open3d" / "__init__.py"
    fake.parent.mkdir()
    fake.write_text("raise ImportError('libEGL.so.1: cannot open shared object file: No such file or directory')")
    monkeypatch.delitem(sys.modules, "open3d", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingPackageError) as error:
        open3d()
    assert str(error.value) == (
        "Open3D cannot start: libEGL.so.1: cannot open shared object file: No such file or directory; run: "
        "apt-get install --no-install-recommends libusb-1.0-0 libx11-6 libegl1 libgl1"
    )


def test_the_domain_is_imported_without_torch_and_open3d() -> None:
    code = "import sys, domains.pointcloud; assert not {'torch', 'open3d'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", code], check=True)
