"""SOAP requests to a device that may be anything: slow, broken, hostile, or no camera.

Redirects are not followed, answers are limited and checked before anything is read from them, and
what a device sent never gets into an error's text, for it may hold the request's credentials.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from functools import cache
from urllib.parse import urlsplit
from xml.parsers import expat

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from lxml import etree  # type: ignore[import-untyped]

from camera_hub.devices.address import CameraAddress
from camera_hub.devices.elements import Element, clean, every, first, name_of
from camera_hub.devices.errors import (
    CameraUnauthorisedError,
    CameraUnreachableError,
    ClockUnknownError,
    MalformedAnswerError,
    NotACameraError,
)
from camera_hub.streams.reach import ANYWHERE, Reach

_LARGEST = 2 * 1024 * 1024
_PARSED_AT_ONCE = 64 * 1024
"""Longer answers are parsed on a thread: on the event loop others would wait for it."""
_ENVELOPES = {
    "{http://www.w3.org/2003/05/soap-envelope}Envelope",
    "{http://schemas.xmlsoap.org/soap/envelope/}Envelope",
}
_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,40}")
_MOST_PREFIXES = 16
_MOST_DECLARED = 1000
_DEEPEST = 256
"""As lxml's own limit: expat has none, and what is declared is known at every depth."""
_ENVELOPE_START = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?Envelope(?=[\s>])")
_NO_SUCH_SERVICE = {404, 405, 410, 415, 501}
_REFUSALS = ("NotAuthorized", "FailedAuthentication", "InvalidSecurity", "Unauthorized")


class DeviceFaultError(Exception):
    """A device understood a request and refused it.

    `subcodes` are local names such as `ActionNotSupported`; `reason` is the device's own text,
    cleaned and shortened, which may be in any language or empty.
    """

    def __init__(self, operation: str, subcodes: tuple[str, ...] = (), reason: str = "") -> None:
        super().__init__(operation)
        self.operation = operation
        self.subcodes = subcodes
        self.reason = reason

    @property
    def about_credentials(self) -> bool:
        """Whether it refuses the account; devices say so in many ways."""
        if any(refusal in code for code in self.subcodes for refusal in _REFUSALS):
            return True
        said = self.reason.lower()
        return any(word in said for word in ("authori", "authenti", "unauth", "password"))

    @property
    def unknown_here(self) -> bool:
        """Whether it says that it does not know the operation at all."""
        return any("NotSupported" in code or "NoSuchService" in code for code in self.subcodes)


def not_a_camera(place: str, what: str) -> NotACameraError:
    """Return the error of a place where something answers that does not speak ONVIF."""
    return NotACameraError(
        f"What answers at {place} is no ONVIF camera: {what}.",
        remedy="Check address and port, switch ONVIF on in the camera's settings, or enter the "
        "full address of its device service.",
    )


def malformed(place: str, what: str) -> MalformedAnswerError:
    """Return the error of an answer that cannot be understood."""
    return MalformedAnswerError(
        f"The device at {place} sent an answer that cannot be understood: {what}.",
        remedy="Restart the camera and update its firmware; if this lasts, add it by its "
        "RTSP address.",
    )


def unauthorised(camera: CameraAddress) -> CameraUnauthorisedError:
    """Return the error of wrong or missing credentials."""
    if not camera.username:
        return CameraUnauthorisedError(
            f"The camera at {camera.place} asks for a user name and password.",
            remedy="Enter those of a user that the camera lets use ONVIF.",
        )
    return CameraUnauthorisedError(
        f"The camera at {camera.place} does not accept this user name and password.",
        remedy="Check both. Many cameras keep separate users for ONVIF, and lock a user for some "
        "minutes after several wrong passwords.",
    )


def clock_unknown(camera: CameraAddress) -> ClockUnknownError:
    """Return the error of an account that may be right: nobody knows the camera's time."""
    return ClockUnknownError(
        f"The camera at {camera.place} refuses this account, and does not tell its time.",
        remedy="If user name and password are right, its clock is wrong: set it on the camera's "
        "own page and try again, or add the camera by its RTSP address.",
    )


def parse_safely(body: bytes) -> Element:
    """Return the root of an XML document without a document type, and so without entities.

    Raises:
        ValueError: it is not well-formed, or has a document type.
    """
    # Entities in attributes are expanded whatever the parser is told: look before parsing.
    if b"<!DOCTYPE" in body:
        raise DocumentTypeError
    try:
        root = _parse(body)
    except (etree.XMLSyntaxError, ValueError):
        # Without the cause: its text may quote the document.
        mended = _with_prefixes(body)
        if mended is None:
            raise ValueError("not well-formed") from None
        try:
            root = _parse(mended)
        except (etree.XMLSyntaxError, ValueError):
            raise ValueError("not well-formed") from None
    if root.getroottree().docinfo.doctype:
        raise DocumentTypeError
    return root


