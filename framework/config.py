"""The experiment schema, and the one function that turns a YAML file and overrides into it. Loads no torch."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from framework.checks import check_values, plainly
from framework.errors import UserError

SECOND = ("tune", "answer", "questions", "text", "model.path")  # keys that only an experiment of stage 2 has
T = TypeVar("T")


@dataclass
class DataConfig:
    """One dataset of one domain."""

    domain: str = MISSING  # package under domains/, or what a plug-in registers
    dataset: str = MISSING  # dataset of that domain; `anomaly-ov datasets` lists them
    root: str = MISSING  # folder on disk
    split: str = "test"  # as the dataset names it; zero-shot work trains on test splits of other sets
    categories: list[str] = field(default_factory=list)  # keep only these; empty keeps all
    options: dict[str, Any] = field(default_factory=dict)  # of the dataset, e.g. {uncertain: keep}
    reader: dict[str, Any] = field(default_factory=dict)  # of the domain, e.g. {views: 9}


@dataclass
class BackboneConfig:
    """The frozen vision tower."""

    name: str = "siglip"  # embedded, siglip, llava_onevision, clip, dinov2, open_clip, timm, or a plug-in's
    options: dict[str, Any] = field(default_factory=dict)  # weights, blocks, final, image_size, dtype


@dataclass
class ExpertConfig:
    """The anomaly expert on top of it."""

    name: str = "look_twice"  # the published one, or a plug-in's
    options: dict[str, Any] = field(default_factory=dict)  # sizes, 1 or more
    weights: str = ""  # what to start from: a published expert file, or embedded with its sizes; "" starts anew


@dataclass
class ModelConfig:
    """What turns views into verdicts."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    expert: ExpertConfig = field(default_factory=ExpertConfig)
    crops: str = "anyres"  # anyres: base crop and tiles as published; base: the whole view only; -fast: within 2 of 255
    pool: str = "top3"  # view logits -> sample logit: max, mean, or topK, the mean of the K highest


@dataclass
class OptimConfig:
    """How the expert is trained; the defaults are the published recipe."""

    lr: float = 1e-4  # AdamW
    weight_decay: float = 1e-2  # AdamW; not published, torch's default
    batch_size: int = 128  # samples in a step, over all devices together
    restart: float = 0.5  # epochs between warm restarts of the cosine
    labels: str = "view"  # view: a view's own truth where the set has it; sample: the sample's label for all its views


@dataclass
class StoreConfig:
    """Features computed once and read back."""

    mode: str = "auto"  # auto: where reading beats recomputing; always; never
    path: str = "${oc.env:ANOMALY_OV_CACHE,'~/.cache/anomaly-ov'}"  # folder of stores
    dtype: str = "float16"  # or float32
    test: bool = False  # store test sets too: pays when several experiments test on them


@dataclass
class TrainerConfig:
    """Handed to lightning.Trainer as it is."""

    accelerator: str = "auto"  # cpu, gpu, auto
    devices: Any = "auto"  # how many, or which
    num_nodes: int = 1
    strategy: str = "auto"  # ddp for several devices
    precision: str = "32-true"  # of the expert; the tower's is model.backbone.options.dtype
    max_epochs: int = 2
    gradient_clip_val: float = 1.0
    accumulate_grad_batches: int = 1
    deterministic: bool = True  # same seed, processor and number of threads: same numbers
    enable_progress_bar: bool = True
    limit_train_batches: Any = 1.0  # a fraction or a count, for trying things out
    limit_test_batches: Any = 1.0


@dataclass
class Config:
    """An experiment: train on some datasets, test on others."""

    name: str = MISSING  # of the experiment, in rows and folder names
    seed: int = 0
    model: ModelConfig = field(default_factory=ModelConfig)
    train: dict[str, DataConfig] = field(default_factory=dict)
    test: dict[str, DataConfig] = field(default_factory=dict)
    optim: OptimConfig = field(default_factory=OptimConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    checkpoint: str = ""  # for `test`: the trained expert, in place of model.expert
    workers: int = 0  # processes that read samples, per device
    test_batch_size: int = 8  # samples scored at once, per device
    out: str = "runs"  # folder that run folders are added to
    plugins: list[str] = field(default_factory=list)  # modules of other repositories to import
    expect: dict[str, list[float]] = field(default_factory=dict)  # "<test>.<level>_<metric>": [low, high]


def load(path: Path, overrides: list[str]) -> Config:
    """Read ``path`` and what it includes, apply ``key=value`` overrides, check every key, type and choice.

    Raises:
        UserError: names the file or the override, the key, and the nearest key that exists.
    """
    config: Config = load_as(Config, path, overrides)
    check_values(config, path)
    return config


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
    merged = _merge(OmegaConf.structured(schema), _read(path, ()), schema, str(path))
    for text in overrides:
        key, equals, value = text.partition("=")
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


def digest(config: Config) -> str:
    """Sha256 of what the numbers follow from: everything but where files go and how progress is shown."""
    shown = {"store": ["path"], "trainer": ["enable_progress_bar"]}
    return sha(asdict(config), ("out", "workers", "expect", "checkpoint"), shown)


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
    try:
        return OmegaConf.merge(base, change)
    except (OmegaConfBaseException, TypeError, ValueError) as error:
        key = getattr(error, "full_key", None) or "top level"
        raise UserError(f"{source}: {key}: {plainly(error)}") from None


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
