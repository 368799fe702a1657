"""Files of any domain and a checkpoint -> scores, maps in each file's own geometry, and one JSON line a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
from framework.models.cards import Origin
from framework.models.experts import traits
from framework.models.scoring import ViewMaps, judge, per_sample, view_logits
from framework.progress import say, track
from framework.tasks.devices import usable
from framework.tasks.pooling import score, scoring_of
from framework.tasks.predictions import LINES, stems, taken, tidy
from framework.tasks.showing import show
from framework.types import Domain, Record, Sample


class Predictor:
    """A checkpoint, ready to score files.

    Args:
        checkpoint: written by ``anomaly-ov fit``.
        weights: folder of the backbone's weights on this machine; "" for where they lay in training.
        device: torch device; "" chooses a GPU where there is one.
        reader: options of the readers, before those of training.
        files: what it will score: refused before the model is built, which takes a minute.

    Raises:
        UserError: a checkpoint that cannot be read, a file of no domain, a reader option of none, a backbone that is
            not the one it was trained on, a plug-in that is not installed, or a device this machine lacks.
    """

    def __init__(
        self,
        checkpoint: Path,
        weights: str = "",
        device: str = "",
        reader: dict[str, Any] | None = None,
        files: Sequence[Path] = (),
    ) -> None:
        content = trained.read(checkpoint)
        registry.load_plugins(plugins(content))
        self.readers, self.options = _readers(trained.origins(content)), reader or {}
        for path in files:
            self.domain(path)
        self.device = usable(device)
        self.config = trained.model_config(content, weights)
        if traits.named(self.config.expert.name).transductive:
            raise UserError(
                f"{checkpoint}: expert {self.config.expert.name!r} is transductive: it scores the samples of a "
                "whole set against each other, so it cannot score one file. Use `anomaly-ov test`."
            )
        self.backbone, self.expert = trained.build_model(self.config)
        trained.load_expert(checkpoint, content, self.backbone, self.expert)
        self.backbone.to(self.device)
        self.expert.to(self.device).eval()
        _say_choices(trained.origins(content), self.readers)

    def domain(self, path: Path) -> tuple[str, Domain]:
        """The domain of a file, one it was trained on where that reads it, and its reader.

        The reader has the options of training, where those given do not replace them.
        """
        name = registry.domain_of(path, list(self.readers))
        return name, registry.build("domain", name, **self.readers.get(name, {}) | self.options)

    @torch.inference_mode()
    def score(self, reader: Domain, path: Path) -> tuple[Sample, dict[str, Any], torch.Tensor, ViewMaps]:
        """One file: its sample, what is known of it, a score per element ``(E,)``, and V view maps ``(H, W)``."""
        record = Record(path, anomalous=False, category=path.parent.name)
        index = Index(path.name, DataConfig("", "", "."), [record], reader)
        data = RawSamples(index, self.backbone.image_size, self.config.crops, keep=True)
        batch = collate([data[(0, 1.0)]])
        verdict = judge(self.backbone, self.expert, batch, self.backbone.image_size, self.config.crops, named=False)
        making = scoring_of(self.config)
        ((sample, maps, elements),) = per_sample(batch, verdict, self.backbone.image_size, self.config.crops, making)
        logits = view_logits(verdict.logits, maps, making)
        logit = score(logits, elements, self.config.pool, sample.say)
        line = {
            "score": float(logit.double().sigmoid()),
            "logit": float(logit),
            "views": len(sample.views),
            "view_scores": [round(s, 6) for s in logits.double().sigmoid().tolist()],
            "elements": sample.elements,
            "highest": float(elements.max()),
        }
        line |= sample.counts
        if sample.captions:
            line["view_captions"] = list(sample.captions)
        if sample.warnings:
            line["warnings"] = list(sample.warnings)
        return sample, line, elements, maps


def predict(
    checkpoint: Path,
    files: list[Path],
    out: Path,
    weights: str = "",
    device: str = "",
    reader: dict[str, Any] | None = None,
    pictures: bool = True,
) -> list[dict[str, Any]]:
    """Score files; write ``<out>/<name>_map.*`` for each and its line to ``<out>/predictions.jsonl``.

    Files of one sample, such as a DICOM series, are scored as one, whose line names the first of them; of a folder, the
    samples that a domain finds in it. A folder that holds one sample names its results and stands in its line.

    Of a file that can be looked around in also ``<name>_viewer.html``, and ``<name>_views.png`` and ``.pdf``,
    unless ``pictures`` is False.

    A file that cannot be read does not stop the others: its line holds the reason. Lines of other files that an
    earlier call left in ``out`` stay, and so do their maps.

    Returns:
        The lines, in the order of the files; one with ``error`` for a file that could not be scored.

    Raises:
        UserError: as ``Predictor``; before any file is read.
    """
    for path in files:
        if not (path.is_file() or path.is_dir()):
            raise UserError(f"{path}: no such file.")
    folders = {found[0]: path for path in files if path.is_dir() and len(found := registry.samples([path])) == 1}
    files = registry.samples(files)
    predictor = Predictor(checkpoint, weights, device, reader, files)
    make_folder(out)
    earlier = tidy(out / LINES)
    others = earlier.keys() - {str(path) for path in files}
    names = stems(files, taken(earlier[name] for name in others), folders)
    lines = []
    try:
        with (out / LINES).open("a") as f:
            for path in track(files, len(files), "scoring"):
                lines.append(_line(predictor, path, out / names[path], pictures, folders.get(path)))
                f.write(json.dumps(lines[-1]) + "\n")
                f.flush()
    finally:  # also after Ctrl-C
        tidy(out / LINES)
    for line in lines:
        for warning in line.get("warnings", ()):
            say(f"anomaly-ov: {warning}")
        if "error" in line:
            say(f"anomaly-ov: skipped {line['error']}")
    return lines


def plugins(content: dict[str, Any]) -> list[str]:
    """Modules of other repositories that the experiment of a checkpoint named."""
    found: list[str] = content[trained.KEY]["run"].get("settings", {}).get("plugins", [])
    return found


def _line(predictor: Predictor, path: Path, stem: Path, pictures: bool, folder: Path | None) -> dict[str, Any]:
    """Score one file, save its map and pictures as ``stem`` and an ending; what to tell, or ``error`` with why not.

    A file that is all of a folder that was given is called by the folder.
    """
    line: dict[str, Any] = {"file": str(path)} | ({"folder": str(folder)} if folder else {})
    try:
        line["domain"], reader = predictor.domain(path)
        sample, found, elements, maps = predictor.score(reader, path)
        line |= found | {"element": reader.element}
        scores = elements.float().cpu().numpy()
        saved = reader.save(sample, scores, stem.with_name(f"{stem.name}_map"))
        if not isinstance(saved, dict) or "map" not in saved:
            raise UserError(f"domain {line['domain']!r}: save must return a dict with the path of the map as 'map'.")
        if pictures:
            saved = saved | show(reader, sample, scores, maps, stem, line)
        line |= {key: str(value) if isinstance(value, Path) else value for key, value in saved.items()}
    except UserError as error:
        line["error"] = str(error)
    return line


def _readers(origins: list[Origin]) -> dict[str, dict[str, Any]]:
    """Reader options by domain, in the order of the training sets; the first set of a domain decides."""
    found: dict[str, dict[str, Any]] = {}
    for origin in origins:
        found.setdefault(origin.source.split("/")[0], origin.reader)
    return found


def _say_choices(origins: list[Origin], readers: dict[str, dict[str, Any]]) -> None:
    """Tell of training sets that were read otherwise than files will be."""
    for origin in origins:
        name = origin.source.split("/")[0]
        if readers[name] != origin.reader:
            say(f"{name}: trained with reader options {readers[name]} and {origin.reader}; reading with the first")
