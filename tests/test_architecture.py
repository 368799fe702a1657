"""The import rules of the project, checked on the syntax tree, and what light verbs may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SEAMS = {f"framework.{name}" for name in ("types", "registry", "errors", "files", "pictures", "meta_lists")}
HEAVY = {"torch", "lightning", "open3d", "monai", "transformers", "timm", "open_clip", "torchmetrics"}
LAYERS = [  # an import points at the same line or at one further down
    {"cli"},
    {"verbs", "verbs_of_boards"},
    {"quickstart", "web"},
    {"tasks"},
    {"plan", "plan_language", "plan_transfer", "transfer"},
    {"models", "data", "metrics", "leaderboard"},
    {"viewer"},
    {"lift", "provenance", "pictures", "sheets", "pdf", "colours", "files", "progress", "processes", "locks"},
    {"reasoning", "folds", "protocols"},
    {"parsing"},
    {"config", "checks", "arguments", "reading"},
    {"meta_lists"},
    {"registry", "signatures", "types"},
    {"errors"},
]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{a.name}" for a in node.names}
    return found


def layer(name: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if name in names)


def test_framework_never_imports_domains():
    for path in (ROOT / "framework").rglob("*.py"):
        assert not any(m.split(".")[0] == "domains" for m in imports(path)), path


def test_a_domain_uses_the_seams_and_itself_only():
    for path in (ROOT / "domains").rglob("*.py"):
        own = f"domains.{path.relative_to(ROOT / 'domains').parts[0]}"
        used = {".".join(m.split(".")[:2]) for m in imports(path) if m.split(".")[0] in ("framework", "domains")}
        assert used - {"framework", "domains"} <= SEAMS | {own}, (path, used)


def test_framework_imports_point_one_way():
    for path in (ROOT / "framework").rglob("*.py"):
        here = path.relative_to(ROOT / "framework").parts[0].removesuffix(".py")
        if here == "__init__":
            continue
        for module in imports(path):
            parts = module.split(".")
            if parts[0] == "framework" and len(parts) > 1:
                assert layer(parts[1]) >= layer(here), f"{path} imports {module}"


LIGHT = """
import sys
from framework.cli import main
status = main(sys.argv[2:])
print(status, *sorted(set(sys.argv[1].split(",")) & set(sys.modules)), file=sys.stderr)
"""


def run_light(*arguments: object) -> tuple[str, str]:
    """Standard output of a verb; its status and the heavy packages that it loaded, in one line."""
    command = [sys.executable, "-c", LIGHT, ",".join(HEAVY), *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("status", "arguments"),
    [
        (0, ["datasets"]),
        (2, ["check", "experiments/quickstart.yaml", "out="]),
        (2, ["leaderboard", "nowhere"]),
        (2, ["fit", "nowhere.yaml"]),
    ],
)
def test_light_verbs_load_no_heavy_package(status, arguments):
    assert run_light(*arguments)[1] == str(status)


EXPERIMENT = """
name: light
model: {{backbone: {{name: timm, options: {{weights: {root}}}}}}}
train:
  cells: {{domain: industrial, dataset: folder, root: {root}/pictures}}
  clouds: {{domain: pointcloud, dataset: folder, root: {root}/clouds, reader: {{views: 4}}}}
  scans: {{domain: medical, dataset: nifti, root: {root}/scans, reader: {{window: [0, 80]}}}}
test: {{again: "${{train.cells}}"}}
expect: {{again.sample_auroc: [0, 1]}}
"""


def test_check_of_a_sound_experiment_loads_no_heavy_package(tmp_path):
    """In all three domains; it opens no sample, so empty files will do."""
    for name in ("pictures/good/a.png", "pictures/hole/b.png", "clouds/good/a.ply", "clouds/bent/b.ply"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("good/a_1.nii.gz", "tumour/b_1.nii.gz", "masks/tumour/b_1.nii.gz"):
        (tmp_path / "scans/test" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "scans/test" / name).touch()
    (tmp_path / "x.yaml").write_text(EXPERIMENT.format(root=tmp_path))
    shown, last = run_light("check", tmp_path / "x.yaml")
    assert last == "0"
    assert shown.count("1 normal and 1 anomalous samples") == 4


def test_every_file_says_what_it_is():
    for folder in ("framework", "domains"):
        for path in (ROOT / folder).rglob("*.py"):
            assert ast.get_docstring(ast.parse(path.read_text())), path
