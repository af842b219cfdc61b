-- A request as it comes through a proxy, with a session:
-- wrk -s app.lua URL -- COOKIE
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "report.lua")

function init(args)
  wrk.headers["Cookie"] = "session=" .. args[1]
  wrk.headers["X-Forwarded-For"] = "203.0.113.7"
end
