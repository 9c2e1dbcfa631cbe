"""A page of six right and six wrong lesions: pictures of the phases, plot, reasons, truth."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.pictures.canvas import Canvas, png_bytes
from LiverLesionAILib.pictures.enhancement_plot import enhancement_plot
from LiverLesionAILib.stages.classify.differential import CLASSES
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.volume.ct import resample
from numpy.typing import NDArray

from ..data.synthliver2 import PhasesOfPatient
from .lesion_classes import JudgedLesion

OF_EACH = 6
SIDE_MM, SIDE_PX = 110.0, 220
WINDOW_HU = -40.0, 240.0
SHOWN = (Phase.UNENHANCED, Phase.ARTERIAL, Phase.PORTAL, Phase.DELAYED)


def chosen(judged: Sequence[JudgedLesion]) -> tuple[list[JudgedLesion], list[JudgedLesion]]:
    """Six right and six wrong ones: of each class in turn the surest, so that none is picked by its looks."""
    out = []
    for right in (True, False):
        pool = sorted(
            (one for one in judged if (one.guess == one.truth) is right), key=lambda one: -one.confidence
        )
        taken: list[JudgedLesion] = []
        while pool and len(taken) < OF_EACH:
            before = len(taken)
            for truth in CLASSES:
                one = next((o for o in pool if o.truth == truth), None)
                if one is not None and len(taken) < OF_EACH:
                    taken.append(one)
                    pool.remove(one)
            if len(taken) == before:
                break
        out.append(taken)
    return out[0], out[1]


def write_lesion_page(
    patients: Sequence[PhasesOfPatient], judged: Sequence[JudgedLesion], folder: Path
) -> Path:
    """Write `lesions.html`, complete in itself.

    Raises:
        InputError: a scan is missing or damaged.
        OutputError: it cannot be written.
    """
    by_name = {patient.name: patient for patient in patients}
    parts = [
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Twelve lesions</title>",
        "<style>body{font:14px sans-serif;max-width:1290px;margin:1em auto;padding:0 8px}"
        "section{border-top:1px solid #999;padding:6px 0}.row{display:flex;gap:4px;margin-top:4px}"
        ".row img{flex:none}.row img:last-child{margin-left:auto}</style>",
        "<h1>Twelve synthetic lesions</h1><p>Six whose most probable class is the true one, six where "
        "it is not; of each class in turn the surest. From portal venous and arterial phase; all phases are "
        "shown. What is named may still be indeterminate: too unsure, or network and measurements disagree. "
        "Synthetic lesions, true outlines.</p>",
    ]
    for title, lesions in zip(("Right", "Wrong"), chosen(judged), strict=True):
        parts.append(f"<h2>{title}</h2>")
        parts += [_section(by_name[one.patient], one) for one in lesions]
    path = folder / "lesions.html"
    write_text(path, "\n".join(parts) + "</html>\n")
    return path


def _section(patient: PhasesOfPatient, one: JudgedLesion) -> str:
    pictures = [lesion_picture(patient, one.number, phase) for phase in SHOWN if phase in patient.phases]
    plot = None if one.said.enhancement is None else enhancement_plot(one.said.enhancement)
    shares = ", ".join(f"{escape(c)} {p:.2f}" for c, p in list(one.said.probabilities.items())[:3])
    images = "".join(_img(p) for p in (*pictures, *(() if plot is None else (plot,))))
    facts = one.facts
    return (
        f"<section><b>{escape(one.patient)}, lesion {one.number}</b>: truth <b>{escape(one.truth)}</b> "
        f"({escape(facts['habit'])}, {facts['diameter_mm']:.0f} mm); probabilities {shares}; named "
        f"<b>{escape(one.said.name)}</b><br><small>{escape(one.said.reasons)}</small>"
        f'<div class="row">{images}</div></section>'
    )


def _img(rgb: NDArray[np.uint8]) -> str:
    data = b64encode(png_bytes(rgb)).decode("ascii")
    return f'<img height="{SIDE_PX}" src="data:image/png;base64,{data}" alt="">'


def lesion_picture(patient: PhasesOfPatient, number: int, phase: Phase) -> NDArray[np.uint8]:
    """The slice through a lesion's middle, 110 mm wide, with its outline; (220, 220, 3)."""
    ct, labels = patient.ct(phase), patient.labels()
    (z0, y0, x0), (z1, y1, x1) = patient.lesions[number]["box_zyx"]
    z = (z0 + z1) // 2
    spacing = ct.geometry.spacing_zyx_mm
    half = [max(2, round(SIDE_MM / 2 / s)) for s in spacing[1:]]
    middle = ((y0 + y1) // 2, (x0 + x1) // 2)
    low = [max(0, m - h) for m, h in zip(middle, half, strict=True)]
    high = [min(n, m + h) for m, h, n in zip(middle, half, labels.shape[1:], strict=True)]
    grid = ct.geometry.cropped((z, *low), (z + 1, *high))
    target = grid.with_spacing((spacing[0], SIDE_MM / SIDE_PX, SIDE_MM / SIDE_PX))
    hu = np.asarray(resample(np.asarray(ct.hu_zyx, np.float32), ct.geometry, target))[0]
    own = (labels == patient.lesions[number]["label"]).astype(np.float32)
    inside = np.asarray(resample(own, ct.geometry, target))[0]
    canvas = Canvas(SIDE_PX, SIDE_PX)
    shown = np.clip((hu - WINDOW_HU[0]) / (WINDOW_HU[1] - WINDOW_HU[0]), 0, 1)[:SIDE_PX, :SIDE_PX]
    canvas.paste(shown, 0, 0)
    field = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    field[: shown.shape[0], : shown.shape[1]] = inside[:SIDE_PX, :SIDE_PX]
    canvas.region(field, (1.0, 0.85, 0.1), width=1.2, outline=0.8)
    canvas.text(phase.value, 4, 2, size=15)
    return canvas.as_uint8()
