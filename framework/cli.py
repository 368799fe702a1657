"""The command ``anomaly-ov``: one verb, one function. A user's mistake is one line and exit status 2."""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
from collections.abc import Sized

from framework import config as configs
from framework import provenance, reading, reasoning
from framework.arguments import joined, parser
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
INTERRUPTED = 130  # what shells expect after Ctrl-C
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)  # faults of the place written to, not of the program


def main(argv: list[str] | None = None) -> int:
    """Parse and run.

    Returns:
        0; 1 where a check found problems or an expectation was missed; 2 for a mistake, told in one line; 130 after
        Ctrl-C.
    """
    try:
        given = sys.argv[1:] if argv is None else argv
        arguments = parser(VERBS).parse_args(joined(given))
        with provenance.typed(given):
            return int(arguments.run(arguments) or 0)
    except UserError as error:
        print(f"anomaly-ov: {one_line(error)}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in DISK:
            raise
        where = error.filename or "while writing"
        print(f"anomaly-ov: {where}: {error.strerror}. Mend that; nothing half-written counts.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("anomaly-ov: interrupted; run the same command again to go on.", file=sys.stderr)
        return INTERRUPTED


def one_line(error: UserError) -> str:
    """The user's line, also where a worker process wrapped it in its traceback."""
    last = str(error).strip().splitlines()[-1]
    return re.sub(r"^framework\.errors\.\w+: ", "", last)


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
    from framework import transfer as matrices

    matrix = matrices.load(arguments.matrix, arguments.overrides)
    if arguments.jobs < 1:
        raise UserError(f"--jobs {arguments.jobs}: must be 1 or more.")
    number, of = arguments.part or matrices.array(os.environ)
    matrices.part([], number, of)
    from framework.tasks.transfer import serve, transfer

    if arguments.serve:
        return serve(matrix)
    return transfer(matrix, [str(arguments.matrix), *arguments.overrides], arguments.jobs, number, of)


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


def leaderboard(arguments: argparse.Namespace) -> int:
    """Merge the rows of many runs into one table and matrix."""
    from framework.leaderboard import leaderboard

    text = leaderboard(arguments.paths, arguments.format, arguments.out, beside=arguments.beside)
    if arguments.out is None:
        print(text)
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Run again what made a run, and say of every row whether it holds."""
    from framework.tasks.verify import verify

    found = verify(arguments.folder, arguments.overrides, arguments.sets, arguments.tolerance)
    for checked in found:
        print(checked)
    wrong = sum(bool(checked.problem) for checked in found)
    print(f"{len(found) - wrong} of {len(found)} rows hold")
    return 1 if wrong else 0


def merge(arguments: argparse.Namespace) -> int:
    """Copy runs of several folders into one, each whole and unchanged."""
    from framework.leaderboard.merging import merge

    copied, there = merge(arguments.paths, arguments.out)
    print(f"{arguments.out}: {copied} runs copied, {there} were there already")
    return 0


def rescore(arguments: argparse.Namespace) -> int:
    """Make the rows of runs anew by today's metrics, from the scores that they saved."""
    from framework.leaderboard.store import folders
    from framework.tasks.rescore import rescore

    for folder in folders(arguments.paths):
        written, new, kept = rescore(folder, arguments.out or folder.parent)
        rest = f"; {kept} of an old definition have no saved scores and stay" if kept else ""
        print(f"{folder.name}: " + (f"{new} rows anew in {written}" if written else "every row is as today") + rest)
    return 0


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
        leaderboard,
    )
} | {"leaderboard verify": verify, "leaderboard merge": merge, "leaderboard rescore": rescore}


if __name__ == "__main__":
    sys.exit(main())
