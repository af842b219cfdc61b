-- Pipelined requests: wrk -s pipeline.lua URL -- DEPTH
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "report.lua")

local batch

function init(args)
  local one = wrk.format()
  local all = {}
  for i = 1, tonumber(args[1] or 16) do
    all[i] = one
  end
  batch = table.concat(all)
end

function request()
  return batch
end
