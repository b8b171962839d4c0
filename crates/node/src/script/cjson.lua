-- The library `cjson` of Redis: `encode`, `decode` and `null`, with the errors of lua-cjson 2.1.0. The functions give true and
-- what comes out, or false and what is wrong.
local null = ...
local error, pcall, select, type, next, tonumber, tostring, floor, char, concat =
    error, pcall, select, type, next, tonumber, tostring, math.floor, string.char, table.concat

-- Arrays and objects in one another.
local DEPTH_MAX = 1000

local function fail(format, ...)
    error({format:format(...)}, 0)
end

-- A function of one argument.
local function public(name, run)
    return function(...)
        if select('#', ...) ~= 1 then return false, 'bad argument #1 to \'' .. name .. '\' (expected 1 argument)' end
        local ok, result = pcall(run, (...))
        if ok then return true, result end
        if type(result) == 'table' then return false, result[1] end
        error(result, 0)
    end
end

local escapes = {
    ['"'] = '\\"', ['\\'] = '\\\\', ['/'] = '\\/', ['\b'] = '\\b', ['\f'] = '\\f', ['\n'] = '\\n', ['\r'] = '\\r',
    ['\t'] = '\\t', ['\127'] = '\\u007f',
}
for code = 0, 31 do
    escapes[char(code)] = escapes[char(code)] or ('\\u%04x'):format(code)
end

local function quoted(text)
    return '"' .. text:gsub('[%c"\\/]', escapes) .. '"'
end

local function number(value)
    if value ~= value or value == 1 / 0 or value == -1 / 0 then
        fail('Cannot serialise number: must not be NaN or Inf')
    end
    return ('%.14g'):format(value)
end

-- The last index of an array; nil if it has other keys, or none.
local function last_index(table)
    local last, count = 0, 0
    for key in next, table do
        if type(key) ~= 'number' or key < 1 or floor(key) ~= key then return nil end
        if key > last then last = key end
        count = count + 1
    end
    if last > 10 and last > 2 * count then fail('Cannot serialise table: excessively sparse array') end
    return last > 0 and last or nil
end

