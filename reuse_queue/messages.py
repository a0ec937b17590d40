"""Messages between a host agent and its zygotes, over a pair of sockets that keep their bounds.

Descriptors travel beside a message: the two ends are on one machine.
"""

from __future__ import annotations

import array
import socket
import warnings
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from reuse_queue.facts import EnvironmentRecord

LONGEST_TEXT = 32 * 1024
_LONGEST_MESSAGE = 256 * 1024
_MOST_DESCRIPTORS = 4


class Loaded(msgspec.Struct, tag="loaded", frozen=True, kw_only=True):
    """The zygote has imported its target and can fork replicas of it (unless it says spawn)."""

    record: EnvironmentRecord
    version: str
    start_method: str


class Failed(msgspec.Struct, tag="failed", frozen=True, kw_only=True):
    """The zygote could not load its target; it ends."""

    traceback: str
    environment: str = ""
    """The environment's name, where the failure came after its import."""


class Fork(msgspec.Struct, tag="fork", frozen=True, kw_only=True):
    """Fork a replica; beside it come the descriptors of its board and its note."""

    replica: str


class Forked(msgspec.Struct, tag="forked", frozen=True, kw_only=True):
    """The replica's process runs and has become the agent's child: said by itself."""

    replica: str
    pid: int


class NotForked(msgspec.Struct, tag="not forked", frozen=True, kw_only=True):
    """There is no process for that replica."""

    replica: str
    error: str


Message: TypeAlias = Loaded | Failed | Fork | Forked | NotForked
_decoder = msgspec.json.Decoder(Message)


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets for `send` and `receive`."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(to: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send one message, with copies of some descriptors.

    Raises:
        OSError: the other end is gone, or does not keep up.
    """
    socket.send_fds(to, [msgspec.json.encode(message)], descriptors)


def receive(at: socket.socket) -> tuple[Message | None, list[int]]:
    """Return the next message and the descriptors beside it; None: the other end is gone.

    Raises:
        BlockingIOError: there is none yet, and the socket does not block.
    """
    room = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)
    try:
        data, ancillary, _, _ = at.recvmsg(_LONGEST_MESSAGE, room, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:  # it ended with a message of ours unread
        return None, []
    descriptors = array.array("i")
    for _, _, content in ancillary:
        descriptors.frombytes(content)
    if not data:
        return None, list(descriptors)
    with warnings.catch_warnings():
        # The application has had its policy's warning already.
        warnings.simplefilter("ignore")
        return _decoder.decode(data), list(descriptors)
