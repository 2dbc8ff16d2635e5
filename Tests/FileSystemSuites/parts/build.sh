#!/bin/bash
# Two C projects, from their tarballs, with make; objects and programs must be the host's, byte for byte.
# shellcheck source=Tests/FileSystemSuites/parts/lib.sh
source /suites/parts/lib.sh
check untar_zlib sh -c 'mkdir zlib && tar -C zlib --strip-components=1 -xf /input/sources/zlib_*'
check untar_lua sh -c 'mkdir lua && tar -C lua --strip-components=1 -xf /input/sources/lua*'
cd zlib || exit
check configure_zlib ./configure
check make_zlib make
check test_zlib make test
same make_again make
same objects_of_zlib sha256sum ./*.o libz.a libz.so.1.2.13
check install_zlib make install prefix="$PWD/installed"
cd ../lua || exit
check make_lua make MYCFLAGS=-O1 linux
same objects_of_lua sh -c 'sha256sum src/*.o src/lua'
same lua_runs src/lua -e 'local t = {} for i = 1, 1000 do t[i] = i * i end
    local f = assert(io.open("out", "w")) for _, v in ipairs(t) do f:write(v, "\n") end f:close()
    local s = 0 for line in io.lines("out") do s = s + line end print(s, os.rename("out", "in"), os.remove("in"))'
check clean_lua make clean
