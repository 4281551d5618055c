-- Lease permits from all buckets that apply, at once.
--
-- A bucket remembers one instant, `tat`: the theoretical arrival time of its next permit (GCRA). A lease of n permits
-- starts no earlier than `tat` (less the credit of its burst) and moves it on by n / rate. Leases follow each other
-- without overlap, whoever takes them, so no window of time holds more than its length is worth and one lease.
--
-- KEYS  the era of the owner's buckets, the general buckets, the domains' buckets
-- ARGV  1 now in ms ('' = this server's clock), 2 horizon in ms, 3 number of general buckets, 4 messages wanted that
--       no domain limits, 5 permits at most, 6 permits left from the last lease, 7 whether to wait for a domain;
--       then rate (per ms) and credit (ms) of each general bucket; rate, credit, lease and wanted of each domain
-- Answers {permits, µs until they may be used, 0, of these not limited by a domain, of each domain …}
--      or {0, µs until asking again is worth it, position of the bucket that is empty}
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + time[2] / 1000
end
local horizon, generals, free = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local most, spare, patient = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1'
local KEEP = 3600000

-- Buckets begin empty when nobody knows what was leased before: at first, and after Redis lost them.
local era = tonumber(redis.call('GET', KEYS[1]))
if not era then
  era = now
  redis.call('SET', KEYS[1], string.format('%.3f', era))
end

local tats, rates, credits, leases, wanted = {}, {}, {}, {}, {}
local buckets = #KEYS - 1
local at = 8
for i = 1, buckets do
  local rate, credit = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  at = at + 2
  if i > generals then
    leases[i], wanted[i] = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    at = at + 2
  end
  local known = redis.call('HMGET', KEYS[i + 1], 'tat', 'rate')
  local tat = tonumber(known[1])
  if not tat then
    tat = era + horizon > now and era + horizon + credit or now
  elseif tat > now + horizon and tonumber(known[2]) ~= rate then
    -- Another rate: what was leased already is worth another time, and starts within the horizon anyway.
    tat = math.max(now + horizon, now + (tat - now) * tonumber(known[2]) / rate)
  end
  tats[i], rates[i], credits[i] = tat, rate, credit
end

local start, blame = now, 0
for i = 1, generals do
  local from = tats[i] - credits[i]
  if from > start then start, blame = from, i end
end
if start > now + horizon then
  return {0, math.ceil((start - now) * 1000), blame}
end

local first, total = nil, 0
for i = generals + 1, buckets do
  local from = tats[i] - credits[i]
  if from <= start then
    total = total + wanted[i]
  elseif not first or from < first then
    first, blame = from, i
  end
end
if total + free == 0 then
  if not patient or first > now + horizon then
    return {0, math.ceil((first - now) * 1000), blame}
  end
  start = first
end

local room = most
local answer = {0, 0, 0, 0}
for i = generals + 1, buckets do
  local given = 0
  if tats[i] - credits[i] <= start then
    given = math.min(wanted[i], leases[i], room)
  end
  room = room - given
  answer[#answer + 1] = given
end
local unlimited = math.min(free, room)
total = most - room + unlimited

local function keep(i, permits)
  local tat = math.max(tats[i], start) + permits / rates[i]
  redis.call('HSET', KEYS[i + 1], 'tat', string.format('%.3f', tat), 'rate', string.format('%.17g', rates[i]))
  redis.call('PEXPIRE', KEYS[i + 1], math.ceil(math.max(tat - now, 0)) + KEEP)
end
local charged = math.max(0, total - spare)
if charged > 0 then
  for i = 1, generals do keep(i, charged) end
end
for i = generals + 1, buckets do
  if answer[4 + i - generals] > 0 then keep(i, answer[4 + i - generals]) end
end
answer[1], answer[2], answer[4] = total, math.ceil((start - now) * 1000), unlimited
return answer
