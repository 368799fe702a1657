"""Run folders in, one leaderboard out: rows, how they are kept, and how they are shown. Importing this is cheap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from framework.errors import UserError
from framework.files import write_whole

Format = Literal["markdown", "csv", "latex", "html"]


def leaderboard(
    paths: Sequence[Path], fmt: Format, out: Path | None, title: str = "Leaderboard", notes: Sequence[str] = ()
) -> str:
    """Merge the rows of many runs into one table and transfer matrix.

    Args:
        paths: run folders, folders of runs, or Parquet files of rows.
        fmt: what to make.
        out: file to write, whole or not at all; None writes none.
        title: headline of the HTML page.
        notes: sentences under it.

    Returns:
        The text, also where it was written to ``out``.

    Raises:
        UserError: nothing to read, a file that cannot be read, rows that cannot be compared, ``out`` not writable.
    """
    from framework.leaderboard.matrix import newest
    from framework.leaderboard.render import tables
    from framework.leaderboard.render.page import page
    from framework.leaderboard.store import load, load_gallery

    if out is not None and out.is_dir():
        raise UserError(f"{out}: is a folder; name the file to write.")
    if fmt not in get_args(Format):
        raise UserError(f"leaderboard: no format {fmt!r}. Known: {', '.join(get_args(Format))}.")
    rows = load(paths)
    if fmt == "html":
        current = {row.run for row in newest(rows)}
        gallery = [item for item in load_gallery(paths) if item["run"] in current]
        text = page(rows, gallery, title, list(notes))
    else:
        text = {"markdown": tables.markdown, "csv": tables.csv, "latex": tables.latex}[fmt](rows)
    if out is not None:
        write_whole(out, text.encode())
    return text
