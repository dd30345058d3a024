"""The two Lua scripts by which a session is created and changed.

A script makes the condition and the change one step, and names one key only, as a cluster demands.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final


class Script:
    """A Lua script. The shebang has the server refuse it whole on a replica or when memory is full.

    The server keeps a script by its SHA-1 until it restarts or is told to forget; a script it does
    not know was not run, and is sent in full.
    """

    def __init__(self, body: str) -> None:
        self.source: Final = b"#!lua\n" + body.encode()
        self.sha: Final = sha1(self.source, usedforsecurity=False).hexdigest().encode()


# unpack() takes some thousand values at a time, a session may have more keys than that.
CREATE = Script("""
if redis.call('EXISTS', KEYS[1]) == 1 then return 2 end
for i = 2, #ARGV, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
return 1
""")
"""Takes the time to expire at in milliseconds, then fields. Answers 1, or 2 if the key exists."""

UPDATE = Script("""
local expected, expires, last = ARGV[1], ARGV[2], 3 + tonumber(ARGV[3])
local now = redis.call('HMGET', KEYS[1], 'secret', 'expires')
if not now[1] then return 3 end
if expected ~= '' and expected ~= now[1] then return 4 end
for i = 4, last, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + 999, last)))
end
for i = last + 1, #ARGV, 1000 do
  redis.call('HDEL', KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
if expires ~= '' and tonumber(expires) > tonumber(now[2]) then
  redis.call('HSET', KEYS[1], 'expires', expires)
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.ceil(tonumber(expires) * 1000)))
end
return 1
""")
"""Takes the secret that a rotation expects, the time to expire at in seconds (both may be empty),
how many of the words that follow are fields to set, these, and the fields to remove. Answers 1, 3
if there is no such key, 4 if the secret is another.
"""

SOURCES: Final = {script.sha: script.source for script in (CREATE, UPDATE)}
