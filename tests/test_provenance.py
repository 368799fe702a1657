import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys

import pytest

from framework import provenance


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A checkout with one commit, whatever the machine's own git settings are."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    for key in [k for k in os.environ if k.startswith("GIT_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(provenance, "PROJECT", tmp_path)
    return tmp_path


def git(folder, *arguments):
    name = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *name, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_is_that_of_the_checkout_and_changes_are_told(project):
    git(project, "init")
    (project / "a.py").write_text("1")
    git(project, "add", "a.py")
    git(project, "commit", "-m", "first")
    head = git(project, "rev-parse", "HEAD")
    assert provenance.commit() == (head[:12], False)
    (project / "a.py").write_text("2")
    assert provenance.commit() == (head[:12], True)
    git(project, "checkout", "a.py")
    (project / "new.py").write_text("3")
    assert provenance.commit() == (head[:12], True)


def test_without_a_checkout_or_without_git_the_commit_is_unknown(project, monkeypatch):
    assert provenance.commit() == ("unknown", False)
    monkeypatch.setenv("PATH", str(project))
    assert provenance.commit() == ("unknown", False)


def test_versions_are_those_installed_and_what_is_missing_is_left_out(monkeypatch):
    found = provenance.packages().split(", ")
    assert found[0] == f"python {platform.python_version()}"
    for name in ("torch", "lightning", "numpy"):
        assert f"{name} {importlib.metadata.version(name)}" in found
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package"))
    assert provenance.packages().split(", ")[1:] == [f"numpy {importlib.metadata.version('numpy')}"]


def test_hardware_names_ranks_device_cores_and_threads(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert provenance.hardware("cpu", 3, 1) == "3 x cpu (x86_64, 2 cores, threads 1)"


def test_asking_loads_no_torch():
    code = (
        "import sys; from framework import provenance as p; p.packages(), p.commit(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=provenance.PROJECT, check=True)


def test_a_run_knows_the_command_that_makes_it_and_no_other():
    assert provenance.command() == []
    with provenance.typed(["fit", "x.yaml", "seed=3"]):
        assert provenance.command() == ["fit", "x.yaml", "seed=3"]
    assert provenance.command() == []
