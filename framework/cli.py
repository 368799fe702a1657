"""The command ``anomaly-ov``: one verb, one function. A user's mistake is one line and exit status 2."""

from __future__ import annotations

import argparse
import errno
import importlib.metadata
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from framework import config as configs
from framework import reasoning
from framework.errors import UserError

ASKER = ("device", "dtype", "views", "base")  # options of `ask` and `serve` that load the model
INTERRUPTED = 130  # what shells expect after Ctrl-C
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)  # faults of the place written to, not of the program


def main(argv: list[str] | None = None) -> int:
    """Parse and run.

    Returns:
        0; 1 where a check found problems or an expectation was missed; 2 for a mistake, told in one line; 130 after
        Ctrl-C.
    """
    try:
        arguments = _parser().parse_args(argv)
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
    if configs.stage(arguments.experiment) == reasoning.STAGE:
        from framework import plan_language

        print(plan_language.plan(reasoning.load(arguments.experiment, arguments.overrides)))
        return 0
    from framework.plan import plan

    print(plan(configs.load(arguments.experiment, arguments.overrides)))
    return 0


def datasets(arguments: argparse.Namespace) -> int:
    """List what can be read, or look through one set on disk."""
    from framework import registry
    from framework.data import inspection

    registry.load_plugins(arguments.plugins)
    if arguments.action is None:
        print(inspection.describe())
        return 0
    options, reader = configs.options(arguments.options), configs.options(arguments.reader)
    report = inspection.inspect(arguments.name, arguments.root, arguments.split, options, reader)
    print(report)
    return 1 if report.problems else 0


def fit(arguments: argparse.Namespace) -> int:
    """Train the expert (or with stage: 2 tune the language model), test on every set under test, write a run."""
    if configs.stage(arguments.experiment) == reasoning.STAGE:
        tuning = reasoning.load(arguments.experiment, arguments.overrides)
        from framework.tasks.tune import fit as tune

        return tune(tuning).status
    config = configs.load(arguments.experiment, arguments.overrides)
    from framework.tasks.run import fit

    return fit(config).status


def test(arguments: argparse.Namespace) -> int:
    """Test a trained expert (or with stage: 2 ask a language model) on every set under test, write a run."""
    if configs.stage(arguments.experiment) == reasoning.STAGE:
        asking = reasoning.load(arguments.experiment, arguments.overrides)
        from framework.tasks.language import test as ask_all

        return ask_all(asking).status
    config = configs.load(arguments.experiment, arguments.overrides)
    from framework.tasks.run import test

    return test(config).status


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
    options, reader = configs.options(arguments.options), configs.options(arguments.reader)
    given = arguments
    made = write(given.name, given.root, given.out, given.split, options, reader, given.views, given.apart)
    shown = "views" if given.apart else "samples"
    print(f"{made.path}: {made.entries} conversations, {made.yes} about anomalous {shown}, {made.no} about normal ones")
    return 0


def ask(arguments: argparse.Namespace) -> int:
    """Ask a language model about a picture, cloud or scan; without a question, talk about it."""
    from framework.tasks.ask import ask

    options = {name: getattr(arguments, name) for name in ASKER}
    reader, given = configs.options(arguments.reader), arguments
    ask(given.checkpoint, given.file, given.question, given.out, given.json, options, reader, given.domain)
    return 0


def serve(arguments: argparse.Namespace) -> int:
    """Show a web page that takes a file of any domain, shows what the model sees, and answers questions."""
    from framework.web.server import serve

    options = {name: getattr(arguments, name) for name in ASKER}
    reader = configs.options(arguments.reader)
    serve(arguments.checkpoint, options, arguments.host, arguments.port, arguments.most_mb, reader)
    return 0


def predict(arguments: argparse.Namespace) -> int:
    """Score files: one JSON line each, and a map in the file's own geometry."""
    import json

    reader = configs.options(arguments.reader)
    from framework.tasks.predict import predict

    lines = predict(arguments.checkpoint, arguments.files, arguments.out, arguments.weights, arguments.device, reader)
    for line in lines:
        print(json.dumps(line))
    return 2 if any("error" in line for line in lines) else 0


def leaderboard(arguments: argparse.Namespace) -> int:
    """Merge the rows of many runs into one table and matrix."""
    from framework.leaderboard import leaderboard

    text = leaderboard(arguments.paths, arguments.format, arguments.out)
    if arguments.out is None:
        print(text)
    return 0


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, like every other mistake."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}. See `{self.prog} --help`.")


