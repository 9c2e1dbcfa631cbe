"""Text from outside (names of files, fields of headers) as it can be shown anywhere."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path


def printable(text: str | os.PathLike[str] | bytes, longest: int = 0) -> str:
    r"""Text that every output can take.

    Bytes that are no UTF-8, control characters and unpaired surrogates are escaped (``M\xfcller``).

    Args:
        text: bytes, or text as Python makes it of a file's name (with surrogates for undecodable bytes).
        longest: cut in the middle to so many characters; 0 leaves it whole.
    """
    raw = text if isinstance(text, bytes) else os.fspath(text)
    if isinstance(raw, str):
        # Undecodable bytes of a name come as surrogates from 0xDC80 on: back to their bytes.
        raw = "".join(f"\\x{ord(c) - 0xDC00:02x}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in raw).encode(
            "utf-8", "backslashreplace"
        )
    plain = raw.decode("utf-8", "backslashreplace")
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in plain)
    if 0 < longest < len(plain):
        half = max(1, (longest - 5) // 2)
        plain = f"{plain[:half]} ... {plain[-half:]}"
    return plain


def begun(text: str) -> str:
    """Text as a sentence or a heading begins: its first letter is a capital."""
    return text[:1].upper() + text[1:]


def chance(probability: float) -> str:
    """A probability for reading, with two decimals: nothing that was estimated is certain or excluded.

    ">0.99" where rounding would make it 1, "<0.01" where it would make it nothing, "-" where it is not known.
    """
    if not math.isfinite(probability):
        return "-"
    if probability >= 0.995:
        return ">0.99"
    return "<0.01" if 0 < probability < 0.005 else f"{probability:.2f}"


def file_name(text: str, longest_bytes: int = 100) -> str:
    """One name for a file or folder made of any text.

    No separators, no hidden or reserved names, encodable here.

    Equal texts give equal names; different texts may give one name.

    Args:
        text: a description, a series' name.
        longest_bytes: the name is cut to so many bytes, between characters.
    """
    plain = printable(text)
    plain = "".join("_" if c in '<>:"/\\|?*' else c for c in plain).strip(" .")
    try:
        plain.encode(sys.getfilesystemencoding())
    except UnicodeEncodeError:
        plain = "".join(c if c.isascii() else f"_{ord(c):x}" for c in plain)
    while len(plain.encode()) > longest_bytes:
        plain = plain[:-1]
    plain = plain.strip(" .")
    reserved = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
    if plain.split(".")[0].lower() in reserved:
        plain = f"_{plain}"
    return plain or "CT"


def printable_streams() -> None:
    """Let standard output and error escape what their encoding lacks instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def path_text(path: Path) -> str:
    """A path for a message: printable, and not endless."""
    return printable(path, 300)
