-- Let a bucket begin empty: nothing is leased from it for one horizon.
--
-- KEYS  the era of the owner's buckets, the bucket
-- ARGV  1 now in ms ('' = this server's clock), 2 horizon in ms, 3 the bucket's rate (per ms)
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + time[2] / 1000
end
redis.call('SET', KEYS[1], string.format('%.3f', now), 'NX')
local known = tonumber(redis.call('HGET', KEYS[2], 'tat'))
local tat = math.max(now + tonumber(ARGV[2]), known or 0)
redis.call('HSET', KEYS[2], 'tat', string.format('%.3f', tat), 'rate', ARGV[3])
redis.call('PEXPIRE', KEYS[2], math.ceil(tat - now) + 3600000)
