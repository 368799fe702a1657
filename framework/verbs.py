"""The verbs of ``anomaly-ov``: one verb, one function, from its parsed arguments to an exit status."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sized

from framework import config as configs
from framework import reading, reasoning
from framework import verbs_of_boards as board
from framework.errors import UserError

ASKER = ("device", "dtype", "views", "base", "captions")  # options of `ask` and `serve` that load the model
MAKER = (
    "samples",
    "each",
    "size",
    "seed",
    "kinds",
    "amplitude",
    "format",
    "points",
)  # options of `synthesize`, where a domain has them
TOLD = ("model", "trained_on", "backbone")  # what `rate` is told of a method beside overrides of the experiment


def quickstart(arguments: argparse.Namespace) -> int:
    """Write three procedural sets, train on each, test on all, leave a leaderboard page."""
    from framework.quickstart import quickstart

    return quickstart(arguments.out)


def check(arguments: argparse.Namespace) -> int:
    """Validate an experiment without loading torch, and show what it would do."""
    if reading.stage(arguments.experiment) == reasoning.STAGE:
        from framework import plan_language

        print(plan_language.plan(reasoning.load(arguments.experiment, arguments.overrides)))
        return 0
    if reading.is_transfer(arguments.experiment):
        from framework import plan_transfer
        from framework import transfer as matrices

        print(plan_transfer.plan(matrices.load(arguments.experiment, arguments.overrides)))
        return 0
    from framework.plan import plan

    print(plan(configs.load(arguments.experiment, arguments.overrides)))
    return 0


def transfer(arguments: argparse.Namespace) -> int:
    """Train every method on every source and test it on every target, going on where an earlier call stopped."""
    from framework import provenance
    from framework import transfer as matrices

    matrix = matrices.load(arguments.matrix, arguments.overrides)
    if arguments.jobs < 1:
        raise UserError(f"--jobs {arguments.jobs}: must be 1 or more.")
    number, of = arguments.part or matrices.array(os.environ)
    matrices.part([], number, of)
    from framework.tasks.transfer import serve, transfer

    command = [str(arguments.matrix), *arguments.overrides]
    if arguments.serve:
        with provenance.typed(["transfer", *command]):  # as a person types it, so that runs name that
            return serve(matrix)
    return transfer(matrix, command, arguments.jobs, number, of)


def datasets(arguments: argparse.Namespace) -> int:
    """List what can be read, or look through one set on disk."""
    from framework import registry
    from framework.data import inspection, listing

    registry.load_plugins(arguments.plugins)
    if arguments.action is None:
        print(listing.describe())
        return 0
    options, reader = reading.options(arguments.options), reading.options(arguments.reader)
    report = inspection.inspect(arguments.name, arguments.root, arguments.split, options, reader, arguments.against)
    print(report)
    return 1 if report.problems else 0


def fit(arguments: argparse.Namespace) -> int:
    """Train the expert (or with stage: 2 tune the language model), test on every set under test, write a run."""
    if reading.stage(arguments.experiment) == reasoning.STAGE:
        tuning = reasoning.load(arguments.experiment, arguments.overrides)
        from framework.tasks.tune import fit as tune

        return tune(tuning).status
    config = configs.load(arguments.experiment, arguments.overrides)
    from framework.tasks.folds import fit_folds
    from framework.tasks.run import fit

    return (fit_folds if config.one_vs_rest else fit)(config).status


def test(arguments: argparse.Namespace) -> int:
    """Test a trained expert (or with stage: 2 ask a language model) on every set under test, write a run."""
    if reading.stage(arguments.experiment) == reasoning.STAGE:
        asking = reasoning.load(arguments.experiment, arguments.overrides)
        from framework.tasks.language import test as ask_all

        return ask_all(asking).status
    config = configs.load(arguments.experiment, arguments.overrides)
    from framework.tasks.run import test

    return test(config).status


def rate(arguments: argparse.Namespace) -> int:
    """Measure scores and maps that other code made of an experiment's test sets, and write a run."""
    told = dict(text.partition("=")[::2] for text in arguments.overrides if text.partition("=")[0] in TOLD)
    others = [text for text in arguments.overrides if text.partition("=")[0] not in TOLD]
    if not told.get("model"):
        raise UserError("rate: say what to call the method, model=NAME, for example model=patchcore.")
    trained_on = [name for name in told.get("trained_on", "").split("+") if name]
    config = configs.load(arguments.experiment, others)
    from framework.tasks.outside import rate

    rate(config, arguments.scores, told["model"], trained_on, told.get("backbone") or "not known")
    return 0


