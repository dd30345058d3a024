"""Closing a listening socket without resetting those who are already connected to it.

A client is connected as soon as the system says so, before the service accepts it. Between the last
accept and the close, more can get in, and the close resets them. So the system is told first to let
nobody in: a packet filter on the socket drops what opens a connection. The client's system sends it
again a second later, when the socket is closed or another process's.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys

SETTLE = 0.1
"""Seconds for the connections that are half open by then to be accepted or given up."""

SO_ATTACH_FILTER = 26  # of Linux; Python does not name it

_DROP_SYN = (
    (0x30, 0, 0, 13),  # the byte of TCP flags
    (0x54, 0, 0, 0x12),  # SYN and ACK of them
    (0x15, 0, 1, 0x02),  # not SYN alone: go to the last line
    (0x06, 0, 0, 0),  # drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # take it whole
)
"""A classic BPF program: code, jump if true, jump if false, value."""


def let_nobody_in(listening: socket.socket) -> None:
    """See to it that nobody connects to *listening* any more, where the system can do that."""
    if sys.platform != "linux" or listening.family not in (socket.AF_INET, socket.AF_INET6):
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *op) for op in _DROP_SYN))
    filter = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(program))
    with contextlib.suppress(OSError):  # forbidden here: then a few may be reset
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter)
