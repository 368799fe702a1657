"""What `anomaly-ov datasets` prints, and what `datasets check` finds in broken sets."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from framework import registry
from framework.cli import main
from framework.data import inspection, listing
from framework.data.inspection import inspect
from framework.data.listing import describe
from framework.errors import MissingPackageError, UserError


def write(path: Path, value: int, size: tuple[int, int] = (8, 10), marked: int = 0) -> Path:
    """A grey picture, or a mask when ``marked`` pixels are set."""
    array = np.full(size, value, np.uint8)
    array.flat[:marked] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def nuts(root: Path) -> Path:
    for i in range(3):
        write(root / f"nut/test/good/{i:03}.png", 10 + i)
        write(root / f"nut/test/bent/{i:03}.png", 20 + i)
        write(root / f"nut/ground_truth/bent/{i:03}_mask.png", 0, marked=4)
    return root


def test_a_sound_set_is_counted_and_has_no_problems(tmp_path: Path) -> None:
    report = inspect("industrial/mvtec", nuts(tmp_path))
    assert report.counts == (3, 3) and report.categories == {"nut": (3, 3)} and report.groups == 6
    assert report.with_truth == 3 and report.split == "test" and report.element == "pixel"
    assert report.problems == [] and report.warnings == []
    text = str(report)
    assert "samples      6: 3 normal, 3 anomalous" in text and f"fingerprint  {report.fingerprint}" in text
    assert len(report.fingerprint) == 64 and text.endswith("0 problems, 0 warnings")


def test_unreadable_files_and_wrong_masks_are_all_listed(tmp_path: Path) -> None:
    root = nuts(tmp_path)
    broken = root / "nut/test/good/000.png"
    broken.write_bytes(broken.read_bytes()[:40])
    write(root / "nut/ground_truth/bent/000_mask.png", 0, marked=0)
    write(root / "nut/ground_truth/bent/001_mask.png", 0, size=(4, 4), marked=2)
    (root / "nut/ground_truth/bent/002_mask.png").unlink()
    report = inspect("industrial/mvtec", root)
    empty, size, missing, unreadable = report.problems
    assert "000_mask.png: marks no pixel" in empty
    assert "001_mask.png: the mask is 4 x 4 pixels" in size
    assert "002_mask.png: the mask is missing" in missing
    assert "good/000.png: no readable picture" in unreadable
    assert report.with_truth == 0 and report.fingerprint == ""
    assert str(report).endswith("4 problems, 0 warnings") and str(report).count("problem: ") == 4


def test_duplicates_are_a_warning_and_with_other_labels_a_problem(tmp_path: Path) -> None:
    root = nuts(tmp_path)
    write(root / "nut/test/good/007.png", 10)  # as good/000
    write(root / "nut/test/bent/001.png", 12)  # as good/002
    report = inspect("industrial/mvtec", root)
    (problem,), (warning,) = report.problems, report.warnings
    assert problem.startswith("same content, different labels: ")
    assert "good/002.png" in problem and "bent/001.png" in problem
    assert warning == f"same content: {root / 'nut/test/good/000.png'}, {root / 'nut/test/good/007.png'}"


def test_a_set_of_one_class_is_warned_of(tmp_path: Path) -> None:
    write(tmp_path / "nut/train/good/000.png", 1)
    report = inspect("industrial/mvtec", tmp_path, split="train")
    assert report.counts == (1, 0)
    assert report.warnings == ["every sample is normal: sample-level metrics have no meaning on this set alone."]


def test_what_the_views_are_and_what_groups_are_is_told(tmp_path: Path) -> None:
    for finding in ("good", "blob"):
        for i in range(2):
            write(tmp_path / f"test/{finding}/p{i}_{finding}.png", 9 * i + len(finding))
    text = str(inspect("medical/pictures", tmp_path))
    assert "groups       2 (patients)\nread as      pictures as they are\n" in text
    assert "groups       6 (samples)\n" in str(inspect("industrial/mvtec", nuts(tmp_path / "nuts")))


def test_a_set_of_one_patient_is_warned_of(tmp_path: Path) -> None:
    for finding in ("good", "blob"):
        write(tmp_path / f"test/{finding}/p1_{finding}.png", len(finding))
    line = "all samples are of one patient: intervals resample patients, so their numbers have none."
    assert line in inspect("medical/pictures", tmp_path).warnings
    write(tmp_path / "test/good/p2_a.png", 77)
    assert not any("of one" in warning for warning in inspect("medical/pictures", tmp_path).warnings)


def test_a_split_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write(tmp_path / split / "good/p1_1.png", 1)
    (tmp_path / "notes").mkdir()
    with pytest.raises(
        UserError, match=r"no samples of split 'trian' .*\. Splits with samples: test, train\. `anomaly"
    ):
        inspect("medical/pictures", tmp_path, split="trian")
    with pytest.raises(
        UserError, match=r"no samples of split 'trian' .*\. Splits with samples: train, test\. `anomaly"
    ):
        inspect("medical/yes_no", tmp_path, split="trian")
    with pytest.raises(UserError, match=r"no samples of split 'test' under [^ ]+\. `anomaly"):
        inspect("medical/pictures", tmp_path / "notes")


def test_options_reach_the_dataset_and_the_reader(tmp_path: Path) -> None:
    root = nuts(tmp_path)
    write(root / "cup/test/good/000.png", 3)
    assert list(inspect("industrial/mvtec", root, options={"categories": ["cup"]}).categories) == ["cup"]
    with pytest.raises(UserError, match="bits"):
        inspect("industrial/mvtec", root, reader={"bits": 40})
    with pytest.raises(UserError, match="Did you mean 'categories'"):
        inspect("industrial/mvtec", root, options={"category": ["cup"]})


def test_reader_options_reach_a_set_that_needs_them_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i, folder in enumerate(("good", "bent")):
        path = write(tmp_path / f"nut/test/{folder}/000.png", 0)
        Image.fromarray(np.full((4, 4), 4000 + i, np.uint16)).save(path)
    check = ["datasets", "check", "industrial/mvtec", str(tmp_path)]
    assert main([*check, "--reader", "bits=12"]) == 0
    assert main([*check, "--reader", "bits=9"]) == 1
    assert capsys.readouterr().out.count("do not fit 9 bits") == 2
    assert main([*check, "--reader", "bitz=12"]) == 2
    assert "Did you mean 'bits'?" in capsys.readouterr().err


def test_a_file_that_cannot_be_opened_does_not_hide_the_duplicates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = nuts(tmp_path)
    twin = write(root / "nut/test/good/007.png", 10)  # as good/000
    closed = root / "nut/test/bent/001.png"
    monkeypatch.setattr(inspection.os, "access", lambda path, _: path != closed)  # root may open any file
    report = inspect("industrial/mvtec", root)
    assert report.warnings == [f"same content: {root / 'nut/test/good/000.png'}, {twin}"]
    assert "fingerprint  none: a file cannot be opened" in str(report)


def test_a_missing_package_is_no_problem_of_the_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise MissingPackageError("scans need the package nibabel")

    monkeypatch.setattr(registry.get("domain", "industrial"), "read", read)
    with pytest.raises(MissingPackageError):
        inspect("industrial/mvtec", nuts(tmp_path))


def test_what_cannot_be_inspected_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'industrial/mvtec'"):
        inspect("industrial/mvtek", tmp_path)
    with pytest.raises(UserError, match="no folder"):
        inspect("industrial/mvtec", tmp_path / "gone")
    with pytest.raises(UserError, match="no samples of split 'test'"):
        inspect("industrial/mvtec", tmp_path)
    with pytest.raises(UserError, match="no domain called 'industry'"):
        inspect("industry/mvtec", tmp_path)
    with pytest.raises(UserError, match=r"no dataset called 'mvtec'.*industrial/mvtec"):
        inspect("mvtec", tmp_path)


def test_every_domain_is_described_with_layouts_and_options() -> None:
    text = describe()
    for domain in registry.domains():
        assert f"{domain}: " in text
    assert "  industrial/elpv: ELPV: solar cells" in text
    assert "      Layout: images/*.png and labels.csv, which holds" in text
    assert '      Options: uncertain="drop"' in text
    assert "  Reader options: bits=16\n" in text
    assert '  Reader options: axis="axial", slices=0, stride=1, select="shown", between=[0.0, 1.0], ' in text
    assert '  Reader options: views=0, size=384, cameras="auto", style="shaded"' in text
    for dataset in registry.names("dataset"):
        entry = text.split(f"  {dataset}: ")[1].split("\n  ")[0:2]
        assert any("Layout: " in line for line in entry), dataset


def test_a_domain_whose_package_is_missing_is_listed_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    present = metadata.version

    def version(name: str) -> str:
        if name == "open3d":
            raise metadata.PackageNotFoundError(name)
        return present(name)

    monkeypatch.setattr(listing.metadata, "version", version)
    assert '  needs open3d: pip install -e ".[pointcloud]"' in describe()


def test_a_domain_that_cannot_be_imported_is_still_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    load = registry.load_domain

    def load_domain(name: str) -> None:
        if name == "medical":
            raise ModuleNotFoundError("No module named 'nibabel'", name="nibabel")
        load(name)

    monkeypatch.setattr(registry, "load_domain", load_domain)
    assert 'medical\n  needs nibabel: pip install -e ".[medical]"' in describe()


def test_listing_and_checking_load_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from framework.data.inspection import inspect;"
        "from framework.data.listing import describe;"
        "describe(); inspect('industrial/mvtec', Path(sys.argv[1]));"
        "assert not {'torch', 'lightning', 'open3d', 'monai', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(nuts(tmp_path))], check=True)


def test_warnings_that_differ_in_file_and_number_alone_are_summed_up() -> None:
    lines = ["/a.ply: about 7% of 200 points.", "/b.ply: about 9% of 1,200 points.", "/c.ply: something else."]
    assert inspection._summed(lines) == [
        "/a.ply: about 7% of 200 points. The same of 1 more.",
        "/c.ply: something else.",
    ]
