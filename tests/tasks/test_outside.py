"""Scores of other code become rows like any other; a file that does not fit its set is refused in one line."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from framework.cli import main
from framework.config import Config, DataConfig
from framework.errors import UnreadableError, UserError
from framework.leaderboard.store import load, load_gallery, load_samples
from framework.tasks.outside import rate
from framework.tasks.verify import verify

SIDE = 24


def screws(root: Path, each: int = 6, seed: int = 0) -> list[str]:
    """A set of noise in MVTec layout, spots on the bad ones; its samples by their paths."""
    rng, names = np.random.default_rng(seed), []
    for kind in ("good", "bent"):
        for i in range(each):
            name, mask = f"nut/test/{kind}/{i:03}.png", f"nut/ground_truth/{kind}/{i:03}_mask.png"
            names.append(name)
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (SIDE, SIDE), np.uint8)).save(root / name)
            if kind == "bent":
                (root / mask).parent.mkdir(parents=True, exist_ok=True)
                marked = np.zeros((SIDE, SIDE), np.uint8)
                marked[4:10, 6 + i : 12 + i] = 255
                Image.fromarray(marked).save(root / mask)
    return names


def experiment(tmp_path: Path, **more: DataConfig) -> Config:
    mine = DataConfig("industrial", "mvtec", str(tmp_path / "set"), "test")
    return Config("mine", test={"nuts": mine}, out=str(tmp_path / "runs"), train=more)


def maps(names: list[str], root: Path, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A map of each sample, in the hundreds, higher on what is marked."""
    found = {}
    for name in names:
        mask = root / name.replace("test", "ground_truth").replace(".png", "_mask.png")
        marked = np.asarray(Image.open(mask)) > 0 if mask.is_file() else np.zeros((SIDE, SIDE), bool)
        found[name] = (700 + 40 * rng.normal(size=marked.shape) + 60 * marked).astype(np.float32)
    return found


def write(path: Path, lines: dict[str, float], given: dict[str, np.ndarray] | None = None) -> Path:
    """A csv, with a .npy beside it for each map."""
    text = ["path,score,map" if given else "path,score"]
    for i, (name, score) in enumerate(lines.items()):
        if given:
            np.save(path.parent / f"{i}.npy", given[name])
        text.append(f"{name},{score}" + (f",{i}.npy" if given else ""))
    path.write_text("\n".join(text) + "\n")
    return path


def test_scores_and_maps_of_any_range_are_measured_as_they_are(tmp_path: Path) -> None:
    rng, names = np.random.default_rng(1), screws(tmp_path / "set")
    given = maps(names, tmp_path / "set", rng)
    scores = {name: float(given[name].max()) for name in names}
    folder = rate(experiment(tmp_path), write(tmp_path / "s.csv", scores, given), "patchcore", ["mvtec_ad"], "wrn50")
    rows = {(r.level, r.metric): r for r in load([folder]) if not r.control and r.category == "all"}
    labels = [name.split("/")[2] == "bent" for name in names]
    assert rows["sample", "auroc"].value == pytest.approx(roc_auc_score(labels, list(scores.values())), abs=1e-6)
    truth = np.concatenate(
        [np.asarray(Image.open(p)).ravel() > 0 for p in sorted((tmp_path / "set/nut/ground_truth/bent").glob("*"))]
    )
    flat = np.concatenate([given[name].ravel() for name in names])
    expected = roc_auc_score(np.concatenate([np.zeros(6 * SIDE**2, bool), truth]), flat)
    found = rows["element", "auroc"]
    assert found.value == pytest.approx(expected, abs=found.error + 1e-6) and found.error <= 1e-4
    assert found.low < found.value < found.high and {"ap", "f1_max", "aupro"} <= {
        m for level, m in rows if level == "element"
    }
    assert (found.model, found.backbone, found.trained_on, found.selection) == (
        "patchcore",
        "wrn50",
        "mvtec_ad",
        "not known",
    )
    assert "resized" not in found.protocol
    samples = {s["id"]: s for s in load_samples([folder])}
    assert samples[names[3]]["logit"] == scores[names[3]]  # as given
    order = sorted(scores.values())
    assert samples[names[3]]["score"] == pytest.approx((order.index(scores[names[3]]) + 0.5) / len(names))  # its rank
    shown = {
        (r.model, r.metric): r for r in load([folder]) if r.control and r.level == "element" and r.category == "all"
    }
    assert {model for model, _ in shown} == {"control: position", "control: intensity"}
    assert shown["control: position", "auroc"].elements == found.elements and ("control: intensity", "aupro") in shown
    assert load_gallery([folder]) and {r.model for r in load([folder]) if r.control} >= {
        "control: random",
        "control: file size",
    }


