"""SOAP requests to a device that may be anything: slow, broken, hostile, or no camera.

The library would follow redirects, read answers of any size and mend broken XML. Here every
answer is limited and checked before the library sees it, and its own texts, which hold whole
answers, never get further.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from lxml import etree  # type: ignore[import-untyped]
from onvif.client import AsyncTransportProtocolErrorHandler
from onvif.util import extract_subcodes_as_strings, is_auth_error
from requests import Response
from requests.structures import CaseInsensitiveDict
from zeep.exceptions import Fault

from camera_hub.devices.address import CameraAddress
from camera_hub.devices.errors import (
    CameraUnauthorisedError,
    CameraUnreachableError,
    MalformedAnswerError,
    NotACameraError,
)
from camera_hub.streams.reach import ANYWHERE, Reach

_LARGEST = 2 * 1024 * 1024
_ENVELOPES = {
    "{http://www.w3.org/2003/05/soap-envelope}Envelope",
    "{http://schemas.xmlsoap.org/soap/envelope/}Envelope",
}
_NO_SUCH_SERVICE = {404, 405, 410, 415, 501}


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


def is_refusal(fault: Fault) -> bool:
    """Say whether a device refuses because of the credentials; they say so in many ways."""
    codes = " ".join(extract_subcodes_as_strings(fault.subcodes or []))
    return "FailedAuthentication" in codes or bool(is_auth_error(fault))


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


class Transport(AsyncTransportProtocolErrorHandler):  # type: ignore[misc]  # untyped library
    """Sends one request and returns an answer that is a well-formed SOAP envelope.

    Its methods raise the errors of `camera_hub.devices.errors`, and `InvalidInputError` where
    the camera's name leads to a forbidden address.
    """

    def __init__(self, session: aiohttp.ClientSession, camera: CameraAddress) -> None:
        super().__init__(session=session, verify_ssl=False, cache=None)
        self._camera = camera
        self._spoke_soap = False

    async def post_xml(self, address: str, envelope: Any, headers: dict[str, str]) -> Response:
        """Send `envelope` and return the answer, checked and without what need not be known."""
        place = self._camera.place
        self._check_place(address)
        try:
            status, kind, body = await self._post(address, etree.tostring(envelope), headers)
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
        root = self._checked(status, kind, body)
        asked = etree.QName(_content_of(envelope)).localname
        content = _content_of(root)
        # The library takes any element for the one it waits for and finds it empty.
        if content is None or etree.QName(content).localname not in (f"{asked}Response", "Fault"):
            raise malformed(place, f"it is no answer to {asked}")
        answer = Response()
        answer.status_code = status
        # What was checked is written anew, so that the library reads just that.
        answer._content = etree.tostring(root)
        answer.headers = CaseInsensitiveDict({"Content-Type": "application/soap+xml"})
        answer.encoding = "utf-8"
        return answer

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

    async def _post(
        self, address: str, data: bytes, headers: dict[str, str]
    ) -> tuple[int, str, bytes]:
        async with self.session.post(
            address, data=data, headers=headers, allow_redirects=False
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

    def _checked(self, status: int, kind: str, body: bytes) -> etree._Element:
        if status in (401, 403):
            raise unauthorised(self._camera)
        if 300 <= status < 400:
            raise self._nonsense("it sends us elsewhere (try https:// or its full address)")
        if status in _NO_SUCH_SERVICE and b"Envelope" not in body:
            raise self._nonsense(f"it has no such service (HTTP {status})")
        root = self._parsed(kind, body)
        if root.tag not in _ENVELOPES:
            raise self._nonsense("it does not answer with SOAP")
        self._spoke_soap = True
        return root

    def _parsed(self, kind: str, body: bytes) -> etree._Element:
        start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:512].lower()
        if kind == "text/html" or start.startswith((b"<!doctype html", b"<html")):
            raise self._nonsense("it is a web server that answers with a page")
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        place = self._camera.place
        # Entities in attributes are expanded whatever the parser is told: look before parsing.
        if b"<!DOCTYPE" in body:
            raise malformed(place, "it holds a document type, which SOAP forbids")
        try:
            root = etree.fromstring(body, parser=parser)
        except (etree.XMLSyntaxError, ValueError) as error:
            if "xml" in kind or (start.startswith(b"<") and b"envelope" in start):
                raise malformed(place, "it is not well-formed XML") from error
            raise self._nonsense("it does not answer with SOAP") from error
        if root.getroottree().docinfo.doctype:
            raise malformed(place, "it holds a document type, which SOAP forbids")
        return root


def open_session(
    username: str, password: str, *, connect_timeout_s: float, reach: Reach = ANYWHERE
) -> aiohttp.ClientSession:
    """Return a session for one camera; it answers HTTP digest challenges of that camera."""
    # Cameras sign their own certificates: TLS hides the traffic here, it proves nothing.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    digest = (
        (aiohttp.DigestAuthMiddleware(username, password),)
        if username and ":" not in username
        else ()
    )
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, resolver=_Resolver(reach), force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s),
        middlewares=digest,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        max_line_size=16384,
    )


def _content_of(envelope: etree._Element) -> etree._Element | None:
    """Return the first element inside the body of a SOAP envelope."""
    for body in envelope:
        if etree.QName(body).localname == "Body":
            return next(iter(body), None)
    return None


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
