"""The link in an alert: shows it, and takes the answer. Needs no sign-in; the link is the proof.

Programs that preview messages fetch links, so looking changes nothing.
"""

from fastapi import APIRouter, Request

from api.answering import may_look, take_answer
from api.hub import HubDep
from governance.deliveries.answering import Answer
from governance.deliveries.schemas import AnswerBody, AnswerPageOut

router = APIRouter(tags=["answers"])

_MAX_TOKEN = 200


@router.get("/answers/{token}")
async def read_answer(token: str, request: Request, hub: HubDep) -> AnswerPageOut:
    """Show what the alert is about, and what was answered. Changes nothing."""
    async with hub.database.read() as session:
        row = await hub.answers.find(session, token[:_MAX_TOKEN])
        if row is None:
            raise hub.link_throttle.missed(request)
        if not await may_look(hub, session, row):
            return AnswerPageOut(state="expired")
        return await hub.answers.page(session, row)


@router.post("/answers/{token}")
async def give_answer(token: str, body: AnswerBody, request: Request, hub: HubDep) -> AnswerPageOut:
    """Say that one has seen it, comes, or cannot come.

    Of an account it is the step itself, with the rights that the account has now; of a household's
    contact it is written down and shown to the household.
    """
    async with hub.database.transaction() as session:
        row = await hub.answers.find(session, token[:_MAX_TOKEN])
        if row is None:
            raise hub.link_throttle.missed(request)
        await take_answer(hub, session, row, Answer(body.answer, body.minutes))
    async with hub.database.read() as session:
        again = await hub.answers.find(session, token[:_MAX_TOKEN])
        assert again is not None  # links are never removed
        return await hub.answers.page(session, again)
