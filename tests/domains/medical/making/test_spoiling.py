from functools import lru_cache

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from domains.medical.making import frames, lesions
from domains.medical.making.host import Host, grey, noise, study
from domains.medical.making.shapes import site_at
from domains.medical.making.sizes import Size, parse
from domains.medical.making.spoiling import KINDS, NoPlaceError, spoil
from domains.medical.phantom import SPACING_MM
from domains.medical.procedural import Plan, draw


@lru_cache(maxsize=128)
def head(patient: int = 0, contrast: str = "flair") -> Host:
    return study(draw(Plan("a", (9, patient, 0), 0, ""), contrast)[0], SPACING_MM)


def ball(shape=(48, 48, 48), spacing=(1.0, 1.0, 1.0), seed=0) -> np.ndarray:
    """Tissue with structure and noise in a ball of 40 mm, float32; air around is 0."""
    rng = np.random.default_rng(seed)
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)]
    away = np.sqrt(sum(a * a for a in np.meshgrid(*axes, indexing="ij")))
    rough = ndimage.gaussian_filter(rng.normal(size=shape), [4 / s for s in spacing])
    tissue = 600 + 100 * rough / rough.std() + rng.normal(0, 15, shape)
    return np.where(away < 20, tissue.clip(200, 1000), 0).astype(np.float32)


def test_kinds_are_those_that_the_dataset_offers():
    assert KINDS == frames.KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64, np.int32])
def test_outside_of_the_mask_every_voxel_stays_and_inside_the_change_shows(kind, dtype):
    host = study(ball().astype(dtype), (1.0, 1.0, 1.0))
    made = spoil(host, kind, (3,))
    values, mask = made.values, made.mask
    assert values.dtype == dtype and values.shape == host.values.shape and mask.shape == host.shape
    assert_array_equal(values[~mask], host.values[~mask])
    change = grey(values)[mask] - grey(host.values)[mask]
    inside = grey(host.values) > 0
    assert (change**2).mean() ** 0.5 > 2 * noise(grey(host.values), inside)
    assert 12 <= mask.sum() < 0.3 * inside.sum()
    assert host.least <= values.min() and values.max() <= host.most  # no new extremes, nothing wraps around


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_every_voxel(kind):
    first, again, other = (spoil(head(), kind, (seed,)) for seed in (5, 5, 6))
    assert_array_equal(first.values, again.values)
    assert_array_equal(first.mask, again.mask)
    assert (first.mask != other.mask).any()


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "artefact"])
def test_a_size_is_in_millimetres_whatever_the_voxels_are(kind):
    """Ball phantoms of 1 x 1 x 1 and 1 x 1 x 5 mm: the lesion is as large in both, and no wider than asked for."""
    found = {}
    for thick in (1.0, 5.0):
        shape, spacing = (48, 48, int(48 / thick)), (1.0, 1.0, thick)
        host = study(ball(shape, spacing), spacing)
        boxes = []
        for seed in range(6):
            mask = spoil(host, kind, (seed,), Size(10, 10)).mask
            extent = [np.ptp(np.flatnonzero(mask.any(axes))) for axes in ((1, 2), (0, 2), (0, 1))]
            boxes.append(np.array(extent) * spacing)
        found[thick] = np.median(boxes, 0)
    most = 10 * (3.0 if kind in ("mass", "foci") else 1.6)
    for thick, extent in found.items():
        assert (extent <= most + thick).all() and extent.max() > 3, (thick, extent)
    assert abs(found[1.0][2] - found[5.0][2]) <= 8


