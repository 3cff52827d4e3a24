# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json
import logging
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from lichen.apis.kubernetes import access_log
from lichen.apis.kubernetes.app import create_app
from lichen.client.errors import error_from
from lichen.client.remote import RemoteCloud, TokenFile
from lichen.kernel.kernel import Kernel
from lichen.kinds.builtin import CONFIG_MAP, NAMESPACE
from lichen.model.errors import (
    BadRequest,
    Cause,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
    Unavailable,
    every_api_error,
)
from lichen.model.kind import new_object
from lichen.model.meta import name_of
from lichen.model.state import EventType, WriteOptions
from lichen.model.tracing import REQUEST_ID
from lichen.runtime.informer import Informer
from tests.client.conftest import ADMIN, NOBODY, no_node, served
from tests.conformance.state import NS, a_map, take


async def test_a_token_is_known_with_all_that_it_says(cloud: RemoteCloud) -> None:
    caller = await cloud.authenticate("admin-token")
    assert caller == ADMIN.__class__(**{**_fields(ADMIN), "token": "admin-token"})
    with pytest.raises(Unauthorized):
        await cloud.authenticate("forged")
    for unfit in ("", "line\nbreak", "é"):
        with pytest.raises(Unauthorized):
            await cloud.authenticate(unfit)


async def test_acting_has_the_callers_own_rights(cloud: RemoteCloud) -> None:
    nobody = await cloud.authenticate("nobody-token")
    assert nobody.name == NOBODY.name
    with pytest.raises(Forbidden):
        await cloud.acting(nobody).list(NAMESPACE)
    assert (await cloud.acting(await cloud.authenticate("admin-token")).list(NAMESPACE)).items


async def test_read_gives_the_body_of_a_path(cloud: RemoteCloud) -> None:
    caller = await cloud.authenticate("admin-token")
    assert json.loads(await cloud.read(caller, "/api/v1/namespaces/default"))["kind"] == "Namespace"
    with pytest.raises(NotFound):
        await cloud.read(caller, "/api/v1/namespaces/default/pods/none/log?tailLines=1")


async def test_refusals_keep_their_causes(cloud: RemoteCloud) -> None:
    wrong = new_object(CONFIG_MAP, "Not A Name", "default")
    with pytest.raises(Invalid) as refusal:
        await cloud.state.create(CONFIG_MAP, wrong)
    assert refusal.value.causes[0].field == "metadata.name"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a%2fb"])
async def test_names_that_would_mean_another_path_are_refused(cloud: RemoteCloud, name: str) -> None:
    with pytest.raises(BadRequest):
        await cloud.state.delete(CONFIG_MAP, name, "default")


async def test_warnings_and_dry_runs_pass_through(cloud: RemoteCloud) -> None:
    await cloud.state.create(NAMESPACE, new_object(NAMESPACE, NS))
    options = WriteOptions(dry_run=True, field_validation="Warn")
    await cloud.state.create(CONFIG_MAP, {**a_map("one"), "unheard": "of"}, options)
    assert any("unheard" in warning for warning in options.warnings)
    with pytest.raises(NotFound):
        await cloud.state.get(CONFIG_MAP, "one", NS)


async def test_a_restarting_server_is_only_a_pause(kernel: Kernel, tmp_path: Path) -> None:
    path, app = tmp_path / "api.sock", create_app(kernel, no_node)
    async with RemoteCloud(f"unix://{path}", token="admin-token") as cloud:
        early = asyncio.create_task(cloud.state.list(NAMESPACE))
        await asyncio.sleep(0.1)
        async with served(app, path):
            assert (await early).items
        path.unlink()
        late = asyncio.create_task(cloud.state.get(NAMESPACE, "default"))
        await asyncio.sleep(0.1)
        async with served(app, path):
            assert name_of(await late) == "default"


async def test_an_absent_server_is_unavailable_in_the_end(tmp_path: Path) -> None:
    async with RemoteCloud(f"unix://{tmp_path}/none.sock", patience=0.1) as cloud:
        with pytest.raises(Unavailable):
            await cloud.state.list(NAMESPACE)
        with pytest.raises(Unavailable):
            async with aclosing(cloud.state.watch(NAMESPACE)) as events:  # type: ignore[type-var]
                await take(events, 1)


