"""Run folders in, one leaderboard out: rows, how they are kept, and how they are shown. Importing this is cheap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from framework.errors import UserError
from framework.files import write_whole
from framework.registry import unknown

if TYPE_CHECKING:
    from framework.leaderboard.rows import Row

Format = Literal["markdown", "csv", "latex", "html", "parquet", "every_eval_ever"]

BINARY = ("parquet", "every_eval_ever")


def leaderboard(
    paths: Sequence[Path],
    fmt: Format,
    out: Path | None,
    title: str = "Leaderboard",
    notes: Sequence[str] = (),
    beside: str = "",
    pictures: bool = True,
    metrics: Sequence[str] = (),
) -> str:
    """Merge the rows of many runs into one table and transfer matrix.

    "parquet" and "every_eval_ever" need ``out``: the first writes all rows as one file, which is read again like a run,
    the second a folder of files of the Every Eval Ever schema.

    Args:
        paths: run folders, folders of runs, or Parquet files of rows.
        fmt: what to make.
        out: file to write, whole or not at all; None writes none.
        title: headline of the HTML page.
        notes: sentences under it.
        beside: published numbers to make a table with instead, a name or a file; not as a page.
        pictures: whether a page has those of samples, which not everybody may pass on.
        metrics: only these, as ("sample_auroc", "element_aupro_lineage"); none: all but ``LEGACY``, which a page has.

    Returns:
        The text, also where it was written to ``out``; of these two formats a line that says what was written.

    Raises:
        UserError: nothing to read, a file that cannot be read, no row of a metric that is asked for, rows that cannot
            be compared, ``out`` not writable.
    """
    from framework.leaderboard.render import tables
    from framework.leaderboard.scores import Stored
    from framework.leaderboard.store import load

    if fmt not in get_args(Format):
        raise UserError(f"leaderboard: no format {fmt!r}. Known: {', '.join(get_args(Format))}.")
    if beside and fmt not in ("markdown", "latex", "csv"):
        raise UserError(f"--beside: goes with markdown, latex or csv, not with {fmt!r}.")
    if not pictures and fmt != "html":
        raise UserError(f"--without-pictures: goes with html, not with {fmt!r}, which has none.")
    if fmt in BINARY:
        return _write(_asked(load(paths), metrics), fmt, out)
    if out is not None and out.is_dir():
        raise UserError(f"{out}: is a folder; name the file to write.")
    rows = _asked(load(paths), metrics)
    if beside:
        from framework.leaderboard.render.beside import beside as set_beside

        text = set_beside(rows, beside, fmt)
    elif fmt == "html":
        text = _page(rows, paths, title, notes, pictures)
    elif fmt == "csv":
        text = tables.csv(rows, Stored(paths))
    else:
        text = {"markdown": tables.markdown, "latex": tables.latex}[fmt](rows, Stored(paths), legacy=bool(metrics))
    if out is not None:
        write_whole(out, text.encode())
    return text


def _page(rows: list[Row], paths: Sequence[Path], title: str, notes: Sequence[str], pictures: bool) -> str:
    """With all pairs, and the pictures of runs that no newer one has taken the place of."""
    from framework.leaderboard.apart import newest
    from framework.leaderboard.matrix import matrices
    from framework.leaderboard.render.page import page
    from framework.leaderboard.render.standing import standings
    from framework.leaderboard.scores import Stored
    from framework.leaderboard.store import load_gallery, load_records

    current = {row.run for row in newest(rows)}
    gallery = [item for item in load_gallery(paths) if item["run"] in current] if pictures else []
    found = [pair for each in standings(matrices(rows), Stored(paths)) for pair in each.pairs]
    return page(rows, gallery, title, list(notes), load_records(paths), found)


def _asked(rows: list[Row], metrics: Sequence[str]) -> list[Row]:
    """The rows of some metrics, or all."""
    known = [f"{row.level}_{row.metric}" for row in rows]
    for metric in metrics:
        if metric not in known:
            raise UserError(f"--metric: {unknown('metric of these runs', metric, known)}")
    return [row for row, name in zip(rows, known, strict=True) if not metrics or name in metrics]


def _write(rows: list[Row], fmt: Format, out: Path | None) -> str:
    """What is no text."""
    from framework.leaderboard.columns import write_rows
    from framework.leaderboard.exchange import export

    if out is None:
        raise UserError(f"leaderboard: --format {fmt} needs --out, {'a file' if fmt == 'parquet' else 'a folder'}.")
    if fmt == "every_eval_ever":
        return f"{out}: {len(rows)} results in {len(export(rows, out))} files of the Every Eval Ever schema"
    write_rows(rows, out)
    return f"{out}: {len(rows)} rows"
