"""Time as a model sees it: it stands still unless moved, and jumps when told to.

Scripts ask Redis for the time, in two ways: ``TIME``, and ``XADD … '*'``. Both are answered here from a key. Whatever
waits for real (EXPIRE, the idle time of pending entries) still follows the real clock.
"""

from dataclasses import dataclass
from typing import Final

START_MS: Final = 1_900_000_000_000 // 86_400_000 * 86_400_000 + 1_800_000
"""Half past midnight: a jump back leads into the day before."""
KEY: Final = "model:clock"

PRELUDE: Final = """
local plain = redis

local function model_ms()
  return plain.call('GET', 'model:clock')
end

-- As Redis makes ids: the clock's, or behind the last one if that is not over yet.
local function next_id(stream)
  local ms, last = model_ms(), '0-0'
  local info = plain.pcall('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
  local last_ms, number = string.match(last, '^(%d+)-(%d+)$')
  if tonumber(ms) > tonumber(last_ms) then return ms .. '-0' end
  return last_ms .. '-' .. string.format('%.0f', tonumber(number) + 1)
end

local function at_model_time(run)
  return function(command, ...)
    local args, most = {...}, select('#', ...)
    if command == 'TIME' then
      local ms = tonumber(model_ms())
      return {string.format('%.0f', math.floor(ms / 1000)), string.format('%.0f', ms % 1000 * 1000)}
    end
    if command == 'XADD' then
      local at = args[2] == 'NOMKSTREAM' and 3 or 2
      if args[at] == '*' then args[at] = next_id(args[1]) end
    end
    --TAPS
    return run(command, unpack(args, 1, most))
  end
end

local redis = setmetatable({call = at_model_time(plain.call), pcall = at_model_time(plain.pcall)}, {__index = plain})
"""


@dataclass(slots=True)
class Clocks:
    """Redis' clock and the servers', in unix ms; ``passed`` never jumps."""

    redis_ms: int = START_MS
    server_ms: int = START_MS
    passed: int = 0

    def advance(self, ms: int) -> None:
        """Time passes everywhere."""
        self.redis_ms += ms
        self.server_ms += ms
        self.passed += ms

    def reset(self) -> None:
        """Back to the start."""
        self.redis_ms = self.server_ms = START_MS
        self.passed = 0

    def time(self) -> float:
        """What ``time.time`` tells a server."""
        return self.server_ms / 1000
