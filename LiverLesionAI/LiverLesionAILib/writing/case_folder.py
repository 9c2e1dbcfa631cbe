"""A case as a folder of files: masks, boxes, findings, a Slicer scene, pictures. All of it or nothing.

===================  ==================================================================================
masks                ``masks.seg.nrrd``: liver and lesions, on the CT's grid, opens in 3D Slicer
anatomy              ``anatomy.seg.nrrd``: vessels and Couinaud segments, where they were computed
boxes                ``boxes.mrk.json``: an ROI per lesion
findings, table      ``findings.json``, ``findings.csv``
case                 ``case.json`` and its arrays: the whole result, for `case.store.load_result`
dicom                ``dicom.json``: images, study and patient, for results as DICOM. Only for a CT
                     read from DICOM, and the only file that names the patient
scene                ``scene.mrb``: CT, segmentation, boxes, diameters, table, maps; opens in 3D Slicer.
                     Not written where slicer-core is not installed
overview, axial,     pictures (PNG); ``3d.png`` where OpenGL is there
coronal, 3d
key images           ``key_images``: a picture of each lesion, for the report
===================  ==================================================================================
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from ..case.dicom_json import write_dicom
from ..case.findings import CaseResult
from ..case.store import load_result, save_result
from ..case.tracking import with_tracking_of
from ..support.beside import Beside
from ..support.errors import InputError, OutputError
from ..support.files import output_error, rename, write_text
from ..support.interrupts import held_back
from ..support.packing import PackedAhead
from ..support.part_folders import PartFolder, clear_dead_parts, hidden_name, is_old, names_of
from ..support.progress import Progress, silent
from ..volume.ct import CtVolume
from . import boxes_file as markups
from .anatomy_file import ANATOMY, write_anatomy
from .mask_file import write_masks

MARKER = ".liverlesionai-case.json"
"""In every folder written here: names the files that are ours, so that only those are ever replaced."""

MASKS = "masks.seg.nrrd"
BOXES = "boxes.mrk.json"
SCENE = "scene.mrb"
NO_SCENE = (
    f'{SCENE} was not written: it needs slicer-core (pip install "liverlesionai[scene]"). '
    "Everything else is there."
)

ONE_BY_ONE_VOXELS = 250_000_000
"""From so large a CT on (a thousand slices of 512 x 512) memory counts for more than seconds: files, pictures
and scene are made one after the other."""


def write_case_folder(
    result: CaseResult,
    volume: CtVolume,
    folder: Path,
    *,
    pictures: bool = True,
    scene: bool = True,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = silent,
    texts: Mapping[str, str | bytes] | None = None,
    ahead: PackedAhead | None = None,
) -> dict[str, Path]:
    """Write everything about a case; the folder appears when it is complete.

    Args:
        volume: the CT that the result was made on, same grid.
        folder: made with its parents; an earlier case folder there is replaced once the new one is complete,
            and whatever else somebody put into it is kept.
        pictures: also draw pictures.
        scene: also write a scene, where slicer-core is installed.
        say: called with what the reader has to know: a scene or picture that cannot be made here, and why.
        progress: called with fractions 0..1; may raise Cancelled, which leaves nothing behind.
        texts: further files of the case by their name, such as the comparison with an earlier scan; bytes are
            written as they are.
        ahead: what :func:`prepare_scene` began.

    Returns:
        What was written, by the names above.

    Raises:
        OutputError: no space, no permission, or a folder that is not one of ours and not empty. Nothing is
            left behind, and an earlier case folder is as it was.
        Cancelled: from `progress`.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 (links stay, ".." goes)
    check_target(folder)
    made = [parent for parent in folder.parents if not parent.exists()]
    _finish_renaming(folder)
    clear_dead_parts(folder.parent, MARKER)
    filling: PartFolder | None = None
    result = with_earlier_tracking(result, folder)
    try:
        filling = PartFolder(folder)
        part = filling.path
        written = _write_all(result, volume, part, pictures, scene, say, progress, ahead)
        written.update(_write_further(texts or {}, part))
        own = names_of(part)
        (part / MARKER).write_text(json.dumps({"files": own}) + "\n", encoding="utf-8")
        with held_back():
            filling.release()
            _into_place(part, folder)
    except BaseException as error:
        _clear(filling, made)
        if isinstance(error, OSError):
            raise output_error(folder, error) from error
        if isinstance(error, OutputError) and filling is not None:
            # Name the folder that was asked for, not the hidden one that was being filled.
            raise OutputError(str(error).replace(str(filling.path), str(folder))) from error
        raise
    return {name: folder / path.name for name, path in written.items()}


