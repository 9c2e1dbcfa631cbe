"""Pictures of a result: axial and coronal slices, a 3D view, and an overview of them with the findings."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from textwrap import shorten

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from ..case.colours import Colour, lesion_colour
from ..case.findings import CaseResult, Lesion
from ..case.terminology import lesion_title
from ..case.wording import axial_slice, lesions_text, millilitres, percent_text
from ..volume.ct import CtVolume
from .canvas import Canvas, write_png
from .planes import AXIAL, CORONAL, Plane
from .slice_views import Upright, best_slices, draw_slice
from .view_3d import Rendered, RenderJob

_GROUND: Colour = (0.09, 0.10, 0.12)
_TEXT: Colour = (0.88, 0.90, 0.92)
_FAINT: Colour = (0.60, 0.63, 0.67)
MOST_PANELS = 6


def start_3d(result: CaseResult, check: Callable[[], None] = lambda: None) -> RenderJob:
    """Begin the 3D picture in another process; hand it to `write_pictures`, and close it in any case.

    Args:
        check: called now and then while it is waited for; may raise Cancelled.
    """
    return RenderJob(result, 1100, 900, check=check)


def write_pictures(
    result: CaseResult,
    volume: CtVolume,
    folder: Path,
    *,
    view_3d: RenderJob | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Path]:
    """Write axial.png, coronal.png, overview.png and, where OpenGL is there, 3d.png.

    Args:
        volume: the CT of the result, same grid.
        view_3d: a 3D picture begun earlier by `start_3d`; begun here when None.
        say: told why the 3D picture is missing, and what would give it.

    Returns:
        What was written: "axial", "coronal", "3d", "overview".

    Raises:
        OSError: a picture cannot be written.
    """
    case = Upright.of(result, volume)
    pictures = {plane.name.lower(): montage(case, plane) for plane in (AXIAL, CORONAL)}
    if view_3d is None:
        with start_3d(result) as job:
            rendered, why = job.wait()
    else:
        rendered, why = view_3d.wait()
    if why:
        say(why)
    if rendered is not None:
        pictures["3d"] = np.round(finished_3d(rendered) * 255).clip(0, 255).astype(np.uint8)
    pictures["overview"] = overview(result, case, rendered)
    written = {}
    for name, picture in pictures.items():
        written[name] = folder / f"{name}.png"
        write_png(written[name], picture)
    return written


def montage(case: Upright, plane: Plane) -> NDArray[np.uint8]:
    """One large slice of the whole body, or up to six of the liver that show the lesions at their largest."""
    indices = best_slices(case, plane, MOST_PANELS)
    if len(indices) == 1:
        return draw_slice(case, plane, indices[0], width=1200, height=1000, snug=True).as_uint8()
    columns = 2 if len(indices) in (2, 4) else 3
    lines = math.ceil(len(indices) / columns)
    first = draw_slice(case, plane, indices[0], width=640, height=640, margin_mm=20.0, snug=True)
    width, height, gap = 640, min(640, max(360, first.height)), 6
    whole = Canvas(columns * (width + gap) - gap, lines * (height + gap) - gap, _GROUND)
    for place, index in enumerate(indices):
        panel = draw_slice(case, plane, index, width=width, height=height, margin_mm=20.0, text_size=17)
        whole.paste(panel.rgb, (place % columns) * (width + gap), (place // columns) * (height + gap))
    return whole.as_uint8()


def finished_3d(
    rendered: Rendered, width: int | None = None, height: int | None = None, text_size: float = 22
) -> NDArray[np.float32]:
    """The 3D view fitted into width x height (default: its size), with numbers and sides; 0..1."""
    tall, wide = rendered.rgb.shape[:2]
    width, height = width or wide, height or tall
    scale = min(width / wide, height / tall)
    canvas = Canvas(width, height)
    canvas.paste(_fitted(rendered.rgb, width, height, scale), 0, 0)
    taken: list[tuple[float, float]] = []
    for number, (x, y) in sorted(rendered.places.items()):
        x, y = (x - wide / 2) * scale + width / 2, (y - tall / 2) * scale + height / 2
        # The larger lesion keeps its number where two would cover each other.
        if any(max(abs(x - a), abs(y - b)) < 1.1 * text_size for a, b in taken):
            continue
        taken.append((x, y))
        canvas.text(str(number), x, y, size=text_size, anchor=(0.5, 0.5), bold=True, halo=0.85)
    pad, large = 0.5 * text_size, 1.2 * text_size
    canvas.text("R", pad, height / 2, size=large, anchor=(0, 0.5), bold=True, colour=_TEXT)
    canvas.text("L", width - pad, height / 2, size=large, anchor=(1, 0.5), bold=True, colour=_TEXT)
    canvas.text("3D  from the front", pad, pad, size=text_size, colour=_TEXT)
    return canvas.rgb


def overview(result: CaseResult, case: Upright, view_3d: Rendered | None) -> NDArray[np.uint8]:
    """The largest lesion in axial and coronal, the 3D view, and a list of the findings."""
    width, pad, gap, head = 1800, 24, 12, 74
    tall = 620
    listed = result.lesions[:20]
    more = (len(result.lesions) > len(listed)) + bool(result.doubtful)
    list_height = 96 + 34 * (max(1, math.ceil(len(listed) / 2)) + more)
    canvas = Canvas(width, head + tall + list_height, _GROUND)
    canvas.text(result.case_name, pad, 18, size=34, bold=True, colour=_TEXT, halo=0)
    canvas.text(
        "AI result, to be checked by a radiologist",
        width - pad,
        28,
        size=22,
        anchor=(1, 0),
        colour=_FAINT,
        halo=0,
    )
    panels = 3 if view_3d is not None else 2
    wide = (width - 2 * pad - (panels - 1) * gap) // panels
    for place, plane in enumerate((AXIAL, CORONAL)):
        index = _slice_of_largest(case, plane)
        panel = draw_slice(case, plane, index, width=wide, height=tall, text_size=18)
        canvas.paste(panel.rgb, pad + place * (wide + gap), head)
    if view_3d is not None:
        canvas.paste(finished_3d(view_3d, wide, tall, 18), pad + 2 * (wide + gap), head)
    y = head + tall + 20
    canvas.text(_summary(result), pad, y, size=25, colour=_TEXT, halo=0)
    y += 46
    column = (width - 2 * pad) / 2
    half = math.ceil(len(listed) / 2)
    for place, lesion in enumerate(listed):
        left, top = pad + column * (place // max(half, 1)), y + 34 * (place % max(half, 1))
        canvas.rectangle(left, top - 3, 22, 22, lesion_colour(lesion.number))
        canvas.text(_line(lesion), left + 34, top, size=23, colour=_TEXT, halo=0)
    if len(result.lesions) > len(listed):
        rest = f"and {len(result.lesions) - len(listed)} smaller ones: see findings.csv"
        canvas.text(rest, pad, y + 34 * half, size=23, colour=_FAINT, halo=0)
    if result.doubtful:
        canvas.text(_look_here(result), pad, head + tall + list_height - 42, size=23, colour=_FAINT, halo=0)
    if not result.lesions:
        said = " ".join(result.messages) or "No lesion was found."
        canvas.text(shorten(said, 150, placeholder=" ..."), pad, y, size=23, colour=_TEXT, halo=0)
    return canvas.as_uint8()


def _slice_of_largest(case: Upright, plane: Plane) -> int:
    """Where the first (largest) lesion is largest; the liver's largest slice when there is none."""
    if not case.lesions:
        return best_slices(case, plane, 1)[0]
    return int(case.areas(plane)[case.lesions[0].number].argmax())