def _version() -> str:
    try:
        return importlib.metadata.version("anomaly-ov")
    except importlib.metadata.PackageNotFoundError:  # a checkout on PYTHONPATH
        return "not installed"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="anomaly-ov", description="Find anomalies in photographs, point clouds and medical scans.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)

    def verb(name: str, run: object) -> argparse.ArgumentParser:
        text = (run.__doc__ or "").splitlines()[0]
        made = verbs.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    p = verb("quickstart", quickstart)
    p.add_argument("--out", type=Path, default=Path("quickstart"), help="folder to write to (default: quickstart)")
    for name, run in (("check", check), ("fit", fit), ("test", test)):
        p = verb(name, run)
        p.add_argument("experiment", type=Path, help="a YAML file, see experiments/README.md")
        p.add_argument("overrides", nargs="*", default=[], metavar="key=value", help="for example optim.lr=1e-3")
    p = verb("datasets", datasets)
    text = "module of your own that registers sets or domains, on PYTHONPATH"
    p.add_argument("--plugin", dest="plugins", action="append", default=[], metavar="MODULE", help=text)
    actions = p.add_subparsers(dest="action", metavar="check", parser_class=_Parser)
    p = actions.add_parser("check", help="look through a set on disk", description="Look through a set on disk.")
    p.add_argument("name", help="domain/dataset, as `anomaly-ov datasets` lists it")
    p.add_argument("root", type=Path, help="its folder")
    p.add_argument("--split", default=None, help="only this split")
    p.add_argument("--option", dest="options", action="append", default=[], metavar="key=value", help="of the dataset")
    p.add_argument("--reader", action="append", default=[], metavar="key=value", help="option of the domain's reader")
    p = verb("predict", predict)
    p.add_argument("--checkpoint", type=Path, required=True, help="written by `anomaly-ov fit`")
    p.add_argument("--out", type=Path, default=Path("predictions"), help="folder to write to (default: predictions)")
    p.add_argument("--weights", default="", help="the backbone's weights, where they are not where training had them")
    p.add_argument("--device", default="", help="cpu or cuda (default: cuda where there is one)")
    p.add_argument(
        "--reader", action="append", default=[], metavar="key=value", help="reader option, instead of that of training"
    )
    p.add_argument("files", nargs="+", type=Path, metavar="FILE")
    _language_verbs(verb)
    p = verb("leaderboard", leaderboard)
    p.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="run folders, or folders of them")
    p.add_argument("--format", choices=["markdown", "csv", "latex", "html"], default="markdown")
    p.add_argument("--out", type=Path, default=None, help="file to write instead of printing")
    return parser


def _language_verbs(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Verbs of the language model."""
    p = verb("convert", convert)
    p.add_argument("source", type=Path, help="published checkpoint, llava-hf folder, bare expert, or tuned.safetensors")
    p.add_argument("out", type=Path, help="folder to write")
    p.add_argument("--expert", type=Path, default=None, help="expert weights, published or expert.ckpt of a run")
    p.add_argument("--base", type=Path, default=None, help="model that a bare expert or a tuned checkpoint belongs to")
    p.add_argument("--tokenizer", type=Path, default=None, help="folder of the tokenizer, where SOURCE has none")
    p = verb("instruct", instruct)
    p.add_argument("name", help="domain/dataset, as `anomaly-ov datasets` lists it")
    p.add_argument("root", type=Path, help="its folder")
    p.add_argument("--out", type=Path, required=True, help="folder to write conversations.json and views to")
    p.add_argument("--split", default=None, help="only this split")
    p.add_argument("--views", type=int, default=4, help="most pictures of a cloud or scan (default: 4)")
    p.add_argument("--apart", action="store_true", help="ask about each view alone, labelled by what it shows")
    p.add_argument("--plugin", dest="plugins", action="append", default=[], metavar="MODULE", help="of your own")
    p.add_argument("--option", dest="options", action="append", default=[], metavar="key=value", help="of the dataset")
    p.add_argument("--reader", action="append", default=[], metavar="key=value", help="option of the domain's reader")
    p = verb("ask", ask)
    p.add_argument("--checkpoint", type=Path, required=True, help="folder of `convert`, or tuned.safetensors of a run")
    p.add_argument("--base", default="", help="the model of a tuned checkpoint, where it is not where it was tuned")
    p.add_argument("--out", type=Path, default=Path("answers"), help="folder for the maps (default: answers)")
    p.add_argument("--views", type=int, default=4, help="most pictures of a cloud or scan (default: 4)")
    p.add_argument("--device", default="", help="cpu or cuda (default: cuda where there is one)")
    p.add_argument("--dtype", choices=["auto", "float32", "bfloat16", "float16"], default="auto")
    p.add_argument("--reader", action="append", default=[], metavar="key=value", help="option of the domain's reader")
    p.add_argument("--domain", default="", help="that reads the file (default: the first that reads its kind)")
    p.add_argument("--json", action="store_true", help="one JSON object instead of text")
    p.add_argument("file", type=Path, metavar="FILE")
    p.add_argument("question", nargs="?", default=None, metavar="QUESTION", help="in quotes; none: talk")
    p = verb("serve", serve)
    p.add_argument("--checkpoint", type=Path, required=True, help="folder of `convert`, or tuned.safetensors of a run")
    p.add_argument("--base", default="", help="the model of a tuned checkpoint, where it is not where it was tuned")
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)")
    p.add_argument("--port", type=int, default=7860, help="0 takes a free one (default: 7860)")
    p.add_argument("--views", type=int, default=4, help="most pictures of a cloud or scan (default: 4)")
    p.add_argument("--device", default="", help="cpu or cuda (default: cuda where there is one)")
    p.add_argument("--dtype", choices=["auto", "float32", "bfloat16", "float16"], default="auto")
    p.add_argument("--reader", action="append", default=[], metavar="key=value", help="of the domains that have it")
    p.add_argument("--most-mb", type=int, default=200, help="largest file that is taken, in MB (default: 200)")


if __name__ == "__main__":
    sys.exit(main())
