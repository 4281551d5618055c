-- Take a place in the queues of mail domains.
--
-- A bucket's `queue` is the instant at which everybody who has queued up so far is through, at the bucket's rate.
--
-- KEYS  the domains' buckets
-- ARGV  1 now in ms ('' = this server's clock); then rate (per ms) and messages of each domain
-- Answers µs until the first of them has its turn
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + time[2] / 1000
end
local first
for i, key in ipairs(KEYS) do
  local rate, messages = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local known = redis.call('HMGET', key, 'tat', 'queue')
  local turn = math.max(now, tonumber(known[1]) or now, tonumber(known[2]) or now)
  local through = turn + messages / rate
  redis.call('HSET', key, 'queue', string.format('%.3f', through))
  redis.call('PEXPIRE', key, math.ceil(through - now) + 3600000)
  if not first or turn < first then first = turn end
end
return math.ceil((first - now) * 1000)
