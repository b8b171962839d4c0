-- What a script finds around it. Every table of functions is shown through a stand-in that cannot be changed.
local script, call, call_safely, told, may_run, checked, sha1hex, setresp, random, randomseed, place, guarded,
    through, cjson, keys, argv = ...
local error, pcall, xpcall, type, tostring, tonumber, select, setmetatable, floor, fmod, resume =
    error, pcall, xpcall, type, tostring, tonumber, select, setmetatable, math.floor, math.fmod, coroutine.resume

-- A script that ran for too long must not catch that.
local function settle(ok, err, ...)
    if not ok then
        if type(err) == 'userdata' then
            local text = told(err)
            if text then return false, text end
            error(err, 0)
        end
        if type(err) == 'table' and type(err.err) == 'string' then return false, err.err end
    end
    return ok, err, ...
end

-- What stands behind each stand-in.
local behind = {}

local function stand_in(index, table)
    local shown = setmetatable({}, {
        __index = index,
        __newindex = function() error('Attempt to modify a readonly table', 2) end,
        __metatable = false,
    })
    behind[shown] = table
    return shown
end

local function fixed(table)
    return stand_in(table, table)
end

math.random, math.randomseed = random, randomseed

for _, name in pairs{'find', 'match', 'gmatch', 'gsub'} do string[name] = guarded(name, string[name]) end
string.gfind = string.gmatch

local threads = {}
for name, value in pairs(coroutine) do threads[name] = value end
threads.resume = function(...) return settle(resume(...)) end

local function reply_of(field)
    return function(...)
        local text = ...
        if select('#', ...) ~= 1 or type(text) ~= 'string' then return {err = 'ERR wrong number or type of arguments'} end
        if field == 'err' then
            if text:sub(1, 1) == '-' then text = text:sub(2) end
            if not text:find(' ', 1, true) then text = 'ERR ' .. text end
        end
        return {[field] = text}
    end
end

-- As C reads a number: without its fraction, and 0 if it is none.
local function integer(value)
    local number = tonumber(value) or 0
    return number - fmod(number, 1)
end

local redis = {
    LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
    REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
    REDIS_VERSION = '7.0.15', REDIS_VERSION_NUM = 458767,
    call = call,
    pcall = call_safely,
    acl_check_cmd = may_run,
    sha1hex = checked(function(...)
        if select('#', ...) ~= 1 then return 'ERR wrong number of arguments' end
        local text = ...
        return nil, sha1hex((type(text) == 'string' or type(text) == 'number') and tostring(text) or '')
    end),
    setresp = checked(function(...)
        if select('#', ...) ~= 1 then return 'ERR redis.setresp() requires one argument.' end
        local version = integer((...))
        if version ~= 2 and version ~= 3 then return 'ERR RESP version must be 2 or 3.' end
        setresp(version)
    end),
    error_reply = reply_of('err'),
    status_reply = reply_of('ok'),
    log = checked(function(...)
        if select('#', ...) < 2 then return 'ERR redis.log() requires two arguments or more.' end
        if not tonumber((...)) then return 'ERR First argument must be a number (log level).' end
        local level = integer((...))
        if level < 0 or level > 3 then return 'ERR Invalid debug level.' end
    end),
    breakpoint = function() return false end,
    debug = function() end,
    replicate_commands = function() return true end,
    set_repl = checked(function(...)
        if select('#', ...) ~= 1 then return 'ERR redis.set_repl() requires two arguments.' end
        local flags = integer((...))
        if flags < 0 or flags > 3 then
            return 'ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.'
        end
    end),
}

local globals = {
    KEYS = keys, ARGV = argv, redis = fixed(redis),
    math = fixed(math), string = fixed(string), table = fixed(table), coroutine = fixed(threads),
    pcall = function(...) return settle(pcall(...)) end,
    xpcall = function(...) return settle(xpcall(...)) end,
    cjson = cjson and fixed(cjson),
    _VERSION = _VERSION,
}
for _, name in pairs{'assert', 'collectgarbage', 'error', 'gcinfo', 'getmetatable', 'ipairs', 'load', 'loadstring', 'next',
    'pairs', 'rawequal', 'rawget', 'rawset', 'select', 'setmetatable', 'tonumber', 'tostring', 'type', 'unpack'} do
    globals[name] = _G[name]
end
local around = stand_in(function(_, name)
    local value = globals[name]
    if value == nil then
        error('Script attempted to access nonexistent global variable \'' .. tostring(name) .. '\'', 2)
    end
    return value
end, setmetatable(globals, fixed{}))
globals._G = around
-- What looks at a table sees what stands behind it, and nothing changes that.
getmetatable('').__metatable = fixed{__index = globals.string}
for _, name in pairs{'getmetatable', 'next', 'pairs', 'rawget'} do
    globals[name] = through(behind, globals[name], false)
end
for _, name in pairs{'rawset', 'setmetatable'} do globals[name] = through(behind, globals[name], true) end
for _, name in pairs{'foreach', 'foreachi'} do table[name] = through(behind, table[name], false) end
table.insert = through(behind, table.insert, true)
local compile, compile_from, dress = loadstring, load, setfenv
globals.loadstring = function(...)
    local chunk, problem = compile(...)
    if chunk then dress(chunk, around) end
    return chunk, problem
end
globals.load = function(...)
    local chunk, problem = compile_from(...)
    if chunk then dress(chunk, around) end
    return chunk, problem
end
dress(script, around)
return xpcall(script, place)
