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

    Source: Li, Huang, Xue, Zhou, ICLR 2024, arXiv 2401.16753, and its code (xrli-U/MuSc), whose choices are the
    defaults here. We differ where a sample is several views (they do not score each other; an image of the paper is a
    view with all its crops), in the vector of a whole image (mean of its final patches: no class token crosses our
    backbones; negative cosines count 0), and in what is left out because it changes no order: stretching scores to
    0..1 before step 3, enlarging maps before their maximum is taken.

    Args:
        width: channels of the features, C.
        patches: patches of a crop, P.
        levels: levels of the backbone, L.
        degrees: sides of the neighbourhoods, in patches, odd.
        share: of the other images, those that match best, in (0, 1].
        neighbours: counts k of step 3; 1 alone leaves the scores as they are.
        limit_mib: most memory that the features of a category may take.

    Raises:
        UserError: an even degree, or a share out of range.
    """

    def __init__(
        self,
        width: int,
        patches: int,
        levels: int,
        degrees: list[int],
        share: float,
        neighbours: list[int],
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
        self.width, self.patches, self.levels = width, patches, levels
        self.degrees, self.share, self.neighbours, self.limit_mib = degrees, share, neighbours, limit_mib
        self.grid = (0, 0)
        self._forget()

    def forward(self, features: Features, crops: list[int]) -> Verdict:
        """Not possible: see ``study`` and ``conclude``.

        Raises:
            UserError: always.
        """
        raise UserError("musc scores the samples of a whole set against each other, so it cannot score one alone.")

    def study(self, features: Features, crops: list[int], samples: list[int]) -> None:
        """Keep the features of some views of a category.

        Args:
            features: L levels and a final map, each ``(N, P, C)``.
            crops: crops of each of M views; sums to N.
            samples: the sample that each of the M views belongs to.

        Raises:
            UserError: the category takes more memory than ``limit_mib``.
        """
        level = torch.stack(features.levels).float()  # (L, N, P, C)
        self._taken += level.numel() * 4
        if self._taken > self.limit_mib * MIB:
            raise UserError(
                f"musc keeps all features of a category, which take more than {self.limit_mib} MiB. Set "
                "model.expert.options.limit_mib higher, or take model.crops=base, fewer blocks or smaller images."
            )
        self._kept.append(level.cpu())
        self._whole.append(mean_of_views(features.final.float().mean(1), crops).cpu())
        self._device = features.final.device
        self._crops += crops
        self._samples += samples
        self.grid = features.grid

    def conclude(self) -> Verdict:
        """Score all views that were studied, and forget them.

        Returns:
            logits ``(M,)``, maps ``(N, rows, columns)``, tokens ``(N, 0, C)`` and summary ``(M, C)``, on the CPU.

        Raises:
            UserError: a single sample, which nothing can be matched with.
        """
        if len(set(self._samples)) < 2:
            raise UserError("a single sample, which musc has nothing to compare with. Test on two or more.")
        kept, whole, crops, samples = torch.cat(self._kept, 1), torch.cat(self._whole), self._crops, self._samples
        self._forget()
        maps = mutual_scores(kept, self.grid, crops, samples, self.degrees, self.share, self._device)
        scores = torch.stack([part.max() for part in maps.split(crops)])
        scores = consistent(scores, F.normalize(whole, dim=-1), self.neighbours)
        logits = (scores / FARTHEST).logit(eps=LEAST)
        tokens = whole.new_zeros(len(maps), 0, self.width)
        return Verdict(logits, (maps / FARTHEST).clamp(0, 1).unflatten(1, self.grid), tokens, whole)

    def _forget(self) -> None:
        self._kept: list[Tensor] = []  # (L, n, P, C) each
        self._whole: list[Tensor] = []  # (m, C) each
        self._crops: list[int] = []
        self._samples: list[int] = []
        self._taken = 0  # bytes
        self._device = torch.device("cpu")  # that computes
