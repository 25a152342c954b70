from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.builders import SHARED

# A shell ignores the signal in what it starts in the background, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    folder = tmp_path / "evidence"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def shared_media() -> Path:
    if not (SHARED / "media").is_dir():
        pytest.skip("the real media of ../shared are not here")
    return SHARED / "media"
