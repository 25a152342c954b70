"""The results → docs/performance.md and its chart.

usage: python -m benchmark page
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.results import load

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    lines = [
        "<!-- Made by python -m benchmark page from benchmark/results. -->",
        "",
        "# Performance, as measured",
        "",
        "Ratios carry over to other machines, seconds do not. Each part names its command, date,",
        "commit and machine; `benchmark/` has the code, `benchmark/results/` every figure.",
    ]
    for name, part in PARTS.items():
        found = load(name)
        if found is not None:
            machine = found["machine"]
            lines += ["", *part(found), ""]
            lines.append(
                f"`{found['command']}`, {found['date']}, commit `{_short(found['commit'])}`,"
                f" {machine['processor']}, {machine['cores']} cores."
            )
    (DOCS / "performance.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _short(commit: str | None) -> str:
    """A commit's first digits, and what stands behind all of them: that files were changed."""
    return "?" if commit is None else commit[:10] + commit[40:]


def table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    yield from (f"| {' | '.join(row)} |" for row in rows)


def detectors(found: dict[str, Any]) -> Iterator[str]:
    yield "## Detectors"
    yield ""
    names = list(found["ms_640x360"])
    faces = next(iter(found["faces"].values()))[names[0]]["faces"]
    yield f"Found, and false alarms behind the plus, of {faces} boxed faces on 9 pictures of crowds and"
    yield "families and one of dogs; below, milliseconds of one core for a frame of 640x360."
    yield "Smallest face: 20 pixels unless the head says another."
    yield ""
    rows = [
        [what, *(f"{f[n]['found']} + {f[n]['false']}" for n in names)]
        for what, f in found["faces"].items()
    ]
    rows.append(["ms a frame", *(f"{found['ms_640x360'][n]:.0f}" for n in names)])
    yield from table(["", *names], rows)
    yield ""
    yield "![Recall of the detectors](performance.svg)"
    chart(found, names)


def chart(found: dict[str, Any], names: list[str]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "femo"  # the same figures, the same bytes
    from matplotlib import pyplot

    whats = list(found["faces"])
    figure, axes = pyplot.subplots(figsize=(9, 4.2), layout="constrained")
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        shares = [f[name]["found"] / f[name]["faces"] for f in found["faces"].values()]
        places = [x - 0.4 + (i + 0.5) * width for x in range(len(whats))]
        axes.bar(places, shares, width, label=f"{name} ({found['ms_640x360'][name]:.0f} ms)")
    axes.set_xticks(range(len(whats)), [w.replace(" ", "\n", 1) for w in whats])
    axes.set_ylabel("share of the boxed faces found")
    axes.set_ylim(0, 1.02)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.22), frameon=False)
    figure.savefig(DOCS / "performance.svg", metadata={"Date": None})


