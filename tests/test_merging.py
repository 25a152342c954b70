from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from forensic_emotion import chips
from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.emotions.classifier import load_classifier
from forensic_emotion.errors import ModelError, UsageError
from forensic_emotion.training.calibrate import soften
from forensic_emotion.training.regression import (
    SoftmaxRegression,
    centred_logits,
)
from tests.builders import write_fer2013
from tests.trainings import merged, train_tiny

pytestmark = pytest.mark.usefixtures("small_seed")


@pytest.mark.slow
def test_a_last_run_may_hold_out_less_than_its_teachers(
    tiny_csv: Path, tiny_model: Path, tmp_path: Path
) -> None:
    start = tiny_model / "model.h5"
    last = train_tiny(
        tiny_csv,
        tmp_path / "last",
        init=start,
        distill=[tiny_model],
        epochs=1,
        keep="last",
        validation_share=0.1,
    )
    out = merged([tiny_model, last], tiny_csv, tmp_path / "mean", weights=True)
    more, less, both = (json.loads((f / "model.json").read_text()) for f in (tiny_model, last, out))
    assert less["calibration"]["n"] < more["calibration"]["n"]
    assert both["calibration"]["n"] == less["calibration"]["n"] == both["data"]["validation"]
    assert (both["settings"]["validation_share"], both["data"]) == (0.1, less["data"])
    only_one = more["calibration"]["n"] - less["calibration"]["n"]
    assert both["calibrated_before"] == {"n": only_one, "ridge": None}  # too few for a matrix
    again = merged([out, tiny_model], tiny_csv, tmp_path / "again", weights=True)
    first, second = json.loads((again / "model.json").read_text())["members"]
    assert [each["name"] for each in first["members"]] == ["tiny", "last"]
    assert (second["name"], second["epoch"]) == ("tiny", more["epoch"])


@pytest.mark.slow
def test_a_merged_model_answers_the_mean_of_its_members(
    tiny_csv: Path, tiny_model: Path, symmetric_model: Path, tmp_path: Path
) -> None:
    out = merged([tiny_model, symmetric_model, tiny_model], tiny_csv, tmp_path / "merged")
    inputs = {
        "images": np.random.default_rng(0).random((5, 48, 48, 1), dtype=np.float32),
        "landmarks": np.random.default_rng(1).random((5, 68, 2), dtype=np.float32),
        "landmarks_valid": np.array([[1], [1], [0], [0], [1]], np.float32),
    }
    own, whole = (load_classifier(str(out), runtime) for runtime in ("onnx", "tensorflow"))
    logits = [
        np.log(load_classifier(str(folder), "onnx").probabilities(inputs))
        for folder in (tiny_model, symmetric_model, tiny_model)
    ]
    built_in = own.card.facts["calibration"]
    correction = SoftmaxRegression(np.array(built_in["kernel"]), np.array(built_in["bias"]))
    expected = correction.probabilities(centred_logits(np.exp(np.mean(logits, axis=0))))
    np.testing.assert_allclose(own.probabilities(inputs), expected, atol=1e-4)
    np.testing.assert_allclose(whole.probabilities(inputs), expected, atol=1e-4)
    facts = own.card.facts
    assert [member["name"] for member in facts["members"]] == ["tiny", "symmetric", "tiny"]
    assert facts["command"].startswith("femo merge tiny symmetric tiny --data fer2013.csv --out merged")
    with pytest.raises(ModelError, match="a merged model of 3 networks"):
        merged([out, tiny_model], tiny_csv, tmp_path / "again")
    with pytest.raises(UsageError, match="already holds a model"):
        merged([tiny_model, tiny_model], tiny_csv, out)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [False, True])
