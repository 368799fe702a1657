"""The values that cross a seam: Record, Sample, Features, Batch, Verdict. Importing this loads no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a dataset index: where a sample lies and what is known of it. Opens nothing.

    Attributes:
        path: the file that holds the sample.
        anomalous: the sample's label.
        category: class of object, organ or scene; metrics are also given per category.
        group: the statistical unit (patient, object, lot) that intervals resample; "" means the sample itself.
        truth_path: file with the element truth, or None where only the label is known.
        defect: kind of anomaly, "" for normal or unknown.
        probability: chance in [0, 1] that the sample is anomalous where annotators gave one, else None.
        frame: which slice or part of ``path`` this sample is, or None where the sample is the whole file.
        nth: where among the slices of its ``group`` a picture lies that is a file of its own, or None where it is no
            slice or nobody knows; of a ``frame`` that is the frame itself.
        along: which way the frames of ``path`` are counted, as the reader names it; "" where nobody says.
        beside: other files that are read with ``path``, such as the photograph of a scan; part of what the sample is.
        marks: which values of the truth file are anomalous, where it also marks what is not, such as the organ around a
            tumour; empty: all that its format takes for marked.
        more_truth: further files of element truth, of the kind of ``truth_path``; an element is anomalous where any of
            them says so.
        box: left, top, right and bottom pixel of the part of the picture that is the sample, right and bottom not in
            it; ``frame`` then numbers the parts. None: all of it.
    """

    path: Path
    anomalous: bool
    category: str
    group: str = ""
    truth_path: Path | None = None
    defect: str = ""
    probability: float | None = None
    frame: int | None = None
    nth: int | None = None
    along: str = ""
    beside: tuple[Path, ...] = ()
    marks: tuple[int, ...] = ()
    more_truth: tuple[Path, ...] = ()
    box: tuple[int, int, int, int] | None = None

    @property
    def slice(self) -> int | None:
        """Where among the slices of its group the sample lies; None where it is no slice."""
        return self.frame if self.nth is None and self.box is None else self.nth

    @property
    def id(self) -> str:
        """Names the sample in rows, messages and predictions."""
        return str(self.path) if self.frame is None else f"{self.path}#{self.frame}"


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid that a set's published numbers are measured on, beside the elements; its metrics are rows of their own.

    Attributes:
        name: of the level in rows, such as "grid336".
        index: ``(h, w)`` int32, the element that a cell shows; -1 where it shows none, which scores 0.
        truth: ``(h, w)`` bool, the cells that are anomalous.
        sigma: cells, of the Gaussian that the scores are smoothed with; 0 for none.
    """

    name: str
    index: np.ndarray
    truth: np.ndarray
    sigma: float = 0.0


class Back(Protocol):
    """The way from views to a native grid that view pixels are not the cells of, such as that of a resampled scan."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the grid; elements are its cells in order, so E is their product. Cells that touch are one region."""
        ...

    def __call__(self, maps: Iterable[np.ndarray]) -> np.ndarray:
        """Maps ``(H, W)`` float32 of the V views, one after the other -> ``(E,)`` float32; 0 where no view looked."""
        ...

    def show(self, values: np.ndarray, view: int) -> np.ndarray:
        """Values ``(E,)`` of any type -> ``(H, W)``, that of the element nearest to each pixel of a view; else 0."""
        ...

    def plain(self) -> dict[str, Any]:
        """What ``reader.back(**plain)`` makes this of again: values that JSON has."""
        ...


