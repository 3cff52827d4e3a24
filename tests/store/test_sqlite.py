# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
from contextlib import aclosing, closing
from pathlib import Path

import pytest

from lichen.kinds.builtin import CONFIG_MAP, PRIORITY_CLASS
from lichen.kinds.identity.limit import Limit
from lichen.model.errors import Conflict, Expired, InsufficientStorage, NotFound, Unavailable
from lichen.model.kind import Kind, new_object
from lichen.model.meta import name_of, revision_of
from lichen.store import SqliteStore, StoreError, Window
from lichen.store.sqlite import SqliteJournal
from tests.conformance.state import NS, OTHER, a_class, a_map, brief, take

WRITER = Path(__file__).with_name("writer.py")


async def rows_in(path: Path) -> list[tuple[int, str]]:
    def read() -> list[tuple[int, str]]:
        with closing(sqlite3.connect(path)) as db:
            return db.execute("SELECT revision, name FROM log ORDER BY revision").fetchall()

    return await asyncio.to_thread(read)


async def test_what_an_earlier_release_called_otherwise_is_found_by_its_name_of_today(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "s.db")
    limit = new_object(Limit.KIND, "cores", "", {"serviceId": "s", "resourceName": "cores", "resourceLimit": 5})
    await store.create(Limit.KIND, limit)
    await store.close()
    with closing(sqlite3.connect(tmp_path / "s.db")) as db:
        db.execute("UPDATE log SET plural = 'limits' WHERE plural = 'ownlimits'")
        db.commit()
    store = await SqliteStore.open(tmp_path / "s.db")
    assert (await store.get(Limit.KIND, "cores"))["spec"]["resourceLimit"] == 5
    await store.delete(Limit.KIND, "cores")
    await store.close()
    store = await SqliteStore.open(tmp_path / "s.db")
    assert (await store.list(Limit.KIND)).items == []
    await store.close()


async def test_reopened_store_has_all_objects_and_its_revision(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "s.db")
    one = await store.create(CONFIG_MAP, a_map("one", key="1"))
    await store.create(CONFIG_MAP, a_map("two", OTHER))
    await store.create(PRIORITY_CLASS, a_class("class"))
    await store.delete(CONFIG_MAP, "two", OTHER)
    before = store.revision
    await store.close()
    store = await SqliteStore.open(tmp_path / "s.db")
    assert store.revision == before
    assert await store.get(CONFIG_MAP, "one", NS) == one
    assert [name_of(o) for o in (await store.list(CONFIG_MAP)).items] == ["one"]
    assert store.resources() == [("", "configmaps"), ("scheduling.k8s.io", "priorityclasses")]
    assert revision_of(await store.create(CONFIG_MAP, a_map("three"))) == before + 1
    await store.close()


async def test_watch_resumes_across_a_restart(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "s.db")
    since = revision_of(await store.create(CONFIG_MAP, a_map("one", labels={"colour": "red"})))
    await store.patch(CONFIG_MAP, "one", NS, {"metadata": {"labels": {"colour": None}}})
    await store.create(CONFIG_MAP, a_map("two"))
    await store.close()
    store = await SqliteStore.open(tmp_path / "s.db")
    async with aclosing(store.watch(CONFIG_MAP, NS, since=since)) as events:  # type: ignore[type-var]
        assert [(e.type, name_of(e.object)) for e in await take(events, 2)] == [("MODIFIED", "one"), ("ADDED", "two")]
    async with aclosing(store.watch(CONFIG_MAP, NS, since=since, labels="colour")) as events:  # type: ignore[type-var]
        assert brief(await take(events, 1)) == [("DELETED", "one")]
    await store.close()


