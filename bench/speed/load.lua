-- wrk's script: sends the requests of a file in turn. Arguments: method, path, content type, and the file, which has
-- for each request two lines, its cookies ("-" for none) and its body ("-" for none); then headers, "Name: value".

local prepared = {}
local at = 0

local function given(text)
  if text ~= "-" then return text end
end

function init(args)
  local headers = {}
  for index = 5, #args do
    local name, value = args[index]:match("^([^:]+): (.*)$")
    headers[name] = value
  end
  headers["Content-Type"] = given(args[3])
  local lines = io.lines(args[4])
  for cookies in lines do
    headers["Cookie"] = given(cookies)
    prepared[#prepared + 1] = wrk.format(args[1], args[2], headers, given(lines()))
  end
end

function request()
  at = at % #prepared + 1
  return prepared[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '\n{"answers": %d, "seconds": %.6f, "failed": %d, "p50": %.3f, "p99": %.3f}\n',
    summary.requests, summary.duration / 1e6, failed, latency:percentile(50) / 1000, latency:percentile(99) / 1000
  ))
end
