"""Files of any domain and a checkpoint -> scores, maps in each file's own geometry, and one JSON line a file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from framework import registry
from framework.config import DataConfig
from framework.data.building import CROPS_AT_ONCE
from framework.data.index import Index
from framework.data.loading import RawSamples, collate
from framework.errors import UserError
from framework.files import make_folder
from framework.models import trained
from framework.models.backbones.sources import one_line
from framework.models.scoring import per_sample
from framework.models.trained import Origin
from framework.progress import say, track
from framework.tasks.pooling import pool
from framework.types import Domain, Features, Record, Sample, Verdict


class Predictor:
    """A checkpoint, ready to score files.

    Args:
        checkpoint: written by ``anomaly-ov fit``.
        weights: folder of the backbone's weights on this machine; "" for where they lay in training.
        device: torch device; "" chooses a GPU where there is one.

    Raises:
        UserError: a checkpoint that cannot be read, a backbone that is not the one it was trained on, a plug-in that
            is not installed, or a device this machine lacks.
    """

    def __init__(self, checkpoint: Path, weights: str = "", device: str = "") -> None:
        content = trained.read(checkpoint)
        registry.load_plugins(plugins(content))
        self.device = _device(device)
        self.config = trained.model_config(content, weights)
        self.backbone, self.expert = trained.build_model(self.config)
        trained.load_expert(checkpoint, content, self.backbone, self.expert)
        self.backbone.to(self.device)
        self.expert.to(self.device).eval()
        self.readers = _readers(trained.origins(content))

    def domain(self, path: Path) -> tuple[str, Domain]:
        """The domain of a file, one it was trained on where that reads it, and its reader with the options of then."""
        name = registry.domain_of(path, list(self.readers))
        return name, registry.build("domain", name, **self.readers.get(name, {}))

    @torch.inference_mode()
    def score(self, reader: Domain, path: Path) -> tuple[Sample, dict[str, Any], torch.Tensor]:
        """One file: its sample, what is known of it, and a score per element ``(E,)``."""
        record = Record(path, anomalous=False, category=path.parent.name)
        index = Index(path.name, DataConfig("", "", "."), [record], reader)
        data = RawSamples(index, self.backbone.image_size, self.config.crops, keep=True)
        batch = collate([data[(0, 1.0)]])
        assert batch.pixels is not None
        parts = [self.backbone(pixels.to(self.device)) for pixels in batch.pixels.split(CROPS_AT_ONCE)]
        verdict: Verdict = self.expert(_joined(parts), batch.crops)
        logit = pool(verdict.logits, batch.views, self.config.pool)[0]
        ((sample, _, elements),) = per_sample(batch, verdict, self.backbone.image_size, self.config.crops)
        line = {
            "score": float(logit.double().sigmoid()),
            "logit": float(logit),
            "views": len(sample.views),
            "view_scores": [round(s, 6) for s in verdict.logits.double().sigmoid().tolist()],
            "elements": sample.elements,
            "highest": float(elements.max()),
        }
        return sample, line, elements


def predict(
    checkpoint: Path, files: list[Path], out: Path, weights: str = "", device: str = ""
) -> list[dict[str, Any]]:
    """Score files; write ``<out>/<name>_map.*`` for each and its line to ``<out>/predictions.jsonl``.

    A file that cannot be read does not stop the others: its line holds the reason.

    Returns:
        The lines, in the order of the files; one with ``error`` for a file that could not be scored.

    Raises:
        UserError: as ``Predictor``; no file could be scored.
    """
    _check(files, checkpoint)
    predictor = Predictor(checkpoint, weights, device)
    make_folder(out)
    lines = []
    names = stems(files)
    with (out / "predictions.jsonl").open("w") as f:
        for path in track(files, len(files), "scoring"):
            line: dict[str, Any] = {"file": str(path)}
            try:
                line["domain"], reader = predictor.domain(path)
                sample, found, elements = predictor.score(reader, path)
                stem = out / f"{names[path]}_map"
                line |= found | {"element": reader.element}
                line["map"] = str(reader.save(sample, elements.float().cpu().numpy(), stem))
            except UserError as error:
                line["error"] = str(error)
            lines.append(line)
            f.write(json.dumps(line) + "\n")
            f.flush()
    failed = [line["error"] for line in lines if "error" in line]
    if len(failed) == len(lines):
        raise UserError(failed[0])
    for reason in failed:
        say(f"skipped {reason}")
    return lines


def stems(files: list[Path]) -> dict[Path, str]:
    """A name for each file's results: its stem; its folder's name before it and a number after it to tell it apart."""
    plain = {path: path.name.removesuffix(".gz").rsplit(".", 1)[0] for path in files}
    counts = Counter(plain.values())
    found: dict[Path, str] = {}
    taken: set[str] = set()
    for path, stem in plain.items():
        wanted = name = f"{path.resolve().parent.name}_{stem}" if counts[stem] > 1 else stem
        number = 1
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        found[path] = name
        taken.add(name)
    return found


def plugins(content: dict[str, Any]) -> list[str]:
    """Modules of other repositories that the experiment of a checkpoint named."""
    found: list[str] = content[trained.KEY]["run"].get("settings", {}).get("plugins", [])
    return found


def _check(files: list[Path], checkpoint: Path) -> None:
    """Refuse files that are missing or of no domain before a model is built, which can take a minute."""
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: no such file.")
    if checkpoint.is_file():  # else the predictor says so
        registry.load_plugins(plugins(trained.read(checkpoint)))
    for path in files:
        registry.domain_of(path)


def _readers(origins: list[Origin]) -> dict[str, dict[str, Any]]:
    """Reader options by domain, in the order of the training sets; the first set of a domain decides."""
    found: dict[str, dict[str, Any]] = {}
    for origin in origins:
        name = origin.source.split("/")[0]
        if found.setdefault(name, origin.reader) != origin.reader:
            say(f"{name}: trained with reader options {found[name]} and {origin.reader}; reading with the first")
    return found


def _device(name: str) -> torch.device:
    """The device of a name, or of "" the best there is, once a tensor went there and came back."""
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.zeros(1, device=found).cpu()
    except (RuntimeError, AssertionError, ImportError) as error:  # torch has one for each way to lack a device
        usable = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        raise UserError(f"device {name!r}: {one_line(error).rstrip('.')}. Usable here: {usable}.") from None
    return found


def _joined(parts: list[Features]) -> Features:
    """Features of consecutive runs of crops, end to end."""
    levels = [torch.cat(level) for level in zip(*(p.levels for p in parts), strict=True)]
    return Features(levels, torch.cat([p.final for p in parts]), parts[0].grid)
