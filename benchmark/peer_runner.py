"""What ``peers.py`` starts in another Python: one peer on a video or on pictures; JSON on the last line.

usage: peer_runner.py haar|mtcnn|plain video FILE EVERY | pictures FILE...
"""

from __future__ import annotations

import json
import sys
import time

import cv2


def load(how):  # type: ignore[no-untyped-def]
    """A function: BGR picture → boxes [x, y, width, height] of the faces that it gave scores to."""
    if how in ("haar", "mtcnn"):
        from fer.fer import FER

        fer = FER(mtcnn=how == "mtcnn")
        return lambda image: [[int(v) for v in face["box"]] for face in fer.detect_emotions(image)]

    import dlib
    import keras
    import numpy as np

    from forensic_emotion.emotions.card import SHIPPED
    from forensic_emotion.faces.weights import weights_path

    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(weights_path("shape_predictor_68_face_landmarks.dat")))
    model = keras.models.load_model(SHIPPED / "seed" / "model.h5", compile=False)

    def plain(image):  # type: ignore[no-untyped-def]
        boxes = []
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        for found in detector(grey, 1):
            shape = predictor(grey, found)
            points = np.array([(shape.part(i).x, shape.part(i).y) for i in range(68)], np.float32)
            top, left = max(0, found.top()), max(0, found.left())
            face = cv2.resize(grey[top : found.bottom(), left : found.right()], (48, 48)) / 255.0
            landmarks = (points - [left, top]) / found.width()
            model.predict(
                {"images": face[None, ..., None].astype(np.float32), "landmarks": landmarks[None]},
                verbose=0,
            )
            boxes.append([found.left(), found.top(), found.width(), found.height()])
        return boxes

    return plain


def main() -> None:
    how, what, *rest = sys.argv[1:]
    detect = load(how)
    if what == "pictures":
        boxes = {path: detect(cv2.imread(path)) for path in rest}
        print("\n" + json.dumps({"boxes": boxes}))
        return
    path, every = rest[0], int(rest[1])
    detect(cv2.VideoCapture(path).read()[1])  # what is loaded with the first frame does not count
    frames = faces = number = 0
    started = time.perf_counter()
    capture = cv2.VideoCapture(path)
    while capture.grab():
        if number % every == 0:
            faces += len(detect(capture.retrieve()[1]))
            frames += 1
        number += 1
    seconds = time.perf_counter() - started
    print(
        "\n"
        + json.dumps(
            {
                "seconds": round(seconds, 3),
                "frames": frames,
                "faces": faces,
                "frames_per_second": round(frames / seconds, 2),
            }
        )
    )


main()
