"""Features of all unlabelled samples of a category -> a verdict on each, from how well the others match its patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from framework.errors import UserError
from framework.models.experts.mutual import FARTHEST, consistent, mean_of_views, mutual_scores
from framework.types import Features, Verdict

MIB = 2**20
LEAST = 1e-7  # of a probability whose logit is taken


class MuSc(nn.Module):
    """MuSc: a normal patch finds its like in most of the other unlabelled images, an anomalous one in few.

    1. LNAMD: a level is normalised over its patches and channels; of every patch the mean of its r x r neighbourhood
       (zeros beyond the border) is scaled to unit length; for each r of ``degrees``.
    2. MSM: distance from a patch to the nearest patch of each other image; its score is the mean of the lowest
       ``share`` of these distances. The map is the mean over levels and degrees, the image's score its highest patch.
    3. RsCIN: scores S become W S with W the cosines of whole images, all but the k most similar (itself is one) set to
       0 and rows scaled to sum 1; the mean over k of ``neighbours``.

    Distances between unit vectors lie in [0, 2], so half a distance is in [0, 1]: maps and scores are that, which
    needs no data-dependent scale and cannot saturate.

    With ``subsets``, step 2 matches a patch with the other images of its subset alone; step 3 is that of all images.

    Source: Li, Huang, Xue, Zhou, ICLR 2024, arXiv 2401.16753, and its code (xrli-U/MuSc), whose choices are the
    defaults here. We differ in the subsets (every so many-th sample, in the order of the set; there, ``divide_num``, a
    shuffle within each kind of defect, which looks at labels), where a sample is several views (they do not score each
    other; an image of the paper is a view with all its crops), in the vector of a whole image (mean of its final
    patches: no class token crosses our backbones; negative cosines count 0), and in what is left out because it changes
    no order: stretching scores to 0..1 before step 3, enlarging maps before their maximum is taken.

    Args:
        width: channels of the features, C.
        patches: patches of a crop, P.
        levels: levels of the backbone, L.
        degrees: sides of the neighbourhoods, in patches, odd.
        share: of the other images, those that match best, in (0, 1].
        neighbours: counts k of step 3; 1 alone leaves the scores as they are.
        subsets: parts of a category that are scored apart, at least 1; a part has two samples or more.
        largest: samples of a part at most, 2 or more: a larger category has more parts; None: of any size.
        limit_mib: most memory that a subset, its features and their similarities, may take.

    Raises:
        UserError: an even degree, or a number out of range.
    """

    def __init__(
        self,
        width: int,
        patches: int,
        levels: int,
        degrees: list[int],
        share: float,
        neighbours: list[int],
        subsets: int,
        largest: int | None,
        limit_mib: int,
    ) -> None:
        super().__init__()
        if not degrees or any(r < 1 or r % 2 == 0 for r in degrees):
            raise UserError(
                f"model.expert.options.degrees: sides of neighbourhoods are odd, such as [1, 3, 5], not {degrees}."
            )
        if not 0 < share <= 1 or not neighbours or min(neighbours) < 1:
            raise UserError(
                f"model.expert.options: share lies in (0, 1], neighbours are 1 or more, not {share:g} and {neighbours}."
            )
        if subsets < 1 or (largest is not None and largest < 2):
            raise UserError(
                f"model.expert.options: subsets is 1 or more, largest 2 or more, not {subsets} and {largest}."
            )
        self.width, self.patches, self.levels = width, patches, levels
        self.degrees, self.share, self.neighbours = degrees, share, neighbours
        self.subsets, self.largest, self.limit_mib, self.grid = subsets, largest, limit_mib, (0, 0)
        self._forget()

    def forward(self, features: Features, crops: list[int]) -> Verdict:
        """Not possible: see ``study`` and ``conclude``.

        Raises:
            UserError: always.
        """
        raise UserError("musc scores the samples of a whole set against each other, so it cannot score one alone.")

    def parts(self, samples: int) -> int:
        """In how many parts a category of so many samples is scored, see ``traits.Transductive``."""
        return max(self.subsets, -(-samples // self.largest) if self.largest else 1)

    def study(self, features: Features, crops: list[int], samples: list[int]) -> None:
        """Keep the features of some views of a category.

        Args:
            features: L levels and a final map, each ``(N, P, C)``.
            crops: crops of each of M views; sums to N.
            samples: the sample that each of the M views belongs to.

        Raises:
            UserError: the subset takes more memory than ``limit_mib``.
        """
        level = torch.stack(features.levels).float()  # (L, N, P, C)
        self._crops += crops
        self._samples += samples
        patches = sum(self._crops) * level.shape[2]
        if 4 * patches * (len(level) * self.width + len(self._crops)) > self.limit_mib * MIB:
            raise UserError(
                "musc keeps all features of a category and the similarities of its views, which take more than "
                f"{self.limit_mib} MiB. Set model.expert.options.limit_mib higher, or model.expert.options.subsets to "
                f"{2 * self.subsets} or more, or take model.crops=base, fewer blocks or smaller images."
            )
        self._kept.append(level.cpu())
        self._whole.append(mean_of_views(features.final.float().mean(1), crops).cpu())
        self._device, self.grid = features.final.device, features.grid

    def divide(self) -> None:
        """Score what was studied since the last subset, and forget its features.

        Raises:
            UserError: a single sample, which nothing can be matched with.
        """
        if len(set(self._samples)) < 2:
            raise UserError("a single sample, which musc has nothing to compare with. Test on two or more.")
        kept, crops, samples = torch.cat(self._kept, 1), self._crops, self._samples
        self._maps.append(mutual_scores(kept, self.grid, crops, samples, self.degrees, self.share, self._device))
        self._scores += [part.max() for part in self._maps[-1].split(crops)]
        self._begin()

    def conclude(self) -> Verdict:
        """Score all views that were studied, and forget them.

        Returns:
            logits ``(M,)``, maps ``(N, rows, columns)``, tokens ``(N, 0, C)`` and summary ``(M, C)``, on the CPU.

        Raises:
            UserError: see ``divide``.
        """
        if self._kept or not self._maps:
            self.divide()
        maps, whole, scores = torch.cat(self._maps), torch.cat(self._whole), torch.stack(self._scores)
        self._forget()
        scores = consistent(scores, F.normalize(whole, dim=-1), self.neighbours)
        logits = (scores / FARTHEST).logit(eps=LEAST)
        tokens = whole.new_zeros(len(maps), 0, self.width)
        return Verdict(logits, (maps / FARTHEST).clamp(0, 1).unflatten(1, self.grid), tokens, whole)

    def _forget(self) -> None:
        self._whole: list[Tensor] = []  # (m, C) each
        self._maps: list[Tensor] = []  # (n, P) of each subset that was scored
        self._scores: list[Tensor] = []  # of the views of these
        self._device = torch.device("cpu")  # that computes
        self._begin()

    def _begin(self) -> None:
        self._kept: list[Tensor] = []  # (L, n, P, C) each, of the subset that is studied
        self._crops: list[int] = []  # of its views
        self._samples: list[int] = []  # that they belong to
