from __future__ import annotations

import signal
from pathlib import Path

import pytest

from forensic_emotion.backend import prepare
from tests import trainings
from tests.builders import SHARED, write_fer2013
from tests.trainings import train_tiny, write_votes

prepare()  # as every command does before it computes: tests import Keras themselves

# A shell ignores the signal in what it starts in the background, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all trainings on the same pictures, so that their landmarks are found once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))


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


@pytest.fixture(scope="session")
def tiny_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fer2013(
        tmp_path_factory.mktemp("data") / "fer2013.csv",
        {"Training": 70, "PublicTest": 34},
        copies=[(0, "PublicTest")],
    )


@pytest.fixture(scope="session")
def tiny_model(tiny_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the small network, which tests that go on with it take for ``seed`` by ``small_seed``."""
    with pytest.MonkeyPatch.context() as patched:
        _make_seed_small(patched)
        return train_tiny(tiny_csv, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def small_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--network seed`` is a smaller one, whose trainings take a fraction of the time."""
    _make_seed_small(monkeypatch)


def _make_seed_small(patched: pytest.MonkeyPatch) -> None:
    from forensic_emotion.training import network

    patched.setitem(network.NETWORKS, "seed", trainings.small_seed)


@pytest.fixture
def small_resnet(monkeypatch: pytest.MonkeyPatch) -> None:
    """``face_resnet`` with fewer blocks and a smaller picture, which trains in a fifth of the time."""
    from forensic_emotion.training import network

    monkeypatch.setattr(network, "ENLARGED", 67)
    blocks = ((32, False), (64, True), (128, True), (256, True))
    monkeypatch.setattr(network, "RESIDUAL_BLOCKS", blocks)


@pytest.fixture(scope="session")
def symmetric_model(tiny_csv: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with all that the one that ships has: two heads, a teacher, its mirror image."""
    out = tmp_path_factory.mktemp("models") / "symmetric"
    votes = write_votes(out.parent / "votes.csv", {"Training": 70, "PublicTest": 35})
    changes = {"network": "gated_vgg", "symmetric": True, "epochs": 1, "distill_votes": True}
    return train_tiny(tiny_csv, out, ferplus=votes, distill=[tiny_model], **changes)
