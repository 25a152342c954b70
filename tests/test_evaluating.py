from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress
from typer.testing import CliRunner

from forensic_emotion.cli import app
from forensic_emotion.emotions.card import ModelCard, write_card
from forensic_emotion.errors import DataError, FemoError, UsageError
from forensic_emotion.intervals import wilson
from forensic_emotion.settings import EvaluateSettings
from forensic_emotion.training import data
from forensic_emotion.training.disturb import DISTURBANCES
from forensic_emotion.training.sources import LABELS
from tests.builders import write_fer2013
from tests.trainings import write_votes


@pytest.mark.slow
def test_what_is_recorded_stands_beside_what_another_evaluation_recorded(
    tiny_model: Path, tiny_csv: Path, tmp_path: Path
) -> None:
    from forensic_emotion.training.evaluate import evaluate, record

    copy = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    card = ModelCard.find(str(copy))  # read before the other one writes
    record(ModelCard.find(str(copy)), "PrivateTest", {"n": 1})
    record(card, "PublicTest", {"n": 2})
    metrics = ModelCard.find(str(copy)).facts["metrics"]
    assert (metrics["PrivateTest"], metrics["PublicTest"]) == ({"n": 1}, {"n": 2})
    assert "validation" in metrics
    settings = EvaluateSettings(split="validation", record=True)
    with pytest.raises(UsageError, match="split validation cannot be recorded"):
        evaluate(str(copy), tiny_csv, tmp_path / "out", settings, Progress(disable=True))


@pytest.mark.slow
def test_the_ferplus_majority_is_measured(symmetric_model: Path, tiny_csv: Path, tmp_path: Path) -> None:
    from forensic_emotion.training.evaluate import _ferplus_of_output, evaluate

    votes = write_votes(tmp_path / "v.csv", {"Training": 70, "PublicTest": 35})
    settings = EvaluateSettings(robustness=False)
    progress = Progress(disable=True)
    found = evaluate(str(symmetric_model), tiny_csv, tmp_path / "out", settings, progress, votes)
    assert found.ferplus is not None
    assert found.ferplus.n == 34  # all but the picture with two votes for each of two classes
    chosen = data.read(tiny_csv, votes).split("PublicTest")
    for label, met in (("neutral", 32), ("happy", 2), ("sad", 0)):  # happiness leads in pictures 0 and 1
        always = np.tile(np.eye(7, dtype=np.float32)[LABELS.index(label)], (35, 1))
        assert _ferplus_of_output(always, chosen) == wilson(met, 34)
    assert found.robustness == {}
    # A network that has the output and never learnt from votes is measured by none.
    card = ModelCard.find(symmetric_model)
    write_card(symmetric_model, {**card.facts, "data": {**card.facts["data"], "ferplus_sha256": None}})
    found = evaluate(str(symmetric_model), tiny_csv, tmp_path / "out", settings, progress, votes)
    write_card(symmetric_model, card.facts)
    assert found.ferplus is None


@pytest.mark.slow
def test_pictures_that_the_model_may_know_are_no_test_of_it(
    tiny_model: Path, tiny_csv: Path, tmp_path: Path
) -> None:
    from forensic_emotion.training.evaluate import _caution, evaluate, record

    progress = Progress(disable=True)
    known = EvaluateSettings(split="Training", robustness=False)
    found = evaluate(str(tiny_model), tiny_csv, tmp_path / "out", known, progress)
    assert "how well it knows them" in (found.caution or "")
    assert found.caution in (tmp_path / "out" / "evaluation.html").read_text()
    with pytest.raises(UsageError, match="cannot be recorded"):
        evaluate(str(tiny_model), tiny_csv, tmp_path, replace(known, record=True), progress)
    other = write_fer2013(tmp_path / "other.csv", {"PublicTest": 14})
    settings = EvaluateSettings(robustness=False)
    found = evaluate(str(tiny_model), other, tmp_path / "out", settings, progress)
    assert "on a different file" in (found.caution or "")
    # What was recorded of other data stays; a start that may know the pictures is not forgotten.
    copy = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    recorded = {"data_sha256": "0" * 64, "data": "fer2013.csv", "accuracy": {"n": 3589}}
    record(ModelCard.find(str(copy)), "PublicTest", recorded)
    with pytest.raises(UsageError, match=r"for other data \(fer2013.csv, n = 3589\), which are not"):
        evaluate(str(copy), tiny_csv, tmp_path / "out", replace(settings, record=True), progress)
    card = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(json.dumps({**card, "init": {"held_out": False}}))
    found = evaluate(str(copy), tiny_csv, tmp_path / "out", settings, progress)
    assert "started from weights of other" in (found.caution or "")
    deep = {**card, "members": [{"members": [{"init": {"held_out": False}}]}]}
    told = _caution(ModelCard(copy, deep), card["data"]["sha256"], "PublicTest")
    assert "started from weights of other" in (told or "")


