from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from forensic_emotion.backend import check_backend
from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.emotions.classifier import load_classifier
from forensic_emotion.errors import ModelError, UsageError
from forensic_emotion.settings import TrainSettings
from tests.builders import ALWAYS

NETWORKS = next(field for field in fields(TrainSettings) if field.name == "network").metadata["choices"]


def test_a_damaged_model_whose_hash_is_right_is_refused(tmp_path: Path) -> None:
    content = (ModelCard.find("seed").folder / "model.onnx").read_bytes()
    for damaged in (b"", b"other bytes", content[: len(content) // 2]):
        (tmp_path / "model.onnx").write_bytes(damaged)
        sha256 = hashlib.sha256(damaged).hexdigest()
        card = {
            "name": "m",
            "labels": ["a"],
            "preprocessing": "grey48-landmarks01-v1",
            "files": {"model.onnx": {"sha256": sha256}},
            **ALWAYS,
        }
        (tmp_path / "model.json").write_text(json.dumps(card))
        with pytest.raises(ModelError, match="cannot be loaded by ONNX Runtime"):
            load_classifier(str(tmp_path), "onnx", threads=1)


def test_a_card_that_is_no_text_is_refused(tmp_path: Path) -> None:
    for changed in ({"name": "\ud800x"}, {"notes": ["\ud800"]}):
        (tmp_path / "model.json").write_text(json.dumps({**ModelCard.find("seed").facts, **changed}))
        with pytest.raises(ModelError, match="unpaired surrogate"):
            ModelCard.find(str(tmp_path))
    (tmp_path / "model.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match="is not a model card"):
        ModelCard.find(str(tmp_path))


@pytest.mark.parametrize("what", ["Lambda", "spelt", "external", "link", "nowhere", "circle"])
def test_a_model_that_holds_code_or_has_its_weights_elsewhere_is_refused(
    tmp_path: Path, what: str
) -> None:
    h5py = pytest.importorskip("h5py", reason="needs the extra 'train'")
    from forensic_emotion.emotions.h5 import refuse_unsafe

    path = tmp_path / "model.h5"
    (tmp_path / "other").write_bytes(bytes(64))
    with h5py.File(path, "w") as file:
        layer = "Lambda" if what in ("Lambda", "spelt") else "Dense"
        config = json.dumps({"layers": [{"class_name": layer}]})
        file.attrs["model_config"] = config.replace("Lam", "L\\u0061m") if what == "spelt" else config
        held = file.create_group("model_weights")
        held.create_dataset("kernel", data=np.zeros(4))
        if what == "external":
            held.create_dataset("bias", (4,), "f8", external=[(str(tmp_path / "other"), 0, 64)])
        elif what == "link":
            held["bias"] = h5py.ExternalLink(str(tmp_path / "other"), "/bias")
        elif what in ("nowhere", "circle"):
            held["bias"] = h5py.SoftLink("/" if what == "circle" else "/none")
    with pytest.raises(
        ModelError, match="contains its own code" if what in ("Lambda", "spelt") else "in another file"
    ):
        refuse_unsafe(path)
    refuse_unsafe(ModelCard.find("seed").folder / "model.h5")


def test_weights_beside_the_file_are_not_computed_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash of the file would not cover them."""
    onnx = pytest.importorskip("onnx", reason="needs the extra 'train'")
    card = ModelCard.find("seed")
    path = tmp_path / "model.onnx"
    onnx.save_model(
        onnx.load(card.folder / "model.onnx"), path, save_as_external_data=True, location="weights.bin"
    )
    files = {"model.onnx": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}
    (tmp_path / "model.json").write_text(json.dumps({**card.facts, "files": files}))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="cannot be loaded by ONNX Runtime"):
        load_classifier(str(tmp_path), "onnx", threads=1)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (lambda n: np.full((n, 7), 1 / 7, np.float32), ""),
        (lambda n: np.full((n, 7), -3.0, np.float32), "not probabilities"),
        (lambda n: np.full((n, 7), 0.3, np.float32), "not probabilities"),
        (lambda n: np.full((n, 7), np.nan, np.float32), "not probabilities"),
        (lambda n: np.full((n, 6), 1 / 6, np.float32), "names 7 classes"),
        (lambda n: np.full((2, 7), 1 / 7, np.float32), "names 7 classes"),
        (lambda n: np.float32(1), "names 7 classes"),
        (lambda n: 1 / 0, "cannot be run"),
    ],
)
def test_a_model_is_tried_out(monkeypatch: pytest.MonkeyPatch, given: Any, text: str) -> None:
    from forensic_emotion.emotions.onnx_runtime import OnnxClassifier

    monkeypatch.setattr(OnnxClassifier, "probabilities", lambda _, inputs: given(len(inputs["images"])))
    if not text:
        load_classifier("seed", "onnx", threads=1)
        return
    with pytest.raises(ModelError, match=text):
        load_classifier("seed", "onnx", threads=1)


def test_a_backend_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "abacus")
    with pytest.raises(UsageError, match="KERAS_BACKEND asks for 'abacus', which is not installed"):
        check_backend()


def test_a_model_whose_file_was_changed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"other bytes")
    card = {
        "name": "m",
        "labels": ["a"],
        "preprocessing": "grey48-landmarks01-v1",
        "files": {"model.onnx": {"sha256": "0" * 64}},
        **ALWAYS,
    }
    (tmp_path / "model.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="SHA-256"):
        ModelCard.find(str(tmp_path)).weights("model.onnx")
    with pytest.raises(ModelError, match="cannot be read"):
        ModelCard.find(str(tmp_path)).weights("model.h5")
    (tmp_path / "model.json").write_text(
        json.dumps({**card, "abstention": {"threshold": 1.5, "coverage": 1}})
    )
    with pytest.raises(ModelError, match=r"threshold 1\.5"):
        ModelCard.find(str(tmp_path))
    (tmp_path / "model.json").write_text(json.dumps({**card, "abstention": {"threshold": 0.5}}))
    with pytest.raises(ModelError, match="not a model card: KeyError: 'coverage'"):
        ModelCard.find(str(tmp_path))
    (tmp_path / "model.json").write_text(json.dumps({**card, "preprocessing": "other"}))
    with pytest.raises(ModelError, match="preprocessing 'other'"):
        ModelCard.find(str(tmp_path))
    nameless = json.dumps({**card, "name": ""})
    for text in ("{}", "[]", "not json", '{"name": 1}', nameless):
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(ModelError, match="not a model card"):
            ModelCard.find(str(tmp_path))


@pytest.mark.slow
def test_the_seed_network_is_the_graph_it_should_be() -> None:
    from forensic_emotion.training.network import seed_network

    model = seed_network(7)
    assert model.count_params() == 1_427_975
    assert {name: tensor.shape[1:] for name, tensor in model.input.items()} == {
        "images": (48, 48, 1),
        "landmarks": (68, 2),
    }
    assert model.output_names == ["output"]
    shapes = [layer.output.shape[1:] for layer in model.layers if "pooling" in layer.name]
    assert shapes == [(22, 22, 64), (9, 9, 128), (2, 2, 256)]
    dense = [layer for layer in model.layers if "dense" in layer.name]
    assert float(dense[0].kernel_regularizer.l2) == pytest.approx(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.usefixtures("small_resnet")
def test_a_network_that_is_merely_called_is_not_in_training(network: str) -> None:
    """As an export calls it: an answer must not depend on the faces beside it."""
    from forensic_emotion.training.network import NETWORKS as networks
    from forensic_emotion.training.network import symmetric

    assert tuple(networks) == tuple(NETWORKS)
    model = symmetric(networks[network](7))
    chance = np.random.default_rng(0)
    faces = {name: chance.random((4, *t.shape[1:]), dtype=np.float32) for name, t in model.input.items()}
    together = np.asarray(model(faces)["output"])
    alone = np.asarray(model({name: values[:1] for name, values in faces.items()})["output"])
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)
    np.testing.assert_allclose(together, model.predict(faces, verbose=0)["output"], atol=1e-5)


@pytest.mark.slow
def test_the_gated_network_answers_without_landmarks() -> None:
    from forensic_emotion.training.network import gated_vgg

    model = gated_vgg(7)
    assert model.count_params() < 1_500_000
    chance = np.random.default_rng(0)
    images = chance.random((4, 48, 48, 1), dtype=np.float32)
    landmarks = chance.random((2, 4, 68, 2), dtype=np.float32)
    landmarks[0, 0] = 0.5  # a degenerate face, all points in one place

    def answers(valid: float) -> np.ndarray:
        found = [
            model({"images": images, "landmarks": points, "landmarks_valid": np.full((4, 1), valid)})
            for points in landmarks
        ]
        return np.stack([np.asarray(f["output"]) for f in found])

    shut, open_ = answers(0.0), answers(1.0)
    assert np.isfinite(open_).all()
    np.testing.assert_array_equal(shut[0], shut[1])
    assert (open_[0] != open_[1]).any()


def identity_descriptor(grey: np.ndarray, taken: list[Any], content: bytes) -> np.ndarray:
    """dlib's 128 numbers of a 150x150 face, by the kernels as they were loaded.

    What ``face_resnet`` leaves out, the last block and the matrix behind it, comes from the file.
    """
    from keras import ops

    from forensic_emotion.training.identity import _parameters
    from forensic_emotion.training.network import RESIDUAL_BLOCKS

    weights = [layer.get_weights() for layer in taken]
    kernels, scales = _parameters(content)
    for raw, scale in zip(kernels[len(taken) :], scales[len(taken) :], strict=True):
        kernel = raw[:-256].reshape(256, 256, 3, 3).transpose(2, 3, 1, 0) * scale[:256]
        weights.append([kernel, raw[-256:] * scale[:256] + scale[256:]])
    left = iter(weights)

    def convolve(x: Any, strides: int = 1, padding: str = "same") -> Any:
        kernel, bias = next(left)
        return ops.conv(x, kernel, strides, padding) + bias

    x = ops.relu(convolve(grey[None, :, :, None].astype(np.float32) / 255, 2, "valid"))
    x = ops.max_pool(x, 3, 2, "valid")
    for filters, halves in (*RESIDUAL_BLOCKS, (256, True)):
        y = ops.relu(convolve(x, 2, "valid") if halves else convolve(x))
        y = convolve(y)
        if halves:
            x = ops.average_pool(x, 2, 2, "valid")
            x = ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, filters - x.shape[-1])])
            short = x.shape[1] - y.shape[1]  # dlib fills up what is smaller
            y = ops.pad(y, [(0, 0), (0, short), (0, short), (0, 0)])
        x = ops.relu(x + y)
    matrix = content.index(b"\x01\x02\x02\x00\x01\x01\x80\x01\x01\x01\x01", content.index(b"fc_2")) + 11
    return np.asarray(ops.mean(x, axis=(1, 2))) @ np.frombuffer(
        content, "<f4", 256 * 128, matrix
    ).reshape(256, 128)


@pytest.mark.slow
def test_the_identity_network_is_dlibs(tmp_path: Path) -> None:
    import dlib

    from forensic_emotion.faces.weights import weights_path
    from forensic_emotion.training import identity
    from forensic_emotion.training.network import face_resnet, gated_vgg

    path = weights_path(identity.WEIGHTS)
    model = face_resnet(7)
    taken = identity.load_identity(model, path)
    assert len(taken) == identity.CONVOLUTIONS - 2
    grey = np.random.default_rng(0).integers(0, 256, (150, 150), dtype=np.uint8)
    grey = np.asarray(cv2.normalize(cv2.GaussianBlur(grey, (0, 0), 5), None, 0, 255, cv2.NORM_MINMAX))
    theirs = dlib.face_recognition_model_v1(str(path)).compute_face_descriptor(np.dstack([grey] * 3))
    ours = identity_descriptor(grey, taken, path.read_bytes())
    np.testing.assert_allclose(ours[0], np.array(theirs), atol=1e-5)
    with pytest.raises(ModelError, match="another architecture"):
        identity.load_identity(gated_vgg(7), path)
    (tmp_path / identity.WEIGHTS).write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(ModelError, match="cannot be read as dlib"):
        identity.load_identity(model, tmp_path / identity.WEIGHTS)
