-- leave: a guest that holds nothing any more is off the books; rq's record of it stays.
-- KEYS  1 replicas, 2 held, 3 ended, 4 replica, 5 cancels
-- ARGV  1 replica
-- returns 1
-- flags allow-oom
-- include now
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[4], KEYS[5])
-- Its last BLMOVE may still be served: reclaim looks once more at its waiting list.
redis.call('ZADD', KEYS[3], now_ms, ARGV[1])
return 1
