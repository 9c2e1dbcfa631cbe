"""A process of the product on toy models: ``toy_process.py FOLDER analyze CT ...``, or ``FOLDER worker``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from LiverLesionAILib.analysis import worker
from LiverLesionAILib.cli.main import main
from support.toy_models import toy_folder

if __name__ == "__main__":
    _, folder, *arguments = sys.argv
    toy_folder(Path(folder), pytest.MonkeyPatch())
    if arguments == ["worker"]:
        sys.exit(worker.main())
    if arguments[0] == "socket":
        import socket

        socket.socket().close()
        sys.exit(0)
    sys.exit(main(arguments))