def _parse(body: bytes) -> Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    return etree.fromstring(body, parser=parser)


def _with_prefixes(body: bytes) -> bytes | None:
    """Return `body` with the prefixes that it uses undeclared; None if something else is wrong.

    Devices write `<ptz:StopResponse/>` and forget what `ptz` is; names are read without prefixes.
    Which they are is not taken from lxml's list of errors: that is empty on all threads but one.

    Raises:
        ValueError: it is nested deeper, or declares more, than any device has reason to.
    """
    used: set[str] = set()
    scopes: list[set[str]] = [{"xml", "xmlns"}]
    declared_count = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal declared_count
        names = [name for name in attributes if name.startswith("xmlns:")]
        declared_count += len(names)
        if declared_count > _MOST_DECLARED or len(scopes) > _DEEPEST:
            raise ValueError("not well-formed")
        scopes.append(scopes[-1] | {name[6:] for name in names} if names else scopes[-1])
        for name in (tag, *attributes):
            prefix, colon, _ = name.partition(":")
            if colon and prefix not in scopes[-1]:
                used.add(prefix)

    def doctype(*_: object) -> None:
        raise DocumentTypeError

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: scopes.pop()
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError):
        # The second: an encoding that nobody knows.
        return None
    if not 0 < len(used) <= _MOST_PREFIXES or not all(_PREFIX.fullmatch(one) for one in used):
        return None
    declared = "".join(f' xmlns:{prefix}="urn:undeclared"' for prefix in sorted(used))
    mended, count = _ENVELOPE_START.subn(rb"\g<0>" + declared.encode(), body, count=1)
    return mended if count else None


class DocumentTypeError(ValueError):
    """A document has a document type, which SOAP forbids."""


class _Resolver(AbstractResolver):
    """Looks names up, and refuses those that lead to an address no camera may have.

    The connection goes to what this returns: a name that leads elsewhere the next time is
    checked the next time.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - any will do
    ) -> list[ResolveResult]:
        addresses = await asyncio.to_thread(self._reach.resolve, host, port)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


class Exchange:
    """Sends requests to one device and returns answers that are well-formed SOAP envelopes."""

    def __init__(self, session: aiohttp.ClientSession, camera: CameraAddress) -> None:
        self._session = session
        self._camera = camera
        self._spoke_soap = False

    async def post(self, url: str, envelope: Element, action: str) -> Element:
        """Send `envelope` and return the element in the answer's body.

        Raises:
            DeviceFaultError: the device answers with a fault.
            CameraError: everything else that can go wrong, but for time limits.
            InvalidInputError: the camera's name leads to a forbidden address.
        """
        place = self._camera.place
        self._check_place(url)
        headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}
        try:
            status, kind, body = await self._send(url, etree.tostring(envelope), headers)
        except aiohttp.ClientConnectorCertificateError as error:
            raise not_a_camera(place, "its certificate is unusable") from error
        except (aiohttp.ClientConnectorSSLError, ssl.SSLError) as error:
            raise not_a_camera(place, "it does not speak TLS (try http://)") from error
        except aiohttp.ConnectionTimeoutError as error:
            raise _silent(place) from error
        except aiohttp.ClientConnectorDNSError as error:
            raise CameraUnreachableError(
                f"The name {self._camera.host} is unknown.",
                remedy="Check the spelling, or enter the camera's IP address.",
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise _no_way(place, error) from error
        except (aiohttp.ClientError, ValueError) as error:
            if self._spoke_soap:
                raise malformed(place, "the connection broke off") from error
            raise not_a_camera(place, "it does not speak HTTP (try https:// if it should)") from (
                error
            )
        asked = name_of(_content_of(envelope))
        root = await self._checked(asked, status, kind, body)
        content = _content_of(root)
        if content is not None and name_of(content) == "Fault":
            raise _fault_of(asked, content)
        if content is None or name_of(content) != f"{asked}Response":
            raise malformed(place, f"it is no answer to {asked}")
        return content

    def _check_place(self, url: str) -> None:
        """Refuse an IP address that no camera may have: the resolver never sees those."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            ip = ipaddress.ip_address(parts.hostname or "")
        except ValueError:
            return
        if why := self._camera.reach.refusal(ip, port):
            raise malformed(self._camera.place, f"it names {ip}:{port}, which {why}")

    async def _send(self, url: str, data: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        async with self._session.post(
            url, data=data, headers=headers, allow_redirects=False
        ) as answer:
            body = b""
            async for chunk in answer.content.iter_chunked(65536):
                body += chunk
                if len(body) > _LARGEST:
                    raise self._nonsense("it is far too long")
            return answer.status, answer.content_type, body

    def _nonsense(self, what: str) -> MalformedAnswerError | NotACameraError:
        """Return the error of an unusable answer: broken if it spoke SOAP before."""
        place = self._camera.place
        return malformed(place, what) if self._spoke_soap else not_a_camera(place, what)

    async def _checked(self, asked: str, status: int, kind: str, body: bytes) -> Element:
        if status in (401, 403):
            raise unauthorised(self._camera)
        if 300 <= status < 400:
            raise self._nonsense("it sends us elsewhere (try https:// or its full address)")
        no_soap = b"Envelope" not in body and b"E\x00n\x00v\x00e\x00l\x00o\x00p\x00e" not in body
        if no_soap and self._spoke_soap and status >= 500:
            # What should be a fault, said in plain words.
            raise DeviceFaultError(asked)
        if status in _NO_SUCH_SERVICE and no_soap:
            raise self._nonsense(f"it has no such service (HTTP {status})")
        start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:512].lower()
        if kind == "text/html" or start.startswith((b"<!doctype html", b"<html")):
            raise self._nonsense("it is a web server that answers with a page")
        place = self._camera.place
        try:
            if len(body) > _PARSED_AT_ONCE:
                root = await asyncio.to_thread(parse_safely, body)
            else:
                root = parse_safely(body)
        except DocumentTypeError:
            raise malformed(place, "it holds a document type, which SOAP forbids") from None
        except ValueError:
            if "xml" in kind or (start.startswith(b"<") and b"envelope" in start):
                raise malformed(place, "it is not well-formed XML") from None
            raise self._nonsense("it does not answer with SOAP") from None
        if root.tag not in _ENVELOPES:
            raise self._nonsense("it does not answer with SOAP")
        self._spoke_soap = True
        return root


