"""A body, a kind of defect and a seed in; a spoiled cloud with its labels, or its healthy twin, out.

Twins share everything but the defect: the points drawn, the noise, the pose, how many points there are. Where the
spoiled cloud has lost points, further points of the same scan fill it up, so that their number does not tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from domains.pointcloud.making import amplitude
from domains.pointcloud.making.body import Body, Skin, inside
from domains.pointcloud.making.procedural import turn
from domains.pointcloud.making.spoiling import KINDS, Defect
from framework.errors import UserError

VISIBLE_PITCH = 0.3  # a point that would move less stays where it is and is not labelled
SPARE = 1.25  # more points are drawn than kept
SHARE = (0.01, 0.03)  # of the skin that a defect is meant to touch
LABELLED = (0.001, 0.2)  # least and most of the points, or the place is given up
FEWEST = 8  # labelled points
TRIES = 24  # places
NOISE_PITCH = (0.05, 0.2)  # standard deviation of a scanner
SCAN, SENSOR, SPOIL = range(3)  # streams of chance


class NoPlaceError(UserError):
    """A body on which a defect of this kind and amplitude fits nowhere."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be made.

    Attributes:
        kind: a name of ``spoiling.KINDS``.
        amounts: how far it moves the surface.
        seed: of everything; twins have the same.
    """

    kind: str
    amounts: tuple[amplitude.Amount, ...]
    seed: tuple[int, ...]

    def stream(self, number: int) -> np.random.Generator:
        """One of the independent streams of chance."""
        return np.random.default_rng([*self.seed, number])


@dataclass(frozen=True, slots=True)
class Effect:
    """What a defect makes of points of a body.

    Attributes:
        points: ``(N, 3)`` where they are now; those that would hardly move are where they were, to the bit.
        labels: ``(N,)`` bool, the moved ones.
        kept: ``(N,)`` bool, those that are still there.
        fresh: ``(M, 3)`` points that have come to light, all of them spoiled.
    """

    points: np.ndarray
    labels: np.ndarray
    kept: np.ndarray
    fresh: np.ndarray


def cloud(body: Body, wish: Wish, count: tuple[int, int], spoiled: bool) -> tuple[np.ndarray, np.ndarray]:
    """``(N, 3)`` float64 points in the units of the file, in random order, and ``(N,)`` bool, the spoiled ones.

    Args:
        body: what it is a scan of.
        wish: what is made.
        count: least and most points; fewer where a cloud to draw from has not enough.
        spoiled: False for the healthy twin.

    Raises:
        NoPlaceError: the defect finds no place on this body.
    """
    scan, sensor, skin = wish.stream(SCAN), wish.stream(SENSOR), body.skin
    most = int(len(skin) / SPARE)
    number = int(scan.integers(min(count[0], int(0.8 * most)), min(count[1], most) + 1))
    drawn = thinned(skin, int(number * SPARE), scan)
    pitch = skin.pitch * np.sqrt(len(skin) / number)
    sigma = sensor.uniform(*NOISE_PITCH) * pitch
    noise = sensor.normal(0, sigma, (len(drawn), 3))
    turned, shift = turn(sensor), sensor.normal(0, 0.05, 3)
    points, labels = drawn.points + noise, np.zeros(len(drawn), bool)
    if spoiled:
        rng = wish.stream(SPOIL)
        effect = place(body, wish, drawn, pitch, rng)[1]
        rank = np.concatenate([np.flatnonzero(effect.kept), rng.uniform(0, len(drawn), len(effect.fresh))])
        fresh = effect.fresh + rng.normal(0, sigma, effect.fresh.shape)
        order = np.argsort(rank, kind="stable")
        points = np.concatenate([(effect.points + noise)[effect.kept], fresh])[order]
        labels = np.concatenate([effect.labels[effect.kept], np.ones(len(fresh), bool)])[order]
    return (points[:number] @ turned + shift) * body.radius + body.centre, labels[:number]


def thinned(skin: Skin, count: int, rng: np.random.Generator) -> Skin:
    """``count`` points of a skin in random order."""
    pick = rng.permutation(len(skin))[:count]
    return Skin(skin.points[pick], skin.normals[pick], float(skin.pitch * np.sqrt(len(skin) / count)))


def place(body: Body, wish: Wish, drawn: Skin, pitch: float, rng: np.random.Generator) -> tuple[Defect, Effect]:
    """A defect where it shows, and what it makes of the points drawn.

    Raises:
        NoPlaceError: none of ``TRIES`` places will do.
    """
    for _ in range(TRIES):
        depth, share = amplitude.draw(wish.amounts, pitch, rng), np.exp(rng.uniform(*np.log(SHARE)))
        defect = KINDS[wish.kind](drawn, share, depth, rng, body.scene is not None)
        effect = _effect(body, defect, drawn, pitch, rng)
        labelled = effect.labels[effect.kept].sum() + len(effect.fresh)
        if max(FEWEST, LABELLED[0] * len(drawn)) <= labelled <= LABELLED[1] * len(drawn):
            return defect, effect
    raise NoPlaceError(f"{body.path}: no place for a {wish.kind}; leave the kind out, or try another amplitude.")


def settled(points: np.ndarray, moved: np.ndarray, pitch: float) -> tuple[np.ndarray, np.ndarray]:
    """``(N, 3)`` without the moves that no one sees, and ``(N,)`` bool, which points moved."""
    seen = np.linalg.norm(moved - points, axis=1) > VISIBLE_PITCH * pitch
    return np.where(seen[:, None], moved, points), seen


def _effect(body: Body, defect: Defect, drawn: Skin, pitch: float, rng: np.random.Generator) -> Effect:
    """What the defect makes of points; what it exposes is sampled as densely as the rest."""
    moved, kept = defect.apply(drawn.points, drawn.normals)
    points, labels = settled(drawn.points, moved, pitch)
    fresh = np.empty((0, 3))
    if defect.ball is not None and defect.ball.exposes:
        radius = defect.ball.radius
        fresh = rng.normal(size=(int(4 * np.pi * (radius / drawn.pitch) ** 2), 3))
        fresh = defect.ball.centre + radius * fresh / np.linalg.norm(fresh, axis=1, keepdims=True)
        fresh = fresh[inside(body.scene, fresh)]
    return Effect(points, labels, kept, fresh)
