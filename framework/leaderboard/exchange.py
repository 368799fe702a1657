"""Rows and scores of samples in; files of the Every Eval Ever schema out, by which leaderboards exchange results.

Source: github.com/evaleval/every_eval_ever, ``eval.schema.json`` and its validator, version 0.3.0. The schema is made
for language models, so what it has no field for stands in ``additional_details``, whose values are texts. Scores of
samples stay in our Parquet files: the schema's own form of them is a text that a model wrote, which scores are not.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from framework.files import write_whole
from framework.leaderboard.rows import METRICS, Row

VERSION = "0.3.0"
LIBRARY = "anomaly-ov"
_TOLD = ("dirty", "trained_on", "experiment", "backbone", "weights", "config", "hardware", "packages", "selection")
_OF_MODEL = ("experiment", "model", "backbone", "weights", "trained_on", "seed")
_OF_RESULT = (
    *("domain", "dataset", "fingerprint", "category", "level", "element", "protocol", "recipe", "in_domain"),
    *(
        "overlap",
        "related",
        "near",
        "known",
        "transductive",
        "normal",
        "anomalous",
        "error",
        "chance",
        "unit",
        "groups",
    ),
)


def export(rows: Sequence[Row], out: Path) -> list[Path]:
    """Write one file for each run and method: ``out/data/anomaly-ov/<experiment>/<model>/<uuid>.json``.

    Args:
        rows: of any runs; controls too, as methods of their own.
        out: folder.

    Returns:
        The files, sorted. Equal rows give equal files under equal names.

    Raises:
        UserError: a file cannot be written.
    """
    methods: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        methods[row.run, row.model].append(row)
    found = []
    for (run, model), own in sorted(methods.items()):
        log = _log(own)
        developer, name = log["model_info"]["id"].split("/")
        file = f"{_uuid4(f'{run}/{model}')}.json"
        text = json.dumps(log, indent=2, allow_nan=False) + "\n"
        found.append(write_whole(out / "data" / LIBRARY / developer / name / file, text.encode()))
    return sorted(found)


def _log(rows: Sequence[Row]) -> dict[str, Any]:
    """One evaluation of the schema: rows of one run and one method."""
    first, moment = rows[0], str(int(datetime.fromisoformat(rows[0].date).timestamp()))
    identity = f"{_name(first.experiment)}/{_name(first.model)}"
    return {
        "schema_version": VERSION,
        "evaluation_id": f"{first.run}/{identity}/{moment}",
        "evaluation_timestamp": moment,
        "retrieved_timestamp": moment,
        "source_metadata": {
            "source_name": LIBRARY,
            "source_type": "evaluation_run",
            "source_organization_name": LIBRARY,
            "evaluator_relationship": "other",
        },
        "eval_library": {
            "name": LIBRARY,
            "version": first.commit,
            "additional_details": {name: str(getattr(first, name)) for name in _TOLD},
        },
        "model_info": {
            "name": first.model,
            "id": identity,
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "unknown",
                **{name: str(getattr(first, name)) for name in _OF_MODEL},
            },
        },
        "evaluation_results": [_result(row, moment) for row in rows],
    }


def _result(row: Row, moment: str) -> dict[str, Any]:
    """One row as a result of the schema."""
    where = [row.tested_on, row.category, row.element or row.level, row.metric]
    uncertainty: dict[str, Any] = {"num_samples": row.normal + row.anomalous}
    if row.low is not None and row.high is not None:
        bounds = {"lower": row.low, "upper": row.high, "confidence_level": 0.95, "method": row.interval}
        uncertainty["confidence_interval"] = bounds
    return {
        "evaluation_result_id": "/".join([row.run, *where]),
        "evaluation_name": f"{row.tested_on}, {row.category}: {row.element or row.level} {row.metric}",
        "evaluation_timestamp": moment,
        "source_data": {
            "dataset_name": row.tested_on,
            "source_type": "other",
            "additional_details": {"reader": f"{row.domain}/{row.dataset}", "fingerprint": row.fingerprint},
        },
        "metric_config": {
            "evaluation_description": row.protocol,
            "metric_id": row.metric if row.metric in METRICS else f"{LIBRARY}.{row.metric}",
            "metric_name": row.metric,
            "metric_kind": row.metric,
            "metric_unit": "proportion",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": {
            "score": row.value,
            "details": {name: str(getattr(row, name)) for name in _OF_RESULT},
            "uncertainty": uncertainty,
        },
    }


def _name(text: str) -> str:
    """As part of a path on any system."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-.") or "unknown"


def _uuid4(text: str) -> str:
    """A name in the form of a random UUID, as the schema's validator wants it, but the same for the same text."""
    drawn = uuid.uuid5(uuid.NAMESPACE_URL, text).int
    return str(uuid.UUID(int=drawn & ~(0xF << 76) | (4 << 76)))
