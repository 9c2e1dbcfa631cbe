"""The child process of the fuzzer: reads what it is given and says what came of it."""

from __future__ import annotations

import hashlib
import os
import traceback
from pathlib import Path

import numpy as np
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.reading.dicom_pixels import kept_decoder
from LiverLesionAILib.support.errors import LiverLesionAIError
from LiverLesionAILib.support.limited_child import Message, serve


def read(request: Message) -> tuple[Message, bytes]:
    """Read the CT at "path" (its bytes in hexadecimal); the answer has no voxels, but their digest."""
    path = Path(os.fsdecode(bytes.fromhex(request["path"])))
    try:
        volume = read_ct(path)
    except MemoryError:
        raise
    except LiverLesionAIError as error:
        return {"refused": str(error)}, b""
    except Exception:
        return {"traceback": traceback.format_exc()[-2000:]}, b""
    values = np.ascontiguousarray(volume.hu_zyx)
    return {
        "digest": hashlib.sha256(values).hexdigest(),
        "shape": list(values.shape),
        "matrix": volume.geometry.ijk_to_lps.tolist(),
        "said": [*volume.warnings, *volume.notes],
        "name": volume.name,
    }, b""


if __name__ == "__main__":
    with kept_decoder():
        serve(read)
