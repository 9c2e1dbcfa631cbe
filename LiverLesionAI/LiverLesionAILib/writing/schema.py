"""The schema of ``findings.json``, which programs that read it can rely on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .tables import JSON_VERSION

SCHEMAS = Path(__file__).resolve().parents[1] / "data" / "Schemas"


def findings_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of what :func:`.tables.findings_json` makes."""
    path = SCHEMAS / f"findings-{JSON_VERSION}.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))
