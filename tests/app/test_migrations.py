"""Migrations on both stores: from nothing to the models and back, twice, and never backwards."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import DBAPIError

from access.accounts.models import Account
from access.views.models import ViewRecord
from app.migrate import differences, upgrade
from app.schema import MIGRATIONS, bring_up_to_date, is_current, newest_revision
from camera_hub.devices.models import Camera
from core.database import Database
from core.errors import HubError
from tests.support.stores import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A store without a single table, once of each kind."""
    if request.param == "sqlite":
        database = Database(f"sqlite+aiosqlite:///{tmp_path}/empty.db")
        yield database
        await database.close()
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create()
    database = Database(server.url(name))
    yield database
    await database.close()
    server.drop(name)


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def tables(database: Database) -> set[str]:
    """Return the names of all tables of `database`."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(_tables)


def _down(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.downgrade(config, "base")
    connection.commit()


async def test_migrations_equal_the_models(empty: Database) -> None:
    """What migrations make is what the models say, column for column."""
    assert await tables(empty) == set()
    await upgrade(empty)
    assert {"camera", "incident", "signal"} <= await tables(empty)
    assert await differences(empty) == []


async def test_a_missing_column_is_a_difference(empty: Database) -> None:
    """The comparison above sees what it is there to see."""
    await upgrade(empty)
    async with empty.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE incident DROP COLUMN zone_name"))
    assert "zone_name" in str(await differences(empty))


async def test_upgrading_again_keeps_what_is_there(empty: Database) -> None:
    """A second start finds nothing to do."""
    await upgrade(empty)
    async with empty.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE of_somebody_else (n INTEGER)"))
    before = await tables(empty)
    await upgrade(empty)
    assert await tables(empty) == before


async def test_every_migration_can_be_taken_back(empty: Database) -> None:
    """Down to nothing leaves only alembic's own table; up again is whole."""
    await upgrade(empty)
    async with empty.engine.connect() as connection:
        await connection.run_sync(_down)
    assert await tables(empty) == {"alembic_version"}
    await upgrade(empty)
    assert await differences(empty) == []


async def test_a_database_of_a_newer_version_is_left_alone(empty: Database) -> None:
    """An old program says that it is old instead of working on a schema it does not know."""
    await upgrade(empty)
    async with empty.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'from2031'"))
    with pytest.raises(HubError, match="from2031") as told:
        await upgrade(empty)
    assert "newer version" in told.value.remedy
    async with empty.engine.connect() as connection:
        kept = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    assert kept == "from2031"


def test_migrations_are_one_line_of_history() -> None:
    """Two heads would leave open which one is current."""
    assert len(ScriptDirectory(str(MIGRATIONS)).get_heads()) == 1


def _to_first_light(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "967d8f28c79c")
    connection.commit()


FIRST_LIGHT_ROWS = (
    "INSERT INTO account (id, username, display_name, password_hash, locale, active, created_at,"
    " updated_at, password_changed_at) VALUES ('00000000000000000000000000000001', 'wang', 'Wang',"
    " 'x', 'en', {true}, {now}, {now}, {now})",
    "INSERT INTO camera (id, name, area, place_kind, source_kind, address, username,"
    ' password_sealed, enabled, "analyse", version, created_at) VALUES'
    " ('00000000000000000000000000000002', 'Gate', 'demo', 'shared_space', 'rtsp', 'rtsp://x/', '',"
    " '', {true}, {true}, 1, {now})",
    "INSERT INTO view_record (id, account_id, camera_id, area, kind, purpose, started_at) VALUES"
    " ('00000000000000000000000000000003', '00000000000000000000000000000001',"
    " '00000000000000000000000000000002', 'demo', 'incident_image', 'incident 2026-000012', {now})",
)


async def test_a_site_of_first_light_keeps_its_accounts_cameras_and_view_records(
    empty: Database,
) -> None:
    """What was written before there was consent is there afterwards, and says what it said."""
    on_postgresql = empty.engine.dialect.name == "postgresql"
    async with empty.engine.connect() as connection:
        await connection.run_sync(_to_first_light)
    async with empty.engine.begin() as connection:
        for statement in FIRST_LIGHT_ROWS:
            now = "now()" if on_postgresql else "'2026-11-01 10:00:00.000000'"
            true = "true" if on_postgresql else "1"
            await connection.execute(text(statement.format(now=now, true=true)))
    await upgrade(empty)
    async with empty.read() as session:
        record = (await session.scalars(select(ViewRecord))).one()
        assert (record.purpose, record.reference) == ("incident", "2026-000012")
        assert (record.place_kind, record.redacted, record.grant_id) == (
            "shared_space",
            False,
            None,
        )
        camera = (await session.scalars(select(Camera))).one()
        assert (camera.masks, camera.masks_burnt, camera.household_id) == ([], False, None)
        account = (await session.scalars(select(Account))).one()
        assert (account.must_change_password, account.has_second_factor) == (False, False)


async def test_a_migrated_ledger_refuses_changes_and_a_migrated_record_unknown_kinds(
    empty: Database,
) -> None:
    """Triggers and conditions are no part of the comparison with the models, so they are tried."""
    await upgrade(empty)
    async with empty.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO ledger_entry (seq, at, kind, area, actor_kind, actor_id, subject,"
                " body, hash) VALUES (1, 1, 'k', '', '', '', '', '{}', :hash)"
            ),
            {"hash": b"0" * 32},
        )
        await connection.execute(text(FIRST_LIGHT_ROWS[0].format(true=True, now="'2026-11-01'")))
    for statement in (
        "UPDATE ledger_entry SET kind = 'other'",
        "DELETE FROM ledger_entry",
        "INSERT INTO view_record (id, account_id, camera_id, area, kind, purpose, started_at)"
        " VALUES ('00000000000000000000000000000004', '00000000000000000000000000000001',"
        " '00000000000000000000000000000002', 'demo', 'peeping', '', '2026-11-01')",
    ):
        with pytest.raises(DBAPIError, match=r"append-only|ck_view_record_kind|kind IN"):
            async with empty.engine.begin() as connection:
                await connection.execute(text(statement))


def test_the_newest_migration_is_the_one_that_alembic_calls_so() -> None:
    """It is read out of the files' text, so that no command imports Alembic to see it."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert newest_revision() == ScriptDirectory.from_config(config).get_current_head()


async def test_a_store_is_brought_up_to_date_once_and_one_of_another_version_again(
    empty: Database,
) -> None:
    """Empty, current, of a version before and of one that nobody knows: each is told apart."""
    assert not await is_current(empty)
    await bring_up_to_date(empty)
    assert await is_current(empty)
    async with empty.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'of-tomorrow'"))
    assert not await is_current(empty)
    with pytest.raises(HubError, match="could not be brought up to date"):
        await bring_up_to_date(empty)
