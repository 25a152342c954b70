from __future__ import annotations

import csv
import json
import re
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forensic_emotion import chips
from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.emotions.classifier import load_classifier
from forensic_emotion.errors import FemoError, UsageError
from forensic_emotion.training import sources
from tests.trainings import train_tiny, weights_of


@pytest.mark.slow
def test_training_writes_all_it_should(tiny_model: Path, tiny_csv: Path) -> None:
    names = {p.name for p in tiny_model.iterdir()}
    assert names == {
        "checkpoint",
        "curves.png",
        "history.csv",
        "model.h5",
        "model.json",
        "model.onnx",
        "pictures.csv",
    }
    card = json.loads((tiny_model / "model.json").read_text())
    assert card["labels"] == list(sources.LABELS)
    assert card["data"]["fit"] + card["data"]["validation"] == 69
    assert card["data"]["left_out"] == 1
    assert card["calibration"]["ridge"] is None  # too few pictures
    assert card["calibration"]["loss_after"] < 3
    assert card["settings"]["epochs"] == 2
    assert "PublicTest" not in card["metrics"]
    for name in ("model.h5", "model.onnx"):
        ModelCard.find(str(tiny_model)).weights(name)
    with (tiny_model / "history.csv").open() as source:
        history = list(csv.DictReader(source))
    assert [row["epoch"] for row in history] == ["1", "2"]
    with (tiny_model / "pictures.csv").open() as source:
        pictures = list(csv.DictReader(source))
    used = [row["used"] for row in pictures]
    assert used.count("validation") == card["data"]["validation"]
    assert used.count("fit") == card["data"]["fit"]
    assert used[70:] == ["not used"] * 35
    assert {row["face_detected"] for row in pictures} <= {"0", "1"}


@pytest.mark.slow
@pytest.mark.usefixtures("small_seed")
def test_a_stopped_run_goes_on_and_ends_as_one_that_was_not_stopped(
    tiny_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = train_tiny(tiny_csv, tmp_path / "whole"), tmp_path / "stopped"
    monkeypatch.setattr("forensic_emotion.training.train.commit", lambda: "a" * 40)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tiny_csv, out, stop_at="epoch 1/")
    assert not (out / "model.json").exists()
    with pytest.raises(UsageError, match="already holds"):
        train_tiny(tiny_csv, out)
    with pytest.raises(UsageError, match="other settings or data"):
        train_tiny(tiny_csv, out, resume=True, seed=7)
    monkeypatch.setattr("forensic_emotion.training.train.commit", lambda: "b" * 40)
    train_tiny(tiny_csv, out, resume=True)
    assert ModelCard.find(str(out)).facts["commit"] == f"{'a' * 40}, {'b' * 40}"
    for one, two in zip(weights_of(whole), weights_of(out), strict=True):
        np.testing.assert_array_equal(one, two)
    other = weights_of(train_tiny(tiny_csv, tmp_path / "other", seed=2))
    assert any((one != two).any() for one, two in zip(weights_of(whole), other, strict=True))


@pytest.mark.slow
def test_the_same_seed_gives_the_seed_network_the_same_weights(tiny_csv: Path, tmp_path: Path) -> None:
    one, other = (weights_of(train_tiny(tiny_csv, tmp_path / name, epochs=1)) for name in "ab")
    assert sum(w.size for w in one) > 1_000_000, "the whole network, not the small one of other tests"
    for own, others in zip(one, other, strict=True):
        np.testing.assert_array_equal(own, others)


@pytest.mark.slow
def test_a_network_with_its_own_normalisation_is_refused_before_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="own normalisation"):
        train_tiny(tmp_path / "none.csv", tmp_path / "no", network="gated_vgg", normalise=True)


@pytest.mark.slow
@pytest.mark.usefixtures("small_resnet")
def test_normalisation_changes_no_answer_and_folds_away() -> None:
    import keras

    from forensic_emotion.training.network import face_resnet
    from forensic_emotion.training.normalise import SUFFIX, fold, normalised

    chance = np.random.default_rng(3)
    inputs = {
        "images": chance.random((24, 48, 48, 1), dtype=np.float32),
        "landmarks": chance.random((24, 68, 2), dtype=np.float32),
        "landmarks_valid": np.ones((24, 1), np.float32),
    }

    def answers(model: keras.Model) -> np.ndarray:
        return np.asarray(model.predict(inputs, verbose=0)["output"])

    keras.utils.set_random_seed(3)
    network = face_resnet(7)
    model = normalised(network, inputs)
    assert sum(layer.name.endswith(SUFFIX) for layer in model.layers) == 9
    np.testing.assert_allclose(answers(model), answers(network), atol=1e-5)

    model(inputs, training=True)  # the statistics move
    weights = [w + 0.05 * chance.random(w.shape, dtype=np.float32) for w in model.get_weights()]
    model.set_weights(weights)
    assert np.abs(answers(model) - answers(network)).max() > 0.01
    trained = face_resnet(7)  # another one than that which was normalised
    fold(weights, trained)
    np.testing.assert_allclose(answers(trained), answers(model), atol=1e-5)


