"""The wheel, built from the source distribution, works away from this folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from forensic_emotion.records import Box
from tests.builders import encoded, picture, scanned

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, out = tmp_path_factory.mktemp("source") / "femo", tmp_path_factory.mktemp("dist")
    source.mkdir()
    for name in ("forensic_emotion", "templates"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    # Without arguments: a source distribution first, then the wheel from that.
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)],
        check=True,
        capture_output=True,
    )
    (path,) = out.glob("*.whl")
    return path


def test_the_wheel_renders_a_report_and_knows_its_models(
    wheel: Path, evidence: Path, tmp_path: Path
) -> None:
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    (evidence / "p.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    scanned(evidence, tmp_path / "case.db")
    code = (
        "import forensic_emotion, sys\n"
        f"assert forensic_emotion.__file__.startswith({str(installed)!r}), forensic_emotion.__file__\n"
        "from forensic_emotion.emotions.classifier import load_classifier\n"
        "load_classifier('face_resnet', 'onnx')\n"
        "from forensic_emotion.faces.detector import load_detector\n"
        "from forensic_emotion.settings import ScanSettings\n"
        "load_detector(ScanSettings())\n"
        "from forensic_emotion.case.tables import tables\n"
        "assert tables()\n"
        "from forensic_emotion.cli import main\n"
        "sys.argv = ['femo', 'report', 'case.db']\n"
        "main()\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    assert "<!doctype html>" in (tmp_path / "case.html").read_text()


def test_the_hash_of_the_code_is_that_of_its_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it lies in a checkout or was installed, and whatever an editor leaves beside it."""
    from forensic_emotion import versions

    def sha256_in(folder: Path) -> str:
        monkeypatch.setattr(versions, "__file__", str(folder / "versions.py"))
        return versions._code_sha256.__wrapped__()

    package = tmp_path / "p"
    (package / "sub").mkdir(parents=True)
    (package / "versions.py").write_text("1")
    (package / "sub" / "a.py").write_text("2")
    first = sha256_in(package)
    lines = [
        f"{hashlib.sha256(text).hexdigest()}  {name}\n"
        for name, text in (("sub/a.py", b"2"), ("versions.py", b"1"))
    ]
    assert first == hashlib.sha256("".join(lines).encode()).hexdigest()
    (package / "templates").mkdir()
    (package / "templates" / "__init__.py").write_text("3")
    (package / ".#a.py").symlink_to("nowhere")
    (package / "report.html").write_text("4")
    assert sha256_in(package) == first
    (package / "sub" / "a.py").write_text("5")
    assert sha256_in(package) != first