def test_maps_of_another_size_are_resized_and_the_row_says_so(tmp_path: Path) -> None:
    names = screws(tmp_path / "set")
    small = {n: np.asarray(m)[::2, ::2] for n, m in maps(names, tmp_path / "set", np.random.default_rng(1)).items()}
    path = tmp_path / "s.npz"
    np.savez(path, paths=names, scores=np.arange(len(names)), maps=np.stack([small[n] for n in names]))
    rows = load([rate(experiment(tmp_path), path, "small")])
    assert all(r.protocol.endswith("; views: as read, maps of 12 x 12 resized bilinearly") for r in rows)
    assert next(r for r in rows if (r.level, r.metric, r.control) == ("element", "auroc", False)).value > 0.7


def test_a_set_that_was_trained_on_marks_the_rows(tmp_path: Path) -> None:
    names = screws(tmp_path / "set", seed=3)
    screws(tmp_path / "other", each=2, seed=3)
    again = DataConfig("industrial", "mvtec", str(tmp_path / "other"), "test")
    (tmp_path / "other/nut/test/good/000.png").write_bytes((tmp_path / "set" / names[0]).read_bytes())
    path = write(tmp_path / "s.csv", {name: i for i, name in enumerate(names)})
    rows = load([rate(experiment(tmp_path, other=again), path, "a", ["other"])])
    row = next(r for r in rows if not r.control and r.metric == "auroc")
    assert row.in_domain and row.overlap >= 1 and row.trained_on == "other"
    assert not any(r.in_domain for r in rows if r.control)


BAD = [
    (lambda lines: lines[:-1], r"1 of 12 samples of nuts lack, first nut/test/good/005\.png"),
    (lambda lines: [*lines, lines[0]], r"nut/test/bent/000\.png is there twice"),
    (lambda lines: [*lines, "nut/test/bent/9.png,1"], r"nut/test/bent/9\.png is no sample of nuts, whose first is"),
    (lambda lines: [*lines[:-1], "nut/test/good/005.png,nan"], r"the score of nut/test/good/005\.png is nan"),
    (lambda lines: [*lines[:-1], "nut/test/good/005.png,high"], r"is 'high', not a number"),
]


@pytest.mark.parametrize(("change", "told"), BAD)
def test_a_file_that_does_not_fit_is_one_line_with_the_name(change, told, tmp_path: Path) -> None:
    lines = [f"{name},{i}" for i, name in enumerate(sorted(screws(tmp_path / "set")))]
    (tmp_path / "s.csv").write_text("\n".join(["path,score", *change(lines)]))
    with pytest.raises(UserError, match=told):
        rate(experiment(tmp_path), tmp_path / "s.csv", "a")
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob("[!.]*"))


def test_maps_that_are_none_are_one_line(tmp_path: Path) -> None:
    names = screws(tmp_path / "set", each=2)
    given = maps(names, tmp_path / "set", np.random.default_rng(0))
    path = write(tmp_path / "s.csv", dict.fromkeys(names, 1.0), given)
    np.save(tmp_path / "1.npy", np.full((SIDE, SIDE), np.nan))
    with pytest.raises(UserError, match=r"nut/test/good/001\.png: its map holds NaN"):
        rate(experiment(tmp_path), path, "a")
    (tmp_path / "1.npy").write_bytes(b"half")
    with pytest.raises(UnreadableError, match=r"1\.npy: not a map that can be read"):
        rate(experiment(tmp_path), path, "a")
    np.save(tmp_path / "1.npy", np.zeros((2, 3, 4)))
    with pytest.raises(UserError, match=r"its map is \(2, 3, 4\), the sample has 576 pixels"):
        rate(experiment(tmp_path), path, "a")
    np.savez(tmp_path / "s.npz", scores=np.zeros(4))
    with pytest.raises(UserError, match=r"s\.npz: no array 'paths'\. It holds scores"):
        rate(experiment(tmp_path), tmp_path / "s.npz", "a")


