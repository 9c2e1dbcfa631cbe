"""A liver's anatomy to look at: four axial slices and a view from the front, beside an atlas."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import numpy as np
from LiverLesionAILib.case.anatomy import CouinaudSegment, LiverAnatomy, Vessel
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import replacing
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import CtVolume, reorient
from numpy.typing import NDArray
from scipy import ndimage

from ..data.cases import read_unchecked
from .anatomy_methods import namer_of, network_of, product_anatomy

WINDOW_HU = (-20.0, 220.0)
SLICES = 4
TITLE_POINTS = 11
SHARES = (0.82, 0.62, 0.45, 0.25)
"""Where the slices lie in the liver, from its lowest to its highest: dome first."""


def add_picture_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `compare livers`."""
    parser.add_argument(
        "data", type=Path, help="folder with NAME_ct.nii.gz and NAME_mask.nii.gz: 1 liver, 2 lesion"
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="of a vessel network; else the ridge filter"
    )
    parser.add_argument("--names", type=Path, metavar="FILE", help="of a network that names what it finds")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets NAME.png")


def run_pictures(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Draw the anatomy of every outlined liver of a folder, all of them as portal venous scans.

    Raises:
        InputError: there is none, or a damaged one.
        OutputError: a picture cannot be written.
    """
    scans = sorted(args.data.glob("*_ct.nii.gz"))
    pairs = [(ct, ct.with_name(ct.name.replace("_ct.", "_mask."))) for ct in scans]
    pairs = [pair for pair in pairs if pair[1].is_file()]
    if not pairs:
        raise InputError(f"{args.data} holds no NAME_ct.nii.gz with NAME_mask.nii.gz beside it.")
    finder = None if args.weights is None else network_of(args.weights)
    namer = None if args.names is None else namer_of(args.names)
    args.out.mkdir(parents=True, exist_ok=True)
    for number, (ct_file, mask_file) in enumerate(pairs):
        name = ct_file.name.removesuffix("_ct.nii.gz")
        progress(f"anatomy of {name}", number / len(pairs))
        ct, mask = reorient(read_unchecked(ct_file)), reorient(read_unchecked(mask_file))
        labels = np.asarray(mask.hu_zyx).astype(np.uint8)
        anatomy = product_anatomy(ct, labels, Phase.PORTAL, finder, namer)
        draw_anatomy_sheet(ct, anatomy, args.out / f"{name}.png", name)
    return 0


def draw_anatomy_sheet(ct: CtVolume, anatomy: LiverAnatomy, path: Path, title: str = "") -> None:
    """Write a sheet as PNG.

    Args:
        ct: on the anatomy's grid, axes L, P, S.
        anatomy: with or without segments.
        path: of the picture.

    Raises:
        OutputError: it cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, SLICES + 1, figsize=(5 * (SLICES + 1), 5.2), facecolor="black")
    spacing = anatomy.geometry.spacing_zyx_mm
    inside = np.flatnonzero(anatomy.segments_zyx.any(axis=(1, 2)))
    if not len(inside):
        inside = np.arange(anatomy.geometry.shape_zyx[0])
    for axis, share in zip(axes, SHARES, strict=False):
        z = int(inside[0] + share * (inside[-1] - inside[0]))
        axis.imshow(slice_rgb(ct.hu_zyx[z], anatomy, z), aspect=spacing[1] / spacing[2])
        axis.set_title(f"slice {z + 1} of {len(ct.hu_zyx)}", color="white", fontsize=10)
        for segment in CouinaudSegment:
            _name(axis, anatomy.segments_zyx[z] == segment, segment.roman)
    axes[-1].imshow(front_view(anatomy), aspect=spacing[0] / spacing[2], origin="lower")
    axes[-1].set_title("vessels from the front", color="white", fontsize=10)
    for axis in axes:
        axis.axis("off")
    volumes = ", ".join(f"{s.roman} {anatomy.volume_ml(s):.0f}" for s in CouinaudSegment)
    if not anatomy.has_segments:
        volumes = "no segments"
    text = "; ".join(filter(None, [title, f"mL: {volumes}", *anatomy.messages]))
    figure.suptitle(title_lines(text, figure.get_figwidth()), color="white", fontsize=TITLE_POINTS)
    figure.tight_layout()
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=60, facecolor="black")
    plt.close(figure)


def title_lines(text: str, width_inches: float) -> str:
    """A title in lines that a figure of this width holds."""
    # A letter of the figure's font is some six tenths of its height wide.
    return textwrap.fill(text, int(width_inches * 72 / (0.6 * TITLE_POINTS)))


def slice_rgb(hu_yx: NDArray, anatomy: LiverAnatomy, z: int) -> NDArray[np.float64]:
    """(y, x, 3) in 0..1: the slice with segments tinted and vessels in full colour."""
    low, high = WINDOW_HU
    grey = np.clip((np.asarray(hu_yx, np.float64) - low) / (high - low), 0, 1)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    for segment in CouinaudSegment:
        at = anatomy.segments_zyx[z] == segment
        rgb[at] = 0.65 * rgb[at] + 0.35 * np.array(segment.colour)
    for vessel in Vessel:
        at = anatomy.vessels_zyx[z] == vessel
        rgb[at] = 0.35 * rgb[at] + 0.65 * np.array(vessel.colour)
    return rgb


def front_view(anatomy: LiverAnatomy) -> NDArray[np.float64]:
    """(z, x, 3) in 0..1: what is nearest to the viewer of the vessels, the liver's shadow behind them."""
    liver = (anatomy.segments_zyx > 0).any(axis=1)
    out = np.repeat(0.18 * liver[..., None].astype(np.float64), 3, axis=2)
    vessels = anatomy.vessels_zyx
    first = (vessels > 0).argmax(axis=1)
    depth = 1.0 - 0.6 * first / max(1, vessels.shape[1])
    nearest = np.take_along_axis(vessels, first[:, None, :], axis=1)[:, 0]
    for vessel in Vessel:
        at = nearest == vessel
        out[at] = np.array(vessel.colour) * depth[at][:, None]
    return np.clip(out * 1.2, 0, 1)


def _name(axis: object, at_yx: NDArray[np.bool_], name: str) -> None:
    if np.count_nonzero(at_yx) > 60:
        y, x = ndimage.center_of_mass(at_yx)
        axis.text(x, y, name, color="white", fontsize=11, ha="center", va="center")  # type: ignore[attr-defined]
