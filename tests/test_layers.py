"""The house rules that can be read off the files: who imports whom, and what starts quickly."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "forensic_emotion"

LAYERS = [
    {"records", "errors", "__init__"},
    {
        "settings",
        "chips",
        "hashes",
        "thumbnails",
        "paths",
        "media_types",
        "pages",
        "onnx_session",
        "outcomes",
        "spool",
        "intervals",
        "spreadsheet",
        "terminal",
        "backend",
        "moments",
        "file_facts",
        "machine",
    },
    {"evidence", "frames", "faces", "emotions", "case", "versions", "hashsets"},
    {"pipeline", "report", "export", "training", "verification", "review"},
    {"isolation"},
    {"engine"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MIDDLE = {"evidence", "frames", "faces", "emotions", "case"}


def part(module: str) -> str:
    names = module.split(".")
    return names[1] if len(names) > 1 else "__init__"


def imports() -> list[tuple[str, str, str]]:
    """(file, part that imports, part that is imported)."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("forensic_emotion"):
                for name in node.names:
                    module = node.module or ""
                    target = part(module) if "." in module else name.name
                    target = target if target in LEVEL else "__init__"
                    found.append((str(path.relative_to(PACKAGE)), own, target))
    return found


def test_every_part_has_a_layer() -> None:
    parts = {p.name.removesuffix(".py") for p in PACKAGE.iterdir() if p.suffix == ".py" or p.is_dir()}
    assert parts - {"__pycache__"} <= set(LEVEL)


def test_imports_go_one_way() -> None:
    wrong = [
        (path, target)
        for path, own, target in imports()
        if own != target and (LEVEL[target] > LEVEL[own] or {own, target} <= MIDDLE)
    ]
    assert wrong == []


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after some code."""
    script = f"{code}\nimport sys\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stdout.splitlines()[-1].split())


HEAVY = {"numpy", "cv2", "dlib", "onnxruntime", "av", "PIL", "keras", "tensorflow", "matplotlib"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["scan", "--help"], ["train", "--help"], ["--version"]]
)
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    code = (
        "import sys, forensic_emotion.cli as cli\n"
        f"sys.argv = ['femo', *{arguments!r}]\n"
        "try: cli.main()\nexcept SystemExit as end: assert not end.code, end.code"
    )
    assert loaded_by(code) & HEAVY == set()


def test_report_and_query_need_neither_dlib_nor_a_model_runtime() -> None:
    code = "import forensic_emotion.report.render, forensic_emotion.case.queries"
    assert loaded_by(code) & (HEAVY - {"numpy"}) == set()


def test_exports_need_neither_dlib_nor_a_model_runtime() -> None:
    from forensic_emotion.export.formats import FORMATS

    plain = [name for name in FORMATS if name != "frames"]  # which decodes the evidence once more
    code = "\n".join(f"import forensic_emotion.export.{name}" for name in plain)
    assert loaded_by(code) & (HEAVY - {"numpy"}) == set()


def test_to_measure_a_model_loads_no_library_that_trains() -> None:
    assert loaded_by("import forensic_emotion.training.evaluate") & {"keras", "tensorflow"} == set()


def test_who_only_starts_workers_waits_for_no_decoder() -> None:
    """Nor for what their answers are made of; and sqlite-utils is not to load pandas."""
    code = "import forensic_emotion.engine, forensic_emotion.isolation, forensic_emotion.cli.progress"
    assert loaded_by(code) & {"av", "cv2", "dlib", "onnxruntime", "PIL", "pandas", "pyarrow"} == set()
    from forensic_emotion import isolation

    assert "pipeline" not in isolation.ToolFacts.__module__


def test_scanning_needs_nothing_of_the_training_extra() -> None:
    code = "import forensic_emotion.engine, forensic_emotion.emotions.onnx_runtime"
    assert loaded_by(code) & {"keras", "tensorflow", "matplotlib", "h5py", "onnx"} == set()


def test_every_error_says_what_to_do() -> None:
    """But for a value out of its range: that sentence names option, value and range."""
    kinds = {"FemoError", "UsageError", "CaseError", "ModelError", "DataError"}
    silent = []
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
                text = ast.get_source_segment(source, node) or ""
                if len(node.args) < 2 and '(f"{option(' not in text:
                    silent.append((path.name, node.lineno, text))
    assert silent == []
