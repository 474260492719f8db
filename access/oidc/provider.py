"""The provider over the network: its description, its keys, and a code turned into an ID token.

Addresses come from the settings and from the provider's own description, never from a browser;
no redirect is followed, and answers are small or refused. OpenID Connect Core 1.0, section 3.1.
"""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from core.clock import Clock
from core.errors import ForbiddenError, UnavailableError
from core.logging import get_logger
from core.settings import OidcSettings

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Signatures that only the provider can make: no shared secret, and never `none`."""

LEEWAY_S = 60
DESCRIPTION_KEPT_S = 3600.0
KEYS_AT_MOST_EVERY_S = 30.0
TIMEOUT_S = 8.0
MAX_ANSWER = 512 * 1024

_log = get_logger("access.oidc")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the provider answers."""

    authorization: str
    token: str
    keys: str


class Provider:
    """Talks to the issuer of the settings."""

    def __init__(self, clock: Clock, settings: OidcSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._endpoints: tuple[float, Endpoints] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._asking = asyncio.Lock()

    async def authorization_url(
        self, *, redirect_uri: str, state: str, nonce: str, code_challenge: str
    ) -> str:
        """Return where the browser is to go.

        Raises:
            UnavailableError: code `provider-away`.
        """
        found = await self._find()
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        separator = "&" if urlsplit(found.authorization).query else "?"
        return f"{found.authorization}{separator}{urlencode(query)}"

    async def redeem(self, code: str, *, verifier: str, redirect_uri: str, nonce: str) -> Any:
        """Return the claims of the ID token that the provider gives for `code`, all checked.

        Raises:
            UnavailableError: code `provider-away`.
            ForbiddenError: code `provider-refused`: the provider refuses the code; or
                `identity-refused`: the ID token does not hold.
        """
        found = await self._find()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self._settings.client_id,
            "code_verifier": verifier,
        }
        secret = self._settings.client_secret.get_secret_value()
        auth = httpx.BasicAuth(self._settings.client_id, secret) if secret else None
        answer = await self._ask("POST", found.token, data=form, auth=auth)
        token = answer.get("id_token")
        if not isinstance(token, str) or len(token) > 64 * 1024:
            raise _refused("the answer holds no ID token")
        return await self.check(token, nonce)

    async def check(self, token: str, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token after checking signature and claims.

        Raises:
            ForbiddenError: code `identity-refused`.
            UnavailableError: code `provider-away`: its keys cannot be read.
        """
        try:
            claims = await self._verified(token)
        except (JoseError, ValueError) as error:
            raise _refused(type(error).__name__) from error
        try:
            jwt.JWTClaimsRegistry(
                now=lambda: int(self._clock.now().timestamp()),
                leeway=LEEWAY_S,
                iss={"essential": True, "value": self._settings.issuer},
                sub={"essential": True},
                aud={"essential": True, "value": self._settings.client_id},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except JoseError as error:
            raise _refused(str(error)) from error
        audience = claims["aud"]
        party = claims.get("azp")
        if isinstance(audience, list) and len(audience) > 1 and party != self._settings.client_id:
            raise _refused("the token is for several parties and was not given to this one")
        if party is not None and party != self._settings.client_id:
            raise _refused("the token was given to another party")
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
            raise _refused("the subject is no text")
        return claims

    async def _verified(self, token: str) -> dict[str, Any]:
        """Check the signature; with keys read anew once when the provider may have changed them."""
        keys = await self._key_set(newer_than=None)
        read_at = self._keys[0] if self._keys else 0.0
        try:
            return dict(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
        except (JoseError, ValueError):
            newer = await self._key_set(newer_than=read_at)
            if newer is keys:
                raise
        return dict(jwt.decode(token, newer, algorithms=list(ALGORITHMS)).claims)

    async def _find(self) -> Endpoints:
        now = self._clock.monotonic()
        if self._endpoints is not None and now - self._endpoints[0] < DESCRIPTION_KEPT_S:
            return self._endpoints[1]
        issuer = self._settings.issuer
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        answer = await self._ask("GET", url)
        if answer.get("issuer") != issuer:
            raise _away("its description names another issuer")
        found = Endpoints(
            self._checked(answer.get("authorization_endpoint")),
            self._checked(answer.get("token_endpoint")),
            self._checked(answer.get("jwks_uri")),
        )
        self._endpoints = (now, found)
        return found

    def _checked(self, url: object) -> str:
        """Let no description lead away from https, unless the issuer itself is on this machine."""
        if not isinstance(url, str):
            raise _away("its description lacks an address")
        parts, own = urlsplit(url), urlsplit(self._settings.issuer)
        same_machine = parts.scheme == own.scheme == "http" and parts.hostname == own.hostname
        if not parts.hostname or (parts.scheme != "https" and not same_machine):
            raise _away("its description names an address without https")
        return url

    async def _key_set(self, newer_than: float | None) -> KeySet:
        async with self._asking:
            now = self._clock.monotonic()
            if self._keys is not None:
                read_at, keys = self._keys
                if newer_than is None and now - read_at < DESCRIPTION_KEPT_S:
                    return keys
                if newer_than is not None and (
                    read_at > newer_than or now - read_at < KEYS_AT_MOST_EVERY_S
                ):
                    return keys
            answer = await self._ask("GET", (await self._find()).keys)
            try:
                keys = KeySet.import_key_set(answer)  # type: ignore[arg-type]  # checked by it
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise _away("its keys cannot be read") from error
            self._keys = (now, keys)
            return keys

    async def _ask(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """Return the JSON object that the provider answers with."""
        body = b""
        try:
            async with (
                httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False) as client,
                client.stream(
                    method, url, headers={"Accept": "application/json"}, **options
                ) as answer,
            ):
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > MAX_ANSWER:
                        raise _away("its answer is too large")
        except httpx.HTTPError as error:
            raise _away(type(error).__name__) from error
        if method == "POST" and 400 <= answer.status_code < 500:
            # The body may quote what was sent: only its code is kept.
            _log.warning("code_refused", status=answer.status_code)
            raise ForbiddenError(
                "The identity provider does not accept this sign-in.",
                remedy="Begin again. If it stays, the administrator must check client_id, "
                "client_secret and the redirect address at the provider.",
                code="provider-refused",
            )
        try:
            found = orjson.loads(body)
        except ValueError:
            found = None
        if answer.status_code != 200 or not isinstance(found, dict):
            raise _away(f"it answered {answer.status_code}")
        return found


def _away(why: str) -> UnavailableError:
    _log.warning("provider_away", reason=why)
    return UnavailableError(
        f"The identity provider cannot be used: {why}.",
        remedy="Sign in with your password, or try again later.",
        code="provider-away",
    )


def _refused(why: str) -> ForbiddenError:
    _log.warning("identity_refused", reason=why[:200])
    return ForbiddenError(
        "What the identity provider says about you does not hold.",
        remedy="Begin again. If it stays, tell the administrator: the hub's log says why.",
        code="identity-refused",
    )
