"""The import rules of the project, checked on the syntax tree, and what light verbs may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SEAMS = {"framework.types", "framework.registry", "framework.errors", "framework.files", "framework.colours"}
HEAVY = {"torch", "lightning", "open3d", "monai", "transformers", "timm", "open_clip", "torchmetrics"}
LAYERS = [  # an import points at the same line or at one further down
    {"cli"},
    {"quickstart"},
    {"tasks"},
    {"plan"},
    {"models", "data", "metrics", "leaderboard"},
    {"lift", "provenance", "colours", "files", "progress"},
    {"config"},
    {"registry", "types"},
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


@pytest.mark.parametrize(
    "arguments",
    [["datasets"], ["check", "experiments/quickstart.yaml"], ["leaderboard", "nowhere"], ["fit", "nowhere.yaml"]],
)
def test_light_verbs_load_no_heavy_package(arguments):
    code = (
        "import sys; from framework.cli import main\n"
        f"main({arguments!r})\n"
        f"print(*({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == ""


def test_every_file_says_what_it_is():
    for folder in ("framework", "domains"):
        for path in (ROOT / folder).rglob("*.py"):
            assert ast.get_docstring(ast.parse(path.read_text())), path
