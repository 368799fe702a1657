"""What the domains' tests share: what chance alone lets a shortcut find in a procedural set."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

Tells = Callable[[Mapping[str, Sequence[float]], Sequence[bool]], dict[str, float]]


@pytest.fixture
def tells() -> Tells:
    """Names and AUROCs of the controls that tell anomalous samples from normal ones better than chance does.

    Three standard errors of the AUROC of numbers that say nothing, sqrt((m + n + 1) / (12 m n)) for m anomalous and n
    normal samples (Mann and Whitney 1947), count as chance: one set in twenty fails when it has 18 controls.
    """

    def found(controls: Mapping[str, Sequence[float]], labels: Sequence[bool]) -> dict[str, float]:
        m, n = int(np.sum(labels)), int(np.sum(~np.asarray(labels)))
        chance = 3 * np.sqrt((m + n + 1) / (12 * m * n))
        aurocs = {name: float(roc_auc_score(labels, values)) for name, values in controls.items()}
        return {name: auroc for name, auroc in aurocs.items() if abs(auroc - 0.5) > chance}

    return found
