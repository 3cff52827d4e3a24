# SPDX-License-Identifier: Apache-2.0
"""The interpreter that the cloud's processes run."""

from __future__ import annotations

import sys
from pathlib import Path


def own_python() -> str:
    """Our own, by a path that does not lead through a link in a folder closed to other users."""
    return str(Path(sys.prefix).resolve() / "bin" / Path(sys.executable).name)
