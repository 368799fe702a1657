"""Rows that come in parts -> at most so many of them, chosen at random, whatever came in one part."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class Choice:
    """Keeps rows up to a number; of more a random choice, the same in every process and for every seed.

    Each row draws a number as it comes, and the lowest stay: so every row is as likely to stay as any other, and up to
    twice ``most`` are held at once.

    Args:
        most: rows that are kept, at least 1.
    """

    def __init__(self, most: int) -> None:
        self.most, self.seen, self._held = most, 0, 0
        self._rows: list[Tensor] = []
        self._marks: list[Tensor] = []
        self._lots: list[np.ndarray] = []
        self._random = np.random.default_rng(0)

    def __len__(self) -> int:
        return self._held

    def add(self, rows: Tensor, marks: Tensor) -> None:
        """Show some rows.

        Args:
            rows: ``(n, D)``; what is kept of them is kept on the CPU.
            marks: ``(n,)``, what is to be remembered of each.
        """
        self._rows.append(rows.cpu())
        self._marks.append(marks.cpu())
        self._lots.append(self._random.random(len(rows)))
        self.seen += len(rows)
        self._held += len(rows)
        if self._held > 2 * self.most:
            self._thin()

    def taken(self) -> tuple[Tensor, Tensor]:
        """Those that were chosen, ``(k, D)`` in their order, and their marks ``(k,)``.

        Raises:
            ValueError: no row was shown.
        """
        if not self._held:
            raise ValueError("a choice of no rows")
        self._thin()
        return self._rows[0], self._marks[0]

    def _thin(self) -> None:
        lots = np.concatenate(self._lots)
        chosen = np.sort(np.argsort(lots, kind="stable")[: self.most])
        index = torch.from_numpy(chosen)
        self._rows, self._marks = [torch.cat(self._rows)[index]], [torch.cat(self._marks)[index]]
        self._lots, self._held = [lots[chosen]], len(chosen)
