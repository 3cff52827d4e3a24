# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from lichen.kinds.builtin import JOB
from lichen.planning.cron_job import CronPlan, plan_cron_job
from lichen.planning.steps import Create, Delete, Note
from lichen.planning.times import rfc3339, seconds_of

NOON = seconds_of("2026-01-01T12:00:00Z")


def a_cron_job(last: float | None = NOON - 3600, schedule: str = "0 * * * *", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "report", "namespace": "shop", "uid": "c", "creationTimestamp": rfc3339(NOON - 7200)},
        "spec": {"schedule": schedule, "jobTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {"x": 1}}, **spec},
        "status": {"lastScheduleTime": rfc3339(last)} if last is not None else {},
    }


def a_job(name: str, ended: str = "", start: str = "") -> dict[str, Any]:
    conditions = [{"type": ended, "status": "True"}] if ended else []
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": f"{name}-uid"},
        "status": {"conditions": conditions, "startTime": start},
    }


def made(plan: CronPlan) -> list[str]:
    return [step.object["metadata"]["name"] for step in plan.steps if isinstance(step, Create)]


def gone(plan: CronPlan) -> list[str]:
    return [step.name for step in plan.steps if isinstance(step, Delete) and step.kind == JOB]


def noted(plan: CronPlan) -> list[str]:
    return [step.reason for step in plan.steps if isinstance(step, Note)]


NAME = f"report-{int(NOON) // 60}"


def test_a_job_is_made_when_its_time_has_come():
    plan = plan_cron_job(a_cron_job(), [], NOON + 5)
    assert (made(plan), plan.status["lastScheduleTime"], plan.again) == ([NAME], rfc3339(NOON), 3595.0)


def test_nothing_is_made_before_its_time():
    plan = plan_cron_job(a_cron_job(), [], NOON - 5)
    assert (made(plan), plan.again) == ([], 5.0)


def test_a_first_time_counts_from_the_creation():
    assert made(plan_cron_job(a_cron_job(None, "30 * * * *"), [], NOON)) == [f"report-{int(NOON - 1800) // 60}"]


def test_only_the_last_of_many_missed_times_is_made_up_for():
    assert made(plan_cron_job(a_cron_job(NOON - 86400 * 400), [], NOON + 5)) == [NAME]


def test_what_is_too_late_is_let_be():
    assert made(plan_cron_job(a_cron_job(startingDeadlineSeconds=60), [], NOON + 61)) == []
    assert made(plan_cron_job(a_cron_job(startingDeadlineSeconds=60), [], NOON + 59)) == [NAME]


def test_a_job_that_was_made_for_this_time_is_not_made_again():
    assert made(plan_cron_job(a_cron_job(), [a_job(NAME, "Complete")], NOON + 5)) == []


def test_a_job_that_still_runs_is_joined_forbidden_or_replaced():
    running = a_job("report-1")
    assert made(plan_cron_job(a_cron_job(concurrencyPolicy="Allow"), [running], NOON)) == [NAME]
    forbidden = plan_cron_job(a_cron_job(concurrencyPolicy="Forbid"), [running], NOON)
    assert (made(forbidden), noted(forbidden)) == ([], ["JobAlreadyActive"])
    replaced = plan_cron_job(a_cron_job(concurrencyPolicy="Replace"), [running], NOON)
    assert (made(replaced), gone(replaced)) == ([NAME], ["report-1"])


def test_a_suspended_one_makes_nothing():
    plan = plan_cron_job(a_cron_job(suspend=True), [], NOON)
    assert (made(plan), plan.again) == ([], None)


def test_history_is_kept_to_its_limits():
    jobs = [a_job(f"ok{n}", "Complete", f"2026-01-01T0{n}:00:00Z") for n in range(5)]
    jobs += [a_job(f"bad{n}", "Failed", f"2026-01-01T0{n}:00:00Z") for n in range(3)]
    assert gone(plan_cron_job(a_cron_job(NOON), jobs, NOON)) == ["ok0", "ok1", "bad0", "bad1"]


def test_what_runs_is_listed():
    plan = plan_cron_job(a_cron_job(NOON), [a_job("report-1"), a_job("report-0", "Complete")], NOON)
    assert [reference["name"] for reference in plan.status["active"]] == ["report-1"]


def test_a_schedule_that_cannot_be_read_is_said():
    assert noted(plan_cron_job(a_cron_job(schedule="every day"), [], NOON)) == ["UnparseableSchedule"]
    assert noted(plan_cron_job(a_cron_job(timeZone="Middle/Earth"), [], NOON)) == ["UnparseableSchedule"]
