-- SPDX-License-Identifier: Apache-2.0
-- wrk -s load.lua URL -- METHOD PATH BODY_FILE PREFIX [HEADER VALUE]…: every request is unique, "@" becomes a fresh name,
-- "#" in the path a number below 64.
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local function parts(text)
  local found = {}
  for part in (text .. "@"):gmatch("([^@]*)@") do found[#found + 1] = part end
  return found
end

function init(args)
  method, count = args[1], 0
  path = parts(args[2])
  body = args[3] ~= "-" and parts(io.open(args[3]):read("*a")) or nil
  prefix = args[4] .. "-" .. number .. "-"
  headers = {}
  for i = 5, #args, 2 do headers[args[i]] = args[i + 1] end
  turns = args[2]:find("#", 1, true) and args[2] or nil
  if not turns and #path == 1 and (body == nil or #body == 1) then
    fixed = wrk.format(method, path[1], headers, body and body[1])
  end
end

function request()
  if fixed then return fixed end
  count = count + 1
  local name = prefix .. count
  if turns then return wrk.format(method, (turns:gsub("#", count % 64)), headers, body and table.concat(body, name)) end
  return wrk.format(method, table.concat(path, name), headers, body and table.concat(body, name))
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"micros":%d,"p50":%f,"p99":%f,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
