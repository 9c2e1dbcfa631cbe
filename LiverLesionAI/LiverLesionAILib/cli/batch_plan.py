"""What `batch` will do, before it does it: a name and a folder for every input, and what is there already."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..support.errors import LiverLesionAIError
from ..support.files import write_text
from ..support.text import file_name, path_text, printable

INDEX_FILE = ".liverlesionai-batch.json"
"""In the output folder: which case was made of which input."""


@dataclass(frozen=True)
class BatchCase:
    """One input of a batch.

    Attributes:
        path: file or folder.
        name: of its case; unique in the batch, and the same in every later run.
        folder: its case folder.
        digest: SHA-256 of its files.
        kept: its case is there already, made of the same files.
        problem: why nothing can be done with it; "" where it can be analysed.
    """

    path: Path
    name: str
    folder: Path
    digest: str
    kept: bool = False
    problem: str = ""


def batch_inputs(folder: Path) -> list[Path]:
    """What `batch` analyses: every image file in `folder` and every subfolder that holds DICOM files.

    Raises:
        LiverLesionAIError: the folder is missing or holds neither.
    """
    from ..reading.dicom_headers import is_dicom
    from ..reading.image_files import is_image_file

    try:
        content = sorted(folder.iterdir())
    except OSError as error:
        raise LiverLesionAIError(
            f"{path_text(folder)}: the folder cannot be read ({error.strerror}). Check the path."
        ) from error
    visible = [path for path in content if not path.name.startswith(".")]
    inputs = [p for p in visible if (is_image_file(p) and not p.is_dir()) or (p.is_dir() and _holds_dicom(p))]
    if not inputs:
        hint = ""
        if any(p.is_file() and is_dicom(p) for p in visible[:50]):
            hint = " It holds DICOM files itself: give it to `analyze`, or its parent folder to `batch`."
        raise LiverLesionAIError(
            f"{path_text(folder)}: holds no NIfTI, NRRD or MHA file and no folder with DICOM files.{hint}"
        )
    return inputs


def _holds_dicom(folder: Path) -> bool:
    """Damaged ones count: their case fails with the reason instead of missing in the summary."""
    from ..reading.dicom_headers import is_dicom

    try:
        files = (p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
        return any(p.suffix.lower() in (".dcm", ".ima") or is_dicom(p) for p in files)
    except OSError:
        return True


def plan_batch(folder: Path, inputs: Sequence[Path], out: Path, again: bool) -> list[BatchCase]:
    """Names, folders and what is done already, for all inputs, before the first is analysed.

    An input keeps the name it got in an earlier run. A new one is called as its file or folder, and by a part
    of its digest as well where another has that name.

    Args:
        again: analyse what is there already as well.
    """
    from ..writing.case_folder import check_target

    known = read_index(out)
    earlier = {str(entry.get("input")): name for name, entry in known.items()}
    fresh = [path for path in inputs if _relative(path, folder) not in earlier]
    wanted = Counter(_same(_base_name(path)) for path in fresh)
    taken = {_same(name) for name in known}
    cases = []
    for path in inputs:
        inside, problem = _relative(path, folder), ""
        try:
            digest = digest_of(path)
        except OSError as error:
            digest, problem = "", f"{path_text(path)}: it cannot be read ({error.strerror}). Check the file."
        name = earlier.get(inside, "")
        alone = not name and wanted[_same(_base_name(path))] == 1 and _same(_base_name(path)) not in taken
        if not name:
            name = _base_name(path)
            if not alone:
                name += (
                    "-"
                    + hashlib.sha256(f"{inside}\n{digest}".encode(errors="surrogateescape")).hexdigest()[:8]
                )
        target = out / name
        if not problem:
            try:
                check_target(target)
            except LiverLesionAIError as error:
                problem = str(error)
        # A case of a version that kept no index is taken for that of the only input of its name.
        same = known[name].get("sha256") == digest if name in known else alone
        kept = same and not again and not problem and (target / "findings.json").is_file()
        cases.append(BatchCase(path, name, target, digest, kept, problem))
    return cases


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their names.

    Raises:
        OSError: one cannot be read.
    """
    digest = hashlib.sha256()
    files = [path] if not path.is_dir() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        if file != path:
            digest.update(_relative(file, path).encode(errors="surrogateescape") + b"\0")
        if not file.is_file():
            continue  # a pipe would wait for ever; reading it refuses it
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def read_index(out: Path) -> dict[str, dict[str, Any]]:
    """Case name -> input (relative path) and sha256, of earlier runs; empty where there is none."""
    try:
        cases = json.loads((out / INDEX_FILE).read_text(encoding="utf-8"))["cases"]
        return {str(name): dict(entry) for name, entry in cases.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_index(out: Path, folder: Path, done: Iterable[BatchCase]) -> None:
    """Note which inputs cases were made of, beside those noted already.

    Raises:
        OutputError: no space or no permission.
    """
    cases = read_index(out)
    cases.update({c.name: {"input": _relative(c.path, folder), "sha256": c.digest} for c in done})
    write_text(out / INDEX_FILE, json.dumps({"cases": cases}, indent=1) + "\n")


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _base_name(path: Path) -> str:
    from ..reading.image_files import volume_name

    return file_name(path.name if path.is_dir() else volume_name(path))


def _same(name: str) -> str:
    """Names that some file systems take for the same."""
    return unicodedata.normalize("NFC", printable(name)).casefold()
