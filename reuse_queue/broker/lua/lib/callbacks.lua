-- callbacks: what a job names to be called at its end.
-- include decided

-- `job` holds the names at success, failure and stop, and rq's webhooks, from the place `at` on.
-- Returns JSON: for each that is named its name and timeout (s), the webhooks as they stand
-- there, and the end that has been decided already; false for a job that names nothing, as most do.
local function callbacks(job_key, job, at, run)
  local success, failure, stopped = job[at] or '', job[at + 1] or '', job[at + 2] or ''
  local webhooks = job[at + 3]
  if success == '' and failure == '' and stopped == '' and not webhooks then
    return false
  end
  local timeouts = redis.call('HMGET', job_key, 'success_callback_timeout',
    'failure_callback_timeout', 'stopped_callback_timeout', 'reuse_decided')
  local found = {webhooks = webhooks or nil, decided = is_decided(timeouts[4], run)}
  for i, named in ipairs({{'success', success}, {'failure', failure}, {'stopped', stopped}}) do
    if named[2] ~= '' then
      found[named[1]] = {named[2], timeouts[i] or ''}
    end
  end
  return cjson.encode(found)
end