def _fitted(picture: NDArray[np.uint8], width: int, height: int, scale: float) -> NDArray[np.float32]:
    """A picture scaled about its middle (smoothed, then linear); its edge fills the rest."""
    soft = picture.astype(np.float32) / 255
    if (height, width) == picture.shape[:2] and scale == 1:
        return soft
    soft = ndi.gaussian_filter(soft, (max(0.0, 0.35 / scale - 0.35),) * 2 + (0,))
    rows = (np.arange(height) - (height - 1) / 2) / scale + (picture.shape[0] - 1) / 2
    columns = (np.arange(width) - (width - 1) / 2) / scale + (picture.shape[1] - 1) / 2
    where = np.broadcast_arrays(rows[:, None], columns[None, :])
    return np.stack([ndi.map_coordinates(soft[..., c], where, order=1, mode="nearest") for c in range(3)], -1)


def _summary(result: CaseResult) -> str:
    parts = [f"Liver {result.liver_volume_ml:.0f} mL"] if result.liver_volume_ml else []
    parts.append(lesions_text(len(result.lesions)))
    if result.lesions:
        parts.append(f"tumour burden {percent_text(result.tumour_burden_percent)}")
    return "   ·   ".join(parts)


def _look_here(result: CaseResult) -> str:
    places = [
        f"slice {axial_slice(one.centre_lps, result.geometry)[0]} ({one.diameter_mm:.0f} mm)"
        for one in result.doubtful[:MOST_PANELS]
    ]
    return f"Look here, not listed: {', '.join(places)}"


def _line(lesion: Lesion) -> str:
    measured = lesion.measurement
    parts = [lesion_title(lesion)]
    if measured is not None:
        parts.append(f"{measured.long_axis_mm:.0f} × {measured.short_axis_mm:.0f} mm")
        parts.append(f"{millilitres(measured.volume_ml)} mL")
        parts.append(f"{measured.hu_mean:.0f} HU")
    return "    ".join(parts)
