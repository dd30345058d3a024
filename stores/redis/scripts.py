"""The Lua scripts by which a session is created and changed.

A script makes the condition and the change one step. It names one key, as a cluster requires.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final

from stores.contract import MAX_DATA, Outcome

OUTCOMES: Final = {
    1: Outcome.DONE,
    2: Outcome.EXISTS,
    3: Outcome.MISSING,
    4: Outcome.CONFLICT,
    5: Outcome.TOO_LARGE,
}
"""What the scripts return."""

LATE: Final = 6
"""What an update returns when its deadline has passed; it has changed nothing then."""

CODES: Final = {outcome: b"%d" % code for code, outcome in OUTCOMES.items()}


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
"""Takes the expiry in milliseconds, and the fields."""

_UPDATE = r"""
if ARGV[1] ~= '' then
  local time = redis.call('TIME')
  if time[1] + time[2] / 1000000 > tonumber(ARGV[1]) then return 6 end
end

local key, first, limit, uncounted = KEYS[1], 5, tonumber(ARGV[2]), 0
if not limit and ARGV[2] ~= '' then
  local counted, free = string.match(ARGV[2], '(%d+) (%d+)')
  limit, uncounted = tonumber(counted), tonumber(free)
end
local last = first + ARGV[3] - 1
local removed = last + ARGV[4]
local expected, rotated, expires, expires_at, seen, absent = unpack(ARGV, removed + 1, removed + 6)
local now = redis.call('HMGET', key, 'secret', 'size')

if not now[1] then
  if absent == '1' then
    for i = removed + 8, #ARGV, 1000 do
      redis.call('HSET', key, unpack(ARGV, i, math.min(i + 999, #ARGV)))
    end
    redis.call('PEXPIREAT', key, ARGV[removed + 7])
  end
  return tonumber(absent) or 3
end

local function number(field)
  return tonumber(redis.call('HMGET', key, field)[1])
end

if expected and expected ~= '' then
  if expected ~= now[1] then return 4 end
  if rotated ~= '' and tonumber(rotated) ~= (number('rotated') or 0) then return 4 end
end

if first < last and ARGV[last - 1] == 'size' then
  local written, size = tonumber(ARGV[last]), tonumber(now[2])
  size = size and size + written
  if limit and not (size and size <= limit) then
    local replaced, values = {}, 0
    for i = first, last, 2 do
      replaced[ARGV[i]] = true
      if string.sub(ARGV[i], 1, 2) == 'd:' then values = values + 1 end
    end
    for i = last + 1, removed do replaced[ARGV[i]] = true end
    size = 2 + written
    local fields = redis.call('HGETALL', key)
    for i = 1, #fields, 2 do
      local name = fields[i]
      if string.sub(name, 1, 2) == 'd:' and not replaced[name] then
        size, values = size + #name + #fields[i + 1] + 2, values + 1
        if string.find(name, '[%c"\\]') then
          local _, short = string.gsub(name, '[\b\t\n\f\r"\\]', '')
          local _, long = string.gsub(name, '[%z\1-\7\11\14-\31]', '')
          size = size + short + 5 * long
        end
      end
    end
    if size > MAX_DATA or size - uncounted * values > limit then return 5 end
  end
  if size then ARGV[last] = size else last = last - 2 end
end

for i = first, last, 1000 do
  redis.call('HSET', key, unpack(ARGV, i, math.min(i + 999, last)))
end
for i = removed - ARGV[4] + 1, removed, 1000 do
  redis.call('HDEL', key, unpack(ARGV, i, math.min(i + 999, removed)))
end
if expires and expires ~= '' and tonumber(expires) > (number('expires') or 0) then
  redis.call('HSET', key, 'expires', expires)
  redis.call('PEXPIREAT', key, expires_at, 'GT')
end
if seen and seen ~= '' and tonumber(seen) > (number('seen') or -1) then
  redis.call('HSET', key, 'seen', seen)
end
return 1
""".replace("MAX_DATA", str(MAX_DATA))

UPDATE = Script(_UPDATE)
"""Takes the deadline by the server's clock, in seconds, and the limit of bytes (either may be
empty), behind the limit the bytes of each value that do not count, if there are any; the numbers of
words to set and of fields to remove; the words to set, of which the last two, if there are values
among them, are `size` and the bytes that are written; the fields to remove.

Then, unless there are none of these, and each empty where there is none: the secret and the time of
the last rotation that a rotation expects; the expiry in seconds, and in milliseconds by the
server's clock; the time at which the session was seen; what to return when the key does not exist.
When that is 1, the key's expiry in milliseconds and its fields follow, to create it.

`size` is at least what the session's data takes as JSON: each update adds what it writes. The
script counts anew, over the whole hash, before it refuses one.
"""

EXPECTING_UPDATE = Script(
    r"""
local last = #ARGV - 2 * ARGV[#ARGV]
if redis.call('EXISTS', KEYS[1]) == 1 then
  for i = last, #ARGV - 2, 2 do
    if redis.call('HMGET', KEYS[1], ARGV[i])[1] ~= ARGV[i + 1] then return 4 end
  end
end
for i = #ARGV, last, -1 do ARGV[i] = nil end
"""
    + _UPDATE
)
"""Takes what `UPDATE` does. The fields that the record must have follow, and their number."""

SOURCES: Final = {script.sha: script.source for script in (CREATE, UPDATE, EXPECTING_UPDATE)}