def test_a_merged_model_may_see_the_mirror_image_in_another_size(
    tiny_csv: Path, tiny_model: Path, symmetric_model: Path, tmp_path: Path, weights: bool
) -> None:
    """Whatever form its members had."""
    members = [tiny_model if weights else symmetric_model, tiny_model]
    out = merged(members, tiny_csv, tmp_path / "out", weights=weights, mirror_sizes=(0.8,))
    chance = np.random.default_rng(0)
    images = chance.random((4, 48, 48, 1), dtype=np.float32)
    landmarks = chance.random((4, 68, 2), dtype=np.float32)
    inputs = {"images": images, "landmarks": landmarks, "landmarks_valid": np.ones((4, 1), np.float32)}
    mirrored, points = chips.mirror(images, landmarks)
    turn = np.array([[0.8, 0, 0.2 * 23.5], [0, 0.8, 0.2 * 23.5]])
    smaller = [
        cv2.warpAffine(each[..., 0], turn, (48, 48), borderMode=cv2.BORDER_REPLICATE)[..., None]
        for each in mirrored
    ]
    other = {**inputs, "images": np.stack(smaller), "landmarks": (points - 0.5) * 0.8 + 0.5}

    def logits(folder: Path, of: dict[str, Any], runtime: str = "onnx") -> Any:
        """As they were before the calibration, which is affine in them."""
        model = load_classifier(str(folder), runtime)
        built_in = model.card.facts["calibration"]
        found = np.log(model.probabilities({k: v.astype(np.float32) for k, v in of.items()}))
        centred = (found - built_in["bias"]) @ np.linalg.inv(np.array(built_in["kernel"]))
        return centred - centred.mean(axis=1, keepdims=True)

    if weights:
        as_they_are = merged(members, tiny_csv, tmp_path / "before", weights=True)
        before, found = logits(as_they_are, inputs), logits(out, inputs)
        expected = (before + logits(as_they_are, other)) / 2
        # OpenCV takes places to a thirty-second of a pixel.
        assert np.abs(found - expected).max() < 0.05 * np.abs(expected - before).max()
    for runtime in ("onnx", "tensorflow"):
        np.testing.assert_allclose(
            logits(out, inputs), logits(out, inputs, runtime), atol=1e-3, err_msg=runtime
        )
    card = json.loads((out / "model.json").read_text())
    assert card["settings"]["mirror_sizes"] == [0.8]
    assert "--mirror-size 0.8" in card["command"]
    if weights:
        three = merged(members, tiny_csv, tmp_path / "3", weights=True, mirror_sizes=(0.8, 1))
        mirror = {**inputs, "images": mirrored, "landmarks": points}
        expected = (before + logits(as_they_are, other) + logits(as_they_are, mirror)) / 3
        found = logits(three, inputs)
        assert np.abs(found - expected).max() < 0.05 * np.abs(expected - before).max()
        facts = json.loads((three / "model.json").read_text())
        assert facts["settings"]["mirror_sizes"] == [0.8, 1]
        assert "--mirror-size 0.8 --mirror-size 1" in facts["command"]


@pytest.mark.slow
def test_a_calibration_is_built_in_and_taken_out_as_it_was_fitted() -> None:
    import keras

    from forensic_emotion.training.calibrate import build_in, take_out
    from forensic_emotion.training.network import committee, gated_vgg, seed_network, symmetric
    from forensic_emotion.training.scoring import score

    keras.utils.set_random_seed(0)
    chance = np.random.default_rng(0)
    inputs = {
        "images": chance.random((9, 48, 48, 1), dtype=np.float32),
        "landmarks": chance.random((9, 68, 2), dtype=np.float32),
        "landmarks_valid": np.ones((9, 1), np.float32),
    }
    kernel = np.eye(7) / 0.8 + 0.3 * chance.normal(size=(7, 7))
    correction = SoftmaxRegression(kernel, chance.normal(size=7))
    for networks in ([seed_network(7)], [gated_vgg(7)], [seed_network(7), gated_vgg(7)]):
        for network in networks:
            layer = network.get_layer("output")
            layer.set_weights([0.1 * chance.normal(size=w.shape) for w in layer.get_weights()])
        served = committee([symmetric(network) for network in networks])
        raw = score(served, inputs)
        assert 1e-6 < raw.min() < 0.1
        for network in networks:
            build_in(network, correction)
        expected = correction.probabilities(centred_logits(raw))
        np.testing.assert_allclose(score(served, inputs), expected, atol=1e-3)
        built_in = {"temperature": 0.8, "kernel": kernel.tolist(), "bias": correction.bias.tolist()}
        for network in networks:
            take_out(network, built_in)
        np.testing.assert_allclose(score(served, inputs), soften(raw, 0.8), atol=1e-3)
        take_out(networks[0], {"temperature": 0.8})  # as models of earlier versions say
        np.testing.assert_allclose(score(served, inputs), soften(raw, 0.8), atol=1e-3)


