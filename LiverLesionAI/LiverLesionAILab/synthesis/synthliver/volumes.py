"""The `volumes` of SynthLiver-1: whole scans with masks.

volumes/SPLIT/NAME/ct.nii.gz        int16 HU
volumes/SPLIT/NAME/labels.nii.gz    0 background, 1 liver, 1 + k lesion number k
volumes/SPLIT/NAME/lesions.json     phase, liver, scanner; class, sizes and boxes of every lesion
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from LiverLesionAILib.support.files import write_text

from .case import digest, draw_case, fingerprint
from .images import write_nifti
from .plan import PatientPlan

CT_FILE, LABEL_FILE, LESION_FILE = "ct.nii.gz", "labels.nii.gz", "lesions.json"


def make_volume(plan: PatientPlan, folder: Path) -> dict[str, Any]:
    """Draw a scan and write it under the set's `folder`.

    Returns:
        Its record: digest, fingerprint and files.

    Raises:
        OutputError: no space or no permission.
    """
    case = draw_case(plan)
    where = folder / "volumes" / plan.split / plan.name
    shutil.rmtree(where, ignore_errors=True)
    write_nifti(case.hu_zyx, case.geometry, where / CT_FILE)
    write_nifti(case.labels_zyx, case.geometry, where / LABEL_FILE)
    text = json.dumps({**case.facts, "lesions": list(case.lesions)})
    # The last one of the three: a scan with it is whole.
    write_text(where / LESION_FILE, text.replace('{"number"', '\n {"number"') + "\n")
    return {
        "digest": digest(case.hu_zyx, case.labels_zyx),
        "fingerprint": fingerprint(case),
        "files": [f"volumes/{plan.split}/{plan.name}/{n}" for n in (CT_FILE, LABEL_FILE, LESION_FILE)],
    }
