"""Which data the bundled weights learnt from, and on which terms, is said for each of them."""

from __future__ import annotations

import re

import pytest
from LiverLesionAILib.models.weights import models_folder

MODELS = models_folder()
TERMS = (MODELS / "WEIGHTS-LICENCE.md").read_text(encoding="utf-8")
NAMES = sorted(path.name.removesuffix("_compact.pt") for path in MODELS.glob("*_compact.pt"))
# Words of a card -> row of the table of sources.
SOURCES = {
    "Liver Tumor Segmentation|LiTS": "LiTS",
    "ULS23": "ULS23",
    "ICRP": "ICRP",
    "TCGA": "TCGA",
    "torso": "torso",
}


def learnt_by(name: str) -> set[str]:
    """Sources with a cross in the row of these weights."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in TERMS.splitlines()]
    head = next(cells for cells in lines if cells[0] == "weights")
    (row,) = [cells for cells in lines if name in re.split(r",\s*", cells[0])]
    return {source for source, cross in zip(head[1:], row[1:], strict=True) if cross}


@pytest.mark.parametrize("name", NAMES)
def test_every_card_names_the_terms_of_its_sources(name: str) -> None:
    card = (MODELS / f"{name}.md").read_text(encoding="utf-8")
    assert "**Licences of the sources**" in card and "WEIGHTS-LICENCE.md" in card
    listed = " ".join(learnt_by(name))
    data = card[card.index("**Data**") :].split("\n\n")[0] if "**Data**" in card else ""
    for words, source in SOURCES.items():
        if re.search(words, data):
            assert source in listed, f"{name} learnt from {source}, and the table does not say so"


def test_every_source_has_its_terms() -> None:
    for source in SOURCES.values():
        (row,) = [
            line for line in TERMS.splitlines() if line.count("|") == 5 and source in line.split("|")[1]
        ]
        assert all(cell.strip() for cell in row.strip("|").split("|"))
