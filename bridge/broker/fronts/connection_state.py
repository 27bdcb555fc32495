"""The states of an HTTP connection: an enum, and one flat table of its moves.

                 ┌──────────ANSWERED───────────┐
                 ▼                             │
    QUEUED ─► READING ────────REQUEST─────► ANSWERING ──WAIT──► WAITING
      ▲  TURN  │ │ ▲                         │ │ │ │ ◄──WOKEN─────┘
      └──DEFER─┘ │ └──ROOM── UNREAD ◄──FULL──┘ │ │ └──STREAM──► STREAMING
                 │                             │ └──DOWNLOAD──► DOWNLOADING
                 └──FINISH──► LINGERING ◄FINISH┘◄─────FINISH─────────┘

    each state but CLOSED ──LOST──► CLOSED

A missing key is an error. The table alone says what a connection does now. Three facts
stand beside it, because each may hold in several states. The peer has sent its end
(`_has_eof`). The transport's buffer is over its limit (`_stuck`). The transport is closing.
Which part of a request is awaited in READING is the parser's own stage.
"""

from __future__ import annotations

import enum


class ConnectionState(enum.Enum):
    __hash__ = object.__hash__  # hot, as a key: Enum's own is Python code

    READING = "reading"  # the peer has to send the next request, or the rest of one
    QUEUED = "queued"  # bytes are here, and wait for their turn of the loop (loop_budget.py)
    ANSWERING = "answering"  # from the whole request to the write of its answer
    WAITING = "waiting"  # a long-poll: a ticket, or the end of its time, answers it
    UNREAD = "unread"  # the peer has to read its answers before it gets further ones
    STREAMING = "streaming"
    DOWNLOADING = "downloading"
    LINGERING = "lingering"  # the last answer is written, and input is discarded
    CLOSED = "closed"


class ConnectionEvent(enum.Enum):
    __hash__ = object.__hash__  # hot, as the other

    REQUEST = "request"  # the parser gave a whole request
    DEFER = "defer"  # this turn of the loop has no time left
    TURN = "turn"  # a later turn has time
    ANSWERED = "answered"
    FULL = "full"  # answered, and the transport's buffer is over its limit
    ROOM = "room"  # the peer has read
    WAIT = "wait"
    WOKEN = "woken"
    STREAM = "stream"
    DOWNLOAD = "download"
    FINISH = "finish"  # no further request is answered
    LOST = "lost"  # the transport is closed


_S, _E = ConnectionState, ConnectionEvent
NEXT_STATE = {
    (_S.READING, _E.REQUEST): _S.ANSWERING,
    (_S.READING, _E.DEFER): _S.QUEUED,
    (_S.READING, _E.FINISH): _S.LINGERING,  # the peer broke the protocol, or was late
    (_S.QUEUED, _E.TURN): _S.READING,
    (_S.ANSWERING, _E.ANSWERED): _S.READING,
    (_S.ANSWERING, _E.FULL): _S.UNREAD,
    (_S.ANSWERING, _E.WAIT): _S.WAITING,
    (_S.ANSWERING, _E.STREAM): _S.STREAMING,
    (_S.ANSWERING, _E.DOWNLOAD): _S.DOWNLOADING,
    (_S.ANSWERING, _E.FINISH): _S.LINGERING,
    (_S.UNREAD, _E.ROOM): _S.READING,
    (_S.WAITING, _E.WOKEN): _S.ANSWERING,
    (_S.DOWNLOADING, _E.FINISH): _S.LINGERING,
    (_S.READING, _E.LOST): _S.CLOSED,
    (_S.QUEUED, _E.LOST): _S.CLOSED,
    (_S.ANSWERING, _E.LOST): _S.CLOSED,
    (_S.WAITING, _E.LOST): _S.CLOSED,
    (_S.UNREAD, _E.LOST): _S.CLOSED,
    (_S.STREAMING, _E.LOST): _S.CLOSED,
    (_S.DOWNLOADING, _E.LOST): _S.CLOSED,
    (_S.LINGERING, _E.LOST): _S.CLOSED,
}

# Bytes that arrive in these states are the next requests; they wait in the parser. In the states
# that are in neither set, READING aside, they are discarded.
HOLDS_INPUT = frozenset({_S.QUEUED, _S.ANSWERING, _S.WAITING, _S.UNREAD, _S.DOWNLOADING})
# The peer's end closes the connection, except in these states: an answer is still due. A long-poll
# ends, because its peer may be gone.
OUTLIVES_EOF = HOLDS_INPUT - {_S.WAITING}
