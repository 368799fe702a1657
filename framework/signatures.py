"""A type as a signature writes it -> whether a value from YAML fits, and in words what would. Evaluates no code.

Understood are int, float, str, bool, None, Any, lists and dicts of these, Literal, Optional, Union and ``|``. A float
takes whole numbers too. ``Annotated[float, "(0, 1]"]`` is above 0 and at most 1, ``Annotated[int, "[1, inf) odd"]`` odd
and 1 or more; a list of such numbers holds at least one. Of anything else every value fits: whoever is called must
judge it.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from typing import Any

_PLAIN = {  # name: types of the values, in words, in words of many
    "int": ((int,), "a whole number", "whole numbers"),
    "float": ((int, float), "a number", "numbers"),
    "str": ((str,), "text", "texts"),
    "bool": ((bool,), "true or false", "trues and falses"),
    "None": ((type(None),), "null", "nulls"),
}
_LISTS = ("list", "List", "Sequence")
_DICTS = ("dict", "Dict", "Mapping")
_RANGE = re.compile(r"([\[(])(-?[\d.]+|-inf), (-?[\d.]+|inf)([\])])( odd)?")


def parse(annotation: Any) -> ast.expr | None:
    """The syntax of an annotation, as text or as a type; None where there is none or it is no expression."""
    if annotation is inspect.Parameter.empty:
        return None
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def fits(value: Any, node: ast.expr | None) -> bool:
    """Whether a value can be what the annotation says; True where the annotation is not understood."""
    if (choices := _choices(node)) is not None:
        return any(fits(value, choice) for choice in choices)
    if (literals := _literals(node)) is not None:
        return any(type(value) is type(literal) and value == literal for literal in literals)
    if (ranged := _ranged(node)) is not None:
        return fits(value, ranged[0]) and _inside(value, ranged[1])
    name, inner = _split(node)
    if name in _PLAIN:
        types = _PLAIN[name][0]
        return isinstance(value, types) and (bool in types or not isinstance(value, bool))
    if name in _LISTS:
        whole = isinstance(value, (list, tuple)) and all(fits(item, inner) for item in value)
        return whole and (bool(value) or _ranged(inner) is None)
    if name in _DICTS and isinstance(inner, ast.Tuple):
        keys, values = inner.elts
        return isinstance(value, dict) and all(fits(k, keys) and fits(v, values) for k, v in value.items())
    return True


def words(node: ast.expr | None) -> str:
    """What would fit, for a message: "a list of whole numbers or null"."""
    if (choices := _choices(node)) is not None:
        return " or ".join(words(choice) for choice in choices)
    if (literals := _literals(node)) is not None:
        return f"one of {', '.join(map(str, literals))}"
    if (ranged := _ranged(node)) is not None:
        return f"{words(ranged[0])} {_span(ranged[1])}"
    name, inner = _split(node)
    if name in _PLAIN:
        return _PLAIN[name][1]
    if name in _LISTS:
        ranged = _ranged(inner)
        inner_name = _split(ranged[0] if ranged else inner)[0]
        each = f", each {_span(ranged[1])}" if ranged else ""
        return f"a list of {_PLAIN[inner_name][2]}{each}" if inner_name in _PLAIN else "a list"
    if name in _DICTS and isinstance(inner, ast.Tuple):
        return f"a mapping of {words(inner.elts[0])} to {words(inner.elts[1])}"
    return ast.unparse(node) if node is not None else "anything"


def _choices(node: ast.expr | None) -> list[ast.expr] | None:
    """The alternatives of ``A | B``, Optional and Union; None where it is none of these."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [node.left, node.right]
    name, inner = _split(node)
    if name == "Optional" and inner is not None:
        return [inner, ast.Constant(None)]
    if name == "Union" and inner is not None:
        return list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    return None


def _ranged(node: ast.expr | None) -> tuple[ast.expr, re.Match[str]] | None:
    """The type and the interval of ``Annotated[float, "(0, 1]"]``; None where it is not that."""
    name, inner = _split(node)
    if name != "Annotated" or not isinstance(inner, ast.Tuple) or not isinstance(inner.elts[1], ast.Constant):
        return None
    found = _RANGE.fullmatch(str(inner.elts[1].value))
    return (inner.elts[0], found) if found else None


def _inside(value: Any, interval: re.Match[str]) -> bool:
    """Whether a value is a number in an interval; infinity is in none, NaN neither."""
    if not isinstance(value, (int, float)):
        return False
    opens, low, high, closes, odd = interval.groups()
    above = value > float(low) or (opens == "[" and value == float(low))
    below = value < float(high) or (closes == "]" and value == float(high))
    return above and below and math.isfinite(value) and (not odd or value % 2 == 1)


def _span(interval: re.Match[str]) -> str:
    """An interval in words: "above 0 and at most 1"."""
    opens, low, high, closes, odd = interval.groups()
    least = f"of {low} or more" if opens == "[" else f"above {low}"
    most = "" if high == "inf" else f" and at most {high}" if closes == "]" else f" and below {high}"
    return f"{least}{most}{', and odd' if odd else ''}"


def _literals(node: ast.expr | None) -> list[Any] | None:
    """The values of a Literal; None where it is none, or holds what is no plain value."""
    name, inner = _split(node)
    if name != "Literal" or inner is None:
        return None
    try:
        return [ast.literal_eval(item) for item in (inner.elts if isinstance(inner, ast.Tuple) else [inner])]
    except ValueError:
        return None


def _split(node: ast.expr | None) -> tuple[str, ast.expr | None]:
    """The last word of a name, and what stands in its brackets: ``typing.List[int]`` -> "List", int."""
    if isinstance(node, ast.Subscript):
        return _split(node.value)[0], node.slice
    if isinstance(node, ast.Constant) and node.value is None:
        return "None", None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # a quoted part of an annotation
        return _split(parse(node.value))
    if isinstance(node, (ast.Name, ast.Attribute)):
        return (node.id if isinstance(node, ast.Name) else node.attr), None
    return "", None
