from __future__ import annotations

import os
import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from forensic_emotion.cli import app
from forensic_emotion.errors import DataError, FemoError
from forensic_emotion.hashes import file_sha256
from forensic_emotion.training import data, sources
from forensic_emotion.training.census import take_census
from forensic_emotion.training.disturb import DISTURBANCES
from tests.builders import write_fer2013
from tests.trainings import write_votes


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test finds an empty one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own cache"))


def test_the_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = write_fer2013(tmp_path / "fer2013.csv", {"Training": 8, "PublicTest": 3})
    pictures = data.read(path)
    assert len(pictures) == 11
    assert pictures.labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 0, 1, 2]
    assert pictures.row.tolist() == list(range(11))
    first = np.array(path.read_text().splitlines()[1].split(",")[1].split(), np.uint8)
    np.testing.assert_array_equal(pictures.grey[0].ravel(), first)
    assert pictures.landmarks.shape == (11, 68, 2)
    assert len(pictures.split("PublicTest")) == 3
    with pytest.raises(DataError, match="no pictures of split 'PrivateTest'"):
        pictures.split("PrivateTest")


def test_landmarks_are_found_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_fer2013(tmp_path / "fer2013.csv", {"Training": 7})
    first = data.read(path)

    def never(*_: object) -> None:
        raise AssertionError("found again")

    monkeypatch.setattr(data, "find_landmarks", never)
    second = data.read(path)
    np.testing.assert_array_equal(first.landmarks, second.landmarks)
    np.testing.assert_array_equal(first.detected, second.detected)


def test_without_a_detected_face_the_whole_picture_is_the_rectangle() -> None:
    landmarks, detected = data.find_landmarks(np.zeros((1, 48, 48), np.uint8))
    assert detected.tolist() == [False]
    assert (landmarks > -0.1).all()
    assert (landmarks < 1.2).all()


PIXELS = " ".join(["0"] * 2304)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\n1,2,3\n", "not emotion, pixels and Usage"),
        ("emotion,pixels,Usage\n", "contains no pictures"),
        (
            f"emotion,pixels,Usage\n7,{PIXELS},Training\n",
            "line 2: emotion is '7', not a number from 0 to 6.",
        ),
        (f"emotion,pixels,Usage\n-1,{PIXELS},Training\n", "line 2: emotion is '-1'"),
        ("emotion,pixels,Usage\n1,1 2 3,Training\n", "line 2: pixels has 3 values, not 48x48 = 2304."),
        (
            f"emotion,pixels,Usage\n1,{PIXELS[:-1]}999,Training\n",
            "line 2: pixels has a value that is not 0",
        ),
        (
            f"emotion,pixels,Usage\n1,{PIXELS[:-1]}x,Training\n",
            "line 2: pixels has a value that is not 0",
        ),
        (
            f"emotion,pixels,Usage\n1,{PIXELS},Training\n2,{PIXELS},Elsewhere\n",
            "line 3: Usage is 'Elsewhere'",
        ),
        ("emotion,pixels,Usage\n1\n", "line 2: pixels has 0 values"),
        (f"emotion,pixels,Usage\n1,{PIXELS[:-1]}-3,Training\n", "line 2: pixels has a value"),
        (f"emotion,pixels,Usage\n1,{PIXELS[:-1]}1_0,Training\n", "line 2: pixels has a value"),
        (f"emotion,pixels,Usage\n1,{PIXELS},Training,x\n", "line 2: more cells than the 3 columns"),
        ("emotion,emotion,pixels,Usage\n", "once each"),
        (f"1,{PIXELS},Training\n", "…, not emotion, pixels and Usage"),
        (
            f'emotion,pixels,Usage\n1,"{PIXELS * 40},Training\n',
            "fer2013.csv, line 2 or later: field larger",
        ),
        ("", "not emotion, pixels and Usage"),
    ],
)
def test_a_file_that_cannot_be_is_told_with_the_picture(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "f.csv").write_text(text)
    with pytest.raises(DataError, match=re.escape(message)):
        data.read(tmp_path / "f.csv")


def test_a_missing_or_binary_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        data.read(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match="cannot be read"):
        data.read(tmp_path / "b.csv")


