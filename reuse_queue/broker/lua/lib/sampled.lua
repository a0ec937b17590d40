-- sampled: sets that nothing keeps in order: members drawn at random, more as long as many are over.
-- include lasting
-- include slot
local SAMPLE = 20
local went = 0

-- sampled: `over(member)` takes it out and says so; `budget.left` is about how many to look at.
local function sampled(draw, key, budget, over)
  repeat
    local found = 0
    local members = read({}, draw, key, SAMPLE)
    budget.left = budget.left - #members
    for _, member in ipairs(members) do
      if over(member) then
        found = found + 1
      end
    end
    went = went + found
  until found * 4 < SAMPLE or budget.left <= 0
end