def speed(found: dict[str, Any]) -> Iterator[str]:
    yield "## Speed"
    yield ""
    cores = str(found["machine"]["cores"])
    yield "Whole scans by the command, from start to end. The floor is decoding and the detector's"
    yield "inference alone, in one process; the ratio is that of one worker to it. What the machine"
    yield f"allows is how much more {cores} scans side by side, one worker each, do than one alone."
    yield ""
    rows = []
    for name, task in found["tasks"].items():
        one, all_ = task["workers"]["1"], task["workers"][cores]
        floor = sum(task.get("floor_seconds", {}).values())
        rows.append(
            [
                name,
                str(one["frames"]),
                str(one["faces"]),
                f"{one['frames_per_second']:.1f}",
                f"{all_['frames_per_second']:.1f}",
                f"{one['seconds'] / all_['seconds']:.2f}",
                f"{int(cores) * one['seconds'] / task['side_by_side_seconds']:.2f}",
                f"{one['seconds'] / floor:.2f}" if floor else "–",
                f"{task['video_seconds'] / all_['seconds']:.1f}" if "video_seconds" in task else "–",
            ]
        )
    head = ["", "frames", "faces", "frames/s, 1 worker", f"frames/s, {cores} workers"]
    gain = [f"{cores} to 1", "the machine allows"]
    yield from table([*head, *gain, "to the floor", "times real time"], rows)
    yield ""
    yield "Where the time goes, milliseconds a frame looked at (one worker):"
    yield ""
    stages = ["decode", "detect", "landmarks", "crop", "classify", "hash", "plan"]
    rows = []
    for name, task in found["tasks"].items():
        one = task["workers"]["1"]
        each = 1000 / one["frames"]
        alone = task.get("floor_seconds", {})
        rows.append(
            [
                name,
                *(f"{one['stages'].get(s, 0) * each:.1f}" for s in stages),
                *(f"{alone[s] * each:.1f}" if alone else "–" for s in ("decode", "detect")),
            ]
        )
    yield from table(["", *stages, "decoding alone", "detector alone"], rows)
    yield ""
    start = found["start"]
    yield (
        f"From the command to its first look at a file {start['first_file']:.2f} s, to its end on one"
        f" small file {start['end']:.2f} s. Hashing (SHA-256, SHA-1, MD5 in one pass):"
        f" {found['hash_mb_per_second']:.0f} MB/s."
    )
    yield ""
    seed = found["ms_a_face"]["seed"]
    each = (
        f"`{name}` {ms / seed:.1f} times" for name, ms in found["ms_a_face"].items() if name != "seed"
    )
    yield (
        f"Classification, one core, batches of 16: {', '.join(each)} the time of `seed`"
        f" ({seed:.1f} ms a face)."
    )


def peers(found: dict[str, Any]) -> Iterator[str]:
    yield "## Side by side"
    yield ""
    yield "The `fer` package 25.10 and a plain loop (cv2.VideoCapture, dlib's detector, Keras' predict"
    yield "for each face) on the same files, by turns in one run. What the others take to start is not"
    yield "counted. Of femo the whole command is, and in the last column the command without the"
    start = found["femo_start_seconds"]
    yield f"{start:.2f} s to its first look at a file. Decoding alone is by one core."
    yield ""
    tasks = {k: v for k, v in found["tasks"].items() if not k.startswith("true")}
    rows = []
    for name, who in tasks.items():
        seconds = who["femo"]["seconds"]
        for peer, figures in who.items():
            ratios = [figures["seconds"] / each for each in (seconds, seconds - start)]
            rows.append(
                [
                    name,
                    peer,
                    f"{figures['frames_per_second']:.1f}",
                    str(figures["faces"]) if peer != "decoding alone" else "–",
                    *(["–", "–"] if peer == "femo" else [f"{ratio:.2f}" for ratio in ratios]),
                ]
            )
    head = ["", "", "frames/s", "faces reported", "femo is so many times as fast", "without its start"]
    yield from table(head, rows)
    yield ""
    yield "True faces, and false alarms behind the plus, on the boxed pictures:"
    yield ""
    sizes = {k.split(", ")[1]: v for k, v in found["tasks"].items() if k.startswith("true")}
    rows = [
        [who, *(f"{f[who]['found']} + {f[who]['false']} of {f[who]['faces']}" for f in sizes.values())]
        for who in next(iter(sizes.values()))
    ]
    yield from table(["", *sizes], rows)


def memory(found: dict[str, Any]) -> Iterator[str]:
    yield "## Memory"
    yield ""
    yield "Resident memory in MiB: highest in the second tenth of the scan, highest in the last tenth."
    yield ""
    rows = []
    for name, task in found.items():
        if isinstance(task, dict) and "parent" in task:
            for who in ("parent", "largest worker"):
                f = task[who]
                early, late = f["first_tenth_after_warm_up_mib"], f["last_tenth_mib"]
                rows.append([name, who, f"{early:.0f}", f"{late:.0f}", f"{f['ratio']:.3f}"])
    yield from table(["", "", "early", "late", "ratio"], rows)


PARTS = {"detectors": detectors, "speed": speed, "peers": peers, "memory": memory}
