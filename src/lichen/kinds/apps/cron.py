# SPDX-License-Identifier: Apache-2.0
"""Schedules as crontab writes them: five fields with `*`, lists, ranges, steps and names, or @hourly and its like.

times = Schedule.parse("30 4 * * 1-5", "Europe/Berlin")
times.after(now)      # unix seconds of the first time later than now
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_NICKNAMES = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_NAMES = {
    "month": dict(zip(_MONTHS, range(1, 13), strict=True)),
    "day of week": dict(zip(_DAYS, range(7), strict=True)),
}
_HORIZON = timedelta(days=366 * 8)
"""No schedule that ever comes has a longer gap: 29 February around a century without a leap year."""

_SPANS = (120.0, 7200.0, 172_800.0, 62 * 86_400.0, _HORIZON.total_seconds())
"""Seconds to look back, from near to far, so that few times are counted of a schedule that is dense."""


@dataclass(frozen=True, slots=True)
class Schedule:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    """Both days are restricted: one of them is enough."""
    zone: tzinfo

    @classmethod
    def parse(cls, text: str, zone: str = "") -> Schedule:
        """ValueError: it is no schedule, or no time zone."""
        fields = _NICKNAMES.get(text.strip().lower(), text).split()
        if len(fields) != 5:
            raise ValueError(f"{text!r} does not have five fields")
        found = [_field(part, *bounds) for part, bounds in zip(fields, _FIELDS, strict=True)]
        weekdays = frozenset(day % 7 for day in found[4])
        either = not (fields[2][0] in "*?" or fields[4][0] in "*?")
        return cls(found[0], found[1], found[2], found[3], weekdays, either, _zone(zone))

    def after(self, moment: float) -> float | None:
        """Unix seconds of the first time later than `moment`; None: it never comes (30 February)."""
        local = datetime.fromtimestamp(moment, self.zone).replace(second=0, microsecond=0, tzinfo=None)
        end = local + _HORIZON
        while local <= end:
            if local.month not in self.months:
                local = (local.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
            elif not self._on_day(local):
                local = local.replace(hour=0, minute=0) + timedelta(days=1)
            elif local.hour not in self.hours:
                local = local.replace(minute=0) + timedelta(hours=1)
            elif local.minute not in self.minutes or not self._is_later(local, moment):
                local += timedelta(minutes=1)
            else:
                return local.replace(tzinfo=self.zone).timestamp()
        return None

    def latest(self, since: float, now: float) -> float | None:
        """Unix seconds of the last time later than `since` and not later than `now`; None: there was none."""
        for span in _SPANS:
            start, found = max(since, now - span), None
            at = self.after(start)
            while at is not None and at <= now:
                found, at = at, self.after(at)
            if found is not None or start == since:
                return found
        return None

    def _on_day(self, local: datetime) -> bool:
        of_month, of_week = local.day in self.days, (local.weekday() + 1) % 7 in self.weekdays
        return of_month or of_week if self.either else of_month and of_week

    def _is_later(self, local: datetime, moment: float) -> bool:
        """Later than `moment`, and an hour that the clocks do not leave out that day."""
        there = local.replace(tzinfo=self.zone)
        exists = there.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) == local
        return exists and there.timestamp() > moment


def _zone(name: str) -> tzinfo:
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name}") from None


def _field(text: str, name: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and (not step.isdecimal() or int(step) == 0):
            raise ValueError(f"{part!r} is no {name}: the step must be a whole number above 0")
        first, dash, last = span.partition("-")
        if span in ("*", "?"):
            start, end = low, high - (name == "day of week")
        else:
            start = _number(first, name)
            end = _number(last, name) if dash else (high if slash else start)
        if not low <= start <= end <= high:
            raise ValueError(f"{part!r} is no {name}: it must be within {low} and {high}")
        found.update(range(start, end + 1, int(step) if slash else 1))
    return frozenset(found)


def _number(text: str, name: str) -> int:
    known = _NAMES.get(name, {}).get(text.lower())
    if known is not None:
        return known
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no {name}")
    return int(text)
