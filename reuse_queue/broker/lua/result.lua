-- result: how far a job is, and the record of its end if it has ended.
-- KEYS  1 job hash, 2 its results
-- returns {status or nil, id of its final record or nil, its words}
-- include ending
return ending(KEYS[2], redis.call('HGET', KEYS[1], 'status'))