@pytest.mark.parametrize("kind", KINDS)
def test_a_colour_picture_changes_in_its_colours_and_a_grey_one_stays_grey(kind):
    rng = np.random.default_rng(2)
    base = ball((96, 96, 1), (0.5, 0.5, 1.0))[:, :, 0] / 4
    colour = (base[..., None] * [1.0, 0.6, 0.5] + rng.normal(0, 2, (96, 96, 3)) * (base > 0)[..., None]).clip(0, 255)
    for picture in (colour.astype(np.uint8), base.astype(np.uint8)[..., None].repeat(3, -1)):
        made = spoil(study(picture, (1.0, 1.0)), kind, (1,))
        values, mask = np.broadcast_to(made.values, (96, 96, 1, 3))[:, :, 0], made.mask[:, :, 0]
        assert values.dtype == np.uint8
        assert_array_equal(values[~mask], picture[~mask])
        assert (values[mask] != picture[mask]).any()


def test_pushed_tissue_does_not_fold():
    """A wave that grows along one axis, seen through the displacement: no ray from the centre runs backwards."""
    x = np.arange(64, dtype=np.float32)
    away = np.sqrt(((np.stack(np.meshgrid(x, x, x, indexing="ij")) - 31.5) ** 2).sum(0))
    site = site_at(study(away, (1.0, 1.0, 1.0)), np.full(3, 31.5), 8.0, 27.0)
    rng = np.random.default_rng(0)
    for _ in range(5):
        made = lesions.mass(site, rng)
        if made is None:
            continue
        line = made[0][27, 27, 27:, 0][11:]  # beyond the lump's soft edge
        assert (np.diff(line) > -0.05).all()
        outside = ~made[1]
        assert np.abs(made[0][outside] - site.patch[outside]).max() < 2.0  # a quarter of a voxel, and noise


def test_slices_of_an_artefact_lie_in_one_slab():
    mask = spoil(head(), "artefact", (4,)).mask
    thickness = [np.ptp(np.flatnonzero(mask.any(axes))) + 1 for axes in ((1, 2), (0, 2), (0, 1))]
    assert min(t * s for t, s in zip(thickness, SPACING_MM, strict=True)) <= 12


def test_lesions_lie_all_over_the_body_and_not_in_air():
    middles = []
    for seed in range(24):
        mask = spoil(head(seed % 4), "blob", (seed,)).mask
        assert (grey(head(seed % 4).values) > head(seed % 4).threshold)[mask].mean() > 0.9
        middles.append(np.argwhere(mask).mean(0))
    assert (np.ptp(middles, 0) > 0.35 * np.array(head().shape)).all()


def test_some_lesions_are_bright_and_some_dark():
    brighter = [
        grey(made.values)[made.mask].mean() > grey(made.host.values)[made.mask].mean()
        for made in (spoil(head(seed % 4, "t1" if seed % 2 else "flair"), "blob", (seed,)) for seed in range(24))
    ]
    assert 0.2 < np.mean(brighter) < 0.8


def test_no_place_is_one_line():
    with pytest.raises(NoPlaceError, match=r"^volume: no place for a lesion of kind 'blob' that shows; leave"):
        spoil(head(), "blob", (0,), parse("500 mm"))


def numbers(values: np.ndarray) -> dict[str, float]:
    """What tells something of a scan without a look at the lesion."""
    plain = values[..., 0].astype(np.float32)
    return {
        "mean": float(plain.mean()),
        "spread": float(plain.std()),
        "brightest": float(np.percentile(plain, 99.9)),
        "range": float(np.ptp(plain)),
        "zeros": float((values == 0).sum()),
        "noise": noise(plain, plain > plain.mean()),
    }


def test_no_shortcut_tells_spoiled_scans_from_their_twins():
    labels, cues = [], []
    for number in range(63):
        host = study(
            np.rint(np.exp(0.1 * np.sin(number)) * ball((40, 40, 20), (1.1, 1.1, 2.2), number)), (1.1, 1.1, 2.2)
        )
        made = spoil(host, KINDS[number % len(KINDS)], (number,))
        labels += [False, True]
        cues += [numbers(host.values), numbers(made.values)]
    for name in cues[0]:
        assert 0.4 < roc_auc_score(labels, [c[name] for c in cues]) < 0.6, name