def _write_further(files: Mapping[str, str | bytes], part: Path) -> dict[str, Path]:
    """Further files of the case, by their names without ending where that is enough."""
    written: dict[str, Path] = {}
    for name, content in files.items():
        if isinstance(content, bytes):
            (part / name).write_bytes(content)
        else:
            write_text(part / name, content)
        written[name if Path(name).stem in written else Path(name).stem] = part / name
    return written


def _clear(filling: PartFolder | None, made: list[Path]) -> None:
    """Remove what was begun, the parents that were made for it included."""
    with held_back():
        if filling is not None:
            filling.discard()
        for parent in made:
            with suppress(OSError):
                parent.rmdir()


def with_earlier_tracking(result: CaseResult, folder: Path) -> CaseResult:
    """The result whose lesions keep the tracking UIDs of those that an earlier run left in the folder."""
    if not is_case_folder(folder):
        return result
    try:
        return with_tracking_of(result, load_result(folder))
    except InputError:
        # A damaged or newer case says nothing of its lesions.
        return result


def is_case_folder(folder: Path) -> bool:
    """Whether a folder was written by `write_case_folder`."""
    return (folder / MARKER).is_file()


def check_target(folder: Path) -> None:
    """Find out before the work whether a case can be written there; leaves nothing behind.

    Raises:
        OutputError: the folder holds other files, or it cannot be made or written to.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 (links stay, ".." goes)
    try:
        if folder.is_dir():
            if not is_case_folder(folder) and any(folder.iterdir()):
                raise OutputError(
                    f"{folder} holds files that are not a LiverLesionAI case, so nothing was written there. "
                    "Choose another folder, or a new name in it."
                )
        elif folder.exists() or folder.is_symlink():
            raise OutputError(f"{folder} is a file. Choose a folder.")
        there = next(parent for parent in folder.parents if parent.exists())
        if not there.is_dir():
            raise OutputError(f"{there} is a file, so that nothing can be written below it. Choose a folder.")
        tempfile.TemporaryDirectory(prefix=".liverlesionai-", dir=there).cleanup()
    except OSError as error:
        raise output_error(folder, error) from error


def _write_all(
    result: CaseResult,
    volume: CtVolume,
    part: Path,
    pictures: bool,
    scene: bool,
    say: Callable[[str], None],
    progress: Progress,
    ahead: PackedAhead | None,
) -> dict[str, Path]:
    """Everything but further texts: files and pictures in threads, the scene meanwhile in this one.

    Of a CT from `ONE_BY_ONE_VOXELS` on each of them waits for the one before.
    """
    said_of_pictures: list[str] = []
    large = volume.hu_zyx.size >= ONE_BY_ONE_VOXELS
    progress("Writing masks", 0.0)
    with Beside() as beside:
        files = beside.begin(lambda: _write_files(result, volume, part, beside.check))
        if large:
            files.result()
        drawn = (
            beside.begin(lambda: _draw(result, volume, part, said_of_pictures.append, beside.check))
            if pictures
            else None
        )
        if large and drawn is not None:
            drawn.result()
        progress("Writing the scene", 0.1)
        written: dict[str, Path] = {}
        try:
            if scene and _scene(result, volume, part / SCENE, say, ahead):
                written["scene"] = part / SCENE
        except OutputError:
            # Slicer's library can only guess why; whoever writes plain files beside it is told.
            files.result()
            if drawn is not None:
                drawn.result()
            raise
        progress("Writing findings", 0.6)
        written = {**files.result(), **written}
        if drawn is not None:
            progress("Drawing pictures", 0.7)
            written.update(drawn.result())
            for sentence in said_of_pictures:
                say(sentence)
    progress("Writing", 1.0)
    return written


def _draw(
    result: CaseResult,
    volume: CtVolume,
    part: Path,
    say: Callable[[str], None],
    check: Callable[[], None],
) -> dict[str, Path]:
    """Pictures and key images; another process draws the 3D one meanwhile."""
    from ..pictures.overview import start_3d, write_pictures
    from .report.key_images import write_key_images

    with start_3d(result, check) as view_3d:
        key_images = write_key_images(result, volume, part)
        check()
        written = write_pictures(result, volume, part, view_3d=view_3d, say=say)
    return {**written, "key images": key_images}


def _write_files(
    result: CaseResult, volume: CtVolume, part: Path, check: Callable[[], None]
) -> dict[str, Path]:
    """Masks, boxes, anatomy, case, tables and what DICOM told."""
    from .tables import write_tables

    write_masks(part / MASKS, result)
    written = {"masks": part / MASKS, "boxes": part / BOXES}
    markups.write_boxes(part / BOXES, result)
    if result.anatomy is not None:
        write_anatomy(part / ANATOMY, result.anatomy)
        written["anatomy"] = part / ANATOMY
    check()
    written["case"] = save_result(result, part)
    check()
    written["table"], written["findings"] = write_tables(result, part)
    if volume.dicom is not None:
        written["dicom"] = write_dicom(part, volume.dicom)
    return written


def prepare_scene(volume: CtVolume) -> AbstractContextManager[PackedAhead | None]:
    """Begin what writing a scene needs, in the background: call it before the work whose result is written.

    Returns:
        The CT's voxels, being compressed: a context. Nothing is where no scene can be written.
    """
    from ..scene.loading import begin_loading

    there = begin_loading() and volume.hu_zyx.flags.c_contiguous
    return PackedAhead(volume.hu_zyx.data) if there else nullcontext()


def _scene(
    result: CaseResult,
    volume: CtVolume,
    path: Path,
    say: Callable[[str], None],
    ahead: PackedAhead | None,
) -> bool:
    """Write the scene by Slicer's own classes; False, and said in one line, where they are not installed."""
    # Whatever an exception cuts short in these classes, their loading included, may end the process.
    with held_back():
        try:
            from ..scene.offline import case_scene, write_bundle
        except ModuleNotFoundError as error:
            if error.name != "slicer":
                raise
            say(NO_SCENE)
            return False
        scene, _ = case_scene(result, volume)
        write_bundle(scene, path, ahead)
        return True


