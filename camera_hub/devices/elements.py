"""Reading and writing the elements of SOAP messages.

Reading goes by local names: devices put elements into wrong namespaces, and what a name means
follows from where it stands. What is read is cleaned and bounded: a text has no control
characters and at most 120 of the others, a number is finite and not absurd.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

Element = Any
"""An `lxml.etree._Element`; the library has no types."""

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tr2": "http://www.onvif.org/ver20/media/wsdl",
    "tptz": "http://www.onvif.org/ver20/ptz/wsdl",
    "tev": "http://www.onvif.org/ver10/events/wsdl",
    "tt": "http://www.onvif.org/ver10/schema",
    "wsse": ("http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"),
    "wsu": ("http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"),
    "wsa": "http://www.w3.org/2005/08/addressing",
    "wsnt": "http://docs.oasis-open.org/wsn/b-2",
    "d": "http://schemas.xmlsoap.org/ws/2005/04/discovery",
    "dn": "http://www.onvif.org/ver10/network/wsdl",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
}
"""The prefixes that requests are written with."""

_LONGEST = 120
_LONGEST_ADDRESS = 1000
_LARGEST = 1_000_000_000.0


def node(tag: str, *content: Any, **attributes: str) -> Element:
    """Return an element such as `tt:Width`; `content` is elements and texts, None is left out."""
    prefix, _, name = tag.partition(":")
    made = etree.Element(f"{{{NAMESPACES[prefix]}}}{name}", nsmap=NAMESPACES, **attributes)
    for part in content:
        if part is None:
            continue
        if isinstance(part, str):
            made.text = (made.text or "") + part
        else:
            made.append(part)
    return made


def name_of(element: Element) -> str:
    """Return the local name of an element."""
    return str(etree.QName(element).localname)


def every(element: Element | None, path: str) -> Iterator[Element]:
    """Yield the elements at `path`, local names joined by `/`, in the order they stand."""
    if element is None:
        return
    first, _, rest = path.partition("/")
    for child in element:
        if isinstance(child.tag, str) and name_of(child) == first:
            if rest:
                yield from every(child, rest)
            else:
                yield child


def first(element: Element | None, path: str) -> Element | None:
    """Return the first element at `path`, None if there is none."""
    return next(every(element, path), None)


def text(element: Element | None, path: str = "") -> str:
    """Return the text at `path`, cleaned and shortened; "" if there is none."""
    return clean(_raw(element, path))[:_LONGEST]


def address(element: Element | None, path: str) -> str:
    """Return the text at `path` as an address: not shortened but refused when it is too long."""
    found = _raw(element, path).strip()
    return found if len(found) <= _LONGEST_ADDRESS else ""


def clean(value: str) -> str:
    """Return `value` without what cannot be printed."""
    return "".join(c for c in value if c.isprintable()).strip()


def attribute(element: Element | None, name: str) -> str:
    """Return an attribute by its local name, cleaned and shortened; "" if there is none."""
    if element is None:
        return ""
    for key, value in element.attrib.items():
        if etree.QName(key).localname == name:
            return clean(str(value))[:_LONGEST]
    return ""


def number(element: Element | None, path: str = "") -> float | None:
    """Return the number at `path`; None if there is none, or none that can be meant."""
    return as_number(_raw(element, path))


def as_number(value: str) -> float | None:
    """Return `value` as a number; None if it is none, or none that can be meant."""
    try:
        found = float(value[:40])
    except ValueError:
        return None
    return found if math.isfinite(found) and abs(found) <= _LARGEST else None


def count(element: Element | None, path: str = "") -> int | None:
    """Return the whole number at `path` that is not negative; None if there is none."""
    found = number(element, path)
    return int(found) if found is not None and found >= 0 else None


def truth(element: Element | None, path: str) -> bool:
    """Return the truth value at `path`; False if there is none."""
    return _raw(element, path).strip().lower() in ("true", "1")


def _raw(element: Element | None, path: str) -> str:
    found = first(element, path) if path else element
    return "" if found is None or found.text is None else str(found.text)
