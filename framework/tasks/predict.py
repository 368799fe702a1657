"""Files of any domain and a checkpoint -> scores, maps in each file's own geometry, and one JSON line a file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from framework import registry
from framework.config import DataConfig
from framework.data.index import Index
from framework.data.loading import RawSamples, collate
from framework.errors import UserError
from framework.files import make_folder
from framework.models import trained
from framework.models.scoring import per_sample
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
        UserError: a checkpoint that cannot be read, or a backbone that is not the one it was trained on.
    """

    def __init__(self, checkpoint: Path, weights: str = "", device: str = "") -> None:
        content = trained.read(checkpoint)
        self.config = trained.model_config(content, weights)
        self.backbone, self.expert = trained.build_model(self.config)
        trained.load_expert(checkpoint, content, self.backbone, self.expert)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.backbone.to(self.device)
        self.expert.to(self.device).eval()
        self.readers = {o.source.split("/")[0]: o.reader for o in trained.origins(content)}

    def domain(self, path: Path) -> tuple[str, Domain]:
        """The domain of a file and its reader, with the options the checkpoint was trained with."""
        name = registry.domain_of(path)
        return name, registry.build("domain", name, **self.readers.get(name, {}))

    @torch.inference_mode()
    def score(self, reader: Domain, path: Path) -> tuple[Sample, dict[str, Any], torch.Tensor]:
        """One file: its sample, what is known of it, and a score per element ``(E,)``."""
        record = Record(path, anomalous=False, category=path.parent.name)
        index = Index(path.name, DataConfig("", "", "."), [record], reader)
        data = RawSamples(index, self.backbone.image_size, self.config.crops, keep=True)
        batch = collate([data[(0, 1.0)]])
        assert batch.pixels is not None
        parts = [self.backbone(pixels.to(self.device)) for pixels in batch.pixels.split(32)]
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


def predict(checkpoint: Path, files: list[Path], out: Path, weights: str = "", device: str = "") -> list[dict]:
    """Score files; write ``<out>/<name>_map.*`` for each and its line to ``<out>/predictions.jsonl``.

    A file that cannot be read does not stop the others: its line holds the reason.

    Returns:
        The lines, in the order of the files; one with ``error`` for a file that could not be scored.

    Raises:
        UserError: as ``Predictor``; no file could be scored.
    """
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: no such file.")
        registry.domain_of(path)
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
    """A name for each file's results: its stem, with its folder's name before it where stems repeat."""
    plain = {path: path.name.removesuffix(".gz").rsplit(".", 1)[0] for path in files}
    repeated = [stem for stem, count in Counter(plain.values()).items() if count > 1]
    named = {p: f"{p.resolve().parent.name}_{s}" if s in repeated else s for p, s in plain.items()}
    return {p: s if list(named.values()).count(s) == 1 else f"{s}_{i}" for i, (p, s) in enumerate(named.items())}


def _joined(parts: list[Features]) -> Features:
    """Features of consecutive runs of crops, end to end."""
    levels = [torch.cat(level) for level in zip(*(p.levels for p in parts), strict=True)]
    return Features(levels, torch.cat([p.final for p in parts]), parts[0].grid)
