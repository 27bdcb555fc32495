"""Where does a draft stand, told from screens: in the input, under somebody's words, or taken?"""

from __future__ import annotations

import pytest

from bridge.tmux.draft import Draft
from bridge.tmux.program import Learned, Rules, Sight, sight_of
from bridge.tmux.state import PaneState, Terminal

TEXT = "Message of a peer agent: please run the whole test suite now, thanks"
TERMINAL = Terminal(known=True, signals=False, argv=("claude",))
SHOWN, TOUCHED, NEITHER = (True, False), (False, True), (False, False)


def look(screen: str, width: int = 40, shown: bool = True) -> tuple[bool, bool]:
    """(stands in the input, and whole; touched by a person)"""
    sight, draft = sight_of_screen(screen, width, shown), Draft.of(TEXT)
    return draft.is_shown(sight), draft.is_touched(sight)


def sight_of_screen(screen: str, width: int = 40, shown: bool = True) -> Sight:
    """`█` is the cursor."""
    rows = screen.strip("\n").split("\n")
    y = next(index for index, row in enumerate(rows) if "█" in row)
    state = PaneState("", 1, "%0", 2, cursor_x=rows[y].index("█"), cursor_y=y, cursor_shown=shown, rows=tuple(row.replace("█", "") for row in rows), width=width, command="claude", terminal=TERMINAL)
    return sight_of(state, Learned(), Rules("agent", 2.0, 0.2, None, False))


SCREENS = {
    "whole": ("❯ Message of a peer agent: please run the\nwhole test suite now, thanks█", SHOWN),
    "words behind": ("❯ Message of a peer agent: please run the\nwhole test suite now, thanks and mine█", TOUCHED),
    "words behind that wrap": ("❯ Message of a peer agent: please run the\nwhole test suite now, thanks and then the\nrest of mine█", TOUCHED),
    "a full row, and words in the next": ("❯ Message of a peer\nagent: please run the whole test suite\nnow, thanks and these words of mine, the\nlast of them█", TOUCHED),
    "taller than the screen, words behind": ("of a peer agent: please run the\nwhole test suite now, thanks and mine█", TOUCHED),
    "taller than the screen": ("of a peer agent: please run the\nwhole test suite now, thanks█", SHOWN),
    "in a frame, words behind": ("│ agent: please run the whole test     │\n│ suite now, thanks and mine█           │\n╰──────────────────────────────────────╯", TOUCHED),
    "taken, and no glyph in sight": ("Message of a peer agent: please run the\nwhole test suite now, thanks\nRunning the tests.\n█", NEITHER),
    "its end taken away": ("❯ Message of a peer agent: please run the\nwhole test sui█", TOUCHED),
    "its end taken away, taller than the screen": ("agent: please run the\nwhole test sui█", TOUCHED),
    "folded": ("❯ [Pasted text #1 +7 lines]█", SHOWN),
    "folded, words behind": ("❯ [Pasted text #1 +7 lines] mine█", TOUCHED),
    "taken": ("> Message of a peer agent: please run the\nwhole test suite now, thanks\n\n❯ █", NEITHER),
    "taken, his own words since": ("> Message of a peer agent: please run the\nwhole test suite now, thanks\n\n❯ my own words█", NEITHER),
    "taken, and no input while it works": ("> Message of a peer agent: please run the\nwhole test suite now, thanks\n\nRunning the tests.\n1 passed\n█", NEITHER),
    "taken, scrolled away": ("2 passed\n3 passed\n\n❯ █", NEITHER),
}


@pytest.mark.parametrize("name", SCREENS)
def test_what_a_screen_tells_of_a_draft(name):
    screen, expected = SCREENS[name]
    assert look(screen) == expected


@pytest.mark.parametrize("name", ["whole", "words behind", "folded", "folded, words behind", "taller than the screen", "taller than the screen, words behind", "taken"])
def test_the_same_with_a_hidden_cursor(name):
    screen, expected = SCREENS[name]
    assert look(screen, shown=False) == expected


BEFORE = "╭────────────────╮\n│ ❯ Message of a │\n│ peer, thanks█   │\n╰────────────────╯\n\n"
MOVED = {
    "the cursor below the frame": ("╭────────────────╮\n│ ❯ Message of a │\n│ peer, thanks   │\n╰────────────────╯\n\n█", True),
    "higher up": ("│ ❯ Message of a │\n│ peer, thanks█   │\n╰────────────────╯\n\n", True),
    "taken": ("> Message of a\npeer, thanks\n╭────────────────╮\n│ ❯ █             │\n╰────────────────╯", False),
    "taken, and no input while it works": ("> Message of a\npeer, thanks\n█", False),
    "taken, and below a rule no input while it works": ("> Message of a\npeer, thanks\nworks\n──────────\n█", False),
}


@pytest.mark.parametrize("name", MOVED)
def test_a_draft_that_moved_is_known_again(name):
    screen, expected = MOVED[name]
    before, now = sight_of_screen(BEFORE), sight_of_screen(screen)
    assert Draft.of("Message of a peer, thanks").stands(before.state, now) is expected
