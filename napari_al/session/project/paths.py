"""Where the files of a project folder are."""

from __future__ import annotations

from pathlib import Path

from napari_al.errors import InputError
from napari_al.formats.listing import check_image_name


class ProjectPaths:
    """Paths in a project folder; nothing is read or written.

    Parameters
    ----------
    path : Path
        The folder. ``Project.create`` and ``Project.open`` make and check it.
    read_only : bool
        Refuse what writes.
    cache : Path, optional
        Where files that can be computed again are kept; by default ``cache/`` in the folder.
    """

    def __init__(self, path: Path, *, read_only: bool = False, cache: Path | None = None) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self.cache = self.path / "cache" if cache is None else cache
        self.models = self.path / "models"
        self.config_file = self.path / "config.json"
        self.data_file = self.path / "data.json"
        self.log_file = self.path / "annotations.sqlite"
        self.rounds_file = self.path / "rounds.csv"
        self.training_file = self.path / "training.jsonl"

    def model_file(self, round_number: int, *, stage: int = 1) -> Path:
        """Where the model trained after a round is; stage 2 is never asked from."""
        suffix = "" if stage == 1 else f"_stage_{stage}"
        return self.models / f"round_{round_number:02d}{suffix}.safetensors"

    def round_file(self, round_number: int) -> Path:
        """Where what is known of a round's model is; it is there when the round is done."""
        return self.models / f"round_{round_number:02d}.json"

    def cache_file(self, kind: str, image: str, suffix: str) -> Path:
        """Where something made for an image is kept; ``kind`` is its folder below ``cache/``.

        Raises
        ------
        InputError
            If the image's name, or a link, leads out of the cache.
        """
        check_image_name(image)
        cache = self.cache.resolve()
        path = cache / kind / f"{image}{suffix}"
        if not path.resolve().is_relative_to(cache):
            raise InputError(f"{path} leads out of the project; delete the links in its cache")
        return path

    def scores_file(self, model_round: int, *, so_far: bool = False) -> Path:
        """Where the pool's scores by a model are; ``so_far``: of the images that are done."""
        suffix = "_so_far" if so_far else ""
        return self.cache / "scores" / f"round_{model_round:02d}{suffix}.safetensors"

    def target_file(self, round_number: int, image: str, *, stage: int = 1) -> Path:
        """Where the class map that a round trains on is."""
        return self.cache_file(f"targets/round_{round_number:02d}_stage_{stage}", image, ".png")

    def prediction_file(self, model_round: int, image: str) -> Path:
        """Where a model's class map is."""
        return self.cache_file(f"predictions/round_{model_round:02d}", image, ".png")

    def table_file(self, model_round: int, image: str) -> Path:
        """Where an image's base regions under a model are, a row each."""
        return self.cache_file(f"tables/round_{model_round:02d}", image, ".safetensors")

    def curves_file(self, round_number: int, image: str) -> Path:
        """Where the confidence curves are by which a round's answers were sieved."""
        return self.cache_file(f"curves/round_{round_number:02d}", image, ".safetensors")