@dataclass(slots=True)
class Sample:
    """What every domain makes of its raw data: a few RGB views, and the way back to native elements.

    Attributes:
        record: the index line this came from.
        views: ``(V, 3, H, W)`` uint8.
        owner: ``(V, H, W)`` int32, the element a view pixel shows, -1 where it shows none;
            None: the view pixels are the elements, in order, so E = V * H * W, unless there is a ``back``.
        truth: ``(E,)`` bool, which elements are anomalous; None where only the label is known.
        stand_in: ``(E,)`` int32, for an element that no view shows the nearest one that a view shows, for any
            other itself; None where every element is shown.
        regions: ``(E,)`` int32, 0 for a normal element, else the number (1, 2, ...) of the connected anomalous
            region it belongs to; None: components of the view grid (8-connected in one view, 26-connected
            across the views of a scan), or with an owner, of what a patch of anomalous pixels shows.
        place: ``(V, E)`` int32, the pixel (row * W + column) of a view that shows an element, -1 where it is hidden;
            several elements may share a pixel. None: each element is shown by the pixels it owns.
        weight: ``(V, E)`` float16, how much a view says of an element where views are averaged; None: all the same.
        say: ``(V,)`` float32, how much each view says of the whole sample in a mean of views; None: all the same.
        fuse: how what several views say of one element joins: "mean" or "max".
        back: the way from views to elements that neither ``owner`` nor order tells; both are None then.
        at: ``(V,)`` float32, where in its stack each view lies that is a slice, in any unit; None where views are none.
        captions: what each view is, in words ("from the front, above"); empty where there is nothing to say.
        grid: what published numbers of the set are measured on, or None.
        counts: what the reader has to tell in numbers, such as ``{"unseen": 12}``.
        warnings: what the reader has to tell in words: a line each, with the path of the file.
    """

    record: Record
    views: np.ndarray
    owner: np.ndarray | None = None
    truth: np.ndarray | None = None
    stand_in: np.ndarray | None = None
    regions: np.ndarray | None = None
    place: np.ndarray | None = None
    weight: np.ndarray | None = None
    say: np.ndarray | None = None
    fuse: str = "mean"
    back: Back | None = None
    at: np.ndarray | None = None
    captions: tuple[str, ...] = ()
    grid: Grid | None = None
    counts: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Fail here, at the seam, rather than three layers deeper."""
        v = self.views
        if v.ndim != 4 or v.shape[1] != 3 or v.dtype != np.uint8 or not len(v):
            raise ValueError(f"{self.record.path}: views must be uint8 (V, 3, H, W), got {v.dtype} {v.shape}")
        if self.owner is not None and (self.owner.shape != v[:, 0].shape or self.owner.dtype != np.int32):
            raise ValueError(
                f"{self.record.path}: owner must be int32 {v[:, 0].shape}, got {self.owner.dtype} {self.owner.shape}"
            )
        for name in ("truth", "stand_in", "regions"):
            array, dtype = getattr(self, name), np.dtype(np.bool_ if name == "truth" else np.int32)
            if array is not None and (array.ndim != 1 or array.dtype != dtype):
                raise ValueError(f"{self.record.path}: {name} must be {dtype} (E,), got {array.dtype} {array.shape}")
        each = (len(v), self.elements)
        for name, kind, shape in (
            ("place", np.int32, each),
            ("weight", np.float16, each),
            ("say", np.float32, each[:1]),
            ("at", np.float32, each[:1]),
        ):
            array = getattr(self, name)
            if array is not None and (array.shape != shape or array.dtype != kind):
                raise ValueError(
                    f"{self.record.path}: {name} must be {np.dtype(kind)} {shape}, got {array.dtype} {array.shape}"
                )
        if self.fuse not in ("mean", "max"):
            raise ValueError(f"{self.record.path}: fuse must be mean or max, got {self.fuse!r}")
        if self.captions and len(self.captions) != len(v):
            raise ValueError(f"{self.record.path}: {len(self.captions)} captions for {len(v)} views")
        if self.truth is not None and self.owner is None and len(self.truth) != self.elements:
            raise ValueError(f"{self.record.path}: {len(self.truth)} truths for {self.elements} elements")
        if self.back is not None and (self.owner is not None or self.place is not None):
            raise ValueError(
                f"{self.record.path}: the way back to elements is told twice, by back and by owner or place"
            )

    @property
    def elements(self) -> int:
        """How many native elements the sample has, E."""
        if self.back is not None:
            return prod(self.back.shape)
        if self.owner is None:
            return int(self.views[:, 0].size)
        known = self.truth if self.truth is not None else self.stand_in
        if known is None and self.place is not None:
            return self.place.shape[1]
        return len(known) if known is not None else int(self.owner.max()) + 1


class Domain(Protocol):
    """Turns raw files into samples and scores back into files. Built with the options of the YAML.

    A class may also name modules that ``read`` imports where it uses them, as ``imports: ClassVar[tuple[str, ...]]``:
    ``serve`` loads them before the first file comes. Three more that it may have: ``protocol: str``, how it makes and
    joins views, in words that go into every row, or where sets differ ``protocol_of(records) -> str``; ``drawn:
    ClassVar[str]``, a version of how it makes them, where that costs so much that they should be kept on disk; ``asked:
    ClassVar[dict]``, options where a language model is asked, which pays for every view. One whose views are units of
    their own, so that they get rows beside those of samples and groups, has ``view: ClassVar[str]``, what such a unit
    is called ("slice"). One whose samples have a ``back`` has ``back(**plain) -> Back``. One whose frames are not what
    a person counts has ``called(record) -> str``, what to call a sample in pictures ("N3.jpg, made 2"). One whose files
    may have any name has the static method ``claims(path) -> bool``, asked where no ending fits; one whose samples are
    several files, or folders, has the static method ``samples(paths) -> paths``: one file for each sample, and paths
    that are not its own as they are. One that a dataset must agree with has ``check(records, options) -> None``, called
    once a set is listed, with the dataset's options (defaults too): it raises UserError where reading the records so
    would mean something else, or where an option that was given does nothing on them.

    A class whose samples are to be looked around in a browser also has ``script: ClassVar[Path]``, JavaScript that
    defines ``makeStage`` (see ``viewer/viewer.js``; a style of its name may lie beside), and ``scene(sample) ->
    dict[str, np.ndarray]``, the plain arrays that it draws from: ``elements (N,)`` int32, which are shown, and whatever
    it needs; nothing for a sample without. The framework reads ``notes``, lines to tell, and ``truth (E,)`` bool where
    it lies beside the file; of a shape ``unit_px``, pixels of a view that one unit of the file takes; of slices, which
    need a ``back``, ``positions_mm (V,)``, where they lie along the direction they are cut in, and so what these are:
    ``planes (V,)`` their names, ``numbers (V,)``, ``pixel_mm (V, 2)`` high and wide, ``sides (V, 4)`` letters of the
    left, right, top and bottom. ``predict`` then also writes a page and pictures, ``serve`` shows the page.
    """

    element: ClassVar[str]
    """What one element is: "pixel", "point", "voxel", or a plug-in's word."""
    unit: ClassVar[str]
    """What ``Record.group`` names: "patient", "object", "picture"."""
    suffixes: ClassVar[tuple[str, ...]]
    """File name endings it reads, lower case, with the dot."""

    def read(self, record: Record) -> Sample:
        """Open the files of ``record``. Raises UnreadableError or TruthError with the path in it."""
        ...

    def save(self, sample: Sample, scores: np.ndarray, stem: Path) -> dict[str, Any]:
        """Write ``(E,)`` float32 scores in [0, 1] in the file's own geometry to ``stem`` + a suffix.

        Returns:
            What ``predict`` tells of it: ``map``, the path, and whatever else there is to know, plain values or paths.
        """
        ...


