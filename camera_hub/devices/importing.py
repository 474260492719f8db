"""Lists of cameras: a table as spreadsheets write it, row by row made into what is added.

UTF-8 (with or without byte order mark), UTF-16 with one, and GB 18030 (what Excel writes in
Chinese); commas, semicolons or tabs. A row that cannot be understood says why; it never quotes a
password.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from camera_hub.devices.recording_text import NotAPlanError, plan_named
from camera_hub.devices.schemas import CameraCreate
from camera_hub.devices.spots import NamedSpot
from core.errors import InvalidInputError

MOST_ROWS = 2000
_MOST_COLUMNS = 60
COLUMNS = (
    "name", "area", "place_kind", "place_type", "household_id", "source_kind", "address",
    "username", "password", "purpose", "owner", "contact", "retention_hours", "retention_reason",
    "signage", "residents_may_watch", "analyse", "analysed_by", "recording", "sound",
    "sound_reason", "transport", "latitude", "longitude", "heading", "plan",
    "plan_x", "plan_y", "main_profile", "sub_profile", "probe",
)  # fmt: skip
"""What a list may have; `name` and `address` it must have."""
_SAID_OTHERWISE = {
    "名称": "name", "区域": "area", "场所类别": "place_kind", "场所类型": "place_type",
    "接入方式": "source_kind", "地址": "address", "ip": "address", "用户名": "username",
    "密码": "password", "用途": "purpose", "责任单位": "owner", "联系方式": "contact",
    "保存小时": "retention_hours", "录像": "recording", "纬度": "latitude", "经度": "longitude",
    "朝向": "heading", "rtsp": "address", "user": "username", "lat": "latitude",
    "lon": "longitude", "lng": "longitude", "平面图": "plan", "图上横坐标": "plan_x",
    "图上纵坐标": "plan_y", "收音": "sound", "收音理由": "sound_reason",
}  # fmt: skip
_TRUTHS = {
    "true": True, "yes": True, "1": True, "y": True, "是": True,
    "false": False, "no": False, "0": False, "n": False, "否": False,
}  # fmt: skip
_FLAGS = {"signage", "residents_may_watch", "analyse", "sound", "probe"}
_NUMBERS = {"retention_hours", "latitude", "longitude", "heading", "plan_x", "plan_y"}
_SPOT: dict[str, Any] = {"plan": "", "plan_x": None, "plan_y": None}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a list: what is to be added, or why it cannot be; `line` is the file's line.

    `spot` names the plan that it stands on; which one that is, is found with the others. `code` and
    `params` say what `message` says, for other languages (`ImportRowOut`).
    """

    line: int
    name: str
    area: str = ""
    body: CameraCreate | None = None
    message: str = ""
    spot: NamedSpot | None = None
    code: str = ""
    params: Mapping[str, str] = field(default_factory=dict)


class _RowError(ValueError):
    """A row that cannot be: what of it, in words and for other languages."""

    def __init__(self, message: str, code: str, **params: object) -> None:
        super().__init__(message)
        self.code = code
        self.params = {name: str(value) for name, value in params.items()}


def read_list(data: bytes) -> list[Row]:
    """Return the rows of a list; empty ones are left out.

    Raises:
        InvalidInputError: code `invalid-list`: no text, no columns `name` and `address`, an unknown
            column, or more than 2000 rows.
    """
    text = _decoded(data)
    first, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[Row] = []
    seen: dict[tuple[str, str], int] = {}
    try:
        columns = _columns(next(reader, []))
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(rows) >= MOST_ROWS:
                raise _wrong(f"The list has more than {MOST_ROWS} rows.")
            rows.append(_row(reader.line_num, columns, cells, seen))
    except csv.Error:
        raise _wrong(f"Line {reader.line_num} of the list is no row of a table.") from None
    return rows


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise _wrong("The list is no text in UTF-8 or GB 18030.")


