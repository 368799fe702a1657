"""Every domain without the packages of its extra: the quickstart and `datasets check` are told, and go on."""

import re
import sys
from importlib import metadata

import pytest

from framework import registry
from framework.data.listing import DISTRIBUTION
from framework.errors import MissingPackageError
from framework.quickstart import quickstart

EXTRAS = [
    (domain, re.match(r"[\w.-]+", line)[0])
    for line in metadata.requires(DISTRIBUTION)
    for domain in registry.domains()
    if re.search(rf"extra\s*==\s*['\"]{domain}['\"]", line)
]
ONE_FORMAT = ("tifffile", "pydicom")  # asked for where a file of that format is read, and only there


def test_the_extras_are_found() -> None:
    assert {("pointcloud", "open3d"), ("medical", "nibabel"), ("medical", "monai")} <= set(EXTRAS)


@pytest.mark.parametrize(("domain", "package"), [e for e in EXTRAS if e[1] not in ONE_FORMAT])
def test_the_procedural_builder_says_what_to_install_and_writes_nothing(domain, package, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    registry.load_domain(domain)
    with pytest.raises(MissingPackageError, match=rf"need the package \w+; run: uv pip install -e '\.\[{domain}\]'"):
        registry.build("procedural", domain, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_quickstart_goes_on_without_them(tmp_path, monkeypatch) -> None:
    tried = []
    for _, package in EXTRAS:
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr("framework.quickstart.registry.domains", lambda: sorted({domain for domain, _ in EXTRAS}))
    monkeypatch.setattr("framework.quickstart._run", lambda out, source, domains: (out, 0))  # no set is left to test
    monkeypatch.setattr("framework.quickstart._publish", lambda out, runs, domains, seconds: tried.append(domains))
    quickstart(tmp_path)
    assert tried == [[]]
