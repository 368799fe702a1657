"""A registered expert -> how it is fitted, what it reads and what it must have seen. Importing this loads no torch.

A builder, or a class that is registered itself, says it with a decorator below ``register``; without one it has the
defaults. An expert that is fitted once also has ``observe`` and ``settle``, a transductive one ``study`` and
``conclude``; their contracts are those of ``Once`` and ``Transductive``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from framework import registry

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from framework.types import Batch, Features, Verdict

SIZES = 3  # width, patches, levels: what every builder is given first
T = TypeVar("T", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Traits:
    """What runs an expert has to know of it.

    Attributes:
        fits: "gradient", by AdamW; "once", by one pass over the training sets without a gradient; "never".
        transductive: it scores the samples of a category of a test set against each other, all of them at once.
        reads: "features" of the backbone, or "pixels": ``(N, 3, S, S)`` uint8 crops in their place.
        needs: which samples the train sets must have: "both" classes, or "normal" ones.
        categories: ``forward`` takes a third argument, the category of each of M views, "" where it has none.
        masks: it trains on the truth of pixels: by gradient with pixels, losses and an optimizer of its own, see
            ``Taught``; once, by a fourth argument of ``observe``.
        seeded: another seed makes another expert; without it a matrix trains it with one.
    """

    fits: Literal["gradient", "once", "never"] = "gradient"
    transductive: bool = False
    reads: Literal["features", "pixels"] = "features"
    needs: Literal["both", "normal"] = "both"
    categories: bool = False
    masks: bool = False
    seeded: bool = True


class Taught(Protocol):
    """An expert that is trained on masks, as its authors train it."""

    def losses(self, pixels: Tensor, batch: Batch) -> Tensor:
        """``(M,)``, one for each view; those of a step are averaged over all ranks.

        Args:
            pixels: ``(N, 3, S, S)`` uint8 crops.
            batch: with targets of M views and masks of N crops.
        """
        ...

    def optimizer(self, lr: float) -> Optimizer:
        """Of what is to be trained; ``lr`` is that of the experiment, and stays."""
        ...


class Once(Protocol):
    """An expert that is fitted by one pass. Every rank passes over all samples, so ranks end in the same state.

    It may have ``told: str``, once settled: what of the training sets it made use of, for the card and the rows.
    """

    def observe(self, looked: Features | Tensor, crops: list[int], targets: Tensor, *masks: Tensor) -> None:
        """Some views of the training sets, in the order of the sets; called until all were shown.

        Args:
            looked: features of N crops, or their pixels, see ``Traits.reads``.
            crops: crops of each of M views; sums to N.
            targets: ``(M,)`` in [0, 1], what each view should score.
            masks: where the traits say so, one: ``(N, S, S)`` int8 of the crops, as ``Batch.masks``.
        """
        ...

    def settle(self) -> None:
        """All was shown: keep what ``forward`` needs in buffers, so that it is saved, hashed and loaded."""
        ...


class Transductive(Protocol):
    """An expert that is shown all samples of a category before it judges one. Its ``forward`` is not called.

    One with ``parts(samples: int) -> int``, in how many parts it wants a category of so many samples, is shown every
    so many-th sample, then ``divide()`` is called, then the others likewise, each part followed by it: so it keeps a
    part at a time. All that was studied is then concluded. Parts are fewer where one would have less than two samples.
    """

    def study(self, looked: Features | Tensor, crops: list[int], samples: list[int]) -> None:
        """Some views of a category, in the order of the set or subset; called until all were shown, on every rank.

        Args:
            looked: features of N crops, or their pixels, see ``Traits.reads``.
            crops: crops of each of M views; sums to N.
            samples: the sample (0, 1, ..., as they are shown) that each of the M views belongs to.
        """
        ...

    def conclude(self) -> Verdict:
        """The verdict on all that was studied, in that order; what is studied next is another category.

        Every rank calls it, so that they may share the work.
        """
        ...


def declare(
    fits: Literal["gradient", "once", "never"] = "gradient",
    transductive: bool = False,
    reads: Literal["features", "pixels"] = "features",
    needs: Literal["both", "normal"] = "both",
    categories: bool = False,
    masks: bool = False,
    seeded: bool = True,
) -> Callable[[T], T]:
    """Mark a builder, or a class of experts, with its traits."""

    def mark(thing: T) -> T:
        thing.traits = Traits(fits, transductive, reads, needs, categories, masks, seeded)  # type: ignore[attr-defined]
        return thing

    return mark


def of(thing: Any) -> Traits:
    """The traits of an expert that ``trained.build_model`` made, or of what builds it."""
    found: Traits = getattr(thing, "traits", Traits())
    return found


def named(name: str) -> Traits:
    """The traits of a registered expert.

    Raises:
        UserError: there is none of that name.
    """
    return of(registry.get("expert", name))


def given(name: str) -> int:
    """How many parameters of an expert's builder are ours to fill: its sizes, and a fourth if it is ``backbone``."""
    registry.get("expert", name)
    return SIZES + (registry.options("expert", name)[SIZES : SIZES + 1] == ["backbone"])
