"""A clip's results as an ELAN annotation file (`.eaf`), format 3.0.

References:
    Max Planck Institute for Psycholinguistics, The Language Archive: EAF Annotation Format 3.0 and ELAN, 2017.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from vidfer import __version__
from vidfer.exchange.spans import Row, all_rows
from vidfer.types import DISPLAYED, EMOTIONS

if TYPE_CHECKING:
    import pandas as pd

_SCHEMA: Final = {
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
}
_WORDS: Final = (*EMOTIONS, "uncertain")
_VOCABULARY: Final = "displayed expressions"
_ENGLISH: Final = {
    "LANG_ID": "eng",
    "LANG_DEF": "http://cdb.iso.org/lg/CDB-00138502-001",
    "LANG_LABEL": "English (eng)",
}
_CONSTRAINTS: Final = {
    "Time_Subdivision": "Time subdivision of parent annotation's time interval, no time gaps allowed within this interval",
    "Symbolic_Subdivision": "Symbolic subdivision of a parent annotation. Annotations refering to the same parent are ordered",
    "Symbolic_Association": "1-1 association with a parent annotation",
    "Included_In": "Time alignable annotations within the parent annotation's time interval, gaps are allowed",
}
"""Those that ELAN writes into each file, in its words."""


def elan_file(
    tables: "Mapping[str, pd.DataFrame]", summary: Mapping[str, Any], *, media: str = "", absolute: str = ""
) -> bytes:
    """Write a tier for each person with the segments, and one each for the sound, the scenes and the markers if there are any.

    Args:
        tables: The six tables of the clip.
        summary: Its summary.
        media: Address of the clip's file from the folder of the `.eaf`; by default its name, as if both lay together.
        absolute: Its address with `file:`, where the `.eaf` is to hold it; it tells others where the file lies on this machine.
    """
    date = {"DATE": summary["analyzed_at"].replace("Z", "+00:00"), "AUTHOR": f"vidfer {__version__}"}
    root = ET.Element("ANNOTATION_DOCUMENT", {**date, "FORMAT": "3.0", "VERSION": "3.0", **_SCHEMA})
    rows = all_rows(tables, summary)
    head = ET.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    media = media or f"./{quote(Path(summary['clip']).name, errors='backslashreplace')}"
    kind = guess_type(media)[0] or "unknown"
    urls = {"MEDIA_URL": absolute or media, "MIME_TYPE": kind, "RELATIVE_MEDIA_URL": media}
    ET.SubElement(head, "MEDIA_DESCRIPTOR", urls)
    last = ET.SubElement(head, "PROPERTY", {"NAME": "lastUsedAnnotationId"})
    last.text = str(sum(len(row.spans) for row in rows))
    slots = _time_order(ET.SubElement(root, "TIME_ORDER"), rows)
    number = 0
    for row in rows:
        who = {"PARTICIPANT": row.participant} if row.participant else {}
        tier = {"TIER_ID": row.name, "LINGUISTIC_TYPE_REF": row.kind, "ANNOTATOR": "vidfer", **who}
        element = ET.SubElement(root, "TIER", tier)
        for at, span in enumerate(row.spans):
            number += 1
            first, second = slots[row.name, at]
            word = {"CVE_REF": f"cve_{span.text}"} if row.kind == "expression" else {}
            times = {"ANNOTATION_ID": f"a{number}", "TIME_SLOT_REF1": first, "TIME_SLOT_REF2": second}
            aligned = ET.SubElement(ET.SubElement(element, "ANNOTATION"), "ALIGNABLE_ANNOTATION", {**times, **word})
            ET.SubElement(aligned, "ANNOTATION_VALUE").text = span.text
    _types(root)
    ET.indent(root, "    ")
    body: bytes = ET.tostring(root, "utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"


def _time_order(element: ET.Element, rows: Sequence[Row]) -> dict[tuple[str, int], tuple[str, str]]:
    """Write a slot for the start and the end of each span, by time; return both ids by row and place."""
    ends = [
        (time, side, row.name, at)
        for row in rows
        for at, span in enumerate(row.spans)
        for side, time in enumerate((span.start, span.end))
    ]
    ids: dict[tuple[str, int], list[str]] = {}
    for number, (time, _, name, at) in enumerate(sorted(ends), 1):
        ET.SubElement(element, "TIME_SLOT", {"TIME_SLOT_ID": f"ts{number}", "TIME_VALUE": str(time)})
        ids.setdefault((name, at), []).append(f"ts{number}")
    return {key: (first, second) for key, (first, second) in ids.items()}


def _types(root: ET.Element) -> None:
    """Write what tiers may hold: expressions of a controlled vocabulary, or any words."""
    alignable = {"TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
    words = {"LINGUISTIC_TYPE_ID": "expression", **alignable, "CONTROLLED_VOCABULARY_REF": _VOCABULARY}
    ET.SubElement(root, "LINGUISTIC_TYPE", words)
    ET.SubElement(root, "LINGUISTIC_TYPE", {"LINGUISTIC_TYPE_ID": "note", **alignable})
    ET.SubElement(root, "LANGUAGE", _ENGLISH)
    for name, text in _CONSTRAINTS.items():
        ET.SubElement(root, "CONSTRAINT", {"STEREOTYPE": name, "DESCRIPTION": text})
    vocabulary = ET.SubElement(root, "CONTROLLED_VOCABULARY", {"CV_ID": _VOCABULARY})
    about = ET.SubElement(vocabulary, "DESCRIPTION", {"LANG_REF": "eng"})
    about.text = DISPLAYED
    for word in _WORDS:
        entry = ET.SubElement(vocabulary, "CV_ENTRY_ML", {"CVE_ID": f"cve_{word}"})
        ET.SubElement(entry, "CVE_VALUE", {"LANG_REF": "eng", "DESCRIPTION": ""}).text = word
