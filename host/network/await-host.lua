-- Keeps a guest's request while the host process is started again: for less than the ten seconds after which cloud-init gives up. It
-- repeats nothing that was answered, so one 503 on its user data boots a guest as if it had none.
-- The variable txn.host_socket says where that listens.
local look_ms, limit_ms = 100, 8500

local function listens(path)
  local socket = core.tcp()
  socket:settimeout(1)
  local connected = socket:connect("unix@" .. path)
  socket:close()
  return connected ~= nil
end

core.register_action("await_host", { "http-req" }, function(txn)
  local path = txn:get_var("txn.host_socket")
  local waited = 0
  while not listens(path) and waited < limit_ms do
    core.msleep(look_ms)
    waited = waited + look_ms
  end
end)
