"""sqlite-utils without the pandas that it loads beside itself: half a second, of no use to a case."""

from __future__ import annotations

import sys

_there = "pandas" in sys.modules
if not _there:
    sys.modules["pandas"] = None  # type: ignore[assignment]  # as if it were not installed
try:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations
finally:
    if not _there:
        del sys.modules["pandas"]

__all__ = ["Database", "Migrations"]
