"""Service tokens: listed, made, revoked; for administrators."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from access.policy.areas import normalise_area
from access.policy.types import Actor, Resource
from access.tokens.schemas import TokenCreate, TokenIssued, TokenOut
from api.door import permit, require
from api.hub import HubDep
from api.pages import Page, Paging
from governance.areas.service import check as check_area

router = APIRouter(tags=["tokens"])


@router.get("/tokens")
async def list_tokens(
    page: Paging, hub: HubDep, actor: Annotated[Actor, permit("token.list")]
) -> Page[TokenOut]:
    """List the tokens of the own areas that are not revoked, newest first; never their secrets."""
    before = page.after(UUID)
    async with hub.database.read() as session:
        rows = await hub.tokens.page(
            session,
            areas=hub.policy.areas(actor, "token.list"),
            before=before[0] if before else None,
            limit=page.fetch,
        )
    return page.page(rows, lambda row: (row.id,), [TokenOut.of(row) for row in rows])


@router.post("/tokens", status_code=201)
async def create_token(
    body: TokenCreate, hub: HubDep, actor: Annotated[Actor, permit("token.create")]
) -> TokenIssued:
    """Make a token. Its secret is in this answer and nowhere else."""
    area = normalise_area(body.area)
    require(hub, actor, "token.create", Resource("token", area=area))
    async with hub.database.transaction() as session:
        await check_area(session, area)
        row, secret = await hub.tokens.issue(
            session,
            name=body.name,
            scopes=body.scopes,
            area=area,
            expires_at=body.expires_at,
            by=actor,
        )
        return TokenIssued(**TokenOut.of(row).model_dump(), token=secret)


@router.delete("/tokens/{token_id}", status_code=204)
async def revoke_token(
    token_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("token.delete")]
) -> None:
    """Revoke a token; the next request with it is refused."""
    async with hub.database.transaction() as session:
        row = await hub.tokens.get(session, token_id)
        require(hub, actor, "token.delete", Resource("token", id=str(row.id), area=row.area))
        await hub.tokens.revoke(session, token_id, actor)