async def test_an_informer_over_http_survives_a_restart(kernel: Kernel, tmp_path: Path) -> None:
    path, app = tmp_path / "api.sock", create_app(kernel, no_node)
    told: list[tuple[EventType, str]] = []
    async with RemoteCloud(f"unix://{path}", token="admin-token") as cloud:
        informer = Informer(cloud.state, CONFIG_MAP, NS)
        informer.subscribe(lambda type_, obj, old: told.append((type_, name_of(obj))))
        task = asyncio.create_task(informer.run())
        async with served(app, path):
            await cloud.state.create(NAMESPACE, new_object(NAMESPACE, NS))
            await cloud.state.create(CONFIG_MAP, a_map("one"))
            await asyncio.wait_for(informer.caught_up(_revision(kernel)), 10)
        async with served(app, path):
            await cloud.state.create(CONFIG_MAP, a_map("two"))
            await asyncio.wait_for(informer.caught_up(_revision(kernel)), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert told == [("ADDED", "one"), ("ADDED", "two")]


async def test_large_events_come_whole(cloud: RemoteCloud) -> None:
    await cloud.state.create(NAMESPACE, new_object(NAMESPACE, NS))
    async with aclosing(cloud.state.watch(CONFIG_MAP, NS)) as events:  # type: ignore[type-var]
        for name in ("one", "two"):
            await cloud.state.create(CONFIG_MAP, a_map(name, text="x" * 600_000))
        told = await take(events, 2)
    assert [len(e.object["data"]["text"]) for e in told] == [600_000, 600_000]


def test_a_token_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    token = TokenFile(path)
    assert token() == "first"
    (tmp_path / "new").write_text("second\n")
    (tmp_path / "new").replace(path)
    assert token() == "second"


@pytest.mark.parametrize("error", every_api_error().values(), ids=lambda e: e.reason)
def test_every_refusal_is_raised_again_as_itself(error: type[Any]) -> None:
    cause = {"field": "spec.x", "message": "bad", "reason": "FieldValueInvalid"}
    details = {"name": "n", "kind": "k", "group": "g", "causes": [cause], "retryAfterSeconds": 3}
    status = {"kind": "Status", "code": error.code, "reason": error.reason, "message": "no", "details": details}
    raised = error_from(error.code, json.dumps(status).encode())
    assert type(raised) is error
    assert (raised.message, raised.name, raised.kind, raised.group, raised.retry_after) == ("no", "n", "k", "g", 3)
    assert raised.causes == (Cause("spec.x", "bad"),)


@pytest.mark.parametrize(
    ("code", "body", "error"),
    [(404, b"404 page not found", NotFound), (502, b"", Unavailable), (410, b'{"kind":"Status","code":410}', Expired),
     (418, b"{}", BadRequest), (401, b"\xff", Unauthorized)],
)  # fmt: skip
def test_answers_without_a_reason_are_told_by_their_code(code: int, body: bytes, error: type[Exception]) -> None:
    assert type(error_from(code, body)) is error


def _fields(caller: Any) -> dict[str, Any]:
    return {name: getattr(caller, name) for name in caller.__slots__}


def _revision(kernel: Kernel) -> int:
    store: Any = kernel.store
    return int(store.revision)


async def test_the_kernel_logs_the_id_of_the_request_that_another_process_answers(
    cloud: RemoteCloud, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "_EVERY", 0.0)
    caplog.set_level(logging.INFO, "lichen.access")
    before = REQUEST_ID.set("req-1")
    try:
        await cloud.state.list(NAMESPACE)
    finally:
        REQUEST_ID.reset(before)
    await cloud.state.list(NAMESPACE)
    await asyncio.sleep(0.05)
    ids = [json.loads(r.message)["id"] for r in caplog.records if r.name == "lichen.access"]
    assert ids[0] == "req-1"
    assert "req-1" not in ids[1:]
    assert len(ids) == 2
