"""Options are held to the types that a signature declares, without evaluating it."""

from typing import Annotated, Literal, Optional

import pytest

from framework import registry, signatures
from framework.errors import UserError

NAN = float("nan")


@pytest.mark.parametrize(
    ("annotation", "fitting", "others", "words"),
    [
        ("int", [3, -1], [True, 1.5, "3", None, [3]], "a whole number"),
        ("float", [1.5, 2], [True, "2", None], "a number"),
        ("str", ["", "a"], [1, None, ["a"]], "text"),
        ("bool", [True, False], [0, 1, "yes"], "true or false"),
        ("list[float]", [[], [1, 2.5], (1, 2)], [1, "1", ["1"], [None], None], "a list of numbers"),
        ("list[int] | None", [[1], None], [[1.5], 1], "a list of whole numbers or null"),
        ("Optional[str]", ["a", None], [1], "text or null"),
        ("typing.Union[int, str, None]", [1, "a", None], [1.5], "a whole number or text or null"),
        ("Literal['a', 2]", ["a", 2], ["b", 2.0, True], "one of a, 2"),
        ("list[Literal['a']]", [["a"]], [["b"]], "a list"),
        ("'int'", [1], ["a"], "a whole number"),
        ('Annotated[float, "(0, 1]"]', [1, 0.5], [0, 1.01, NAN, "1", True], "a number above 0 and at most 1"),
        ('Annotated[float, "(0, inf)"]', [1e-9, 3], [0, -1, NAN, float("inf")], "a number above 0"),
        ('Annotated[float, "[-1, 1)"]', [-1, 0.9], [-1.1, 1], "a number of -1 or more and below 1"),
        ('Annotated[int, "[1, inf)"] | None', [1, None], [0, 1.5], "a whole number of 1 or more or null"),
        (
            'list[Annotated[int, "[1, inf) odd"]]',
            [[1, 3]],
            [[], [2], [-1], 1],
            "a list of whole numbers, each of 1 or more, and odd",
        ),
        (
            "dict[str, str] | None",
            [{}, {"a": "b"}, None],
            [{"a": 1}, {1: "b"}, "a"],
            "a mapping of text to text or null",
        ),
        (Annotated[float, "(0, 1]"], [1], [2], "a number above 0 and at most 1"),
        (int, [1], ["a"], "a whole number"),
        (Optional[list[int]], [[1], None], ["a"], "a list of whole numbers or null"),  # noqa: UP045
        (Literal["a", "b"], ["a"], ["c"], "one of a, b"),
        (int | None, [1, None], ["a"], "a whole number or null"),
    ],
)
def test_simple_annotations_are_understood(annotation, fitting, others, words):
    wanted = signatures.parse(annotation)
    assert all(signatures.fits(value, wanted) for value in fitting)
    assert not any(signatures.fits(value, wanted) for value in others)
    assert signatures.words(wanted) == words


@pytest.mark.parametrize(
    "annotation", ["Backbone", "Any", "dict[str]", "Annotated[X, Unit]", "tuple[int, ...]", "x[", "f()", "int | X"]
)
def test_what_is_not_understood_lets_everything_pass(annotation):
    assert all(signatures.fits(value, signatures.parse(annotation)) for value in (1, "a", None, [1], {"a": 1}))


def test_an_annotation_is_never_evaluated(tmp_path):
    text = f"list[__import__('pathlib').Path({str(tmp_path / 'made')!r}).touch()]"
    assert not signatures.fits(1, signatures.parse(text))
    assert signatures.fits(["a"], signatures.parse(text))
    signatures.parse(f"Literal[open({str(tmp_path / 'made')!r}, 'w')]")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def thing(monkeypatch):
    monkeypatch.setattr(registry, "_TABLE", dict(registry._TABLE))

    @registry.register("dataset", "lab/xray")
    def xray(root, split, kind: "str", depth: "float" = 1.0, free=None):
        return kind, depth, free


def test_options_are_checked_by_name_and_type(thing):
    assert registry.build("dataset", "lab/xray", "/", "test", kind="a", depth=2, free=[1]) == ("a", 2, [1])
    with pytest.raises(UserError, match="option 'depth' of dataset 'lab/xray': write a number, not 'deep'"):
        registry.check("dataset", "lab/xray", {"kind": "a", "depth": "deep"}, given=2)
    with pytest.raises(UserError, match="no option of dataset 'lab/xray' called 'root'"):
        registry.check("dataset", "lab/xray", {"kind": "a", "root": "/"}, given=2)
    with pytest.raises(UserError, match="dataset 'lab/xray' needs the option 'kind', which has no default"):
        registry.check("dataset", "lab/xray", {}, given=2)


def test_a_thing_that_takes_any_option_is_given_any(monkeypatch):
    monkeypatch.setattr(registry, "_TABLE", dict(registry._TABLE))
    registry.register("dataset", "lab/free")(lambda root, split, *more, **options: options)
    assert registry.build("dataset", "lab/free", "/", "test", a=1) == {"a": 1}