@pytest.mark.slow
def test_the_mean_of_weights_is_one_network(
    tiny_csv: Path, tiny_model: Path, symmetric_model: Path, tmp_path: Path
) -> None:
    import keras

    longer = train_tiny(
        tiny_csv, tmp_path / "longer", init=tiny_model / "model.h5", epochs=1, keep="last"
    )
    out = merged([tiny_model, longer], tiny_csv, tmp_path / "mean", weights=True)
    one, other, mean = (keras.models.load_model(f / "model.h5") for f in (tiny_model, longer, out))
    kernels = [
        next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)).get_weights()[0]
        for model in (one, other, mean)
    ]
    np.testing.assert_allclose(kernels[2], (kernels[0] + kernels[1]) / 2, atol=1e-6)
    facts = json.loads((out / "model.json").read_text())
    assert (facts["network"], facts["parameters"]) == ("seed", one.count_params())
    assert facts["command"].endswith("--out mean --weights --max-error 0.2")
    with pytest.raises(ModelError, match="not weights of one network"):
        merged([tiny_model, symmetric_model], tiny_csv, tmp_path / "none", weights=True)
    sizes = [
        merged(
            [tiny_model, tiny_model], tiny_csv, tmp_path / f"{size}", weights=True, mirror_sizes=(size,)
        )
        for size in (0.8, 0.9)
    ]
    with pytest.raises(ModelError, match="in the same sizes"):
        merged(sizes, tiny_csv, tmp_path / "none", weights=True)
    again = merged([sizes[0], sizes[0]], tiny_csv, tmp_path / "again", weights=True)
    assert json.loads((again / "model.json").read_text())["settings"]["mirror_sizes"] == [0.8]


@pytest.mark.slow
def test_what_cannot_be_merged_is_told(tiny_csv: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two or more"):
        merged([tiny_model], tiny_csv, tmp_path / "out")
    other = write_fer2013(tmp_path / "other.csv", {"Training": 70, "PublicTest": 10})
    with pytest.raises(ModelError, match="not all trained on"):
        merged([tiny_model, tiny_model], other, tmp_path / "out")
    both = merged([tiny_model, tiny_model], tiny_csv, tmp_path / "both")
    with pytest.raises(ModelError, match="merged model of 2 networks"):
        train_tiny(tiny_csv, tmp_path / "on", init=both / "model.h5")
    for missing in ("data", "settings", "network", "calibration"):
        copy = Path(shutil.copytree(tiny_model, tmp_path / missing))
        facts = json.loads((copy / "model.json").read_text())
        del facts[missing]
        (copy / "model.json").write_text(json.dumps(facts))
        with pytest.raises(ModelError, match=f"{missing}/model.json does not say"):
            merged([tiny_model, copy], tiny_csv, tmp_path / "no")


def test_a_merge_or_a_teacher_is_the_folder_that_was_named(
    tiny_model: Path, tiny_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensic_emotion.training.teachers import load_teachers

    shutil.copytree(tiny_model, tmp_path / "seed")
    monkeypatch.chdir(tmp_path)
    trained_on = ModelCard.find(str(tiny_model)).facts["data"]["sha256"]
    (teacher,) = load_teachers([Path("seed")], trained_on, 0.1)
    assert teacher.card.folder == Path("seed")
    out = merged([Path("seed"), tiny_model], tiny_csv, tmp_path / "out", weights=True)
    members = json.loads((out / "model.json").read_text())["members"]
    assert members[0]["sha256"] == members[1]["sha256"]
