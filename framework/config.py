"""The experiment schema, and the one function that turns a YAML file and overrides into it. Loads no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from framework.checks import check_values
from framework.reading import load_as, sha


@dataclass
class DataConfig:
    """One dataset of one domain."""

    domain: str = MISSING  # package under domains/, or what a plug-in registers
    dataset: str = MISSING  # dataset of that domain; `anomaly-ov datasets` lists them
    root: str = MISSING  # folder on disk
    split: str = ""  # as the dataset names it; "": "test", which zero-shot work trains on too, or "train" of made sets
    categories: list[str] = field(default_factory=list)  # keep only these; empty keeps all
    exclude: list[str] = field(default_factory=list)  # leave these categories out: one-vs-rest
    share: list[float] = field(default_factory=lambda: [0.0, 1.0])  # of the groups: [0, 0.7] here, [0.7, 1] there
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
    pool: str = "top3"  # views -> sample: max, mean or topK (of the K highest logits); half_max_half_mean of PointAD
    smooth: float = (
        0.0  # sigma of a Gaussian over each view's map, in pixels, before it returns to pixels, points, voxels
    )
    smooth_on: int = 0  # side of the square map that sigma is measured on, as papers do (518); 0: the view's own pixels
    score: str = "own"  # of a view: own (the expert's), or of its map: max, top1% (mean of), half_max_half_own


@dataclass
class OptimConfig:
    """How the expert is trained; the defaults are the published recipe."""

    lr: float = 1e-4  # AdamW
    weight_decay: float = 1e-2  # AdamW; not published, torch's default
    batch_size: int = 128  # samples in a step, over all devices together
    restart: float = 0.5  # epochs between warm restarts of the cosine
    labels: str = "view"  # view: a view's own truth where the set has it; sample: the sample's label for all its views


@dataclass
class SelectConfig:
    """Which epoch is kept, and where the threshold of ``f1_source`` is found: on source data only, no test set."""

    by: str = "none"  # none: the last epoch; source: the best by sample AUROC on a share of the source that is held out
    share: float = 0.2  # of the groups of each training set, held out where by is source


@dataclass
class StoreConfig:
    """Features computed once and read back."""

    mode: str = "auto"  # auto: where reading beats recomputing; always; never
    path: str = "${oc.env:ANOMALY_OV_CACHE,'~/.cache/anomaly-ov'}"  # folder of stores
    dtype: str = "float16"  # or float32
    test: bool = False  # store test sets too: pays when several experiments test on them
    views: bool = True  # keep drawn views of clouds and meshes there


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
    protocol: str = ""  # a paper's, of experiments/protocols, or a file like those: its settings go beneath these keys
    model: ModelConfig = field(default_factory=ModelConfig)
    train: dict[str, DataConfig] = field(default_factory=dict)
    test: dict[str, DataConfig] = field(default_factory=dict)
    optim: OptimConfig = field(default_factory=OptimConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    one_vs_rest: list[str] = field(default_factory=list)  # train on each of these classes alone, test on the others
    checkpoint: str = ""  # for `test`: the trained expert, in place of model.expert
    workers: int = 0  # processes that read samples, per device
    test_batch_size: int = 8  # samples scored at once, per device
    out: str = "runs"  # folder that run folders are added to
    plugins: list[str] = field(default_factory=list)  # modules of other repositories to import
    expect: dict[str, list[float]] = field(default_factory=dict)  # "<test>.<level>_<metric>": [low, high]
    averaging: str = "category"  # which rows are the headline: category (mean over categories) or pooled
    beside: str = ""  # published numbers, of experiments/published, or a file like those, to print beside these


def load(path: Path, overrides: list[str]) -> Config:
    """Read ``path`` and what it includes, apply ``key=value`` overrides, check every key, type and choice.

    Raises:
        UserError: names the file or the override, the key, and the nearest key that exists.
    """
    config: Config = load_as(Config, path, overrides)
    check_values(config, path)
    return config


def digest(config: Config) -> str:
    """Sha256 of what the numbers follow from: everything but where files go and how progress is shown."""
    shown = {"store": ["path", "views"], "trainer": ["enable_progress_bar"]}
    return sha(asdict(config), ("out", "workers", "expect", "checkpoint", "averaging", "beside"), shown)