async def test_superseded_rows_leave_the_file_and_survivors_stay(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = await SqliteStore.open(path, Window(changes=10))
    await store.create(CONFIG_MAP, a_map("still"))
    await store.create(CONFIG_MAP, a_map("busy"))
    await store.create(CONFIG_MAP, a_map("gone"))
    await store.delete(CONFIG_MAP, "gone", NS)
    for number in range(700):
        await store.patch(CONFIG_MAP, "busy", NS, {"data": {"n": str(number)}})
    revision, compacted = store.revision, store.compacted
    await store.close()
    assert compacted == revision - 10
    rows = await rows_in(path)
    assert len(rows) < 300
    assert rows[0] == (1, "still")
    store = await SqliteStore.open(path, Window(changes=10))
    assert (store.revision, store.compacted) == (revision, compacted)
    assert [name_of(o) for o in (await store.list(CONFIG_MAP, NS)).items] == ["busy", "still"]
    assert (await store.get(CONFIG_MAP, "busy", NS))["data"] == {"n": "699"}
    with pytest.raises(Expired):
        store.watch_raw(CONFIG_MAP, since=compacted - 1)
    await store.watch_raw(CONFIG_MAP, since=compacted).aclose()
    await store.close()


async def test_garbage_that_a_crash_left_is_collected_later(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    for _ in range(3):
        store = await SqliteStore.open(path, Window(changes=5))
        for number in range(100):
            await store.create(CONFIG_MAP, a_map(f"m{number}"))
            await store.delete(CONFIG_MAP, f"m{number}", NS)
        await store.close()
    assert len(await rows_in(path)) < 300


async def test_a_full_store_refuses_writes_changes_nothing_and_recovers(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "s.db", max_bytes=200_000)
    written = []
    with pytest.raises(InsufficientStorage):
        for number in range(1000):
            written.append(await store.create(CONFIG_MAP, a_map(f"m{number:03}", text="x" * 2000)))
    before = store.revision
    assert [o["metadata"]["name"] for o in (await store.list(CONFIG_MAP, NS)).items] == [name_of(o) for o in written]
    results = await asyncio.gather(
        *(store.create(CONFIG_MAP, a_map(f"n{n}", text="x" * 4000)) for n in range(5)), return_exceptions=True
    )
    assert all(isinstance(result, InsufficientStorage) for result in results)
    with pytest.raises(NotFound):
        await store.get(CONFIG_MAP, "n0", NS)
    assert store.revision == before
    await store.close()
    store = await SqliteStore.open(tmp_path / "s.db", max_bytes=400_000)
    assert revision_of(await store.create(CONFIG_MAP, a_map("n0", text="x" * 4000))) == before + 1
    await store.close()


async def test_a_conflict_is_answered_once_the_winner_can_be_read(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "s.db")
    created = await store.create(CONFIG_MAP, a_map("one"))
    winner = asyncio.create_task(store.update(CONFIG_MAP, {**created, "data": {"by": "winner"}}))
    await asyncio.sleep(0)
    with pytest.raises(Conflict):
        await store.update(CONFIG_MAP, {**created, "data": {"by": "loser"}})
    assert (await store.get(CONFIG_MAP, "one", NS))["data"] == {"by": "winner"}
    await winner
    await store.close()


async def test_a_cancelled_writer_harms_nobody_else(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "s.db")
    cancelled = asyncio.create_task(store.create(CONFIG_MAP, a_map("one")))
    other = asyncio.create_task(store.patch(CONFIG_MAP, "one", NS, {"data": {"key": "1"}}))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert (await other)["data"] == {"key": "1"}
    await store.close()


async def test_closing_finishes_what_was_begun_and_refuses_more(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "s.db")
    begun = [asyncio.create_task(store.create(CONFIG_MAP, a_map(f"m{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    await store.close()
    assert len(await asyncio.gather(*begun)) == 20
    with pytest.raises(Unavailable):
        await store.create(CONFIG_MAP, a_map("late"))


async def test_a_file_is_opened_by_one_store_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lichen.store.sqlite.BUSY_SECONDS", 0.1)
    store = await SqliteStore.open(tmp_path / "s.db")
    with pytest.raises(StoreError, match="locked"):
        await SqliteStore.open(tmp_path / "s.db")
    await store.close()


async def test_foreign_damaged_and_newer_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "noise.db").write_bytes(b"no database at all" * 1000)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as db:
        db.execute("CREATE TABLE things (x)")
    await (await SqliteStore.open(tmp_path / "newer.db")).close()
    with closing(sqlite3.connect(tmp_path / "newer.db")) as db:
        db.execute("PRAGMA user_version = 99")
    for name in ("noise.db", "foreign.db", "newer.db", "no/such/folder.db"):
        with pytest.raises(StoreError):
            await SqliteStore.open(tmp_path / name)


async def test_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "s.db")
    await store.create(CONFIG_MAP, a_map("one"))
    assert {p.name: p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {"s.db": 0o600, "s.db-wal": 0o600}
    await store.close()


class Rot:
    """A cipher that is good enough to tell sealed from plain."""

    def seal(self, group: str, plural: str, raw: bytes) -> bytes:
        return bytes(b ^ 0x55 for b in raw)

    unseal = seal


async def test_sealed_objects_are_not_readable_in_the_file(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "s.db", sealer=Rot())
    await store.create(CONFIG_MAP, a_map("one", secret="swordfish"))
    await store.close()
    assert b"swordfish" not in (tmp_path / "s.db").read_bytes()
    store = await SqliteStore.open(tmp_path / "s.db", sealer=Rot())
    assert (await store.get(CONFIG_MAP, "one", NS))["data"] == {"secret": "swordfish"}
    await store.close()


async def test_every_answered_write_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    answered: dict[str, str] = {}
    for round_ in range(6):
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(WRITER), str(path), str(round_), stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        await asyncio.sleep(random.uniform(0.05, 0.3))
        process.send_signal(signal.SIGKILL)
        *whole, _ = (await process.stdout.read()).decode().split("\n")
        await process.wait()
        answered.update(line.split(" ") for line in whole)  # type: ignore[arg-type,misc]
        store = await SqliteStore.open(path)
        for name, value in answered.items():
            if value == "-":
                assert store.peek(CONFIG_MAP, name, NS) is None, name
            elif value != "?":
                assert int((await store.get(CONFIG_MAP, name, NS))["data"]["value"]) >= int(value), name
        await store.close()
    assert len(answered) > 50


async def test_commits_are_synced_before_they_are_answered(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "s.db")
    settings = [journal._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    journal.close()
    assert settings == ["wal", 2]


async def test_what_each_namespace_weighs_is_known_whatever_happens(tmp_path: Path) -> None:
    def weighed(store: SqliteStore) -> dict[str, int]:
        sums: dict[str, int] = {}
        for group, plural in store.resources():
            for key, entry in store.table(Kind(group, "v1", "", plural)).entries.items():
                namespace = key.partition("\0")[0]
                sums[namespace] = sums.get(namespace, 0) + len(entry.raw)
        return sums

    store = await SqliteStore.open(tmp_path / "s.db", window=Window(changes=2))
    await store.create(PRIORITY_CLASS, a_class("class"))
    for number in range(5):
        await store.create(CONFIG_MAP, a_map(f"m{number}", key="x" * 100 * number))
        await store.create(CONFIG_MAP, a_map(f"m{number}", OTHER))
    await store.patch(CONFIG_MAP, "m1", NS, {"data": {"key": "y" * 1000}})
    await store.patch(CONFIG_MAP, "m4", NS, {"data": {"key": None}})
    for number in range(5):
        await store.delete(CONFIG_MAP, f"m{number}", OTHER)
    assert store.weights == weighed(store)
    assert set(store.weights) == {"", NS}
    await store.close()
    store = await SqliteStore.open(tmp_path / "s.db")
    assert store.weights == weighed(store)
    await store.close()