local function write(value, depth, out)
    local kind = type(value)
    if kind == 'string' then
        out[#out + 1] = quoted(value)
    elseif kind == 'number' then
        out[#out + 1] = number(value)
    elseif kind == 'boolean' then
        out[#out + 1] = tostring(value)
    elseif value == nil or value == null then
        out[#out + 1] = 'null'
    elseif kind == 'table' then
        depth = depth + 1
        if depth > DEPTH_MAX then fail('Cannot serialise, excessive nesting (%d)', depth) end
        local last = last_index(value)
        out[#out + 1] = last and '[' or '{'
        local comma = ''
        if last then
            for index = 1, last do
                out[#out + 1] = comma
                write(value[index], depth, out)
                comma = ','
            end
        else
            for key, item in next, value do
                local kind = type(key)
                if kind ~= 'string' and kind ~= 'number' then
                    fail('Cannot serialise %s: table key must be a number or string', kind)
                end
                out[#out + 1] = comma .. (kind == 'string' and quoted(key) or '"' .. number(key) .. '"') .. ':'
                write(item, depth, out)
                comma = ','
            end
        end
        out[#out + 1] = last and ']' or '}'
    else
        fail('Cannot serialise %s: type not supported', kind)
    end
end

local function encode(value)
    local out = {}
    write(value, 0, out)
    return concat(out)
end

local function utf8(code)
    local function tail(shift) return char(0x80 + floor(code / 2 ^ shift) % 0x40) end
    if code < 0x80 then return char(code) end
    if code < 0x800 then return char(0xc0 + floor(code / 0x40)) .. tail(0) end
    if code < 0x10000 then return char(0xe0 + floor(code / 0x1000)) .. tail(6) .. tail(0) end
    return char(0xf0 + floor(code / 0x40000)) .. tail(12) .. tail(6) .. tail(0)
end

-- Kinds, as errors name them.
local signs = {
    ['{'] = 'T_OBJ_BEGIN', ['}'] = 'T_OBJ_END', ['['] = 'T_ARR_BEGIN', [']'] = 'T_ARR_END', [','] = 'T_COMMA',
    [':'] = 'T_COLON', [''] = 'T_END',
}
local plain = {b = '\b', f = '\f', n = '\n', r = '\r', t = '\t', ['"'] = '"', ['\\'] = '\\', ['/'] = '/'}

-- The string that begins at `at`: its kind, text and end; or what is wrong, and where.
local function read_string(text, at)
    local parts, from = {}, at + 1
    while true do
        local stop = text:find('["\\]', from)
        if not stop then return nil, 'unexpected end of string', #text + 1 end
        parts[#parts + 1] = text:sub(from, stop - 1)
        if text:sub(stop, stop) == '"' then return 'T_STRING', concat(parts), stop end
        local letter = text:sub(stop + 1, stop + 1)
        if letter == 'u' then
            local code = tonumber(text:match('^%x%x%x%x', stop + 2) or '', 16)
            from = stop + 6
            if code and code >= 0xd800 and code < 0xdc00 then
                local low = tonumber(text:match('^\\u(%x%x%x%x)', from) or '', 16)
                code = low and low >= 0xdc00 and low < 0xe000 and 0x10000 + (code - 0xd800) * 0x400 + low - 0xdc00
                from = from + 6
            elseif code and code >= 0xdc00 and code < 0xe000 then
                code = nil
            end
            if not code then return nil, 'invalid unicode escape code', stop end
            parts[#parts + 1] = utf8(code)
        elseif plain[letter] then
            parts[#parts + 1] = plain[letter]
            from = stop + 2
        else
            return nil, 'invalid escape code', stop
        end
    end
end

-- The token at or after `at`: its kind, value, end and beginning.
local function token(text, at)
    at = text:find('[^ \t\n\r]', at) or #text + 1
    local first = text:sub(at, at)
    if signs[first] then return signs[first], nil, at, at end
    if first == '"' then
        local kind, value, stop = read_string(text, at)
        return kind or 'T_ERROR', value, stop, kind and at or stop
    end
    local word = text:match('^%a+', at)
    if word == 'true' or word == 'false' then return 'T_BOOLEAN', word == 'true', at + #word - 1, at end
    if word == 'null' then return 'T_NULL', null, at + 3, at end
    local digits = text:match('^-?0[xX]%x+', at) or text:match('^-?%d+%.?%d*[eE][-+]?%d+', at)
        or text:match('^-?%d+%.?%d*', at) or (text:match('^-?%a+', at) or ''):lower():match('^-?inf') or
        (word or ''):lower():match('^nan')
    if not digits then return 'T_ERROR', 'invalid token', at, at end
    local value = tonumber(digits) or (digits == 'nan' and 0 / 0) or (digits == 'inf' and 1 / 0) or -1 / 0
    return 'T_NUMBER', value, at + #digits - 1, at
end

local function unexpected(wanted, kind, value, at)
    fail('Expected %s but found %s at character %d', wanted, kind == 'T_ERROR' and value or kind, at)
end

local read

local function read_list(text, at, depth, object)
    local close, result, count = object and 'T_OBJ_END' or 'T_ARR_END', {}, 0
    local kind, value, stop, from = token(text, at + 1)
    if kind == close then return result, stop end
    while true do
        local key
        if object then
            if kind ~= 'T_STRING' then unexpected('object key string', kind, value, from) end
            key = value
            kind, value, stop, from = token(text, stop + 1)
            if kind ~= 'T_COLON' then unexpected('colon', kind, value, from) end
            kind, value, stop, from = token(text, stop + 1)
        else
            count = count + 1
            key = count
        end
        result[key], stop = read(text, depth, kind, value, stop, from)
        kind, value, stop, from = token(text, stop + 1)
        if kind == close then return result, stop end
        if kind ~= 'T_COMMA' then
            unexpected(object and 'comma or object end' or 'comma or array end', kind, value, from)
        end
        kind, value, stop, from = token(text, stop + 1)
    end
end

-- The value that begins with a token, and its end.
function read(text, depth, kind, value, stop, from)
    if kind == 'T_OBJ_BEGIN' or kind == 'T_ARR_BEGIN' then
        depth = depth + 1
        if depth > DEPTH_MAX then fail('Found too many nested data structures (%d) at character %d', depth, from) end
        return read_list(text, from, depth, kind == 'T_OBJ_BEGIN')
    end
    if kind ~= 'T_STRING' and kind ~= 'T_NUMBER' and kind ~= 'T_BOOLEAN' and kind ~= 'T_NULL' then
        unexpected('value', kind, value, from)
    end
    return value, stop
end

local function decode(text)
    text = tostring(text)
    local value, stop = read(text, 0, token(text, 1))
    local kind, rest, _, from = token(text, stop + 1)
    if kind ~= 'T_END' then unexpected('the end', kind, rest, from) end
    return value
end

return {_NAME = 'cjson', _VERSION = '2.1.0', encode = public('encode', encode), decode = public('decode', decode), null = null}
