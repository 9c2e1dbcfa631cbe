"""The cases of a cohort on disk: which there are, which one was open last, what was decided on them."""

from __future__ import annotations

import json
from pathlib import Path

from ...support.errors import InputError
from ...support.files import write_text
from ...support.text import path_text
from ...writing.case_folder import is_case_folder
from ...writing.review_file import Review, read_review, write_review
from ...writing.summary import renew_summary

SCENE_FILE = "scene.mrb"
PLACE_FILE = ".liverlesionai-cohort.json"


class CohortFolder:
    """What `batch --out` filled.

    Attributes:
        path: the folder.
        cases: names of the case folders that hold a scene, in order.
        index: of the case that is open.

    Raises:
        InputError: it cannot be read, or no case in it has a scene.
    """

    def __init__(self, path: Path) -> None:
        try:
            folders = sorted(p for p in path.iterdir() if p.is_dir() and is_case_folder(p))
        except OSError as error:
            raise InputError(f"{path_text(path)}: it cannot be read ({error.strerror}). Check it.") from error
        self.path = path
        self.cases = [folder.name for folder in folders if (folder / SCENE_FILE).is_file()]
        if not self.cases:
            raise InputError(
                f"{path_text(path)}: no case in it has a {SCENE_FILE}. Choose the folder that `batch --out` "
                "filled."
            )
        self._reviews = {name: read_review(path / name) for name in self.cases}
        self.index = self._place()

    @property
    def case(self) -> Path:
        """The folder of the case that is open."""
        return self.path / self.cases[self.index]

    @property
    def scene(self) -> Path:
        """The scene of the case that is open."""
        return self.case / SCENE_FILE

    @property
    def review(self) -> Review | None:
        """What was decided on the case that is open."""
        return self._reviews[self.cases[self.index]]

    @property
    def reviewed(self) -> int:
        """How many cases have their tick."""
        return sum(review is not None and review.reviewed for review in self._reviews.values())

    def go(self, index: int) -> None:
        """Another case; the place is kept for tomorrow.

        Raises:
            OutputError: no space or no permission.
        """
        self.index = index % len(self.cases)
        write_text(self.path / PLACE_FILE, json.dumps({"case": self.cases[self.index]}) + "\n")

    def keep(self, review: Review) -> None:
        """Note what was decided on the case that is open, in its folder and in the summary.

        Raises:
            InputError: the summary cannot be read.
            OutputError: no space or no permission.
        """
        if review == self.review:
            return
        write_review(review, self.case)
        self._reviews[self.cases[self.index]] = review
        renew_summary(self.path)

    def _place(self) -> int:
        """Where it was left; the first case without a tick where that is not known."""
        try:
            name = json.loads((self.path / PLACE_FILE).read_text(encoding="utf-8"))["case"]
            return self.cases.index(name)
        except (OSError, ValueError, KeyError, TypeError):
            ticked = [review is not None and review.reviewed for review in self._reviews.values()]
            return ticked.index(False) if False in ticked else 0