def convert(arguments: argparse.Namespace) -> int:
    """Turn published, llava-hf or tuned weights into one folder that loads whole."""
    from framework.tasks.convert import convert

    for line in convert(arguments.source, arguments.out, arguments.expert, arguments.base, arguments.tokenizer):
        print(line)
    return 0


def instruct(arguments: argparse.Namespace) -> int:
    """Write conversations about a labelled set, to tune a language model on."""
    from framework import registry
    from framework.data.instruct.writing import write

    registry.load_plugins(arguments.plugins)
    options, reader = reading.options(arguments.options), reading.options(arguments.reader)
    given = arguments
    made = write(
        given.name, given.root, given.out, given.split, options, reader, given.views, given.apart, given.captions
    )
    shown = "views" if given.apart else "samples"
    print(f"{made.path}: {made.entries} conversations, {made.yes} about anomalous {shown}, {made.no} about normal ones")
    return 0


def ask(arguments: argparse.Namespace) -> int:
    """Ask a language model about a picture, cloud or scan; without a question, talk about it."""
    from framework.tasks.ask import ask

    options = {name: getattr(arguments, name) for name in ASKER}
    reader, given = reading.options(arguments.reader), arguments
    ask(given.checkpoint, given.file, given.question, given.out, given.json, options, reader, given.domain)
    return 0


def serve(arguments: argparse.Namespace) -> int:
    """Show a web page that takes a file of any domain, shows what the model sees, and answers questions."""
    from framework.web.server import serve

    options = {name: getattr(arguments, name) for name in ASKER}
    reader = reading.options(arguments.reader)
    serve(arguments.checkpoint, options, arguments.host, arguments.port, arguments.most_mb, reader)
    return 0


def synthesize(arguments: argparse.Namespace) -> int:
    """Make a labelled set of clean shapes, scans or pictures of your own: some with defects, and the same without."""
    from framework import registry
    from framework.progress import track

    registry.load_plugins(arguments.plugins)
    registry.load_domain(arguments.domain)
    given = {name: getattr(arguments, name) for name in MAKER if getattr(arguments, name) is not None}
    made = registry.build("synthesize", arguments.domain, arguments.files, arguments.out, **given)
    total = len(made) if isinstance(made, Sized) else arguments.samples or 60
    count = sum(1 for _ in track(made, total, f"samples of {arguments.out.name}"))
    told = getattr(made, "remark", "")  # a domain may say which datasets read its set, and what is not in it
    print(f"{arguments.out}: {count} samples, spoiled ones beside their healthy twins{f'; {told}' if told else ''}")
    return 0


def predict(arguments: argparse.Namespace) -> int:
    """Score files: one JSON line each, and a map in the file's own geometry."""
    import json

    reader = reading.options(arguments.reader)
    from framework.tasks.predict import predict

    given = arguments
    lines = predict(given.checkpoint, given.files, given.out, given.weights, given.device, reader, given.pictures)
    for line in lines:
        print(json.dumps(line))
    return 2 if any("error" in line for line in lines) else 0


VERBS = {
    run.__name__: run
    for run in (
        quickstart,
        check,
        fit,
        test,
        rate,
        transfer,
        datasets,
        predict,
        convert,
        instruct,
        ask,
        serve,
        synthesize,
        board.leaderboard,
    )
} | {f"leaderboard {run.__name__}": run for run in (board.verify, board.merge, board.rescore)}
