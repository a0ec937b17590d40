-- decoded: the table that a JSON text says; an empty one where it says none.
local function decoded(text)
  local readable, found = pcall(cjson.decode, text or '')
  return readable and type(found) == 'table' and found or {}
end