def train_whole_and_stopped(source: Path, folder: Path, **changes: Any) -> Path:
    """A training; one that went on from what the first epoch left must end with its very file."""
    whole = train_tiny(source, folder / "whole", left_by_first=folder / "stopped", **changes)
    stopped = train_tiny(source, folder / "stopped", resume=True, **changes)
    for one, two in zip(weights_of(whole), weights_of(stopped), strict=True):
        np.testing.assert_array_equal(one, two)
    assert (whole / "model.h5").read_bytes() == (stopped / "model.h5").read_bytes()
    return whole


@pytest.mark.slow
@pytest.mark.usefixtures("small_seed")
def test_what_is_spared_from_decay_stays_so_in_a_run_that_goes_on(
    tiny_csv: Path, tmp_path: Path
) -> None:
    changes = {"weight_decay": 0.5, "learning_rate": 0.01, "keep": "last"}
    train_whole_and_stopped(tiny_csv, tmp_path, optimizer="adam", **changes)


@pytest.mark.slow
@pytest.mark.usefixtures("small_resnet")
def test_a_normalised_training_writes_the_plain_network_and_can_be_stopped(
    tiny_csv: Path, tmp_path: Path
) -> None:
    import keras

    from forensic_emotion.training.network import face_resnet
    from forensic_emotion.training.warm_start import start_from

    changes = {"network": "face_resnet", "normalise": True, "keep": "last", "optimizer": "sgd"}
    changes["weight_decay"] = 0.1
    whole = train_whole_and_stopped(tiny_csv, tmp_path, **changes)

    written = keras.models.load_model(whole / "model.h5", compile=False)
    assert len(written.layers) == len(face_resnet(7).layers)
    assert start_from(face_resnet(7), whole / "model.h5", freeze=False) == []
    assert "--normalise" in json.loads((whole / "model.json").read_text())["command"]
    with pytest.raises(UsageError, match="Leave one of them out"):
        train_tiny(
            tiny_csv, tmp_path / "no", init=whole / "model.h5", freeze=True, **{**changes, "epochs": 1}
        )


@pytest.mark.slow
@pytest.mark.parametrize("heads", [1, 2])
def test_a_step_is_traced_once(monkeypatch: pytest.MonkeyPatch, heads: int) -> None:
    """Half of a short training's time went into tracing its step a second time."""
    import keras

    from forensic_emotion.training.augment import Batch
    from forensic_emotion.training.steps import compile_with, outputs_of, step_on

    face = keras.Input((3,), name="images")
    output = keras.layers.Dense(2, activation="softmax", name="output")(face)
    votes = keras.layers.Dense(4, activation="softmax", name="ferplus")(face)
    both = {"output": output, "ferplus": votes}
    model = keras.Model({"images": face}, output if heads == 1 else both)
    compile_with(model, keras.optimizers.SGD(0.1, momentum=0.9), ferplus_weight=0.5)
    traced = []
    as_it_is = type(model).train_step

    def counted(self: Any, *given: Any) -> Any:
        traced.append(given)
        return as_it_is(self, *given)

    monkeypatch.setattr(type(model), "train_step", counted)
    targets = {"output": np.eye(2, dtype=np.float32), "ferplus": np.eye(2, 4, dtype=np.float32)}
    names = outputs_of(model)
    batch = Batch(
        {"images": np.ones((2, 3), np.float32)},
        {name: targets[name] for name in names},
        {name: np.ones(2, np.float32) for name in names},
    )
    first, second = (step_on(model, batch)[0] for _ in range(2))
    assert second < first
    assert len(traced) == 1