def test_what_can_be_read_only_once_is_refused(tmp_path: Path) -> None:
    """Its hash would be that of nothing, and its landmarks those of whatever has the same hash."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a regular file"):
        data.read(tmp_path / "pipe")


def test_a_mark_of_its_encoding_at_the_beginning_does_no_harm(tmp_path: Path) -> None:
    path = write_fer2013(tmp_path / "f.csv", {"Training": 3})
    plain = sources.read_labelled(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    np.testing.assert_array_equal(sources.read_labelled(path).grey, plain.grey)


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_damaged_landmarks_are_found_anew(tmp_path: Path, keep: int) -> None:
    path = write_fer2013(tmp_path / "fer2013.csv", {"Training": 7})
    first = data.read(path)
    (cache,) = data.cache_folder().glob(f"landmarks-{first.sha256[:16]}*.npz")
    content = bytearray(cache.read_bytes())
    if keep < 0:
        content[len(content) // 3] ^= 0xFF
        keep = len(content)
    cache.write_bytes(content[:keep])
    np.testing.assert_array_equal(data.read(path).landmarks, first.landmarks)
    np.savez(cache, landmarks=first.landmarks[:3], detected=first.detected[:3])
    np.testing.assert_array_equal(data.read(path).landmarks, first.landmarks)


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(data, "cache_folder", lambda: tmp_path / "file")
    with pytest.raises(FemoError, match=r"cannot be stored in .*file"):
        data.read(write_fer2013(tmp_path / "fer2013.csv", {"Training": 1}))


def test_the_split_leaks_nothing(tmp_path: Path) -> None:
    path = write_fer2013(
        tmp_path / "fer2013.csv",
        {"Training": 210, "PublicTest": 14},
        copies=[(0, "PublicTest"), (1, "PublicTest"), (2, "Training"), (3, "Training")],
    )
    pictures = data.read(path)
    split = data.split_training(pictures, 0.2, seed=1)
    fit, held, test = (
        {p.tobytes() for p in part.grey}
        for part in (split.fit, split.validation, pictures.split("PublicTest"))
    )
    assert fit.isdisjoint(held)
    assert fit.isdisjoint(test)
    assert held.isdisjoint(test)
    assert split.left_out == 2
    assert len(split.fit) + len(split.validation) == 212 - 2
    assert np.bincount(split.validation.labels, minlength=7).tolist() == [6] * 7


def test_the_split_is_that_of_its_seed(tmp_path: Path) -> None:
    pictures = data.read(write_fer2013(tmp_path / "f.csv", {"Training": 140}))
    one, same, other = (data.split_training(pictures, 0.2, seed).validation.row for seed in (1, 1, 2))
    assert one.tolist() == same.tolist() != other.tolist()
    few = pictures.where(np.arange(3))
    with pytest.raises(DataError, match="too few"):
        data.split_training(few, 0.1, 1)


def test_a_class_without_pictures_is_told(tmp_path: Path) -> None:
    pictures = data.read(write_fer2013(tmp_path / "f.csv", {"Training": 140}))
    with pytest.raises(DataError, match="no Training pictures to fit of class fear"):
        data.split_training(pictures.where(pictures.labels != 2), 0.2)
    with pytest.raises(DataError, match="too few"):
        data.split_training(pictures.where(pictures.labels > 6), 0.2)


@pytest.mark.parametrize(("header", "prefix"), [("Usage,Image name,", ""), ("usage,index,", "ferplus_")])
def test_votes_are_joined_within_each_split(tmp_path: Path, header: str, prefix: str) -> None:
    usage = np.array(["Training", "PublicTest", "Training"])
    path = write_votes(
        tmp_path / "v.csv", {"PublicTest": 1, "PrivateTest": 9, "Training": 2}, header, prefix
    )
    assert sources.read_votes(path, usage)[:, 0].tolist() == [0, 0, 1]
    rows = [
        line + f",{label}" for line, label in zip(path.read_text().splitlines()[-2:], "42", strict=True)
    ]
    header_line = path.read_text().splitlines()[0] + ",emotion"
    (tmp_path / "own.csv").write_text("\n".join([header_line, *rows]) + "\n")
    labels = np.array([4, 2])
    assert len(sources.read_votes(tmp_path / "own.csv", np.array(["Training"] * 2), labels)) == 2
    with pytest.raises(DataError, match="from those of the pictures: 0 of 2 agree"):
        sources.read_votes(tmp_path / "own.csv", np.array(["Training"] * 2), labels[::-1])
    with pytest.raises(
        DataError, match="votes for 2 pictures of split Training, but there are 3 pictures"
    ):
        sources.read_votes(path, np.array(["Training"] * 3))


def test_what_holds_no_votes_is_told(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("Usage,neutral\nTraining,1\n")
    with pytest.raises(DataError, match="no column happiness, surprise"):
        sources.read_votes(tmp_path / "v.csv", np.array(["Training"]))
    path = write_votes(tmp_path / "w.csv", {"Training": 1})
    good = path.read_text()
    path.write_text(good.replace(",0,2,", ",9,-2,"))
    with pytest.raises(DataError, match="line 2: -2 is not a number of votes"):
        sources.read_votes(path, np.array(["Training"]))
    path.write_text(good.replace(",0,2,", ",zero,2,"))
    with pytest.raises(DataError, match="line 2: could not convert"):
        sources.read_votes(path, np.array(["Training"]))
    with pytest.raises(DataError, match="cannot be matched to the pictures in the folder"):
        data.read(tmp_path, path)


def test_votes_become_a_distribution(tmp_path: Path) -> None:
    pictures = data.read(write_fer2013(tmp_path / "f.csv", {"Training": 4}))
    votes = np.zeros((4, 10), np.float32)
    votes[0, :2] = 6, 4
    votes[1, :3] = 9, 1, 0  # a single vote is a slip
    votes[2, 9] = 10  # not a face
    targets, weights = replace(pictures, votes=votes).targets()
    assert weights["ferplus"].tolist() == [1, 1, 0, 0]
    np.testing.assert_allclose(targets["ferplus"][0, :2], [0.6, 0.4])
    np.testing.assert_allclose(targets["ferplus"][1, :2], [1, 0])
    assert targets["output"].argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_a_majority_is_more_than_half_of_what_counts() -> None:
    votes = np.zeros((5, 10), np.float32)
    votes[0, :3] = 6, 3, 1  # the single vote does not count: 6 of 9
    votes[1, :2] = 5, 5
    votes[2, 4], votes[2, 8] = 4, 6  # most saw nothing they could name
    votes[3, 5] = 10
    votes[4, :3] = 4, 3, 3
    agreed, majority = data.ferplus_majority(votes)
    assert agreed.tolist() == [True, False, False, True, False]
    assert majority[agreed].tolist() == [0, 5]


def test_each_disturbance_changes_the_picture_and_no_other() -> None:
    chance = np.random.default_rng(0)
    grey = chance.integers(60, 200, (2, 48, 48), dtype=np.uint8)
    landmarks = np.full((2, 68, 2), 0.5, np.float32)
    landmarks[:, 36:48, 1], landmarks[:, 48:, 1] = 0.35, 0.75
    kept = grey.copy()
    for name, disturb in DISTURBANCES.items():
        changed = disturb(grey, landmarks)
        assert changed.shape == grey.shape, name
        assert changed.dtype == np.uint8, name
        assert (changed != grey).mean() > 0.2, name
        np.testing.assert_array_equal(grey, kept, err_msg=name)
    rows = (DISTURBANCES["drawn fingers over the mouth"](grey, landmarks) != grey).any(axis=(0, 2))
    assert not rows[:24].any()
    assert rows[30:42].all()


def write_folder(root: Path, counts: dict[str, int], side: int = 48) -> Path:
    """A folder split/class/picture: ``"train/anger"`` → number of pictures."""
    chance = np.random.default_rng(5)
    for place, n in counts.items():
        (root / place).mkdir(parents=True)
        for i in range(n):
            pixels = chance.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(root / place / f"{i}.png")
    return root


def test_a_folder_of_pictures_is_read(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", {"train/angry": 2, "train/Happiness": 1, "test/sad": 3})
    found = sources.read_labelled(root)
    assert found.usage.tolist() == ["test"] * 3 + ["Training"] * 3
    assert [sources.LABELS[i] for i in found.labels] == ["sad"] * 3 + ["happy", "angry", "angry"]
    again = sources.read_labelled(root).sha256
    (root / "test" / "sad" / "0.png").unlink()
    assert sources.read_labelled(root).sha256 != again == found.sha256


def test_a_split_that_is_named_like_markup_is_named_as_it_is(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", {"[red] one/sad": 2, "[two]/sad": 1})
    result = CliRunner().invoke(app, ["data", str(root)])
    assert result.exit_code == 0, result.output
    assert "[red] one" in result.output
    assert "[two]" in result.output


def test_a_folder_that_cannot_be_is_told_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0\.png has 47x47 pixels"):
        sources.read_labelled(write_folder(tmp_path / "a", {"train/sad": 1}, side=47))
    with pytest.raises(DataError, match=r"is in 'bored', which is not a class"):
        sources.read_labelled(write_folder(tmp_path / "b", {"train/bored": 1}))
    with pytest.raises(DataError, match=r"is not at split/class/picture"):
        sources.read_labelled(write_folder(tmp_path / "c", {"train": 1}))
    (tmp_path / "e").mkdir()
    with pytest.raises(DataError, match="contains no pictures"):
        sources.read_labelled(tmp_path / "e")
    (write_folder(tmp_path / "d", {"train/sad": 1}) / "train" / "sad" / "x.jpg").write_text("text")
    with pytest.raises(DataError, match=r"x\.jpg cannot be decoded"):
        sources.read_labelled(tmp_path / "d")


def test_a_folder_that_is_a_link_is_read_and_one_that_leads_back_is_not(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", {"train/sad": 2})
    elsewhere = write_folder(tmp_path / "other", {"train/happy": 3}) / "train" / "happy"
    (root / "train" / "happy").symlink_to(elsewhere)
    assert len(sources.read_labelled(root).labels) == 5
    (root / "train" / "fear").symlink_to(root)
    with pytest.raises(DataError, match="reached twice"):
        sources.read_labelled(root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", {"train/sad": 2, "train/happy": 1})
    (root / "train" / "sad").chmod(0)
    with pytest.raises(DataError, match="sad cannot be read"):
        sources.read_labelled(root)


def test_pictures_that_are_not_of_eight_bits_or_not_read_are_told(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", {"train/sad": 1})
    odd = root / "train" / "sad" / "odd.png"
    Image.fromarray(np.full((48, 48), 30_000, np.uint16)).save(odd)
    with pytest.raises(DataError, match=r"odd\.png has more than 8 bits"):
        sources.read_labelled(root)
    for width, height in ((30_000, 30_000), (2**31 - 1, 5)):
        head = struct.pack(">II", width, height) + bytes([8, 0, 0, 0, 0])
        chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
        odd.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
        with pytest.raises(DataError, match=r"odd\.png"):
            sources.read_labelled(root)
    odd.rename(odd.with_suffix(".bmp"))
    with pytest.raises(DataError, match=r"odd\.bmp is a picture in a format that is not read"):
        sources.read_labelled(root)


@pytest.mark.parametrize("bad", ["nan", "inf", "-1"])
def test_votes_that_are_none_are_told_with_their_line(tmp_path: Path, bad: str) -> None:
    path = write_votes(tmp_path / "v.csv", {"Training": 3})
    lines = path.read_text().splitlines()
    lines[2] = lines[2].rsplit(",", 1)[0] + "," + bad
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"line 3: .* is not a number of votes"):
        sources.read_votes(path, np.array(["Training"] * 3))


def test_votes_out_of_order_are_told(tmp_path: Path) -> None:
    header = f"Usage,Image name,{','.join(sources.VOTES)}"
    rows = [
        f"Training,{name}," + ",".join(["1"] * 10) for name in ("fer1.png", "", "fer3.png", "fer2.png")
    ]
    (tmp_path / "v.csv").write_text("\n".join([header, *rows]) + "\n")
    with pytest.raises(DataError, match=r"line 5: fer2\.png comes after fer3\.png"):
        sources.read_votes(tmp_path / "v.csv", np.array(["Training"] * 4))


def test_kaggles_file_is_read_too(tmp_path: Path) -> None:
    path = write_fer2013(tmp_path / "f.csv", {"Training": 3})
    official = sources.read_labelled(path)
    path.write_text(path.read_text().replace("emotion,pixels,Usage", "emotion, Usage, pixels"))
    lines = path.read_text().splitlines()
    turned = [",".join((r.split(",")[0], r.split(",")[2], r.split(",")[1])) for r in lines[1:]]
    path.write_text("\n".join([lines[0], *turned]) + "\n")
    np.testing.assert_array_equal(sources.read_labelled(path).grey, official.grey)


def test_the_census_finds_twins_contradictions_and_blanks(tmp_path: Path) -> None:
    path = write_fer2013(
        tmp_path / "f.csv",
        {"Training": 14, "PublicTest": 7},
        copies=[(0, "PublicTest"), (1, "Training"), (1, "Training"), (15, "PrivateTest")],
    )
    blank = ",".join(["3", " ".join(["7"] * 2304), "Training"])
    other_label = path.read_text().splitlines()[1].replace("0,", "5,", 1)
    path.write_text(path.read_text() + blank + "\n" + other_label + "\n")
    census = take_census(sources.read_labelled(path))
    assert census.pictures == 14 + 7 + 4 + 2
    assert census.counts["Training"]["angry"] == 2
    assert census.counts["PrivateTest"]["disgust"] == 1
    assert census.duplicate_groups == 3
    assert census.duplicates == {"Training": 3 + 2, "PublicTest": 0, "PrivateTest": 0}
    assert census.leaks["PublicTest in Training"] == 1
    assert census.leaks["Training in PublicTest"] == 2
    assert census.leaks["PrivateTest in PublicTest"] == 1
    assert census.leaks["PrivateTest in Training"] == 0
    assert census.contradicting == 1
    assert census.blank == 1


def test_a_pipe_is_waited_for_nowhere(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", {"Training/sad": 1})
    os.mkfifo(root / "Training" / "sad" / "pipe.png")
    with pytest.raises(DataError, match=r"pipe\.png is not a regular file"):
        sources.read_labelled(root)
    os.mkfifo(tmp_path / "votes.csv")
    with pytest.raises(DataError, match=r"votes\.csv is not a regular file"):
        sources.read_votes(tmp_path / "votes.csv", np.array(["Training"]))
    os.mkfifo(tmp_path / "model.onnx")
    with pytest.raises(OSError, match="Not a regular file"):
        file_sha256(tmp_path / "model.onnx")
