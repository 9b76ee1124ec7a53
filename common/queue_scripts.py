"""The scripts that Redis runs for the queue, each as a whole or not at all; KEYS[1] is the list of waiting votes.

A full Redis (`maxmemory`) refuses what could take memory, but within a script only its first write. Emptying the queue
must work just then: so a trimming comes first in what a worker needs, even one that takes nothing off.
"""

SETTLE = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('LTRIM', KEYS[1], ARGV[2], -1)
redis.call('INCRBY', KEYS[2], ARGV[2])
return 1
"""

# What is dropped counts as settled, so that a settle under way finds that the queue has moved, and leaves it alone.
DROP = """
local waiting = redis.call('LLEN', KEYS[1])
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('INCRBY', KEYS[2], waiting)
return waiting
"""

# A queue that has just begun, or one that somebody emptied, gets a count, so that a settle which was under way
# meanwhile can't mistake the one for the other. Not in MULTI, where a full Redis refuses reading too.
PEEK = """
local counted = redis.call('GET', KEYS[2])
if not counted then
    redis.call('LTRIM', KEYS[1], 0, -1)
    redis.call('SET', KEYS[2], 0)
    counted = '0'
end
return {counted, redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[1] + ARGV[2] - 1)}
"""

REJECT = """
redis.call('LTRIM', KEYS[1], 0, -1)
for _, note in ipairs(ARGV) do redis.call('RPUSH', KEYS[2], note) end
"""

# Reads only, all of it at one moment, and of whatever is there a few kilobytes at most: KEYS are the list of waiting
# votes, the count and the list of rejected messages, ARGV how many of these and how many bytes of a message and a note.
# Cutting 60 MB holds Redis up for half a second: who has just met such, names by ARGV[4] what it is to be spared.
# Not in MULTI, where a full Redis refuses reading too.
OVERVIEW = """
local function beginnings(list, bytes)
    for place, each in ipairs(list) do list[place] = string.sub(each, 1, bytes) end
    return list
end
local waiting, rejected = redis.call('LLEN', KEYS[1]), redis.call('LLEN', KEYS[3])
local counted = redis.call('GET', KEYS[2])
counted = counted and string.sub(counted, 1, 32)
local position = (counted or '') .. ':' .. rejected
if position == ARGV[4] then return {waiting, counted, false, rejected, false, position} end
local head = beginnings(redis.call('LRANGE', KEYS[1], 0, 0), ARGV[2])
local notes = beginnings(redis.call('LRANGE', KEYS[3], -ARGV[1], -1), ARGV[3])
return {waiting, counted, head, rejected, notes, position}
"""