def _fault_of(asked: str, fault: Element) -> DeviceFaultError:
    """Return a fault of SOAP 1.2 or 1.1 as an error."""
    codes = [*_codes(first(fault, "Code")), *every(fault, "faultcode")]
    subcodes = tuple(clean((code.text or "").rpartition(":")[2])[:60] for code in codes[:5])
    said = first(fault, "Reason/Text")
    said = first(fault, "faultstring") if said is None else said
    reason = "" if said is None else clean(said.text or "")[:200]
    return DeviceFaultError(asked, subcodes, reason)


def _codes(code: Element | None) -> list[Element]:
    found: list[Element] = []
    while code is not None and len(found) < 5:
        found += every(code, "Value")
        code = first(code, "Subcode")
    return found


@cache
def _tls() -> ssl.SSLContext:
    # Cameras sign their own certificates: TLS hides the traffic here, it proves nothing.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def open_session(
    username: str, password: str, *, connect_timeout_s: float, reach: Reach = ANYWHERE
) -> aiohttp.ClientSession:
    """Return a session for one camera; it answers HTTP digest challenges of that camera."""
    digest = (
        (aiohttp.DigestAuthMiddleware(username, password),)
        if username and ":" not in username
        else ()
    )
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=_tls(), resolver=_Resolver(reach), force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s),
        middlewares=digest,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        max_line_size=16384,
    )


def _content_of(envelope: Element) -> Element | None:
    """Return the first element inside the body of a SOAP envelope."""
    body = first(envelope, "Body")
    return None if body is None else next(iter(body), None)


def _silent(place: str) -> CameraUnreachableError:
    return CameraUnreachableError(
        f"Nothing answers at {place}.",
        remedy="Check address, port, power and network of the camera.",
    )


def _no_way(place: str, error: aiohttp.ClientConnectorError) -> CameraUnreachableError:
    if isinstance(error.os_error, ConnectionRefusedError):
        return CameraUnreachableError(
            f"Nothing listens at {place}.",
            remedy="Check address and port, and that ONVIF is switched on in the camera.",
        )
    return CameraUnreachableError(
        f"There is no way to {place}.",
        remedy="Check the address and the network to the camera.",
    )
