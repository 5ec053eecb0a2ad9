-- wrk: POST envelopes of new objects. Environment: BENCH_OBJECTS (in each body).
local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local object = '{"type":"indicator","spec_version":"2.1",'
  .. '"id":"indicator--%08x-0000-4000-9%03x-%012x",'
  .. '"created_by_ref":"identity--f431f809-377b-45e0-aa1c-6a4751cae5ff",'
  .. '"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",'
  .. '"name":"Egress address %d of a reselling proxy","description":"'
  .. string.rep("Fictional; made for measuring. ", 12) .. '",'
  .. '"indicator_types":["anomalous-activity"],'
  .. '"pattern":"[ipv4-addr:value = \'198.51.100.%d\']","pattern_type":"stix",'
  .. '"valid_from":"2026-01-01T00:00:00Z","valid_until":"2026-03-01T00:00:00Z","confidence":80}'

function init()
  each = tonumber(os.getenv("BENCH_OBJECTS"))
  run = tonumber(os.getenv("BENCH_RUN"))
  made = 0
  headers = {
    ["Content-Type"] = "application/taxii+json;version=2.1",
    ["Accept"] = wrk.headers["Accept"],
    ["Authorization"] = wrk.headers["Authorization"],
  }
end

function request()
  local objects = {}
  for i = 1, each do
    made = made + 1
    objects[i] = string.format(object, run, number, made, made, made % 256)
  end
  return wrk.format("POST", nil, headers, '{"objects":[' .. table.concat(objects, ",") .. "]}")
end
