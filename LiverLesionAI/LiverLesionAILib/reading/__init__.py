"""From files to a CT: NIfTI, NRRD, MetaImage, single DICOM files and whole DICOM folders."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support.errors import InputError
from ..support.progress import Progress, silent
from ..support.text import path_text, printable
from ..volume.checking import check_ct
from ..volume.ct import CtVolume
from .decoding import open_regular
from .dicom_start import is_dicom
from .image_files import FORMATS, is_image_file, load_image_file

if TYPE_CHECKING:
    from .dicom_folder import list_series
    from .dicom_series import SeriesInfo

__all__ = ["SeriesInfo", "list_series", "load_ct", "read_ct"]


def __getattr__(name: str) -> Any:
    """What knows of DICOM is loaded by whoever asks for it: its library takes half a second."""
    if name == "list_series":
        from .dicom_folder import list_series

        return list_series
    if name == "SeriesInfo":
        from .dicom_series import SeriesInfo

        return SeriesInfo
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def read_ct(
    path: Path | str, series: str | None = None, progress: Progress = silent, grid: str = ""
) -> CtVolume:
    """Read a CT from a file or folder and check that it can be analysed.

    Args:
        path: NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd) file; a DICOM file (with
            the rest of its series beside it); or a folder searched for DICOM, subfolders included.
        series: for DICOM, the series to take: number ("4", or "4.2" for the second of its scans), UID or a
            part of its description. None takes the largest CT series that covers an abdomen. For a file of
            several volumes (phases), the volume's number from 1 or a part of its name.
        progress: told of 0..1; may cancel.
        grid: "sform" or "qform": which to take of a NIfTI file whose two contradict each other.

    Returns:
        int16 HU on the scan's own grid, in patient space (LPS); `notes` say what was chosen, `warnings` what
        was changed or is doubtful.

    Raises:
        InputError: missing, unreadable or not an abdominal CT; the text says why and what to do.
        Cancelled: `progress` asked for it.
    """
    path = Path(path)
    volume = load_ct(path, series, progress, grid)
    # Refusals name what the user gave.
    given = printable(path.name) if path.is_file() else volume.name
    return replace(check_ct(replace(volume, name=given)), name=volume.name)


def load_ct(
    path: Path | str, series: str | None = None, progress: Progress = silent, grid: str = ""
) -> CtVolume:
    """:func:`read_ct` without the check of the content: whatever three-dimensional image the file holds.

    Values that cannot be whole Hounsfield units (NaN, a range of 0 to 1) stay float32.
    """
    path = Path(path)
    progress("Reading", 0.0)
    if _is_folder(path):
        from .dicom_folder import load_folder

        volume = load_folder(path, series, progress)
    elif is_dicom(path):
        from .dicom_folder import load_dicom_file

        volume = load_dicom_file(path, series, progress)
    elif is_image_file(path):
        volume = load_image_file(path, series, grid, progress)
    else:
        size = path.stat().st_size
        what = (
            "the file is empty"
            if size == 0
            else "the file is none of the formats that can be read, or is damaged"
        )
        raise InputError(
            f"{path_text(path)}: {what}. A CT is read from {FORMATS}, or from a folder with DICOM files."
        )
    progress("Reading", 1.0)
    return volume


def _is_folder(path: Path) -> bool:
    """Raises: InputError where it is neither a folder nor a regular file that can be opened."""
    # Names that no system takes are refused below.
    with suppress(OSError, ValueError):
        if path.is_dir():
            return True
    open_regular(path).close()
    return False
