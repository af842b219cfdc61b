-- A new user, through a proxy and with a session: wrk -s post.lua URL -- COOKIE
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "report.lua")

function init(args)
  wrk.method = "POST"
  wrk.body = '{"name":"Bob","age":42}'
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Cookie"] = "session=" .. args[1]
  wrk.headers["X-Forwarded-For"] = "203.0.113.7"
end
