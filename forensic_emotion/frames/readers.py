"""Which decoder reads which kind of media; one more kind is one more line."""

from __future__ import annotations

from forensic_emotion.frames.media import Reader
from forensic_emotion.frames.still import still_frames
from forensic_emotion.frames.video import video_frames
from forensic_emotion.records import Kind

READERS: dict[Kind, Reader] = {"still": still_frames, "video": video_frames}
