"""Counts in; that a threshold which keeps to a limit exactly qualifies, and one beyond it does not, out."""

from __future__ import annotations

import numpy as np

from framework.leaderboard.statistics.counts import FLAGGED, operating_points


def found(blobs, normal=0, scans=10, limit=1.0):
    """1000 normal voxels, 4 lesions; the lower of two thresholds finds them all, at so many blobs and normal voxels."""
    hist = np.zeros((1, 3, 4))
    hist[0, 0, 0], hist[0, 0, 2] = 1000 - normal, normal
    hist[0, 1, 2] = blobs
    hist[0, 2, 2:] = 3, 1
    shares, bins = operating_points(hist, np.array([scans]), limit)
    return float(shares[0]), int(bins[0])


def test_a_threshold_qualifies_up_to_its_limits_and_not_beyond():
    whole, part = (1.0, 2), (0.25, 3)
    assert found(blobs=10) == whole and found(blobs=11) == part
    assert found(blobs=20, limit=2.0) == whole and found(blobs=10, scans=9) == part
    most = int(1000 * FLAGGED)
    assert found(blobs=0, normal=most) == whole and found(blobs=0, normal=most + 1) == part
