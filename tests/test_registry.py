from pathlib import Path
from types import SimpleNamespace

import pytest

from framework import registry
from framework.errors import UserError
from framework.web import reading


@pytest.fixture
def table(monkeypatch):
    """The table as it is, to add to; afterwards all is as before."""
    for name in registry.domains():
        registry.load_domain(name)
    found = dict(registry._TABLE)
    monkeypatch.setattr(registry, "_TABLE", found)
    return found


def reads(*suffixes):
    return SimpleNamespace(suffixes=suffixes)


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("a.png", "industrial"),
        ("a.JPEG", "industrial"),
        ("a.nii", "medical"),
        ("a.b.nii.gz", "medical"),
        ("a.pcd", "pointcloud"),
        ("A.PLY", "pointcloud"),
        ("a.obj", "pointcloud"),
        ("a.stl", "pointcloud"),
    ],
)
def test_the_end_of_a_name_tells_the_domain(name, domain):
    assert registry.domain_of(Path(name)) == domain


def test_a_preferred_domain_comes_first_where_it_reads_the_file(table):
    table["domain", "medical"] = reads(".nii", ".png")
    assert registry.domain_of(Path("a.png")) == "industrial"
    assert registry.domain_of(Path("a.png"), ["medical"]) == "medical"
    assert registry.domain_of(Path("a.png"), ["medical", "industrial"]) == "medical"
    assert registry.domain_of(Path("a.png"), ["industrial", "medical"]) == "industrial"
    assert registry.domain_of(Path("a.png"), ["pointcloud"]) == "industrial"
    assert registry.domain_of(Path("a.nii"), ["industrial"]) == "medical"


def test_a_domain_of_a_plug_in_reads_its_files(table):
    with pytest.raises(UserError, match="no domain reads this kind of file"):
        registry.domain_of(Path("a.xray"), ["lab"])  # preferred, but not loaded
    table["domain", "lab"] = reads(".xray", ".png")
    assert registry.domain_of(Path("a.xray")) == "lab"
    assert registry.domain_of(Path("a.png")) == "industrial"
    assert registry.domain_of(Path("a.png"), ["lab"]) == "lab"


def test_a_file_of_no_domain_is_named_with_every_ending_once(table):
    table["domain", "lab"] = reads(".xray", ".png")
    with pytest.raises(UserError) as error:
        registry.domain_of(Path("folder/a.doc"), ["lab"])
    text = str(error.value)
    assert text.startswith("folder/a.doc: no domain reads this kind of file. Known endings: ")
    endings = text.removesuffix(".").split(": ")[-1].split(", ")
    assert endings == sorted(set(endings)) and {".xray", ".png", ".nii.gz", ".ply"} <= set(endings)


def test_a_name_is_taken_once_and_by_one_thing(table):
    @registry.register("expert", "mine")
    def first(width):
        return width * 2

    assert registry.build("expert", "mine", 4) == 8
    assert registry.register("expert", "mine")(first) is first  # imported twice

    def second(width):
        return width

    with pytest.raises(UserError, match=r"expert 'mine' is already defined in .*test_registry"):
        registry.register("expert", "mine")(second)


def test_what_is_not_known_is_told_with_the_nearest_name():
    with pytest.raises(UserError, match=r"no domain called 'medicl'\. Did you mean 'medical'\?"):
        registry.load_domain("medicl")
    with pytest.raises(UserError, match=r"no backbone called 'embeded'\. Did you mean 'embedded'\?"):
        registry.get("backbone", "embeded")
    with pytest.raises(UserError, match="plugins: no module 'no_such_lab'"):
        registry.load_plugins(["no_such_lab.xray"])


def test_a_language_model_is_asked_about_fewer_views_unless_told_otherwise():
    registry.load_domain("pointcloud")
    registry.load_domain("industrial")
    assert registry.asked("pointcloud") == {"views": 9} and registry.asked("industrial") == {}
    options = reading.options_of({"size": 64})
    assert options["pointcloud"] == {"views": 9, "size": 64}
    assert reading.options_of({"views": 4})["pointcloud"]["views"] == 4


def test_the_longest_ending_decides_unless_a_domain_was_trained_on():
    assert registry.domain_of(Path("00_depth.png")) == "pointcloud"
    assert registry.domain_of(Path("00_depth.png"), ["industrial"]) == "industrial"
    assert registry.domain_of(Path("00.png")) == "industrial" and registry.domain_of(Path("a.nii.gz")) == "medical"
    assert {"industrial", "pointcloud"} <= set(registry.reading(Path("a.tiff")))


def test_a_file_without_an_ending_goes_to_the_domain_that_knows_its_content(table, tmp_path):
    path = tmp_path / "IM0001"
    path.write_bytes(bytes(128) + b"DICM")
    assert registry.domain_of(path) == registry.domain_of(path, only="medical") == "medical"
    with pytest.raises(UserError, match="domain 'industrial' does not read"):
        registry.domain_of(path, only="industrial")
    with pytest.raises(UserError, match="no domain reads this kind of file"):
        registry.domain_of(tmp_path / "gone")
    named = tmp_path / "a.png"  # an ending that a domain reads is believed
    named.write_bytes(path.read_bytes())
    assert registry.domain_of(named) == "industrial"


def test_a_folder_is_the_samples_that_a_domain_finds_in_it(table, tmp_path):
    table["domain", "lab"] = type("Lab", (), {"suffixes": (), "samples": staticmethod(_lab_samples)})
    paths = [tmp_path / "a.png", tmp_path, tmp_path / "b.lab", tmp_path / "c.lab"]
    assert registry.samples(paths) == [tmp_path / "a.png", tmp_path / "x", tmp_path / "b.lab"]
    del table["domain", "lab"]
    with pytest.raises(UserError, match="a folder; name its files"):
        registry.samples([tmp_path])


def _lab_samples(paths):
    """A folder holds x; all files of the lab are one sample."""
    first = next(p for p in paths if p.suffix == ".lab")
    return list(dict.fromkeys(p / "x" if p.is_dir() else first if p.suffix == ".lab" else p for p in paths))
