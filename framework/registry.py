"""Names a YAML file can use, filled by decorators, read by ``build``. Importing this loads no torch."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from framework import signatures
from framework.errors import UserError

PLUGIN_PACKAGE = "domains"  # the only place where the framework names it
_BUILT_IN = {"backbone": "framework.models.backbones", "expert": "framework.models.experts"}
_TABLE: dict[tuple[str, str], Callable[..., Any]] = {}
T = TypeVar("T", bound=Callable[..., Any])


def register(kind: str, name: str) -> Callable[[T], T]:
    """Put a class or function in the table under ``kind`` ("domain", "dataset", "procedural", ...) and ``name``."""

    def put(thing: T) -> T:
        old = _TABLE.get((kind, name))
        if old is not None and (old.__module__, old.__qualname__) != (thing.__module__, thing.__qualname__):
            raise UserError(f"{kind} {name!r} is already defined in {old.__module__}; choose another name.")
        _TABLE[kind, name] = thing
        return thing

    return put


def domains() -> list[str]:
    """Names of the domain packages that lie in the project, whether or not they can be imported."""
    return sorted(m.name for m in pkgutil.iter_modules(importlib.import_module(PLUGIN_PACKAGE).__path__))


def load_domain(name: str) -> None:
    """Import ``domains.<name>``, and nothing else, so other domains need not be installed."""
    if ("domain", name) in _TABLE:
        return
    if name not in domains():
        raise UserError(unknown("domain", name, [*domains(), *names("domain")]))
    importlib.import_module(f"{PLUGIN_PACKAGE}.{name}")


def load_plugins(modules: list[str]) -> None:
    """Import modules of other repositories that register domains, datasets, backbones or experts."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise UserError(f"plugins: no module {error.name!r}; install it or put its folder on PYTHONPATH.") from None


def domain_of(path: Path, preferred: Sequence[str] = (), only: str = "") -> str:
    """Which domain reads a file, by the end of its name, or where that tells nothing by its content.

    Args:
        path: of the file; need not exist.
        preferred: domains to ask first, best first. Several read pictures, each in its own way.
        only: the one that is asked; "" asks all.

    Raises:
        UserError: no domain reads it, neither a built-in one nor one of a plug-in that was loaded; or not the one that
            is asked, or there is none of that name.
    """
    if only:
        load_domain(only)
    known: set[str] = set()
    found: dict[str, int] = {}
    for name in [only] if only else dict.fromkeys([*preferred, *domains(), *names("domain")]):
        if name in domains():
            load_domain(name)
        elif ("domain", name) not in _TABLE:
            continue  # of a plug-in that is not loaded
        suffixes: tuple[str, ...] = _TABLE["domain", name].suffixes  # type: ignore[attr-defined]
        fitting = [len(suffix) for suffix in suffixes if path.name.lower().endswith(suffix)]
        if fitting and (only or name in preferred):
            return name
        found[name] = max(fitting, default=0)
        known.update(suffixes)
    if max(found.values(), default=0):
        return max(found, key=lambda name: found[name])  # the longest ending; of equal ones the first
    for name in found:
        claims = getattr(_TABLE["domain", name], "claims", None)
        if claims is not None and path.is_file() and claims(path):
            return name
    who = f"domain {only!r} does not read" if only else "no domain reads"
    raise UserError(f"{path}: {who} this kind of file. Known endings: {', '.join(sorted(known))}.")


def samples(paths: Sequence[Path]) -> list[Path]:
    """One file for each sample: what is in folders, and of several files of one sample one, where a domain knows.

    Raises:
        UserError: no domain finds a sample in a folder.
    """
    found = list(paths)
    for name in dict.fromkeys([*domains(), *names("domain")]):
        load_domain(name)
        found = getattr(_TABLE["domain", name], "samples", list)(found)
    for path in found:
        if path.is_dir():
            raise UserError(f"{path}: a folder; name its files.")
    return found


def reading(path: Path) -> list[str]:
    """The loaded domains that read files of this name."""
    found = [n for n in names("domain") if path.name.lower().endswith(_TABLE["domain", n].suffixes)]  # type: ignore[attr-defined]
    return found


def names(kind: str) -> list[str]:
    """Every registered name of one kind, sorted."""
    if kind in _BUILT_IN:
        importlib.import_module(_BUILT_IN[kind])
    return sorted(n for k, n in _TABLE if k == kind)


def get(kind: str, name: str) -> Callable[..., Any]:
    """What is registered, or a UserError with the nearest name."""
    if name not in names(kind):
        raise UserError(unknown(kind, name, names(kind)))
    return _TABLE[kind, name]


def check(kind: str, name: str, options: dict[str, Any], given: int = 0) -> None:
    """Refuse options that the registered thing does not take, by name or by type and range as its signature says.

    Args:
        kind: of the thing.
        name: of the thing.
        options: as a YAML file has them.
        given: how many of its first parameters are ours to fill.
    """
    judge(kind, name, options, given)
    for key, parameter in _parameters(kind, name, given).items():
        required = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if required and parameter.default is parameter.empty and key not in options:
            raise UserError(f"{kind} {name!r} needs the option {key!r}, which has no default.")


def judge(kind: str, name: str, options: dict[str, Any], given: int = 0) -> None:
    """As ``check``, of the options that are there: one that is missing is not looked for."""
    parameters = _parameters(kind, name, given).values()
    named = {p.name: p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for key, value in options.items():
        if key not in named:
            if takes_any:
                continue
            raise UserError(unknown(f"option of {kind} {name!r}", str(key), list(named)))
        wanted = signatures.parse(named[key].annotation)
        if not signatures.fits(value, wanted):
            raise UserError(f"option {key!r} of {kind} {name!r}: write {signatures.words(wanted)}, not {value!r}.")


def options(kind: str, name: str) -> list[str]:
    """Names of the options that a registered thing takes."""
    return list(inspect.signature(get(kind, name)).parameters)


def build(kind: str, name: str, /, *args: Any, **options: Any) -> Any:
    """Call what is registered, after checking the options against its signature."""
    check(kind, name, options, given=len(args))
    return get(kind, name)(*args, **options)


def asked(domain: str) -> dict[str, Any]:
    """Options of a loaded domain's reader where a language model is asked, unless others are given."""
    return dict(getattr(get("domain", domain), "asked", {}))


def _parameters(kind: str, name: str, given: int) -> dict[str, inspect.Parameter]:
    """Of what is registered, without the first, which are ours to fill."""
    return dict(list(inspect.signature(get(kind, name)).parameters.items())[given:])


def unknown(kind: str, name: str, known: list[str]) -> str:
    """One line for a name that is not known, with the nearest that is."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"no {kind} called {name!r}.{hint} Known: {', '.join(sorted(set(known))) or 'none'}."
