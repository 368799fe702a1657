"""What strangers send is read elsewhere, within limits, and never run."""

import asyncio
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from fake_cli import picture
from numpy.testing import assert_array_equal

from framework import registry
from framework.errors import UserError
from framework.types import Record
from framework.web import reading

ROOT = Path(__file__).parents[2]
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


class Canary:
    """Leaves a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def read(path, domain="industrial"):
    return asyncio.run(reading.read(path, domain))


def refusal(path, domain="industrial"):
    with pytest.raises(UserError) as told:
        read(path, domain)
    return str(told.value)


def test_views_are_those_of_the_domain(tmp_path):
    picture(tmp_path / "a.png", 200, (30, 50))
    expected = registry.build("domain", "industrial").read(Record(tmp_path / "a.png", False, "")).views
    assert_array_equal(read(tmp_path / "a.png"), expected)


def test_the_line_of_the_reader_arrives(tmp_path):
    (tmp_path / "a.png").touch()
    assert refusal(tmp_path / "a.png") == (
        f"{tmp_path}/a.png: no readable picture (empty file). Replace the file or take it out."
    )


@pytest.mark.parametrize("ending", [".png", ".nii", ".ply"])
def test_a_pickle_is_never_opened(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    path.write_bytes(pickle.dumps(Canary(tmp_path / "ran")))
    assert str(path) in refusal(path, registry.domain_of(path))
    assert not (tmp_path / "ran").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "ran").exists()  # it would have been


def test_an_array_of_objects_is_never_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.array([Canary(tmp_path / "ran")], object))
    (tmp_path / "a.npy").rename(tmp_path / "a.tif")
    assert "no readable picture" in refusal(tmp_path / "a.tif")
    assert not (tmp_path / "ran").exists()


def test_ghostscript_is_never_run(tmp_path, monkeypatch):
    """Pillow tells pictures by their content, whatever they are called, and draws EPS with it where it is there."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "a.png").write_bytes(EPS)
    assert "no readable picture" in refusal(tmp_path / "a.png")
    assert not (tmp_path / "ran").exists()


def other_process(monkeypatch, tmp_path, code):
    """What runs instead of the reader."""
    (tmp_path / "other_reader.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(reading, "__name__", "other_reader")


def test_a_reader_that_crashes(tmp_path, monkeypatch):
    other_process(monkeypatch, tmp_path, "import os; os.abort()")
    line = "cannot be read with 8 GB of memory. It is damaged, or send a smaller file."
    assert refusal(tmp_path / "a.png") == f"{tmp_path}/a.png: {line}"


def test_a_reader_that_never_ends_is_ended(tmp_path, monkeypatch):
    number = tmp_path / "number"
    code = f"import os, time; open({str(number)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    other_process(monkeypatch, tmp_path, code)
    monkeypatch.setattr(reading, "SECONDS", 1)
    assert "cannot be read within 1 seconds" in refusal(tmp_path / "a.png")
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)


REAL = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from framework import registry
from framework.web import reading
{change}
sys.exit(reading.main(Path(sys.argv[1]), sys.argv[2]))
"""


def test_memory_is_limited(tmp_path, monkeypatch):
    change = (
        "registry.build = lambda *_: type('Greedy', (), {'read': lambda self, record: bytearray(reading.MEMORY)})()"
    )
    other_process(monkeypatch, tmp_path, REAL.format(root=str(ROOT), change=change))
    assert "cannot be read with 8 GB of memory" in refusal(tmp_path / "a.png")


def test_too_many_pixels(tmp_path, monkeypatch):
    picture(tmp_path / "a.png")
    other_process(monkeypatch, tmp_path, REAL.format(root=str(ROOT), change="reading.PIXELS = 1599"))
    assert "a.png: 1,600 pixels in all views, 1,599 are most. Send a smaller file." in refusal(tmp_path / "a.png")
