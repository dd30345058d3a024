"""A clock for tests that are about time and do not want to wait.

It begins with the real time because servers (MongoDB, Valkey) remove what has expired by clocks of
their own.
"""

from app.testing import Clock as FakeClock

__all__ = ["FakeClock"]
