"""Training of the second look: what it learns from, and the loop over it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelStore, build_network
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent

from ..data.cases import TrainingCase, data_folder, encode_hu, lits_cases
from ..data.synthliver import find_synthliver
from .gallbladder_cases import GRID_MM, gallbladder_cases
from .kept_folders import name_digits
from .line_cases import LineCase, line_case
from .loop import train
from .recipe_cases import training_cases
from .second_look_cases import (
    Candidates,
    gallbladder_candidates,
    joined,
    line_candidates,
    volume_candidates,
)
from .second_look_sampling import SecondLookSampler, second_look_loss

if TYPE_CHECKING:
    from torch import nn

    from .recipes import Recipe

VOLUME_GRID_MM = (2.5, 1.25, 1.25)
"""Of the synthetic variants: those that the segmenters learn from."""


def second_look_sources(
    chosen: Recipe,
    hold_out: str,
    cache: Path,
    synthliver: Path | None,
    workers: int,
    progress: Progress = silent,
) -> list[Candidates]:
    """Candidates of variants of real livers and of gallbladders, and of SynthLiver-1's training scans.

    Args:
        hold_out: letters of patients to leave out.
        synthliver: folder of SynthLiver-1, on whose training scans the default line is run; None leaves the
            line's own candidates out.

    Raises:
        InputError: data are missing, or there is no such patient.
    """
    spec, sources = chosen.spec, []
    on_grid = replace(spec, spacing_zyx_mm=VOLUME_GRID_MM)
    cases = training_cases(
        replace(chosen, spec=on_grid, gallbladders=None), hold_out, cache, workers, progress
    )
    for number, case in enumerate(cases):
        progress(f"candidates of {case.name}", number / len(cases))
        sources.append(volume_candidates(case, spec, _chance(chosen, case.name)))
    if chosen.gallbladders is not None:
        data, grid = data_folder(), (3.0, GRID_MM, GRID_MM)
        whole = [c for c in lits_cases(data, cache / "cases", grid) if c.patient not in set(hold_out)]
        mix = chosen.gallbladders
        for case in gallbladder_cases(data, whole, cache, mix, workers=workers, progress=progress):
            sources.append(gallbladder_candidates(case, spec, _chance(chosen, case.name)))
    if synthliver is not None:
        models = ModelStore.bundled()
        scans = find_synthliver(synthliver, "train")
        for number, scan in enumerate(scans):
            progress(f"analysing {scan.name}", number / len(scans))
            sources += of_line(line_case(scan, models, cache / "line"), spec, _chance(chosen, scan.name))
    return joined(sources)


def _chance(chosen: Recipe, name: str) -> np.random.Generator:
    return np.random.default_rng((chosen.loop.seed, name_digits(name), 16))


def of_line(case: LineCase, spec: InputSpec, rng: np.random.Generator) -> list[Candidates | None]:
    """The line's candidates of a scan, and blobs and lesions as of any other labelled volume."""
    gathering, _ = line_candidates(
        case.hu_zyx,
        case.tumour_zyx,
        case.liver_zyx,
        case.labels_zyx,
        case.probability_zyx,
        case.spacing_zyx_mm,
        spec,
    )
    labels = np.where(case.tumour_zyx, 2, case.liver_zyx).astype(np.uint8)
    plain = TrainingCase(case.name, "", encode_hu(case.hu_zyx), labels, case.spacing_zyx_mm)
    return [gathering.done("", case.name), volume_candidates(plain, spec, rng)]


def fit_second_look(
    chosen: Recipe,
    sources: Sequence[Candidates],
    folder: Path,
    device: str,
    progress: Progress = silent,
) -> nn.Module:
    """Train `chosen` on candidates; the run's settings and counts are kept in `run.json`."""
    torch.manual_seed(chosen.loop.seed)
    network = build_network(chosen.network, asdict(chosen.config))
    sampler = SecondLookSampler(sources, chosen.spec, chosen.loop.seed)
    counts = {
        f"{kind}, {'lesion' if lesion else 'false'}": len(pairs)
        for (lesion, kind), pairs in sampler.members.items()
    }
    write_text(folder / "run.json", json.dumps({**asdict(chosen), "candidates": counts}, indent=1))
    return train(
        network,
        sampler.batch,
        chosen.loop,
        folder,
        device=device,
        loss_of=second_look_loss,
        progress=progress,
        workers=0,
    )
