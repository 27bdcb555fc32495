"""One Chromium and one broker for the folder; a tab for each test, which must have no problems."""

from __future__ import annotations

import pytest
from running import Broker, package_launcher

from page.chromium import Chromium, find_chromium


@pytest.fixture(scope="package")
def chromium(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with Chromium(program, str(tmp_path_factory.mktemp("chromium"))) as running:
        yield running


@pytest.fixture(scope="package")
def served(tmp_path_factory):
    with Broker(
        package_launcher(), tmp_path_factory.mktemp("store") / "bridge.db", BRIDGE_RATE_LIMIT=0
    ) as running:
        yield running


@pytest.fixture
def tab(chromium):
    with chromium.tab() as opened:
        yield opened
        opened.evaluate("0")  # read all events that the tab has sent so far
        assert not opened.problems, opened.problems


def open_page(tab, broker, address: str = "") -> None:
    tab.go(broker.url + "/" + address)
    wait_live(tab)


def wait_live(tab) -> None:
    tab.wait("document.querySelector('#connection').dataset.phase === 'live'")


@pytest.fixture
def page(tab, served):
    open_page(tab, served)
    return tab
