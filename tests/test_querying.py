"""docs/querying.md: every example on it is run, on a small case; and ``femo datasette``."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from forensic_emotion.case.presets import PRESETS
from forensic_emotion.case.queries import opened_case
from forensic_emotion.case.tables import tables
from forensic_emotion.cli import app
from forensic_emotion.hashes import file_sha256
from forensic_emotion.records import Box
from tests.builders import encoded, picture, scanned, write_video

RUNNER = CliRunner()
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "querying.md").read_text()
FACE = Box(20, 10, 60, 50)
SERVES = "femo datasette case.db"
"""The one example that does not end by itself; a test of its own runs it."""


def console_examples() -> Iterator[Any]:
    """Each command line with the output that the page shows, if it shows any."""
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for example in block.removeprefix("$ ").split("\n$ "):
            line, _, output = example.partition("\n")
            if line != SERVES:
                slow = [pytest.mark.slow] if line.startswith("datasette") else []
                yield pytest.param(line, output, id=line[:60], marks=slow)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples are run: a case of a picture, its copy, two others, and a video."""
    where = tmp_path_factory.mktemp("querying")
    root = where / "evidence"
    (root / "camera").mkdir(parents=True)
    (root / "a.png").write_bytes(encoded(picture(faces=[FACE])))
    shutil.copy(root / "a.png", root / "camera" / "copy.png")
    (root / "none.png").write_bytes(encoded(picture()))
    (root / "torn.png").write_bytes(encoded(picture())[:60])
    times = range(0, 6000, 1000)
    write_video(root / "camera" / "tape.mp4", times, lambda pts: picture(faces=[FACE] if pts else []))
    scanned(root, where / "case.db")
    return where


def shell(line: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": places, **env}
    command = ["bash", "-c", f"set -euo pipefail; {line}"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("line", "output"), list(console_examples()))
def test_the_command_lines_on_the_page(folder: Path, line: str, output: str) -> None:
    if line.startswith("sqlite3") and not shutil.which("sqlite3"):
        pytest.skip("the command sqlite3 is not installed")
    if line.startswith("datasette"):
        pytest.importorskip("datasette")
    before = file_sha256(folder / "case.db")
    (folder / "metadata.json").unlink(missing_ok=True)
    if "--metadata" in line:
        RUNNER.invoke(
            app, ["datasette", str(folder / "case.db"), "--out", str(folder / "metadata.json")]
        )
    result = shell(line, folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout or ">" in line or "--out" in line
    if output:
        assert result.stdout.strip() == output.strip()
    assert file_sha256(folder / "case.db") == before


PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "code", PYTHON, ids=lambda code: "-".join(re.findall(r"^import (\w+)", code, re.M))
)
def test_the_python_on_the_page(folder: Path, code: str) -> None:
    library = re.findall(r"^import (\w+)", code, re.MULTILINE)[-1]
    pytest.importorskip(library)
    shell("femo query case.db faces --format jsonl > faces.jsonl", folder)
    before = file_sha256(folder / "case.db")
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    if "ATTACH" in code and "extension" in result.stderr.lower():
        pytest.skip("DuckDB could not fetch its extension sqlite")
    assert result.returncode == 0, result.stderr
    assert "happy" in result.stdout or "tape.mp4" in result.stdout
    assert file_sha256(folder / "case.db") == before


# ---- femo datasette --------------------------------------------------------------------------------


def femo(*arguments: object) -> tuple[int, str, str]:
    result = RUNNER.invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_tables_are_those_of_the_page(folder: Path) -> None:
    subprocess.run([sys.executable, ROOT / "docs" / "make_tables.py", "--check"], check=True)
    with opened_case(folder / "case.db") as opened:
        for table in tables():
            names = [row[1] for row in opened.execute(f"PRAGMA table_info({table.name})")]
            assert set(names) == set(table.columns), table.name
            assert table.text
            assert all(table.columns.values())


def test_metadata_names_tables_columns_and_presets(folder: Path, tmp_path: Path) -> None:
    code, out, _ = femo("datasette", folder / "case.db", "--out", tmp_path / "m.json")
    assert code == 0
    assert str(tmp_path / "m.json") in out
    (database,) = json.loads((tmp_path / "m.json").read_text())["databases"].values()
    assert "pixels" in database["tables"]["face_results"]["columns"]["size"]
    assert [q["sql"].strip() for q in database["queries"].values()] == [
        p.sql.strip() for p in PRESETS.values()
    ]
    assert not set(database["queries"]) & set(database["tables"])


def test_metadata_replaces_nothing_and_stays_out_of_the_evidence(folder: Path, tmp_path: Path) -> None:
    case = folder / "case.db"
    before = file_sha256(case)
    code, _, err = femo("datasette", case, "--out", case)
    assert (code, "exists already" in err) == (2, True)
    assert femo("datasette", case, "--out", folder / "evidence" / "m.json")[0] == 2
    assert file_sha256(case) == before
    assert not (folder / "evidence" / "m.json").exists()


def test_what_keeps_datasette_from_starting_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Path(shutil.copy(folder / "case.db", tmp_path))
    monkeypatch.setattr("forensic_emotion.cli.datasette.find_spec", lambda _: None)
    code, _, err = femo("datasette", case)
    assert code == 1
    assert "needs the optional extra 'datasette'" in err
    assert ".[datasette]" in err
    monkeypatch.setattr("forensic_emotion.cli.datasette.find_spec", lambda _: True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = femo("datasette", case, "--port", port)
        assert code == 1
        assert f"Cannot listen on port {port} of 127.0.0.1" in err
        assert "--port" in err
    odd = case.rename(tmp_path / "50%.db")
    assert "? # %" in femo("datasette", odd)[2]
    odd.with_name("50%.db-wal").write_bytes(b"x")
    code, _, err = femo("datasette", odd)
    assert code == 1
    assert "50%.db-wal" in err


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which a case is shown, until the block is left."""
    command = [sys.executable, "-m", "forensic_emotion", "datasette", "case.db", "--port", "0"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}  # not one that is installed
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found
            yield found.group()
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0


def fetched(address: str, **headers: str) -> str:
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


@pytest.mark.slow
def test_datasette_shows_a_case_and_leaves_it_as_it_was(folder: Path) -> None:
    pytest.importorskip("datasette")
    before = file_sha256(folder / "case.db")
    names = sorted(p.name for p in folder.iterdir())
    assert f"$ {SERVES}\n" in PAGE
    with served(folder) as address:
        for name, preset in PRESETS.items():
            page = fetched(f"{address}case/preset-{name}")
            assert preset.title in page
            rows = json.loads(fetched(f"{address}case/preset-{name}.json?_shape=objects&limit=3"))
            assert rows["ok"], rows
            assert rows["columns"] == list(preset.columns)
        narrowed = fetched(f"{address}case/preset-faces.json?_shape=array&path=camera/*&from=2&to=3")
        assert [row["seconds"] for row in json.loads(narrowed)] == [2.0, 3.0]
        # Table and view of a name that a preset has too; thumbnails are offered as files.
        for table in ("faces", "face_results", "tracks", "problems", "files", "audit"):
            assert "column-descriptions" in fetched(f"{address}case/{table}"), table
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetched(f"{address}case/faces", Host="evil.example")
        refused.value.close()
        assert refused.value.code == 421
    assert file_sha256(folder / "case.db") == before
    assert sorted(p.name for p in folder.iterdir()) == names
