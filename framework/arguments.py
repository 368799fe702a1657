"""The options of each verb, put into its parser; ``ARGUMENTS`` names them all."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _pairs(p: argparse.ArgumentParser, name: str, text: str, **options: Any) -> None:
    """An option that is given as key=value, any number of times."""
    p.add_argument(name, action="append", default=[], metavar="key=value", help=text, **options)


def _quickstart(p: argparse.ArgumentParser) -> None:
    p.add_argument("--out", type=Path, default=Path("quickstart"), help="folder to write to (default: quickstart)")


def _experiment(p: argparse.ArgumentParser) -> None:
    p.add_argument("experiment", type=Path, help="a YAML file, see experiments/README.md")
    p.add_argument("overrides", nargs="*", default=[], metavar="key=value", help="for example optim.lr=1e-3")


def _rate(p: argparse.ArgumentParser) -> None:
    p.add_argument("experiment", type=Path, help="a YAML file that names the sets under test")
    p.add_argument("scores", type=Path, help="csv with columns path, score and map, or npz with paths, scores and maps")
    text = "model=NAME, what to call the method; trained_on=SET+SET; backbone=NAME; and overrides of the experiment"
    p.add_argument("overrides", nargs="*", default=[], metavar="key=value", help=text)


def _transfer(p: argparse.ArgumentParser) -> None:
    p.add_argument("matrix", type=Path, help="a YAML file, see experiments/transfer/")
    p.add_argument("overrides", nargs="*", default=[], metavar="key=value", help="for example seeds=[0,1]")
    p.add_argument("--jobs", type=int, default=1, metavar="N", help="processes at once, sharing the cores (default: 1)")
    text = "only every N-th cell from the I-th (default: as SLURM's job array says, or all)"
    p.add_argument("--part", type=_part, default=None, metavar="I/N", help=text)
    p.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)  # what --jobs starts


def _part(text: str) -> tuple[int, int]:
    """The text 2/8 -> (2, 8)."""
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N, for example 1/8")
    return int(number), int(of)


def _datasets(p: argparse.ArgumentParser) -> None:
    text = "module of your own that registers sets or domains, on PYTHONPATH"
    p.add_argument("--plugin", dest="plugins", action="append", default=[], metavar="MODULE", help=text)
    actions = p.add_subparsers(dest="action", metavar="check")
    p = actions.add_parser("check", help="look through a set on disk", description="Look through a set on disk.")
    _set(p)
    text = "another set to look for the same files in; any number of times"
    p.add_argument("--against", action="append", default=[], metavar="NAME:FOLDER", help=text)


def _set(p: argparse.ArgumentParser) -> None:
    """A set on disk."""
    p.add_argument("name", help="domain/dataset, as `anomaly-ov datasets` lists it")
    p.add_argument("root", type=Path, help="its folder")
    p.add_argument("--split", default=None, help="only this split")
    _pairs(p, "--option", "of the dataset", dest="options")
    _pairs(p, "--reader", "option of the domain's reader")


def _predict(p: argparse.ArgumentParser) -> None:
    p.add_argument("--checkpoint", type=Path, required=True, help="written by `anomaly-ov fit`")
    p.add_argument("--out", type=Path, default=Path("predictions"), help="folder to write to (default: predictions)")
    p.add_argument("--weights", default="", help="the backbone's weights, where they are not where training had them")
    _device(p)
    _pairs(p, "--reader", "reader option, instead of that of training")
    text = "write the scores alone, no page to turn a cloud in and no sheet of its views"
    p.add_argument("--no-pictures", dest="pictures", action="store_false", help=text)
    p.add_argument("files", nargs="+", type=Path, metavar="FILE")


def _convert(p: argparse.ArgumentParser) -> None:
    p.add_argument("source", type=Path, help="published checkpoint, llava-hf folder, bare expert, or tuned.safetensors")
    p.add_argument("out", type=Path, help="folder to write")
    p.add_argument("--expert", type=Path, default=None, help="expert weights, published or expert.ckpt of a run")
    p.add_argument("--base", type=Path, default=None, help="model that a bare expert or a tuned checkpoint belongs to")
    p.add_argument("--tokenizer", type=Path, default=None, help="folder of the tokenizer, where SOURCE has none")


def _instruct(p: argparse.ArgumentParser) -> None:
    _set(p)
    p.add_argument("--out", type=Path, required=True, help="folder to write conversations.json and views to")
    _views(p)
    _captions(p)
    p.add_argument("--apart", action="store_true", help="ask about each view alone, labelled by what it shows")
    p.add_argument("--plugin", dest="plugins", action="append", default=[], metavar="MODULE", help="of your own")


def _ask(p: argparse.ArgumentParser) -> None:
    _asker(p)
    p.add_argument("--out", type=Path, default=Path("answers"), help="folder for the maps (default: answers)")
    _pairs(p, "--reader", "option of the domain's reader")
    p.add_argument("--domain", default="", help="that reads the file (default: the first that reads its kind)")
    p.add_argument("--json", action="store_true", help="one JSON object instead of text")
    p.add_argument("file", type=Path, metavar="FILE")
    p.add_argument("question", nargs="?", default=None, metavar="QUESTION", help="in quotes; none: talk")


def _serve(p: argparse.ArgumentParser) -> None:
    _asker(p)
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)")
    p.add_argument("--port", type=int, default=7860, help="0 takes a free one (default: 7860)")
    _pairs(p, "--reader", "of the domains that have it")
    p.add_argument("--most-mb", type=int, default=200, help="largest file that is taken, in MB (default: 200)")


def _asker(p: argparse.ArgumentParser) -> None:
    """A language model."""
    p.add_argument("--checkpoint", type=Path, required=True, help="folder of `convert`, or tuned.safetensors of a run")
    p.add_argument("--base", default="", help="the model of a tuned checkpoint, where it is not where it was tuned")
    _views(p)
    _captions(p)
    _device(p)
    p.add_argument("--dtype", choices=["auto", "float32", "bfloat16", "float16"], default="auto")


def _views(p: argparse.ArgumentParser) -> None:
    p.add_argument("--views", type=int, default=4, help="most pictures of a cloud or scan (default: 4)")


def _captions(p: argparse.ArgumentParser) -> None:
    text = "do not say what the views of a cloud or scan show: the prompt is as published"
    p.add_argument("--no-captions", dest="captions", action="store_false", help=text)


def _device(p: argparse.ArgumentParser) -> None:
    p.add_argument("--device", default="", help="cpu or cuda (default: cuda where there is one)")


def _synthesize(p: argparse.ArgumentParser) -> None:
    p.add_argument("domain", help="that makes the defects: pointcloud or medical")
    p.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="clean shapes; or healthy scans and pictures, or folders"
    )
    p.add_argument("--out", type=Path, required=True, help="folder to make")
    p.add_argument("--seed", type=int, default=0, help="of everything (default: 0)")
    p.add_argument("--samples", type=int, help="of shapes, over all files, half of them spoiled (default: 60)")
    p.add_argument("--each", type=int, help="spoiled twins of each scan or picture (default: 1)")
    p.add_argument("--size", help='of lesions: "8..30 mm", "10..40 px" of pictures, any (default), small or large')
    p.add_argument("--kinds", type=_names, help="of defect, with commas between (default: all in turn)")
    p.add_argument("--amplitude", help='"3 pitch", "0.05 size", "2..6 pitch", the larger of "0.05 size, 3 pitch"')
    p.add_argument("--format", help="layout of the set: real3d (default) or folder, where meshes stay meshes")
    p.add_argument("--points", type=int, help="of a cloud, a third more or less (default: 18000)")
    p.add_argument("--plugin", dest="plugins", action="append", default=[], metavar="MODULE", help="of your own")


def _names(text: str) -> list[str]:
    """Names with commas between."""
    return [name.strip() for name in text.split(",")]


def _leaderboard(p: argparse.ArgumentParser) -> None:
    p.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="run folders, or folders of them")
    formats = ["markdown", "csv", "latex", "html", "parquet", "every_eval_ever"]
    p.add_argument("--format", choices=formats, default="markdown")
    p.add_argument("--out", type=Path, default=None, help="file (every_eval_ever: folder) to write instead of printing")
    text = "published numbers to print beside: a name (table2) or a file, see experiments/published/"
    p.add_argument("--beside", default="", metavar="NAME", help=text)
    text = "only this metric, as sample_auroc or element_aupro_lineage; any number of times"
    p.add_argument("--metric", dest="metrics", action="append", default=[], metavar="NAME", help=text)
    text = "html: leave out pictures of samples, where they must not be passed on"
    p.add_argument("--without-pictures", dest="pictures", action="store_false", help=text)
    p.epilog = "Also: leaderboard verify, merge and rescore; see their --help."


def _verify(p: argparse.ArgumentParser) -> None:
    p.add_argument("folder", type=Path, metavar="RUN", help="a run folder")
    p.add_argument("overrides", nargs="*", default=[], metavar="key=value", help="for example trainer.devices=1")
    text = "only this test set; any number of times"
    p.add_argument("--set", dest="sets", action="append", default=[], metavar="NAME", help=text)
    text = "difference, in [0, 1], up to which a row holds (default: half of the last digit shown, 0.0005)"
    p.add_argument("--tolerance", type=float, default=5e-4, help=text)


def _rescore(p: argparse.ArgumentParser) -> None:
    p.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="run folders, or folders of them")
    p.add_argument("--out", type=Path, default=None, help="folder that new runs are added to (default: beside each)")


def _merge(p: argparse.ArgumentParser) -> None:
    p.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="run folders, or folders of them")
    p.add_argument("--out", type=Path, required=True, help="folder of runs to copy them to")


ARGUMENTS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "quickstart": _quickstart,
    "check": _experiment,
    "fit": _experiment,
    "test": _experiment,
    "rate": _rate,
    "transfer": _transfer,
    "datasets": _datasets,
    "predict": _predict,
    "convert": _convert,
    "instruct": _instruct,
    "ask": _ask,
    "serve": _serve,
    "synthesize": _synthesize,
    "leaderboard": _leaderboard,
    "leaderboard verify": _verify,
    "leaderboard merge": _merge,
    "leaderboard rescore": _rescore,
}
