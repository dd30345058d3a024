"""The two Lua scripts by which a session is created and changed.

A script makes the condition and the change one step. It names one key, as a cluster requires.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final

from stores.contract import Outcome

OUTCOMES: Final = {
    1: Outcome.DONE,
    2: Outcome.EXISTS,
    3: Outcome.MISSING,
    4: Outcome.CONFLICT,
    5: Outcome.TOO_LARGE,
}
"""What the scripts return."""

LATE: Final = 6
"""What they return when the deadline has passed; they have changed nothing then."""

CODES: Final = {outcome: b"%d" % code for code, outcome in OUTCOMES.items()}


class Script:
    """A Lua script. Its shebang makes a replica or a full server refuse it as a whole.

    The server caches scripts by their SHA-1, until a restart or SCRIPT FLUSH. It does not run a
    script that it does not know; the store then sends the source.
    """

    def __init__(self, body: str) -> None:
        self.source: Final = b"#!lua\n" + body.encode()
        self.sha: Final = sha1(self.source, usedforsecurity=False).hexdigest().encode()


# The first argument of both is the deadline by the server's clock, in seconds, or empty.
_REFUSE_LATE = """
if ARGV[1] ~= '' then
  local time = redis.call('TIME')
  if time[1] + time[2] / 1000000 > tonumber(ARGV[1]) then return 6 end
end
"""

# unpack() takes a few thousand values at most; a session may have more keys.
CREATE = Script(
    _REFUSE_LATE
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then return 2 end
for i = 3, #ARGV, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
return 1
"""
)
"""Takes the deadline, the expiry in milliseconds, and the fields."""

UPDATE = Script(
    _REFUSE_LATE
    + """
local key, first = KEYS[1], 12
local last = first + ARGV[10] - 1
local removed = last + ARGV[11]
local now = redis.call('HMGET', key, 'secret', 'expires', 'rotated', 'seen', 'size')

if not now[1] then
  if ARGV[2] == '1' then
    for i = removed + 2, #ARGV, 1000 do
      redis.call('HSET', key, unpack(ARGV, i, math.min(i + 999, #ARGV)))
    end
    redis.call('PEXPIREAT', key, ARGV[removed + 1])
  end
  return tonumber(ARGV[2])
end

if ARGV[3] ~= '' and ARGV[3] ~= now[1] then return 4 end
if ARGV[4] ~= '' and tonumber(ARGV[4]) ~= (tonumber(now[3]) or 0) then return 4 end

if ARGV[9] ~= '' then
  local limit, size = tonumber(ARGV[8]), tonumber(now[5])
  size = size and size + ARGV[9]
  if limit and not (size and size <= limit) then
    local replaced = {}
    for i = first, last, 2 do replaced[ARGV[i]] = true end
    for i = last + 1, removed do replaced[ARGV[i]] = true end
    size = 2 + ARGV[9]
    local fields = redis.call('HGETALL', key)
    for i = 1, #fields, 2 do
      local name = fields[i]
      if string.sub(name, 1, 2) == 'd:' and not replaced[name] then
        size = size + #name + #fields[i + 1] + 2
        if string.find(name, '[%c"\\\\]') then
          local _, short = string.gsub(name, '[\\b\\t\\n\\f\\r"\\\\]', '')
          local _, long = string.gsub(name, '[%z\\1-\\7\\11\\14-\\31]', '')
          size = size + short + 5 * long
        end
      end
    end
    if size > limit then return 5 end
  end
  if size then ARGV[last] = size else last = last - 2 end
end

for i = first, last, 1000 do
  redis.call('HSET', key, unpack(ARGV, i, math.min(i + 999, last)))
end
for i = removed - ARGV[11] + 1, removed, 1000 do
  redis.call('HDEL', key, unpack(ARGV, i, math.min(i + 999, removed)))
end
if ARGV[5] ~= '' and tonumber(ARGV[5]) > (tonumber(now[2]) or 0) then
  redis.call('HSET', key, 'expires', ARGV[5])
  redis.call('PEXPIREAT', key, ARGV[6], 'GT')
end
if ARGV[7] ~= '' and tonumber(ARGV[7]) > (tonumber(now[4]) or -1) then
  redis.call('HSET', key, 'seen', ARGV[7])
end
return 1
"""
)
"""Takes, each of 1 and 3 to 9 empty where there is none:

1. the deadline,
2. what to return when the key does not exist; 1 creates it,
3. the secret, and 4. the time of the last rotation, that a rotation expects,
5. the expiry in seconds, and 6. in milliseconds by the server's clock,
7. the time at which the session was seen,
8. the limit of bytes, and 9. the bytes that are written,
10. and 11. the numbers of words to set and of fields to remove,

then the words to set (the last two are `size` and a place for it, if 9. is given), the fields to
remove, and for a key to create its expiry in milliseconds and its fields.

`size` is at least what the session's data takes as JSON: each update adds what it writes. The
script counts anew, over the whole hash, before it refuses one.
"""

SOURCES: Final = {script.sha: script.source for script in (CREATE, UPDATE)}
