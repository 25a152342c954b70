"""The first bytes of a file → what it is, whatever it is called; and whether its name fits that."""

from __future__ import annotations

import re

from forensic_emotion.records import Kind

_Signatures = tuple[tuple[int, bytes, str], ...]
"""Where in a file which bytes stand → what it is."""

_SIGNATURES: _Signatures = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"II+\x00", "image/tiff"),
    (0, b"MM\x00+", "image/tiff"),
    (8, b"WEBPVP8", "image/webp"),
    (0, b"8BPS\x00\x01", "image/vnd.adobe.photoshop"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (0, b"\xff\x4f\xff\x51", "image/jp2"),
    (0, b"\xff\x0a", "image/jxl"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (8, b"AVI ", "video/x-msvideo"),
    (0, b"\x1aE\xdf\xa3", "video/x-matroska"),
    (0, b"FLV\x01", "video/x-flv"),
    (0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "video/x-ms-asf"),
    (0, b"OggS", "video/ogg"),
    (0, b"\x00\x00\x01\xba", "video/mpeg"),
    (0, b"\x00\x00\x01\xb3", "video/mpeg-es"),
    (0, bytes.fromhex("060e2b34020501010d010201"), "application/mxf"),
    (0, b".RMF\x00\x00", "application/vnd.rn-realmedia"),
    (0, b"DKIF\x00\x00", "video/x-ivf"),
)
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "image/heic"),
    **dict.fromkeys((b"mif1", b"msf1"), "image/heif"),
    b"qt  ": "video/quicktime",
}
_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid", b"styp", b"moof", b"sidx")
LARGEST_ATOM = 0x20202020
"""Bytes of an atom that holds no pictures; as text it would be four blanks, and letters are above."""
_SPACE = rb"\s+(?:#[^\r\n]*(?:[\r\n]\s*|\Z))*"
_ANYMAP = re.compile(
    rb"P(?:[14]S\d+S\d+\s|[2356]S\d+S\d+S\d+\s|[1-6](?:S\d+S\d+\s*|\s+#[^\r\n]*)\Z)".replace(
        b"S", _SPACE
    )
)
"""Kind, width, height and, but for two kinds, the lightest value; comments stand anywhere between. What
is looked at may end amid that."""
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)


def sniff(head: bytes) -> str | None:
    """The media type that the first bytes of a file show, or None if they show none known here."""
    if media_type := _signed(_SIGNATURES, head):
        return media_type
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    # Four letters stand in a text too ("You free?"), where those before them are no size.
    small = int.from_bytes(head[:4], "big") < LARGEST_ATOM and not head[:1].isspace()
    if head[4:8] in _ATOMS and (small or head[4:8] == b"mdat"):
        return "video/quicktime"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    if head[:4] == b"\x00\x00\x01\x00" and head[4:6] != b"\x00\x00" and head[9:10] == b"\x00":
        return "image/vnd.microsoft.icon"
    if _ANYMAP.match(head):
        return "image/x-portable-anymap"
    if _is_transport_stream(head):
        return "video/mp2t"
    return _mere_stream(head)


def _signed(signatures: _Signatures, head: bytes) -> str | None:
    return next((name for at, sign, name in signatures if head.startswith(sign, at)), None)


_DISK_IMAGES: _Signatures = (
    (0, b"EVF\x09\r\n\xff\x00", "a disk image (EnCase)"),
    (0, b"EVF2\r\n\x81\x00", "a disk image (EnCase)"),
    (0, b"LVF\x09\r\n\xff\x00", "a disk image (EnCase, logical)"),
    (0, b"AFF10\r\n\x00", "a disk image (AFF)"),
    (0, b"KDMV", "a disk image (VMDK)"),
    (0, b"QFI\xfb", "a disk image (QCOW)"),
    (0, b"conectix", "a disk image (VHD)"),
    (0, b"vhdxfile", "a disk image (VHDX)"),
    (512, b"EFI PART", "a disk image (raw)"),
)
_ARCHIVES: _Signatures = (
    (0, b"PK\x03\x04", "an archive or a document (ZIP)"),
    (0, b"7z\xbc\xaf\x27\x1c", "an archive (7z)"),
    (0, b"Rar!\x1a\x07", "an archive (RAR)"),
    (0, b"\x1f\x8b\x08", "an archive (gzip)"),
    (0, b"BZh", "an archive (bzip2)"),
    (0, b"\xfd7zXZ\x00", "an archive (xz)"),
    (0, b"\x28\xb5\x2f\xfd", "an archive (Zstandard)"),
    (257, b"ustar", "an archive (tar)"),
    (0, b"%PDF-", "a document (PDF)"),
    (0, bytes.fromhex("d0cf11e0a1b11ae1"), "a document (OLE)"),
)
ARCHIVE_SIGNS = tuple(sign for at, sign, _ in _ARCHIVES if at == 0 and len(sign) > 3)
"""How archives and documents begin, where that is no three bytes that stand anywhere by chance."""


