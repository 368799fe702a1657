"""Nothing in -> what can be read: every domain with its reader's options, every data set with its layout."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields, is_dataclass
from importlib import metadata
from inspect import Parameter, getdoc, signature
from typing import Any

from framework import registry

DISTRIBUTION = "anomaly-ov"


def describe() -> str:
    """Every domain with what it reads and its reader's options, every dataset of it with its layout and options."""
    lines: list[str] = []
    for name in dict.fromkeys([*registry.domains(), *registry.names("domain")]):
        try:
            registry.load_domain(name)
        except ModuleNotFoundError as error:
            lines += [name, f"  needs {error.name}: {_install(name)}", ""]
            continue
        domain: Any = registry.get("domain", name)
        lines += [
            f"{name}: {_paragraphs(domain)[0]}",
            f"  reads {' '.join(domain.suffixes)}; scores every {domain.element}",
            *_describe_options("  Reader options", domain),
        ]
        missing = _missing(name)
        if missing:
            lines.append(f"  needs {', '.join(missing)}: {_install(name)}")
        for dataset in registry.names("dataset"):
            if dataset.startswith(f"{name}/"):
                lines += _describe_dataset(dataset)
        lines.append("")
    return "\n".join(lines).rstrip()


def _describe_dataset(name: str) -> list[str]:
    """Name and first line, layout, options with their defaults."""
    function = registry.get("dataset", name)
    paragraphs = _paragraphs(function)
    layout = [p for p in paragraphs if p.startswith("Layout:")]
    lines = [f"  {name}: {paragraphs[0]}", *(f"      {p}" for p in layout)]
    return [*lines, *_describe_options("      Options", function, given=2)]


def _describe_options(title: str, thing: Any, given: int = 0) -> list[str]:
    """One line with all parameters after the first ``given`` and their defaults as YAML has them, or no line."""
    made = {f.name: f.default_factory for f in fields(thing)} if is_dataclass(thing) else {}
    options = []
    for p in list(signature(thing).parameters.values())[given:]:
        factory = made.get(p.name, MISSING)
        value = p.default if factory is MISSING else factory()
        options.append(p.name if value is Parameter.empty else f"{p.name}={json.dumps(value, default=str)}")
    return [f"{title}: {', '.join(options)}"] if options else []


def _paragraphs(thing: Any) -> list[str]:
    """Paragraphs of a docstring, each on one line, without code marks."""
    return [" ".join(p.split()).replace("``", "") for p in (getdoc(thing) or "").split("\n\n")]


def _missing(domain: str) -> list[str]:
    """Packages of the domain's extra that are not installed; its extra carries its name."""
    try:
        required = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    wanted = [r for r in required if re.search(rf"extra\s*==\s*['\"]{domain}['\"]", r)]
    names = [match.group() for r in wanted if (match := re.match(r"[\w.-]+", r))]
    return [name for name in names if not _installed(name)]


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _install(domain: str) -> str:
    return f'pip install -e ".[{domain}]"'
