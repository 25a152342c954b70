"""What the documents say, held to what the code does."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

from typer.main import get_command

from forensic_emotion import __version__
from forensic_emotion.cli import PROBLEMS_MEAN, app
from forensic_emotion.emotions.card import ModelCard

ROOT = Path(__file__).parents[1]


def test_every_command_and_option_is_on_the_page() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    sections = {s.split("`")[0]: s for s in page.split("\n## `femo ")[1:]}
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert set(sections) == set(commands)
    for name, command in commands.items():
        for parameter in command.params:
            flag = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.metavar
            flag = flag or parameter.name.upper()
            assert flag in sections[name], (name, flag)
            assert parameter.help in sections[name], (name, flag, "run python docs/make_cli.py")


def test_the_page_is_that_of_the_commands() -> None:
    subprocess.run([sys.executable, ROOT / "docs" / "make_cli.py", "--check"], check=True)


def test_each_command_has_examples_that_it_would_take() -> None:
    group = get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        shown = command.epilog or ""
        assert max(map(len, shown.splitlines())) < 79, "it would be broken in a terminal of 80 columns"
        lines = re.findall(r"\n  (.*)", shown.replace(" \\\n    ", " "))
        assert lines, name
        for line in lines:
            program, *words = takewhile(lambda word: word not in "|>", shlex.split(line))
            if program == "femo":  # raises on what cannot be meant
                chosen = group.commands[words[0]]  # type: ignore[attr-defined]
                chosen.make_context(words[0], words[1:])


def test_each_command_that_may_end_with_problems_says_what_they_are() -> None:
    files = (ROOT / "forensic_emotion" / "cli").glob("*.py")
    ends = {p.stem for p in files if "typer.Exit(EXIT_PROBLEMS)" in p.read_text()}
    assert ends == set(PROBLEMS_MEAN)


def test_the_model_card_is_that_of_the_models() -> None:
    """Every figure on it comes from model.json, and each model's file is the one that was measured."""
    subprocess.run([sys.executable, ROOT / "docs" / "make_model_card.py", "--check"], check=True)
    page = (ROOT / "docs" / "model-card.md").read_text()
    for model in ModelCard.shipped():
        _, sha256 = model.weights("model.onnx")
        model.weights("model.h5")
        assert sha256 in page
        assert model.facts["data"]["sha256"] in page


def test_the_readme_begins_with_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```console\n(.*?)```", readme, re.DOTALL)
    assert blocks[0].splitlines()[0].startswith("$ make demo")
    assert blocks[0].splitlines()[1].startswith("$ make test")
    makefile = (ROOT / "Makefile").read_text()
    assert "\ndemo:" in makefile
    assert "\ntest:" in makefile
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_commands_and_options_in_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for line in re.findall(r"^\$ femo (.*)$", readme, re.MULTILINE):
        name, *words = line.split()
        assert name in commands, line
        flags = {opt for p in commands[name].params for opt in p.opts}
        assert {w for w in words if w.startswith("--")} <= flags, line


def test_links_in_the_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), (page.name, target)


def test_files_that_the_architecture_names_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for name in set(re.findall(r"`([a-z_/]+\.py)", page)):
        places = [ROOT / name, ROOT / "forensic_emotion" / name]
        places += (ROOT / "forensic_emotion").glob(f"*/{name}")
        assert any(p.exists() for p in places), name


def test_the_figures_in_the_readme_are_those_of_the_cards() -> None:
    def percent(share: float, digits: int = 2) -> str:
        return f"{100 * share:.{digits}f}"

    measured = [ModelCard.find(name).facts["metrics"]["PublicTest"] for name in ("face_resnet", "seed")]

    def with_interval(a: dict[str, float]) -> str:
        return f"{percent(a['value'])} % ({percent(a['low'])} to {percent(a['high'])})"

    robust = [m["robustness"] for m in measured]
    fingers = [
        [r[f"drawn fingers over the {part}"]["value"] for part in ("eyes", "mouth")] for r in robust
    ]
    worse = [
        [r[name]["value"] for name in ("half size (24x24)", "blur (Gaussian, 1.5 pixels)")]
        for r in robust
    ]
    wrong = [
        [
            r[name]["answered"]["error"]["value"]
            for name in ("half size (24x24)", "blur (Gaussian, 1.5 pixels)")
        ]
        for r in robust
    ]
    expected = {
        "accuracy (as they are)": [with_interval(m["accuracy"]) for m in measured],
        "the same without": [with_interval(m["without_twins"]["accuracy"]) for m in measured],
        "expected calibration error": [f"{percent(m['ece'], 1)} %" for m in measured],
        "answered": [with_interval(m["answered"]["coverage"]) for m in measured],
        "wrong among the answered (as they are)": [
            with_interval(m["answered"]["error"]) for m in measured
        ],
        "FER+": [with_interval(m["ferplus_majority_of_output"]) for m in measured],
        "the same, by a second output": [with_interval(measured[0]["ferplus_majority"]), "has none"],
        "accuracy, fingers drawn": [
            " / ".join(f"{percent(share)} %" for share in pair) for pair in fingers
        ],
        "accuracy, half size": [" / ".join(f"{percent(share)} %" for share in pair) for pair in worse],
        "wrong among the answered, half": [
            " / ".join(f"{percent(share)} %" for share in pair) for pair in wrong
        ],
    }
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "README.md").read_text().splitlines()
        if line.startswith("| ") and line.count("|") == 4
    ]
    for beginning, cells in expected.items():
        (row,) = [row for row in table if row[0].startswith(beginning)]
        for cell, value in zip(row[1:], cells, strict=True):
            assert cell.startswith(value), row


def test_the_changelog_knows_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    told = re.findall(r"^## \[([^\]]+)\]", changelog, re.MULTILINE)
    assert told[0] in ("Unreleased", __version__)
    assert __version__ not in told[1:], "what is unreleased is of a version to come"


def test_wording_stays_neutral() -> None:
    """A score is never worded as what somebody felt, in what the product says."""
    pages = [*(ROOT / "templates").glob("*.html"), *(ROOT / "forensic_emotion").rglob("*.py")]
    claims = re.compile(r"\b(proves|was (angry|sad|happy|afraid)|is (angry|sad|happy)|feels)\b", re.I)
    for page in pages:
        assert not claims.search(page.read_text()), page
