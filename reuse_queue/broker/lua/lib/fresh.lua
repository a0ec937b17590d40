-- fresh: what is written of like jobs that are new, as words for HSET; where their data goes, with
-- the signature two places behind it.
-- include now
-- include adopt
local function fresh(first, last, scheduled, signed)
  local fields = {'status', scheduled and 'scheduled' or 'queued', 'created_at', now_stamp,
    'started_at', '', 'ended_at', '', 'last_heartbeat', '', 'worker_name', '', 'group_id', '',
    'success_callback_name', '', 'failure_callback_name', '', 'stopped_callback_name', '',
    unpack(ARGV, first, last)}
  if not scheduled then
    fields[#fields + 1], fields[#fields + 2] = 'enqueued_at', now_stamp
  end
  if parent ~= '' then
    fields[#fields + 1], fields[#fields + 2] = 'reuse_parent', parent .. ':' .. execution
  end
  local data = #fields + 2
  fields[data - 1], fields[data] = 'data', ''
  if signed then
    fields[data + 1] = 'reuse_signature'
  end
  return fields, data
end