def _into_place(part: Path, folder: Path) -> None:
    """Rename the finished folder to its name; an earlier case goes only once that has worked."""
    if not folder.exists():
        rename(part, folder)
        return
    old = folder.with_name(f"{hidden_name(folder)}.old-{secrets.token_hex(4)}")
    rename(folder, old)
    try:
        rename(part, folder)
    except OSError:
        rename(old, folder)
        raise
    _replace_old(old, folder)


def _replace_old(old: Path, folder: Path) -> None:
    """Move what is not ours from the earlier case to the new one, and remove the rest."""
    own = _own_files(old)
    with suppress(OSError):
        for path in list(old.iterdir()):
            if path.name not in own and not (folder / path.name).exists():
                rename(path, folder / path.name)
        for name in own:
            _remove(old / name)
        # Only when nothing that is not ours is left in it.
        old.rmdir()


def _finish_renaming(folder: Path) -> None:
    """What a run killed between two renames left: the earlier case comes back to its name."""
    start = f"{hidden_name(folder)}.old-"
    with suppress(OSError):
        for old in list(folder.parent.iterdir()):
            if old.name.startswith(start) and is_case_folder(old) and is_old(old):
                if folder.exists():
                    _replace_old(old, folder)
                else:
                    rename(old, folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _own_files(folder: Path) -> set[str]:
    try:
        named = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        named = []
    return {MARKER, *named}