_NO_READER: _Signatures = (
    (0, b"FUJIFILMCCD-RAW ", "a camera's raw picture (Fujifilm)"),
    (0, b"IIRO", "a camera's raw picture (Olympus)"),
    (0, b"IIRS", "a camera's raw picture (Olympus)"),
    (0, b"MMOR", "a camera's raw picture (Olympus)"),
    (0, b"IIU\x00", "a camera's raw picture (Panasonic, Leica)"),
    (0, b"FOVb", "a camera's raw picture (Sigma)"),
    (0, b"\x00MRM", "a camera's raw picture (Minolta)"),
    (6, b"HEAPCCDR", "a camera's raw picture (Canon CRW)"),
    (4, b"ftypcrx ", "a camera's raw picture (Canon CR3)"),
    (0, b"DHAV", "a recorder's video (Dahua)"),
    (0, b"IMKH", "a recorder's video (Hikvision)"),
    (128, b"DICM", "a medical picture (DICOM)"),
    (0, b"\x76\x2f\x31\x01", "a picture (OpenEXR)"),
    (0, b"II\xbc\x01", "a picture (JPEG XR)"),
    (0, b"BPG\xfb", "a picture (BPG)"),
    (0, b"FLIF", "a picture (FLIF)"),
    (0, b"qoif", "a picture (QOI)"),
)


def without_reader(head: bytes) -> str | None:
    """Which picture or video a file is that femo knows and cannot decode; None if it is none such."""
    return _signed(_NO_READER, head)


def disk_image(head: bytes) -> str | None:
    """Which kind of disk image a file is by its first bytes; None if it is none known here."""
    return "a disk image (raw)" if _is_disk(head) else _signed(_DISK_IMAGES, head)


