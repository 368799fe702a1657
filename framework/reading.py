"""YAML files and overrides -> a dataclass of settings, every key checked; what is wrong is one line. Loads no torch."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from framework.checks import plainly
from framework.errors import UserError

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
PROTOCOLS, PUBLISHED = "protocols", "published"  # folders of it whose files are called by name
SECOND = ("tune", "answer", "questions", "text", "model.path")  # keys that only an experiment of stage 2 has
T = TypeVar("T")


def stage(path: Path) -> int:
    """Which stage an experiment belongs to: 1 trains the expert, 2 tunes the language model.

    Raises:
        UserError: the file cannot be read, or names another stage.
    """
    try:
        content = _read(path, ())
        found = content.get("stage")
        second = [key for key in SECOND if OmegaConf.select(content, key) is not None]
        if found is None and second:
            raise UserError(f"{path}: stage: {second[0]} belongs to stage 2. Add the line `stage: 2`.")
    except OmegaConfBaseException as error:
        raise UserError(f"{path}: stage: {plainly(error)}") from None
    if found is None:
        return 1
    if found not in (1, 2):
        raise UserError(f"{path}: stage: {found!r} is neither 1 (train the expert) nor 2 (tune the language model).")
    return int(found)


def load_as(schema: type[T], path: Path, overrides: list[str]) -> T:
    """``load`` for the dataclass ``schema``, whose values are not checked but for their types."""
    content = _read(path, ())
    _check_kind(content, schema, path)
    merged = _merge(OmegaConf.structured(schema), content, schema, str(path))
    for text in overrides:
        key, equals, value = text.partition("=")
        if key == "protocol" and value.strip() and any(f.name == "protocol" for f in fields(schema)):  # type: ignore[arg-type]
            merged = _merge(merged, _settings(value.strip()), schema, f"protocol {value}")
        if not equals or not key.strip("[]. "):
            raise UserError(f"override {text!r}: write key=value, for example optim.lr=1e-3.")
        try:  # nothing on the right is the empty text, as in a shell; OmegaConf would take it for null
            change = OmegaConf.from_dotlist([text if value.strip() else f"{key}=''"])
        except (OmegaConfBaseException, yaml.YAMLError) as error:
            raise UserError(f"override {text!r}: {plainly(error)}") from None
        merged = _merge(merged, change, schema, f"override {text!r}")
    try:
        return OmegaConf.to_object(merged)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "top level"
        raise UserError(f"{path}: {key}: {plainly(error)}") from None


def named(folder: str, name: str) -> Path:
    """The file that a name such as "anomalyclip" means: one of ``experiments/<folder>``, or a YAML file by its path.

    Raises:
        UserError: there is neither.
    """
    path, own = Path(name).expanduser(), EXPERIMENTS / folder / f"{name}.yaml"
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    if not own.is_file() or "/" in name:
        known = sorted(p.stem for p in (EXPERIMENTS / folder).glob("*.yaml"))
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise UserError(f"{folder}: no file {name}, nor one of that name.{hint} Known: {', '.join(known)}.")
    return own


def _settings(name: str) -> DictConfig:
    """The keys of an experiment that a protocol sets."""
    found = _read(named(PROTOCOLS, name), ()).get("settings", OmegaConf.create())
    if not isinstance(found, DictConfig):
        raise UserError(f"{named(PROTOCOLS, name)}: settings: write a mapping of an experiment's keys, not {found!r}.")
    return found


def changed(thing: T, change: dict[str, Any], source: str) -> T:
    """A dataclass of settings with some keys changed, every key and type checked; ``source`` is named in messages."""
    merged = _merge(OmegaConf.structured(thing), OmegaConf.create(change), type(thing), source)
    try:
        return OmegaConf.to_object(merged)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise UserError(f"{source}: {getattr(error, 'full_key', None) or 'top level'}: {plainly(error)}") from None


def is_transfer(path: Path) -> bool:
    """Whether a file is a transfer matrix and not a single experiment: it names sources, targets or methods.

    Raises:
        UserError: the file cannot be read.
    """
    return any(key in _read(path, ()) for key in ("sources", "targets", "methods"))


def options(pairs: list[str]) -> dict[str, Any]:
    """``["slices=8", "window=[0, 80]"]`` -> typed values, read as YAML."""
    found: dict[str, Any] = {}
    for text in pairs:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"option {text!r}: write key=value.")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"option {text!r}: {value!r} is no YAML value.") from None
    return found


def sha(plain: dict[str, Any], without: tuple[str, ...], within: dict[str, list[str]]) -> str:
    """Sha256 of settings, some keys left out: of the top level, and of the mappings named in ``within``."""
    for key in without:
        plain.pop(key)
    for key, inner in within.items():
        for name in inner:
            plain[key].pop(name)
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def _read(path: Path, seen: tuple[Path, ...]) -> DictConfig:
    """A YAML file merged over the files it names under ``include``, which are relative to it."""
    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "no such file"
        raise UserError(f"{path}: {fault}. Pass the path of an experiment, see experiments/.")
    if path.resolve() in seen:
        raise UserError(f"{path}: includes itself.")
    try:
        content = OmegaConf.load(path)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except OSError as error:
        if error.errno is not None:  # else it is how OmegaConf refuses a file that holds a single value
            raise
        content = None
    if not isinstance(content, DictConfig):
        raise UserError(f"{path}: an experiment is a mapping of keys, see experiments/README.md.")
    bases = [_read(path.parent / parent, (*seen, path.resolve())) for parent in _parents(content, path)]
    protocol = content.get("protocol")
    if isinstance(protocol, str) and protocol:  # over what is included, beneath what the file itself says
        bases.append(_settings(protocol))
    return OmegaConf.merge(*bases, content)  # type: ignore[return-value]


def _parents(content: DictConfig, path: Path) -> list[str]:
    """Take ``include`` out of a file's content: one path or a list of them."""
    try:
        found = content.pop("include", [])
    except OmegaConfBaseException as error:
        raise UserError(f"{path}: include: {plainly(error)}") from None
    parents = [found] if isinstance(found, str) else list(found) if isinstance(found, ListConfig) else found
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise UserError(f"{path}: include: write the path of a YAML file or a list of such paths, not {found!r}.")
    return parents


