"""What `batch` will do, before it does it: a name and a folder for every input, and what is there already."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..support.errors import LiverLesionAIError
from ..support.files import write_text
from ..support.text import file_name, path_text, printable
from .batch_inputs import Request

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
        request: what was asked for: series, second phase, priors.
        priors: case folders to compare with.
        after: names of the cases that have to be there before.
        kept: its case is there already, made of the same files.
        problem: why nothing can be done with it; "" where it can be analysed.
    """

    path: Path
    name: str
    folder: Path
    digest: str
    request: Request
    priors: tuple[Path, ...] = ()
    after: tuple[str, ...] = ()
    kept: bool = False
    problem: str = ""


def plan_batch(
    requests: Sequence[Request], base: Path | None, out: Path, again: bool, share: slice = slice(None)
) -> list[BatchCase]:
    """Names, folders and what is done already, for all CTs, before the first is analysed.

    A CT keeps the name it got in an earlier run. A new one is called as its file or folder, and by a part
    of its digest as well where another has that name.

    Args:
        base: the folder of all CTs, where there is one: it may be moved between runs.
        again: analyse what is there already as well.
        share: which of them are wanted here; their names are those that they have among all.
    """
    known = read_index(out)
    earlier = {str(entry.get("input")): name for name, entry in known.items()}
    fresh = [request for request in requests if _key(request, base) not in earlier]
    wanted = Counter(_same(_base_name(request)) for request in fresh)
    taken = {_same(name) for name in known}
    cases: list[BatchCase] = []
    name_of: dict[str, str] = {}
    own = set(range(len(requests))[share])
    for number, request in enumerate(requests):
        key = _key(request, base)
        name, same_name = earlier.get(key, ""), _same(_base_name(request))
        alone = not name and wanted[same_name] == 1 and same_name not in taken
        digest, problem = _digest(request) if number in own or not (name or alone) else ("", "")
        if not name:
            name = _base_name(request)
            if not alone:
                mark = f"{key}\n{digest}".encode(errors="surrogateescape")
                name += "-" + hashlib.sha256(mark).hexdigest()[:8]
        if request.name:
            name_of[request.name] = name
        if number not in own:
            continue
        problem = problem or _problem_of(out / name)
        # A case of a version that kept no index is taken for that of the only input of its name.
        same = known[name].get("sha256") == digest if name in known else alone
        kept = same and not again and not problem and (out / name / "findings.json").is_file()
        problem = problem or ("" if kept else _problem_of(out / name, decided=True))
        after = tuple(name_of[prior] for prior in request.priors if prior in name_of)
        priors = tuple(out / name_of[prior] if prior in name_of else Path(prior) for prior in request.priors)
        cases.append(BatchCase(request.path, name, out / name, digest, request, priors, after, kept, problem))
    return cases


def _problem_of(target: Path, *, decided: bool = False) -> str:
    """Why nothing can be written there, or with `decided`, why nothing there is to be replaced."""
    from ..writing.case_folder import check_target
    from ..writing.review_file import refuse_decided

    try:
        (refuse_decided if decided else check_target)(target)
    except LiverLesionAIError as error:
        return str(error)
    return ""


def _digest(request: Request) -> tuple[str, str]:
    """Of everything that the result follows from: CT, its grid, second phase, priors; and what is wrong."""
    try:
        digest = digest_of(request.path)
        if not (request.series or request.grid or request.second_phase or request.priors):
            return digest, ""
        parts = [digest, request.series, *request.priors]
        parts.append("" if request.second_phase is None else digest_of(request.second_phase))
        # Only where given: what earlier batches did keeps its name.
        parts += [text for text in (request.grid, request.second_series, request.second_grid) if text]
    except OSError as error:
        where = path_text(Path(error.filename or request.path))
        return "", f"{where}: it cannot be read ({error.strerror}). Check the file."
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest(), ""


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
    cases: dict[str, dict[str, Any]] = {}
    for file in sorted(out.glob(INDEX_FILE.replace(".json", "*.json"))):
        cases |= _read_index_file(file)
    return cases


def _read_index_file(file: Path) -> dict[str, dict[str, Any]]:
    try:
        cases = json.loads(file.read_text(encoding="utf-8"))["cases"]
        return {str(name): dict(entry) for name, entry in cases.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_index(out: Path, base: Path | None, done: Iterable[BatchCase], share: str = "") -> None:
    """Note which inputs cases were made of, beside those noted already.

    Args:
        share: "2/8": of a job array, whose tasks each write an index of their own.

    Raises:
        OutputError: no space or no permission.
    """
    file = out / INDEX_FILE.replace(".json", f"-{share.replace('/', '-of-')}.json" if share else ".json")
    cases = _read_index_file(file)
    cases.update({c.name: {"input": _key(c.request, base), "sha256": c.digest} for c in done})
    write_text(file, json.dumps({"cases": cases}, indent=1) + "\n")


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _key(request: Request, base: Path | None) -> str:
    """What names a CT in every run: its path below the folder of all, or the whole path; its series."""
    path = os.path.abspath(request.path)  # noqa: PTH100 (links stay, ".." goes)
    text = Path(path).as_posix()
    if base is not None and Path(os.path.abspath(base)) in Path(path).parents:  # noqa: PTH100
        text = _relative(Path(path), Path(os.path.abspath(base)))  # noqa: PTH100
    return f"{text}#{request.series}" if request.series else text


def _base_name(request: Request) -> str:
    from ..reading.image_files import volume_name

    if request.name:
        return file_name(request.name)
    return file_name(request.path.name if request.path.is_dir() else volume_name(request.path))


def _same(name: str) -> str:
    """Names that some file systems take for the same."""
    return unicodedata.normalize("NFC", printable(name)).casefold()
