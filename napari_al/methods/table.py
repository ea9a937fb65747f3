"""The table of methods: each published method is one row of choices over the same engine.

A user makes a new method by naming other choices in a config file. A combination that cannot work
is refused with the reason.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Regions = Literal["seeds", "slic", "grid", "masks"]
Merging = Literal["none", "adaptive"]
QueryType = Literal["dominant", "multi-class", "correction", "precise"]
"""``dominant``: the class that most of the region belongs to (Cai et al. 2021). ``multi-class``:
every class in it (Hwang et al. 2023). ``correction``: the class at its representative pixel, which
the whole region gets (Kim et al. 2024). ``precise``: the outline of every object in it."""
QueryChoice = Literal["fixed", "by-region"]
"""``fixed``: all regions are asked the same type of query. ``by-region``: a region gets a dominant
query instead of a multi-class one where that is expected to gain more a second
(``core.query_choice``); before there is a model all are multi-class."""
Selection = Literal["best", "equal-shares"]
"""``best``: by score alone. ``equal-shares``: as many regions of each class that they are predicted
to be, by score within a class."""
Targets = Literal["fill", "sieve", "exact", "partial", "localise", "correct"]
Loss = Literal["cross-entropy", "multi-class"]
Correction = Literal["manual", "automatic"]
Classifier = Literal["linear", "cosine"]

NEEDS_LABELS_TO_CORRECT = ("cil", "lcil", "sim", "abc")
TARGETS_OF_QUERY: dict[QueryType, tuple[Targets, ...]] = {
    "dominant": ("fill", "sieve"),
    "multi-class": ("partial", "localise"),
    "correction": ("correct",),
    "precise": ("exact",),
}


class Method(BaseModel):
    """One row of the table: what is asked, about what, and what becomes of the answers.

    Attributes
    ----------
    name, summary, paper : str
    regions : the base regions of an image; ``masks``: objects of the data folder, and superpixels
        where there is none (a correction is about objects alone).
    merging : whether neighbouring regions that the newest model finds alike are asked as one.
    query : the question.
    query_choice : whether a region may be asked for its dominant class instead of all classes.
    acquisition : the function that scores regions; larger = ask sooner: a row of the table in
        ``methods/acquisition.py``, or one that was registered (``register_acquisition``).
    selection : how a batch is put together from the scores.
    targets : how answers become training labels. ``fill``: the class over the region; ``sieve``:
        only where the model is confident enough; ``exact``: the drawn pixels; ``partial``: the set
        of classes; ``localise``: the same, then pixel-wise pseudo-labels and a second training;
        ``correct``: initial labels with the answers painted over.
    loss : what the segmenter is trained with.
    correction : ``automatic``: a model learns from each round's answers to correct further
        regions.
    classifier : ``cosine``: cosine similarity with a temperature.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$")]
    summary: str = ""
    paper: str = ""
    regions: Regions = "seeds"
    merging: Merging = "none"
    query: QueryType = "dominant"
    query_choice: QueryChoice = "fixed"
    acquisition: str = "bvsb"
    selection: Selection = "best"
    targets: Targets = "fill"
    loss: Loss = "cross-entropy"
    correction: Correction = "manual"
    classifier: Classifier = "linear"

    @model_validator(mode="after")
    def _fits(self) -> Method:
        if self.targets not in TARGETS_OF_QUERY[self.query]:
            fitting = " or ".join(TARGETS_OF_QUERY[self.query])
            raise ValueError(
                f"targets={self.targets!r} cannot be made from {self.query} answers; use {fitting}"
            )
        if self.acquisition in NEEDS_LABELS_TO_CORRECT and self.query != "correction":
            raise ValueError(
                f"acquisition={self.acquisition!r} measures how much a label that is there may be "
                f"wrong, and {self.query} queries start without labels; use query='correction' or "
                "another acquisition"
            )
        if self.selection == "equal-shares" and self.query == "correction":
            raise ValueError(
                "selection='equal-shares' goes by predicted classes; corrections are about labels "
                "that are there (acquisition='abc' balances those)"
            )
        if (self.loss == "multi-class") != (self.query == "multi-class"):
            raise ValueError(
                "loss='multi-class' trains on sets of classes, which multi-class queries give and "
                f"no others; got loss={self.loss!r} with query={self.query!r}"
            )
        if self.query_choice == "by-region" and self.query != "multi-class":
            raise ValueError(
                "query_choice='by-region' asks for the dominant class instead of all classes; it "
                f"needs query='multi-class', got {self.query!r}"
            )
        if self.correction == "automatic" and self.query != "correction":
            raise ValueError(
                "correction='automatic' changes labels that are there; it needs query='correction'"
            )
        if self.merging == "adaptive" and (self.regions == "masks" or self.query == "correction"):
            raise ValueError(
                "merging='adaptive' joins neighbouring superpixels; masks and the segments of a "
                "correction are whole objects already"
            )
        if self.query == "precise" and (self.regions != "grid" or self.merging != "none"):
            raise ValueError(
                "precise queries are priced by polygons inside a rectangle; use regions='grid' "
                "without merging"
            )
        return self

    @property
    def starts_from_labels(self) -> bool:
        """Whether a model is trained on initial labels before the first query."""
        return self.query == "correction"


