"""Requests to addresses that a person has set up: webhooks, gateways, the dead man's switch.

Such an address becomes a request made by the hub, from inside of its network. So a name is looked
up here, every address it leads to is checked, and the connection goes to a checked one (no DNS
rebinding); redirects are not followed, and of the answer only its beginning is read.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import httpx

from core.errors import InvalidInputError

MAX_URL = 2000
_READ_AT_MOST = 64 * 1024
_NAMES_AT_ONCE = 128
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # RFC 6598: carriers' own, and some clouds'

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class OutboundAddressError(InvalidInputError):
    """An address that the hub does not ask (422)."""

    code = "invalid-address"


class OutboundFailedError(Exception):
    """Nobody answered. `timed_out`: the request may have arrived all the same."""

    def __init__(self, message: str, *, timed_out: bool) -> None:
        super().__init__(message)
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, lower-case headers, and the beginning of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Outbound:
    """One pool of connections. `allow_private` opens this machine and its local networks."""

    def __init__(self, *, allow_private: bool, timeout_s: float) -> None:
        self._allow_private = allow_private
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            verify=True,
            # How many are asked at once is the callers' business: here they would wait unseen.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )
        # A name server that is slow on purpose must not take the threads that the hub works with.
        self._names = ThreadPoolExecutor(_NAMES_AT_ONCE, thread_name_prefix="names")
        self._timeout_s = timeout_s

    def check(self, url: str) -> str:
        """Return `url` if its form allows it to be asked; looks nothing up.

        Raises:
            OutboundAddressError: no http(s) address, too long, with a user in it, or private.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in {"http", "https"} or not parts.hostname or len(url) > MAX_URL:
            raise OutboundAddressError(
                "This is no web address.", remedy="Enter an https:// address of the receiver."
            )
        if parts.username or parts.password or parts.fragment or not url.isprintable():
            raise OutboundAddressError(
                "The address holds a user, a password or a fragment.",
                remedy="Leave them out; the secret has a field of its own.",
            )
        try:
            literal = ipaddress.ip_address(parts.hostname)
        except ValueError:
            return url
        self._refuse(literal, parts.hostname, port)
        return url

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], *, timeout_s: float = 0
    ) -> Answer:
        """Post `content` and return what came back, whatever its status.

        Raises:
            OutboundAddressError: the address may not be asked.
            OutboundFailedError: nobody answered within the time.
        """
        within = timeout_s or self._timeout_s
        try:
            async with asyncio.timeout(within):
                return await self._post(self.check(url), content, headers, within)
        except TimeoutError as error:
            raise OutboundFailedError(f"no answer within {within:g} s", timed_out=True) from error

    async def _post(
        self, url: str, content: bytes, headers: Mapping[str, str], within: float
    ) -> Answer:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = await self._resolve(host, port)
        place = f"[{address}]" if ":" in address else address
        pinned = parts._replace(netloc=f"{place}:{port}").geturl()
        named = f"[{host}]" if ":" in host else host
        request = self._client.build_request(
            "POST",
            pinned,
            content=content,
            headers={**headers, "Host": named if parts.port is None else f"{named}:{port}"},
            timeout=within,
            extensions={"sni_hostname": host},
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TimeoutException as error:
            connected = not isinstance(error, httpx.ConnectTimeout)
            raise OutboundFailedError("no answer in time", timed_out=connected) from error
        except httpx.TransportError as error:
            # Cut off after the request may have arrived: as uncertain as a timeout.
            lost = isinstance(error, httpx.ReadError | httpx.RemoteProtocolError)
            raise OutboundFailedError(
                f"{type(error).__name__}: {error}"[:200], timed_out=lost
            ) from error
        try:
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) >= _READ_AT_MOST:
                    break
        except httpx.HTTPError:
            body = b""  # the status has been said; the rest is for people to read
        finally:
            await response.aclose()
        return Answer(response.status_code, dict(response.headers), body[:_READ_AT_MOST])

    async def close(self) -> None:
        """Close the connections."""
        self._names.shutdown(wait=False, cancel_futures=True)
        await self._client.aclose()

    async def _resolve(self, host: str, port: int) -> str:
        try:
            ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            found = await asyncio.get_running_loop().run_in_executor(self._names, ask)
        except (OSError, UnicodeError) as error:
            raise OutboundFailedError(f"the name {host} is not known", timed_out=False) from error
        addresses = [str(sockaddr[0]) for *_, sockaddr in found]
        for text in addresses:
            self._refuse(ipaddress.ip_address(text.partition("%")[0]), host, port)
        return addresses[0]

    def _refuse(self, address: Address, host: str, port: int | None) -> None:
        plain = _embedded(address)
        never = plain.is_link_local or plain.is_multicast or plain.is_unspecified
        private = not plain.is_global or (plain.version == 4 and plain in _SHARED)
        if never or (private and not self._allow_private):
            place = host if port is None else f"{host}:{port}"
            raise OutboundAddressError(
                f"{place} lies in your own network, where no receiver is asked.",
                remedy="Use a public address, or set deliveries.allow_private.",
            )


def _embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
