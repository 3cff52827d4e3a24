# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from lichen.kinds.apps.cron import Schedule
from lichen.kinds.apps.workloads import validate_cron_job
from lichen.kinds.faults import Faults


def at(text: str, zone: str = "") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone) if zone else UTC).timestamp()


@pytest.mark.parametrize(
    ("schedule", "moment", "following"),
    [
        ("* * * * *", "2026-01-01T00:00:30", "2026-01-01T00:01:00"),
        ("*/15 * * * *", "2026-01-01T00:15:00", "2026-01-01T00:30:00"),
        ("30 4 * * 1-5", "2026-01-02T05:00:00", "2026-01-05T04:30:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 12 1 jan,jul *", "2026-01-02T00:00:00", "2026-07-01T12:00:00"),
        ("0 0 13 * fri", "2026-01-01T00:00:00", "2026-01-02T00:00:00"),
        ("0 0 * * 7", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        ("@hourly", "2026-01-01T00:59:59", "2026-01-01T01:00:00"),
        ("@yearly", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
        ("5/20 * * * *", "2026-01-01T00:06:00", "2026-01-01T00:25:00"),
    ],
)
def test_the_next_time_of_a_schedule(schedule: str, moment: str, following: str):
    assert Schedule.parse(schedule).after(at(moment)) == at(following)


def test_a_schedule_keeps_the_time_of_its_zone():
    berlin = Schedule.parse("0 9 * * *", "Europe/Berlin")
    assert berlin.after(at("2026-03-28T12:00:00")) == at("2026-03-29T09:00:00", "Europe/Berlin")
    assert berlin.after(at("2026-01-01T12:00:00")) == at("2026-01-02T08:00:00")


def test_an_hour_that_the_clocks_leave_out_is_left_out():
    night = Schedule.parse("30 2 * * *", "Europe/Berlin")
    assert night.after(at("2026-03-28T12:00:00")) == at("2026-03-30T02:30:00", "Europe/Berlin")


def test_a_day_that_never_comes_is_never():
    assert Schedule.parse("0 0 30 2 *").after(at("2026-01-01T00:00:00")) is None


def test_the_latest_time_is_found_however_long_ago_the_last_was():
    every_minute = Schedule.parse("* * * * *")
    assert every_minute.latest(at("2016-01-01T00:00:00"), at("2026-01-01T00:00:30")) == at("2026-01-01T00:00:00")
    assert every_minute.latest(at("2026-01-01T00:00:00"), at("2026-01-01T00:00:30")) is None
    yearly = Schedule.parse("@yearly")
    assert yearly.latest(at("2016-06-01T00:00:00"), at("2026-06-01T00:00:00")) == at("2026-01-01T00:00:00")


@pytest.mark.parametrize(
    "text", ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "*/0 * * * *", "a * * * *", "5-1 * * * *", "@soon"]
)
def test_what_is_no_schedule_is_refused(text: str):
    with pytest.raises(ValueError):
        Schedule.parse(text)


def test_what_is_no_time_zone_is_refused():
    with pytest.raises(ValueError, match="unknown time zone"):
        Schedule.parse("@daily", "Middle/Earth")


def test_a_cron_job_with_a_schedule_or_a_zone_that_cannot_be_read_is_refused():
    faults = Faults()
    spec = {"schedule": "61 * * * *", "timeZone": "Middle/Earth", "concurrencyPolicy": "Allow"}
    validate_cron_job({"spec": spec}, faults)
    assert [fault.field for fault in faults] == ["spec.schedule", "spec.timeZone"]
    faults.clear()
    validate_cron_job({"spec": {"schedule": "@hourly"}}, faults)
    assert faults == []
