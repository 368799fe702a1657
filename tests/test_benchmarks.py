"""Benchmarks are run by hand; that each can be started as it says is checked here."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted(Path(__file__).with_name("benchmarks").glob("*.py"))
IMPORTED = """
import runpy, sys
path = list(sys.path)
for script in sys.argv[1:]:
    sys.path[:] = [script.rpartition("/")[0], *path[1:]]
    for name in [n for n in sys.modules if n.split(".")[0] in ("domains", "framework") or n.startswith("fake_")]:
        del sys.modules[name]
    runpy.run_path(script)
    print(script)
"""


def test_every_benchmark_finds_what_it_imports(monkeypatch):
    """Away from the project and without pytest's path, as a command of its own."""
    pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    command = [sys.executable, "-c", IMPORTED, *map(str, SCRIPTS)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, [str(s) for s in SCRIPTS]), done.stderr
