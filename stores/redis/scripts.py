"""The two Lua scripts by which a session is created and changed.

A script makes the condition and the change one step. It names one key, as a cluster requires.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final


class Script:
    """A Lua script. Its shebang makes a replica or a full server refuse it as a whole.

    The server caches scripts by their SHA-1, until a restart or SCRIPT FLUSH. It does not run a
    script that it does not know; the store then sends the source.
    """

    def __init__(self, body: str) -> None:
        self.source: Final = b"#!lua\n" + body.encode()
        self.sha: Final = sha1(self.source, usedforsecurity=False).hexdigest().encode()


# unpack() takes a few thousand values at most; a session may have more keys.
CREATE = Script("""
if redis.call('EXISTS', KEYS[1]) == 1 then return 2 end
for i = 2, #ARGV, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
return 1
""")
"""Takes the expiry in milliseconds, then the fields. Returns 1, or 2 when the key exists."""

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
"""Takes the secret that a rotation expects, the expiry in seconds (both may be empty), the number
of words with fields to set, these words, and the fields to remove. Returns 1; 3 when the key does
not exist; 4 when the secret is another.
"""

SOURCES: Final = {script.sha: script.source for script in (CREATE, UPDATE)}