@pytest.mark.slow
def test_evaluation_writes_all_it_should(
    tiny_model: Path, tiny_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensic_emotion.training.evaluate import evaluate

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    settings = EvaluateSettings(split="PublicTest", ten_crop=True)
    progress = Progress(disable=True)
    evaluation = evaluate(str(tiny_model), tiny_csv, tmp_path, settings, progress)
    figures = evaluation.whole
    assert evaluation.without_twins is not None
    assert evaluation.without_twins.accuracy.n == 34
    assert figures.accuracy.n == 35
    assert figures.confusion.sum() == 35
    assert {p.name for p in tmp_path.iterdir()} == {
        "metrics.json",
        "classes.csv",
        "confusion_matrix.csv",
        "confusion_matrix.png",
        "evaluation.html",
        "gallery.png",
        "reliability.png",
        "risk_coverage.png",
    }
    summary = json.loads((tmp_path / "metrics.json").read_text())
    assert summary["accuracy"]["value"] == figures.accuracy.value
    assert summary["ablation"]["both"] == summary["accuracy"]
    assert set(summary["robustness"]) == set(DISTURBANCES)
    for found in summary["robustness"].values():
        lost = found["lost"]
        assert lost["value"] == pytest.approx(figures.accuracy.value - found["value"])
        assert lost["low"] <= lost["value"] <= lost["high"]
        assert sum(map(sum, found["answered"]["confusion"])) == round(
            35 * found["answered"]["coverage"]["value"]
        )
    assert summary["ten_crop"]["n"] == 35
    assert summary["answered"]["coverage"]["value"] == evaluation.answered.coverage.value
    assert summary["at_coverage"]["1.0"]["value"] == pytest.approx(figures.accuracy.value)
    page = (tmp_path / "evaluation.html").read_text()
    assert page.count("data:image/png") == 4
    assert "drawn fingers over the mouth" in page
    assert "http:" not in page
    assert "https:" not in page
    assert evaluation.caution is None
    kept = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr("forensic_emotion.training.evaluate.write_page", full)
        with pytest.raises(FemoError, match="cannot be written"):
            evaluate(str(tiny_model), tiny_csv, tmp_path, settings, progress)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == kept, "nor is half of it replaced"
    with pytest.raises(UsageError, match="is not a folder"):
        evaluate(str(tiny_model), tiny_csv, tmp_path / "metrics.json", settings, progress)
    other = replace(settings, runtime="tensorflow", robustness=False, ten_crop=False)
    again = evaluate(str(tiny_model), tiny_csv, tmp_path, other, progress).whole
    assert again.loss == pytest.approx(figures.loss, abs=1e-4)
    with pytest.raises(DataError, match="PrivateTest"):
        evaluate(str(tiny_model), tiny_csv, tmp_path, EvaluateSettings(split="PrivateTest"), progress)


@pytest.mark.slow
def test_bins_that_are_wholly_right_or_wrong_are_drawn(tmp_path: Path) -> None:
    from forensic_emotion.training.metrics import ReliabilityBin
    from forensic_emotion.training.pictures import draw_reliability

    bins = [ReliabilityBin(0.2, 0.3, wilson(0, 7), 0.25), ReliabilityBin(0.9, 1.0, wilson(10, 10), 0.95)]
    draw_reliability(tmp_path / "r.png", bins, 0.1)
    assert (tmp_path / "r.png").stat().st_size > 1000


@pytest.mark.slow
def test_the_command_says_which_model_it_measured(
    tiny_model: Path, tiny_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is called like a shipped model is another one."""
    shutil.copytree(tiny_model, tmp_path / "seed")
    monkeypatch.chdir(tmp_path)
    assert ModelCard.find(Path("seed")).facts == ModelCard.find(str(tiny_model)).facts
    votes = str(write_votes(tmp_path / "v.csv", {"Training": 70, "PublicTest": 35}))
    told = []
    for model, more in (("./seed", ["--record"]), ("seed", ["--ferplus", votes])):
        command = ["evaluate", model, str(tiny_csv), "--no-robustness", *more]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.stderr
        told.append(result.stdout.splitlines())
    assert told[0][0] == "model seed, split PublicTest"
    assert told[1][0] == f"model {ModelCard.find('seed').folder}, split PublicTest"
    assert told[0][1].startswith("accuracy 0.")
    majority = [[line for line in lines if line.startswith("FER+")] for lines in told]
    assert not majority[0]
    assert "not measured" in majority[1][0], "the seed has no output for it"
    card = ModelCard.find(Path("seed"))
    assert card.facts["metrics"].keys() == {"validation", "PublicTest"}
    recorded = card.facts["metrics"]["PublicTest"]["accuracy"]
    assert told[0][1].startswith(f"accuracy {recorded['value']:.4f} ")
    card.weights("model.onnx")  # is still that of the card