def _merge(base: Any, change: DictConfig, schema: type, source: str) -> Any:
    """Merge, or say in one line which key of ``source`` is wrong."""
    _check_keys(OmegaConf.to_container(change, resolve=False), schema, "", source)
    _leave_out(base, change, schema)
    try:
        return OmegaConf.merge(base, change)
    except (OmegaConfBaseException, TypeError, ValueError) as error:
        key = getattr(error, "full_key", None) or "top level"
        raise UserError(f"{source}: {key}: {plainly(error)}") from None


def _leave_out(base: Any, change: DictConfig, schema: type) -> None:
    """``test.shapes=null`` takes the set out that an included file named."""
    for key, hint in get_type_hints(schema).items():
        if get_origin(hint) is dict and is_dataclass(get_args(hint)[1]) and OmegaConf.is_dict(change.get(key)):
            for name in [name for name, value in change[key].items_ex(resolve=False) if value is None]:
                del change[key][name]
                if name in base[key].keys():  # noqa: SIM118, a mapping holds no reference to a set that is left out
                    del base[key][name]


def _check_kind(content: DictConfig, schema: type, path: Path) -> None:
    """Say of a matrix that is read as an experiment, or the other way round, which command it is for."""
    known = {f.name for f in fields(schema)}
    if "sources" in content and {"train", "test"} <= known:
        raise UserError(f"{path}: is a matrix of many experiments. Run it with `anomaly-ov transfer {path}`.")
    if "methods" in known and {"train", "test"} & content.keys():
        raise UserError(f"{path}: is a single experiment, with train and test. Run it with `anomaly-ov fit {path}`.")


def _check_keys(content: Any, schema: Any, prefix: str, source: str) -> None:
    """Walk a mapping beside the dataclass that describes it; the first unknown key is the error."""
    if not isinstance(content, dict):
        if (is_dataclass(schema) or get_origin(schema) is dict) and content is not None and "${" not in str(content):
            raise UserError(f"{source}: {prefix.rstrip('.')}: write a mapping of keys, not {content!r}.")
        return
    if get_origin(schema) is list:
        raise UserError(f"{source}: {prefix.rstrip('.')}: write a list, for example [a, b], not {content!r}.")
    if get_origin(schema) is dict and is_dataclass(get_args(schema)[1]):
        for name, value in content.items():
            _check_keys(value, get_args(schema)[1], f"{prefix}{name}.", source)
    elif is_dataclass(schema):
        hints = get_type_hints(schema)
        known = [f.name for f in fields(schema)]
        for key, value in content.items():
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f" Did you mean {prefix}{close[0]}?" if close else f" Known here: {', '.join(known)}."
                raise UserError(f"{source}: {prefix}{key}: no such key.{hint}")
            _check_keys(value, hints[key], f"{prefix}{key}.", source)