@pytest.mark.slow
def test_a_sharpness_aware_step_takes_the_gradient_uphill_and_goes_on_from_below() -> None:
    import keras

    from forensic_emotion.training.augment import Batch
    from forensic_emotion.training.steps import Climber, compile_with

    chance = np.random.default_rng(5)
    images = chance.normal(size=(6, 3)).astype(np.float32)
    labels = np.eye(2, dtype=np.float32)[chance.integers(0, 2, 6)]
    start = chance.normal(size=(3, 2)).astype(np.float32)

    face = keras.Input((3,), name="images")
    normal = keras.layers.BatchNormalization(center=False, scale=False, momentum=0.5, name="normal")
    # Beside the network: what moves its statistics does not touch the answer checked below.
    beside = keras.layers.Dense(2, use_bias=False, name="beside", trainable=False)
    output = keras.layers.Dense(2, activation="softmax", use_bias=False, name="output")
    added = keras.layers.Rescaling(0.0)(normal(beside(face)))
    model = keras.Model({"images": face}, {"output": output(face) + added})
    output.set_weights([start])
    compile_with(model, keras.optimizers.SGD(0.5), ferplus_weight=0.0)
    batch = Batch({"images": images}, {"output": labels}, {"output": np.ones(6, np.float32)})

    def gradient(kernel: np.ndarray, n: int) -> np.ndarray:
        powers = np.exp(images[:n] @ kernel)
        return images[:n].T @ (powers / powers.sum(axis=1, keepdims=True) - labels[:n]) / n

    uphill = gradient(start, 3)
    there = start + 2.0 * uphill / np.sqrt(np.square(uphill).sum())
    Climber(model, 2.0, ferplus_weight=0.0).step_on(batch)
    expected = start - 0.5 * gradient(there, 6)
    assert np.abs(gradient(there, 6) - gradient(start, 6)).max() > 0.01, "the case shows no difference"
    np.testing.assert_allclose(output.get_weights()[0], expected, atol=1e-5)
    seen_below = (images[:3] @ beside.get_weights()[0]).mean(axis=0)
    np.testing.assert_allclose(normal.get_weights()[0], 0.5 * seen_below, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("small_seed")
def test_a_sharpness_aware_training_can_be_stopped(tiny_csv: Path, tmp_path: Path) -> None:
    changes = {"optimizer": "sgd", "sharpness": 0.5, "keep": "last", "weight_decay": 0.5}
    whole = train_whole_and_stopped(tiny_csv, tmp_path, **changes)
    plain = train_tiny(tiny_csv, tmp_path / "plain", **{**changes, "sharpness": 0.0})
    assert any((one != two).any() for one, two in zip(weights_of(whole), weights_of(plain), strict=True))
    with pytest.raises(UsageError, match="works only with sgd"):
        train_tiny(tiny_csv, tmp_path / "no", sharpness=0.5, optimizer="adam")


@pytest.mark.slow
@pytest.mark.usefixtures("small_seed")
def test_a_full_disk_costs_one_epoch_and_no_more(
    tiny_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tiny_csv, out, stop_at="epoch 1/")
    kept = {p.name: p.read_bytes() for p in (out / "checkpoint").iterdir()}
    largest = max(map(len, kept.values())) // 2
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        with pytest.raises(FemoError, match=r"epoch 2 cannot be written") as error:
            train_tiny(tiny_csv, out, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "The checkpoint of epoch 1 is kept" in error.value.remedy
    assert {p.name: p.read_bytes() for p in (out / "checkpoint").iterdir()} == kept
    train_tiny(tiny_csv, out, resume=True)
    ModelCard.find(str(out)).weights("model.onnx")


@pytest.mark.slow
def test_a_symmetric_model_sees_no_difference_in_a_mirror(symmetric_model: Path) -> None:
    chance = np.random.default_rng(0)
    images = chance.random((3, 48, 48, 1), dtype=np.float32)
    landmarks = chance.random((3, 68, 2), dtype=np.float32)
    valid = np.array([[1], [1], [0]], np.float32)
    mirrored, points = chips.mirror(images, landmarks)
    straight = {"images": images, "landmarks": landmarks, "landmarks_valid": valid}
    other = {"images": mirrored.copy(), "landmarks": points, "landmarks_valid": valid}
    found = {}
    for runtime in ("onnx", "tensorflow"):
        model = load_classifier(str(symmetric_model), runtime)
        found[runtime] = model.answers(straight)
        for name, values in model.answers(other).items():
            np.testing.assert_allclose(values, found[runtime][name], atol=1e-5)
            np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)
    assert set(found["onnx"]) == {"output", "ferplus"}
    for name, values in found["onnx"].items():
        np.testing.assert_allclose(values, found["tensorflow"][name], atol=1e-4)


@pytest.mark.slow
def test_the_card_says_how_to_train_it_again(symmetric_model: Path, tiny_model: Path) -> None:
    card = json.loads((symmetric_model / "model.json").read_text())
    assert card["command"] == (
        "femo train fer2013.csv --out symmetric --ferplus votes.csv --distill tiny --network gated_vgg"
        " --epochs 1 --batch-size 11 --validation-share 0.2 --distill-votes --symmetric"
    )
    assert card["teachers"] == [
        {
            "name": "tiny",
            "sha256": ModelCard.find(str(tiny_model)).weights("model.onnx")[1],
            "held_out": True,
        }
    ]
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", card["commit"] or "0" * 40)
    assert card["abstention"]["max_error"] == 0.2
    assert 0 <= card["abstention"]["threshold"] <= 1
