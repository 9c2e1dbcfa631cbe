"""How much of what a mask network or a detector learns from is of which kind."""

from __future__ import annotations

ARTERIAL: dict[str, float] = {
    "real": 0.2,
    "variant": 0.26,
    "body": 0.06,
    "healthy": 0.12,
    "slice": 0.07,
    "slice variant": 0.09,
    "arterial": 0.09,
    "arterial slice": 0.05,
    "arterial body": 0.06,
}
"""Of what a mask network learns from; a fifth is of the arterial phase."""

VOLUMES: dict[str, float] = {"real": 0.3, "variant": 0.42, "body": 0.1, "healthy": 0.18}
"""For networks that learn single lesions: in single slices most are not outlined."""