def test_maps_that_are_not_finite_and_arrays_that_are_no_list_are_one_line(tmp_path: Path) -> None:
    names = screws(tmp_path / "set", each=2)
    scores, blank = np.arange(4.0), np.zeros((4, SIDE, SIDE))
    far = blank.copy()
    far[1, 2, 3] = np.inf
    for arrays, told in (
        ({"maps": far}, r"its map holds NaN or infinity"),
        ({"maps": np.float32(1)}, r"scores must be \(n,\), and as many as paths and maps"),
        ({"scores": np.float32(1)}, r"scores must be \(n,\)"),
        ({"paths": "a"}, r"scores must be \(n,\)"),
        ({"scores": np.array(["a"] * 4)}, r"the scores are <U1, not numbers"),
        ({"scores": scores + 1j}, r"the scores are complex128, not numbers"),
    ):
        np.savez(tmp_path / "s.npz", **{"paths": names, "scores": scores, "maps": blank} | arrays)
        with pytest.raises(UserError, match=told):
            rate(experiment(tmp_path), tmp_path / "s.npz", "a")
    path = write(tmp_path / "s.csv", dict.fromkeys(names, 1.0))
    path.write_text(path.read_text().rstrip() + ",7\n")
    with pytest.raises(UserError, match=r"bent/001\.png has more cells than the first"):
        rate(experiment(tmp_path), path, "a")
    with pytest.raises(UserError, match=r"model=control: mine: so begin the names of scores that look at nothing"):
        rate(experiment(tmp_path), path, "control: mine")
    assert not list((tmp_path / "runs").glob("[!.]*"))


def test_scores_that_differ_in_double_precision_alone_are_no_ties(tmp_path: Path) -> None:
    names = screws(tmp_path / "set")
    path = write(tmp_path / "s.csv", {name: 1 - 1e-9 * (2 - ("bent" in name)) for name in names})
    rows = {(r.level, r.metric): r for r in load([rate(experiment(tmp_path), path, "a")]) if not r.control}
    assert rows["sample", "auroc"].value == 1 and rows["sample", "auroc"].error == 0


def test_categories_in_one_pot_have_rows_as_those_of_our_own_methods_have(tmp_path: Path) -> None:
    names = screws(tmp_path / "set", each=3)
    shutil.copytree(tmp_path / "set/nut", tmp_path / "set/bolt")
    names += [name.replace("nut", "bolt") for name in names]
    given = maps(names, tmp_path / "set", np.random.default_rng(1))
    folder = rate(experiment(tmp_path), write(tmp_path / "s.csv", {n: given[n].max() for n in names}, given), "a")
    pooled = {(r.level, r.metric) for r in load([folder]) if r.category == "pooled" and not r.control}
    assert {("sample", "auroc"), ("element", "auroc"), ("element", "aupro")} <= pooled


def test_a_run_of_scores_is_verified_from_its_file(tmp_path: Path) -> None:
    names = screws(tmp_path / "set", each=3)
    path = write(tmp_path / "s.csv", {name: i for i, name in enumerate(names)})
    folder = rate(experiment(tmp_path), path, "a", ["mvtec_ad"])
    found = verify(folder, sets=["nuts"])
    assert len(found) == len(load([folder])) and {checked.problem for checked in found} == {""}
    write(path, {name: -i for i, name in enumerate(names)})
    assert any("from other weights" in checked.problem for checked in verify(folder))


README = """
lines = (line for b in predictions for line in zip(b.image_path, b.pred_score, b.anomaly_map))
with open("scores.csv", "w") as file:
    print("path,score,map", file=file)
    for i, (path, score, values) in enumerate(lines):
        numpy.save(f"map{i}.npy", numpy.asarray(values).squeeze())
        print(f"{Path(path).relative_to(root)},{float(score)},map{i}.npy", file=file)
"""


def test_the_lines_of_the_readme_write_a_file_that_the_command_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (Path(__file__).parents[2] / "experiments/README.md").read_text()
    assert README.strip() in text
    root, names = tmp_path / "set", screws(tmp_path / "set")
    given = maps(names, root, np.random.default_rng(0))

    batch = SimpleNamespace(
        image_path=[str(root / name) for name in names],
        pred_score=[given[name].max() for name in names],
        anomaly_map=[given[name][None] for name in names],
    )
    monkeypatch.chdir(tmp_path)
    exec(README, {"predictions": [batch], "numpy": np, "Path": Path, "root": root})
    Path("mine.yaml").write_text(
        f"name: mine\ntest:\n  nuts: {{domain: industrial, dataset: mvtec, root: {root}}}\nout: runs\n"
    )
    assert main(["rate", "mine.yaml", "scores.csv", "model=patchcore", "trained_on=mvtec_ad"]) == 0
    assert main(["rate", "mine.yaml", "scores.csv"]) == 2
    assert "model=NAME" in capsys.readouterr().err
    assert main(["leaderboard", "runs"]) == 0
    assert "patchcore" in capsys.readouterr().out
