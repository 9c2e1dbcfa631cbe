"""`liverlesionai batch`: many CTs, a case folder each."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.errors import Cancelled, LiverLesionAIError, OutputError
from ..support.progress import TimedProgress, part
from .analyze import add_analysis_options, analyse_into
from .progress_bar import ProgressBar
from .tools import EXIT_ERROR

if TYPE_CHECKING:
    from .tools import Commands


def add_batch_command(commands: Commands) -> None:
    """The parser of `batch`."""
    batch = commands.add_parser("batch", help="analyse every CT in a folder, one case folder each")
    batch.add_argument("folder", type=Path, help="folder with image files, or with one folder of DICOM each")
    batch.add_argument("--out", type=Path, required=True, help="folder for the case folders and summary.csv")
    batch.add_argument("--again", action="store_true", help="also those whose case folder is there already")
    add_analysis_options(batch)
    batch.set_defaults(run=run_batch)


def batch_inputs(folder: Path) -> list[Path]:
    """What `batch` analyses: every image file in `folder` and every subfolder that holds DICOM files.

    Raises:
        LiverLesionAIError: the folder is missing or holds neither.
    """
    from ..reading import list_series
    from ..reading.image_files import is_image_file

    if not folder.is_dir():
        raise LiverLesionAIError(f"{folder}: there is no such folder. Check the path.")
    inputs = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_file() and is_image_file(path):
            inputs.append(path)
        elif path.is_dir():
            try:
                if list_series(path):
                    inputs.append(path)
            except LiverLesionAIError:
                continue
    if not inputs:
        raise LiverLesionAIError(
            f"{folder}: holds no NIfTI, NRRD or MHA file and no folder with DICOM files."
        )
    return inputs


def run_batch(args: argparse.Namespace) -> int:
    """Many CTs; one that fails is reported and does not stop the others. Exit status 1 if any failed."""
    from ..models.weights import ModelStore
    from ..reading import read_ct
    from ..reading.image_files import volume_name
    from ..support.files import write_text

    inputs = batch_inputs(args.folder)
    models = ModelStore.bundled()
    rows = [["case", "status", "lesions", "tumour burden (%)", "liver volume (mL)", "seconds", "message"]]
    failed = 0
    said: dict[str, None] = {}
    for number, path in enumerate(inputs, start=1):
        name = volume_name(path) if path.is_file() else path.name
        folder = args.out / name
        if (folder / "findings.json").is_file() and not args.again:
            print(f"{number}/{len(inputs)} {name}: there already, left as it is (--again analyses it anew)")
            rows.append([name, "kept", "", "", "", "", ""])
            continue
        bar = ProgressBar()
        progress = TimedProgress(bar)
        started = time.perf_counter()
        try:
            volume = read_ct(path, None, part(progress, 0.0, 0.1))
            result, _, notes, _ = analyse_into(args, volume, folder, models, progress)
        except (OutputError, Cancelled):
            raise
        except LiverLesionAIError as error:
            bar.done()
            failed += 1
            print(f"{number}/{len(inputs)} {name}: {error}")
            rows.append([name, "failed", "", "", "", "", str(error)])
            continue
        bar.done()
        said.update(dict.fromkeys(notes))
        seconds = time.perf_counter() - started
        print(
            f"{number}/{len(inputs)} {name}: {len(result.lesions)} lesions, "
            f"liver {result.liver_volume_ml:.0f} mL, burden {result.tumour_burden_percent:.1f} %, "
            f"{seconds:.0f} s"
        )
        rows.append(
            [
                name,
                "done",
                str(len(result.lesions)),
                f"{result.tumour_burden_percent:.2f}",
                f"{result.liver_volume_ml:.0f}",
                f"{seconds:.1f}",
                " ".join(result.messages),
            ]
        )
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    write_text(args.out / "summary.csv", "\r\n".join(lines) + "\r\n")
    # What could not be written here is the same for every case.
    for sentence in said:
        print(sentence)
    print(f"{len(inputs) - failed} of {len(inputs)} analysed; summary in {args.out / 'summary.csv'}")
    return EXIT_ERROR if failed else 0
