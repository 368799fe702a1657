"""An empty folder -> three procedural sets, three experts, their transfer matrix and a page that shows it."""

from __future__ import annotations

import gc
import shutil
import time
from pathlib import Path

from markupsafe import Markup

from framework import registry
from framework.config import Config, digest, load
from framework.errors import MissingPackageError
from framework.files import make_folder, write_whole
from framework.leaderboard import leaderboard
from framework.leaderboard.finished import finished, follows
from framework.leaderboard.matrix import transfer_matrix
from framework.leaderboard.rows import NOTHING
from framework.leaderboard.store import load as load_rows
from framework.progress import say, track
from framework.provenance import PROJECT
from framework.quickstart import language

EXPERIMENT = PROJECT / "experiments" / "quickstart.yaml"
SEED = 0


def quickstart(out: Path) -> int:
    """Do all of it; a second call goes on where the first was interrupted.

    Args:
        out: folder to write to: ``data/``, ``runs/``, ``experts/``, ``language/``, ``leaderboard.md``, ``index.html``,
            ``answers.html``.

    Returns:
        0, or 1 where a number is not what the experiment expects (of runs made now, not of an earlier call).

    Raises:
        UserError: ``out`` cannot be written, or a set in it was changed so that it cannot be read.
    """
    start = time.perf_counter()
    make_folder(out)
    domains = [domain for domain in registry.domains() if _data(out, domain)]
    runs, status = [], 0
    sources = [*domains, ""]
    for source in track(sources, len(sources), "experiments"):
        folder, missed = _run(out, source, domains)
        runs.append(folder)
        status |= missed
    _keep(out, runs, domains)
    tested = experiment(out, "", domains).test
    if language.DOMAIN in domains:
        status |= language.language(out, tested)
        runs += _of(out, language.experiment(out).name)
    _publish(out, runs, domains, time.perf_counter() - start)
    return status


def experiment(out: Path, source: str, domains: list[str]) -> Config:
    """The experiment that trains on the source set of one domain and tests on the target sets of all.

    Args:
        out: the quickstart's folder.
        source: domain to train on; "" trains on nothing, the control: what the expert that all start from gives.
        domains: domains to test on.
    """
    found = load(
        EXPERIMENT, [f"name=quickstart-{source or 'untrained'}", f"out={out}/runs", f"store.path={out}/features"]
    )
    for sets, part, kept in ((found.train, "source", [source]), (found.test, "target", domains)):
        for domain in list(sets):
            if domain not in kept:
                del sets[domain]
            else:
                sets[domain].root = str(out / "data" / domain / part)
    found.expect = {key: limits for key, limits in found.expect.items() if key.startswith(f"{source}.")}
    return found


def _data(out: Path, domain: str) -> bool:
    """Write the sets of a domain whole, unless they are there; False where its packages are missing."""
    registry.load_domain(domain)
    folder = out / "data" / domain
    if folder.is_dir():
        return True
    unfinished = folder.with_name(f".partial-{domain}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        make_folder(unfinished)
        say(f"writing the procedural set of {domain}")
        registry.build("procedural", domain, unfinished, seed=SEED)
        unfinished.rename(folder)
    except MissingPackageError as error:
        say(f"without {domain}: {error}")
        return False
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return True


def _run(out: Path, source: str, domains: list[str]) -> tuple[Path, int]:
    """The run folder of one experiment, from an earlier call or made now, and 1 where it missed an expectation."""
    config = experiment(out, source, domains)
    for folder, made in reversed(list(finished(out / "runs"))):
        if made.get("config") == digest(config) and follows(made, folder):
            return folder, 0
    from framework.tasks import run

    outcome = run.fit(config) if source else run.test(config)
    assert outcome.folder is not None  # the experiment tests on at least its own domain
    gc.collect()  # reference cycles of the trainer keep its stores mapped
    return outcome.folder, outcome.status


def _of(out: Path, name: str) -> list[Path]:
    """The newest run folder of an experiment, in a list; none where there is none."""
    return sorted((out / "runs").glob(f"[!.]*-{name}-*"))[-1:]


def _keep(out: Path, runs: list[Path], domains: list[str]) -> None:
    """Each domain's expert under its name."""
    for domain, run in zip(domains, runs[: len(domains)], strict=True):
        write_whole(out / "experts" / f"{domain}.ckpt", (run / "expert.ckpt").read_bytes())


def _publish(out: Path, runs: list[Path], domains: list[str], seconds: float) -> None:
    """Leaderboard and page, and three lines that say what was found and where."""
    notes = [
        "These are procedural sets: small, drawn by this project's own generators, and easier than real data. They "
        "show that the road works from disk to leaderboard, and say nothing about real parts, objects or patients.",
        "Every expert was trained on the source set of one domain and tested on the target set of every domain, "
        "with other objects, textures and contrasts. Backbone and expert start from the embedded weights, which this "
        "project made from procedural pictures of other kinds; training on a source set goes on from there. The line "
        "“nothing” is that start, before any training here: what training is worth is the difference from it.",
        "The line of the language model is tuned on answers about the industrial source set; "
        + Markup('<a href="answers.html">answers.html</a> shows some.'),
    ]
    leaderboard(runs, "markdown", out / "leaderboard.md")
    leaderboard(runs, "html", out / "index.html", title="Quickstart: three domains, one expert", notes=notes)
    matrix = transfer_matrix(load_rows(runs[: len(domains) + 1]), "auroc", "sample")  # without the language model
    own = ", ".join(f"{d} {matrix.cells[d, d].value:.2f}" for d in domains)
    other = [matrix.cells[a, b].value for a in domains for b in domains if a != b]
    across = f"; across domains {min(other):.2f} to {max(other):.2f}" if other else ""
    before = ", ".join(f"{matrix.cells[NOTHING, d].value:.2f}" for d in domains)
    say(f"Sample AUROC of procedural sets, trained and tested on one domain: {own}{across}; before training {before}.")
    say(f"Open {out / 'index.html'} for the matrix and the most wrong samples; rows are in {out / 'leaderboard.md'}.")
    say(f"Took {seconds:.0f} s. Score a file: anomaly-ov predict --checkpoint {out}/experts/{domains[0]}.ckpt FILE")
