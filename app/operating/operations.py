"""The commands of `main.py sessions`."""

from __future__ import annotations

from collections.abc import Mapping

from app.operating.check import CHECK
from app.operating.command_line import CommandLine
from app.operating.copy import COPY
from app.operating.count import COUNT
from app.operating.end import END
from app.operating.listing import LIST
from app.operating.operation import Operation
from app.operating.reseal import RESEAL
from app.operating.show import SHOW
from app.operating.sweep import SWEEP

OPERATIONS: Mapping[str, Operation] = {
    "count": COUNT,
    "list": LIST,
    "show": SHOW,
    "end": END,
    "sweep": SWEEP,
    "copy": COPY,
    "check": CHECK,
    "reseal": RESEAL,
}

SESSIONS = CommandLine(OPERATIONS)
