"""The command ``anomaly-ov``: one verb, one function. A user's mistake is one line and exit status 2."""

from __future__ import annotations

import argparse
import errno
import importlib.metadata
import os
import re
import sys
from pathlib import Path
from typing import NoReturn

from framework import config as configs
from framework.errors import UserError

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
    """Train the expert, test it on every set under test, write a run."""
    config = configs.load(arguments.experiment, arguments.overrides)
    from framework.tasks.run import fit

    return fit(config).status


def test(arguments: argparse.Namespace) -> int:
    """Test a trained expert on every set under test, write a run."""
    config = configs.load(arguments.experiment, arguments.overrides)
    from framework.tasks.run import test

    return test(config).status


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
    p = verb("leaderboard", leaderboard)
    p.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="run folders, or folders of them")
    p.add_argument("--format", choices=["markdown", "csv", "latex", "html"], default="markdown")
    p.add_argument("--out", type=Path, default=None, help="file to write instead of printing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