COLUMNS = tuple(name for name in Method.model_fields if name not in ("name", "summary", "paper"))
"""Names of the choices that make up a method, in the order of the table."""

METHODS: dict[str, Method] = {
    row.name: row
    for row in (
        Method(
            name="random",
            summary="regions at random, asked for their dominant class",
            acquisition="random",
        ),
        Method(
            name="bvsb",
            summary="most uncertain regions first (best versus second best)",
        ),
        Method(
            name="random-equal",
            summary="regions at random, as many of each predicted class",
            acquisition="random",
            selection="equal-shares",
        ),
        Method(
            name="power-equal",
            summary="uncertain regions, as many of each predicted class; noise that fades",
            paper="ClaSP PE, TMLR 2026",
            acquisition="power-bvsb",
            selection="equal-shares",
        ),
        Method(
            name="bald",
            summary="regions that the networks of the ensemble disagree about",
            paper="Houlsby et al., 2011",
            acquisition="bald",
        ),
        Method(
            name="bald-equal",
            summary="the same, as many of each predicted class",
            acquisition="bald",
            selection="equal-shares",
        ),
        Method(
            name="maxherding",
            summary="regions that stand for the pool by their frozen features, from the first on",
            paper="Bae et al., ECCV 2024",
            acquisition="maxherding",
        ),
        Method(
            name="uherding",
            summary="the same, of what the model is uncertain about",
            paper="Bae et al., ICLR 2025",
            acquisition="uherding",
        ),
        Method(
            name="rectangle-precise",
            summary="rectangles, drawn exactly: the baseline of Cai et al.",
            paper="Cai et al., CVPR 2021",
            regions="grid",
            query="precise",
            acquisition="classbal",
            targets="exact",
        ),
        Method(
            name="classbal",
            summary="uncertain superpixels of rare classes first",
            paper="Cai et al., CVPR 2021",
            acquisition="classbal",
        ),
        Method(
            name="adaptive-superpixel",
            summary="superpixels merged anew each round, answers sieved by confidence",
            paper="Kim et al., ICCV 2023",
            merging="adaptive",
            acquisition="classbal-pixels",
            targets="sieve",
        ),
        Method(
            name="multi-class",
            summary="which classes are in it; learnt as partial labels, then localised",
            paper="Hwang et al., NeurIPS 2023",
            query="multi-class",
            acquisition="pixbal",
            targets="localise",
            loss="multi-class",
            classifier="cosine",
        ),
        Method(
            name="multi-class-equal",
            summary="the same: uncertain ones, as many of each predicted class; noise that fades",
            query="multi-class",
            acquisition="power-bvsb",
            selection="equal-shares",
            targets="localise",
            loss="multi-class",
            classifier="cosine",
        ),
        Method(
            name="mixed",
            summary="the same, but for the dominant class alone where that gains more a second",
            query="multi-class",
            query_choice="by-region",
            acquisition="power-bvsb",
            selection="equal-shares",
            targets="localise",
            loss="multi-class",
            classifier="cosine",
        ),
        Method(
            name="alc",
            summary="correct initial labels where the look-ahead gain is largest",
            paper="Kim et al., ICML 2024",
            regions="masks",
            query="correction",
            acquisition="sim",
            targets="correct",
        ),
        Method(
            name="a2lc",
            summary="class-balanced corrections, and look-alikes corrected automatically",
            paper="Jeon et al., AAAI 2026",
            regions="masks",
            query="correction",
            acquisition="abc",
            targets="correct",
            correction="automatic",
        ),
    )
}

RECOMMENDED: dict[QueryType, str] = {
    "dominant": "power-equal",
    "multi-class": "multi-class-equal",
    "correction": "a2lc",
    "precise": "rectangle-precise",
}
"""The row that each question begins with; docs/benchmarks has the figures behind the choice."""
