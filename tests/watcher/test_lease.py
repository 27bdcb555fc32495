"""Names and clocks of claims."""

from __future__ import annotations

import datetime

import pytest

from bridge.ticket import check_id
from bridge.watcher.lease import seconds_until, watcher_name


def test_a_watchers_name_is_an_id_and_new_each_time():
    assert check_id(watcher_name(), "watcher") and watcher_name() != watcher_name()


def test_seconds_until_a_moment():
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=100)
    assert 98 < seconds_until(then.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z") <= 100
    assert seconds_until("2001-01-01T00:00:00.000Z") < 0


@pytest.mark.parametrize("moment", [None, "", "soon", 5, "2001-01-01"])
def test_a_moment_that_cannot_be_read_is_a_second_away(moment):
    assert seconds_until(moment) == 1.0
