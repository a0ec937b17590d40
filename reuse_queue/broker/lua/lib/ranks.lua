-- ranks: the ids of new jobs by where they go.
-- include now
local high, normal, children, delayed = {}, {}, {}, {}

-- push: `urgent` as enqueue is told it; a job that is due later waits for that first.
local function push(id, due_in, urgent)
  if due_in > 0 then
    delayed[#delayed + 1] = string.format('%.3f', seconds + due_in)
    delayed[#delayed + 1] = id
  elseif urgent == '2' then
    children[#children + 1] = id
  elseif urgent == '1' then
    high[#high + 1] = id
  else
    normal[#normal + 1] = id
  end
end
