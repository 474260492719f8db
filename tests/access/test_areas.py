"""Areas: paths, what lies below what, and the condition for queries on both stores."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from access.policy.areas import ancestors, covers, in_areas, normalise_area, widest
from access.views.models import ViewRecord
from api.hub import Hub
from core.errors import InvalidInputError
from core.ids import new_id
from tests.support.http import SignIn

part = st.text(alphabet="abAB%_*/-' 区", min_size=1, max_size=6)
paths = st.lists(part, max_size=4).map("/".join).map(normalise_area)


@given(paths, paths)
def test_covers_means_equal_or_among_the_ancestors(above: str, area: str) -> None:
    assert covers(above, area) == (above in ancestors(area))


@given(st.lists(paths, max_size=6), paths)
def test_widest_covers_the_same_places(areas: list[str], area: str) -> None:
    kept = widest(areas)
    assert any(covers(a, area) for a in kept) == any(covers(a, area) for a in areas)
    assert not any(covers(a, b) for a in kept for b in kept if a != b)


@pytest.mark.parametrize("text", ["a/../b", "..", "a/./b", "a\nb", "a\0b", "x" * 201])
def test_a_strange_area_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        normalise_area(text)


def test_an_area_is_stored_in_one_form() -> None:
    assert normalise_area(" /demo//riverside/ ") == "demo/riverside"
    assert normalise_area("Cafe\u0301") == "Caf\u00e9"


@pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
async def test_the_query_finds_what_covers_says(hub: Hub, sign_in: SignIn) -> None:
    stored = ["", "demo", "demo/a", "demo/a/1", "demo/ab", "Demo/a", "demo/A", "dem", "d%", "区/一"]
    account = await sign_in("auditor", "")
    actor_id = account.account_id
    async with hub.database.transaction() as session:
        now = hub.clock.now()
        session.add_all(
            ViewRecord(
                id=new_id(), account_id=actor_id, camera_id=new_id(), area=area, kind="snapshot",
                purpose="", started_at=now, ended_at=now,
            )
            for area in stored
        )  # fmt: skip
    for wanted in ([], [""], ["demo"], ["demo/a"], ["demo/a", "区"], ["d%"], ["dem_"], ["demo/"]):
        async with hub.database.read() as session:
            rows = await session.scalars(
                select(ViewRecord.area).where(in_areas(ViewRecord.area, wanted))
            )
            found = sorted(rows)
        assert found == sorted(a for a in stored if any(covers(w, a) for w in wanted)), wanted
