"""Bodies and ids that would do harm if a program executed, misquoted or cut them.

Each attack would create a file `pwned-...` if it were executed, in the pane's folder or in the
folder that it names.
"""

from __future__ import annotations

import pathlib
import random

# Characters: more than the 8 KiB that are pasted, and than a terminal's line buffer holds.
LONG = 20_000


def make_body(chance: random.Random, number: int, folder: pathlib.Path) -> str:
    attack = f"touch {folder}/pwned-{number}"
    kinds = [
        "a plain message",
        f"quoted 'single' \"double\" \\ and -n; $({attack}) `{attack}` ${{IFS}}{attack};",
        f"line one\n{attack}\n; {attack}\n&& {attack}\n",
        f"\x1b[201~\n{attack}\n\x1b[201~{attack}\r",
        f"\x03\x03{attack}\n\x1a\x04{attack}\r\n\x15{attack}\x0f",
        f"MSG_DEADBEEF\nEOF\n{attack}\nMSG_{number:08X}\n{attack}\n'''\n\"\"\"\n{attack}",
        f"\u202egnp.exe\u202c \u2066{attack}\u2069 \ufeff\u2028{attack}\u2029\x85{attack}",
        "wide 漢字かな交じり, emoji 👩‍👩‍👧‍👦 🇩🇪 e\u0301 ｆｕｌｌ, arabic مرحبا",
        f"~.\n!!\n!{attack}\n!$\n^a^b^\n#{{q:{attack}}} #({attack}) %if 1\n",
        "x" * 150 + " wraps, and " + "y" * 150,
        "\n".join(f"row {row} of a longer text, which scrolls" for row in range(30)),
        "-starts with a dash; ends with a semicolon;",
        f"\t\ttabs\tand\t{attack}\t\t",
    ]
    if chance.random() < 0.05:
        return f"{number}: " + "long " * (LONG // 5) + attack
    return f"{number}: {chance.choice(kinds)}"


def make_id(chance: random.Random, agent: str, number: int) -> str:
    if chance.random() < 0.15:
        return chance.choice(
            [
                f"odd id; $(touch pwned-{number}) {agent} {number}",
                f"-{agent}-{number}",
                f"{agent}`touch pwned`{number}",
                f"ü{agent}/{number}?#",
            ]
        )
    return f"{agent}-{number}"
