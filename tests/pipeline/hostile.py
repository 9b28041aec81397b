#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes with names, arguments, paths and directories of every byte value, and what the
collector's outputs made of them.

    hostile.py run DIRECTORY SHELL ADDRESS PORT >TRUTH     one connection each; their pids
    hostile.py json TRUTH FILE...                          lines of JSON, in any format
    hostile.py text TRUTH FILE
"""
import json
import os
import sys

LINE_MAX = 8000
ODD = [b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xff\xfe", b"\xc2\x9b31m",
       b"\xe2\x80\xae", b"\x1b]0;title\x07", b"\r\n{\"event\":1}\n", b"\"},{\"a\":\"", b"%s%n",
       b"\\u0000", b"\xef\xbb\xbf", b" (deleted)", b"-- "]


def run(directory, shell, address, port):
    """A copy of the shell under each name; the same bytes as argument and working directory."""
    directory = os.fsencode(directory)
    command = f"exec 3<>/dev/tcp/{address}/{port}".encode()
    names = [b"x" + bytes([b]) + b"y" for b in range(1, 256) if b != ord("/")] + \
        [b"o" + text.replace(b"/", b"") for text in ODD]
    arguments = [[name] for name in names] + \
        [[bytes(range(1, 256)) * 8], [b"A" * 130000] * 15, [b"\xff" * 130000] * 15, [b""] * 30000]
    names += [b"bytes", b"long", b"long-invalid", b"empty"]
    for number, (name, extra) in enumerate(zip(names, arguments)):
        place = os.path.join(directory, b"d%d" % number + name[1:])
        os.mkdir(place)
        path = os.path.join(place, name)
        os.link(shell, path)
        pid = os.fork()
        if pid == 0:
            os.chdir(place)
            os.execve(path, [name, b"-c", command, b"zero"] + extra, {})
        _, status = os.waitpid(pid, 0)
        if status:
            sys.exit(f"{name!r}: status {status}")
        print(pid)


def whole_lines(path):
    with open(path, "rb") as file:
        data = file.read()
    if not data.endswith(b"\n"):
        sys.exit(f"{path}: torn")
    return data[:-1].split(b"\n")


def no_twice(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def check_json(truth, paths):
    for path in paths:
        named = set()
        for line in whole_lines(path):
            if len(line) + 1 > LINE_MAX:
                sys.exit(f"{path}: {len(line)} bytes: {line[:200]!r}")
            if any(byte < 0x20 for byte in line):
                sys.exit(f"{path}: a control character: {line!r}")
            record = json.loads(line.decode("utf-8", "strict"), object_pairs_hook=no_twice)
            named.add(record.get("pid", record.get("process", {}).get("pid")))
        if truth - named:
            sys.exit(f"{path}: {len(truth - named)} processes are missing: {truth - named}")


def check_text(truth, path):
    named = set()
    for line in whole_lines(path):
        text = line.decode("utf-8", "strict")
        if not all(char.isprintable() or char == " " for char in text):
            sys.exit(f"{path}: not printable: {text!r}")
        named |= {int(word) for word in text.split() if word.isdigit()}
    if truth - named:
        sys.exit(f"{path}: {len(truth - named)} processes are missing")


def main():
    if sys.argv[1] == "run":
        run(*sys.argv[2:])
        return
    with open(sys.argv[2], encoding="ascii") as lines:
        truth = {int(line) for line in lines}
    if sys.argv[1] == "json":
        check_json(truth, sys.argv[3:])
    else:
        check_text(truth, sys.argv[3])


main()