@dataclass(slots=True)
class Features:
    """What a frozen backbone makes of N crops.

    Attributes:
        levels: L tensors ``(N, P, C)``, shallow to deep, raw outputs of blocks (no final norm).
        final: ``(N, P, C)``.
        grid: (rows, columns) of the P patches, row-major; P = rows * columns.
    """

    levels: list[Tensor]
    final: Tensor
    grid: tuple[int, int]


@dataclass(slots=True)
class Batch:
    """B samples whose views, and the crops of these views, lie end to end.

    Attributes:
        pixels: ``(N, 3, S, S)`` uint8, all crops; None where ``features`` were read from a store, or where crops are
            cut from ``samples`` a few at a time, because there are many.
        features: of the same N crops, or None where the backbone has still to run.
        crops: crops of each view; sums to N. The first crop of a view is its base crop.
        views: views of each sample; sums to ``len(crops)``.
        targets: ``(len(crops),)`` float32 in [0, 1], what each view should score.
        weights: ``(B,)`` float32, 0 for a sample that only fills up a rank's batch, else 1.
        samples: the B samples when truth is needed, else empty.
        index: position of each sample in its dataset.
    """

    pixels: Tensor | None
    features: Features | None
    crops: list[int]
    views: list[int]
    targets: Tensor
    weights: Tensor
    samples: list[Sample]
    index: list[int]


@dataclass(slots=True)
class Verdict:
    """What an expert says of N crops of M views.

    Attributes:
        logits: ``(M,)`` float32, one per view; the score is its sigmoid.
        maps: ``(N, rows, columns)`` float32 in [0, 1], suspicion of each patch, one map per crop.
        tokens: ``(N, K, C)``, the selected tokens of each crop.
        summary: ``(M, C)``, the global token of each view.
    """

    logits: Tensor
    maps: Tensor
    tokens: Tensor
    summary: Tensor