def is_drawing(head: bytes) -> bool:
    """Whether a file is a drawing (SVG), as icons and web pages have them by the thousand."""
    text = head[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    begins = text.startswith((b"<svg", b"<?xml", b"<!DOCTYPE svg"))
    return begins and b"<svg" in text and b"<html" not in text


def archive(head: bytes) -> str | None:
    """Which kind of archive, or of document with pictures, a file is; None if none known here."""
    return _signed(_ARCHIVES, head)


def _is_disk(head: bytes) -> bool:
    """A boot sector: of a partition table, in which each entry is active or not, or of a file system."""
    if head[510:512] != b"\x55\xaa":
        return False
    entries = {head[at] for at in range(446, 510, 16)}
    is_fat = b"FAT1" in head[54:62] or b"FAT3" in head[82:90]
    return entries <= {0x00, 0x80} or head[3:11] in (b"NTFS    ", b"EXFAT   ") or is_fat


def _iso_media(head: bytes) -> str | None:
    """By major brand; the generic still-picture brand is told apart by the compatible ones."""
    if without_reader(head):
        return None
    size = min(int.from_bytes(head[:4], "big"), len(head))
    compatible = {head[i : i + 4] for i in range(16, size, 4)}
    major = _BRANDS.get(head[8:12], "video/mp4")
    return "image/avif" if major == "image/heif" and b"avif" in compatible else major


def _is_transport_stream(head: bytes) -> bool:
    """Sync bytes at packet distance: 188, or 192 with a leading time code (Blu-ray, AVCHD)."""
    for start, distance in ((0, 188), (4, 192)):
        syncs = head[start : start + 5 * distance : distance]
        if len(syncs) == 5 and set(syncs) == {0x47}:
            return True
    return False


_UNIT = re.compile(rb"\x00\x00\x01(..)", re.DOTALL)
_H264_PROFILES = (44, 66, 77, 88, 100, 110, 118, 122, 128, 244)


def _mere_stream(head: bytes) -> str | None:
    """H.264 or H.265 without a container, as recorders export them (annex B of both standards).

    Such a stream begins with a delimiter, parameters or what they are supplemented by; its sequence
    parameters have to follow. A part that was cut out amid a stream is not told from chance.
    """
    if not head.startswith((b"\x00\x00\x00\x01", b"\x00\x00\x01")):
        return None
    units = [found[1] for found in _UNIT.finditer(head)]
    kinds = [unit[0] & 0x1F for unit in units]  # ITU-T H.264, 7.3.1; the highest bit is 0
    if units and units[0][0] < 0x80 and kinds[0] in (6, 7, 9):
        profiles = [unit[1] for unit, kind in zip(units, kinds, strict=True) if kind == 7]
        if profiles and profiles[0] in _H264_PROFILES:
            return "video/h264"
    kinds = [unit[0] >> 1 for unit in units]  # ITU-T H.265, 7.3.1.2; layer 0, lowest sub-layer
    if units and kinds[0] in (32, 33, 35, 39) and units[0][1] == 1 and {32, 33} <= set(kinds):
        return "video/h265"
    return None


def kind_of(media_type: str | None) -> Kind | None:
    """Which decoder a media type goes to; None if it is no picture and no video."""
    if media_type is None:
        return None
    return "still" if media_type.startswith("image/") else "video"


ENDINGS = {
    "image/jpeg": ".jpg .jpeg .jpe .jfif .mpo",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/tiff": ".tif .tiff .dng .nef .nrw .cr2 .arw .pef .srw",  # cameras' raw pictures are TIFF
    "image/webp": ".webp",
    "image/bmp": ".bmp .dib",
    "image/avif": ".avif",
    "image/heic": ".heic .heif",
    "image/heif": ".heif .heic",
    "image/jp2": ".jp2",
    "image/jxl": ".jxl",
    "image/vnd.microsoft.icon": ".ico",
    "image/x-portable-anymap": ".pbm .pgm .pnm .ppm",
    "image/vnd.adobe.photoshop": ".psd",
    "video/mp4": ".mp4 .m4v .m4s .f4v .3gp .3g2 .mov",
    "video/quicktime": ".mov .qt .mp4 .m4s",
    "video/x-msvideo": ".avi",
    "video/x-matroska": ".mkv .webm",
    "video/x-flv": ".flv",
    "video/x-ms-asf": ".asf .wmv",
    "video/ogg": ".ogv .ogg",
    "video/mpeg": ".mpg .mpeg .mpe .vob",
    "video/mpeg-es": ".mpg .mpeg .mpe .m2v",
    "video/h264": ".264 .h264 .avc",
    "video/h265": ".265 .h265 .hevc",
    "video/mp2t": ".ts .mts .m2ts .m2t",
    "application/mxf": ".mxf",
    "application/vnd.rn-realmedia": ".rm .rmvb",
    "video/x-ivf": ".ivf",
}
"""Media type → how names of such files end."""
UNREAD = ".dav .dv .cr3 .crw .mrw .orf .raf .rw2 .x3f"
"""How names of media end that femo has no reader for: recorders' and cameras' own."""
_CLAIMS = {ending for endings in (*ENDINGS.values(), UNREAD) for ending in endings.split()}


def claims_media(name: str) -> bool:
    """Whether a file's name says that it is a picture or a video."""
    return _ending(name) in _CLAIMS


def name_fits(name: str, media_type: str | None) -> bool | None:
    """Whether a name ends as its type's names do; None if the name says nothing of media."""
    if not claims_media(name):
        return None
    return _ending(name) in ENDINGS.get(media_type or "", "").split()


def _ending(name: str) -> str:
    """From the last dot on, in lower case; a name that is all ending has one too."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot > name.rfind("/") else ""