def _columns(header: list[str]) -> list[str]:
    found = []
    for cell in header[:_MOST_COLUMNS]:
        plain = cell.strip().lower().replace(" ", "_")
        found.append(_SAID_OTHERWISE.get(plain, plain))
    unknown = [name for name in found if name and name not in COLUMNS]
    if unknown:
        raise _wrong(f"There is no column '{unknown[0][:40]}'.")
    missing = {"name", "address"} - set(found)
    if missing:
        raise _wrong(f"The list has no column '{sorted(missing)[0]}'.")
    doubled = {name for name in found if name and found.count(name) > 1}
    if doubled:
        raise _wrong(f"The list has the column '{sorted(doubled)[0]}' twice.")
    return found


def _wrong(message: str) -> InvalidInputError:
    return InvalidInputError(
        message,
        remedy=f"The first line names the columns. There are: {', '.join(COLUMNS)}.",
        code="invalid-list",
    )


def _row(line: int, columns: list[str], cells: list[str], seen: dict[tuple[str, str], int]) -> Row:
    said = {
        name: cell.strip() if name != "password" else cell
        for name, cell in zip(columns, cells, strict=False)
        if name and cell.strip()
    }
    name, area = said.get("name", "")[:120], said.get("area", "")[:200]
    try:
        if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
            raise _RowError("The row has more cells than the first line names.", "row-cells")
        # A recorder has an address and many cameras, each a profile of its own.
        place = said.get("address", ""), said.get("main_profile", "")
        for key in ((f"name {name}", area), place):
            if (before := seen.setdefault(key, line)) != line:
                raise _RowError(f"Line {before} has the same camera.", "row-doubled", line=before)
        values = _typed(said)
        spot = NamedSpot.of(*(values.pop(key, other) for key, other in _SPOT.items()))
        body = CameraCreate.model_validate(values)
    except ValidationError as error:
        return _wrong_value(line, name, area, error)
    except NotAPlanError as error:
        return Row(line, name, area, message=str(error), code="row-recording")
    except _RowError as error:
        return Row(line, name, area, message=str(error), code=error.code, params=error.params)
    return Row(line, body.name, body.area, body=body, spot=spot)


_KINDS_OF_WRONG = {
    "missing": "row-missing",
    "string_too_short": "row-missing",
    "string_too_long": "row-long",
    "too_long": "row-long",
    "greater_than": "row-range",
    "greater_than_equal": "row-range",
    "less_than": "row-range",
    "less_than_equal": "row-range",
    "finite_number": "row-range",
    "literal_error": "row-choice",
}


def _wrong_value(line: int, name: str, area: str, error: ValidationError) -> Row:
    """Say what the first thing is that is wrong with a row, without quoting it."""
    wrong = error.errors(include_input=False, include_url=False)[0]
    column = str(wrong["loc"][0]) if wrong["loc"] else "plan"
    params = {"column": column}
    if wrong["type"] == "literal_error":
        params["choices"] = str(wrong.get("ctx", {}).get("expected", "")).replace("'", "")
    return Row(
        line,
        name,
        area,
        message=f"{column}: {wrong['msg']}.",
        code=_KINDS_OF_WRONG.get(wrong["type"], "row-value"),
        params=params,
    )


def _typed(said: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = dict(said)
    address = said.get("address", "").lower()
    values.setdefault(
        "source_kind", "rtsp" if address.startswith(("rtsp://", "rtsps://")) else "onvif"
    )
    for name in _FLAGS & said.keys():
        truth = _TRUTHS.get(said[name].lower())
        if truth is None:
            raise _RowError(f"{name}: write yes or no.", "row-flag", column=name)
        values[name] = truth
    for name in _NUMBERS & said.keys():
        try:
            values[name] = float(said[name].replace(",", "."))
        except ValueError:
            raise _RowError(f"{name}: this is no number.", "row-number", column=name) from None
    if "recording" in said:
        values["recording"] = plan_named(said["recording"])
    return values
