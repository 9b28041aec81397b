#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A reader of ulogd2's JSON, for what ulogd2 wrote and for format=ulogd alike, and their comparison.

    ulogd_reader.py packets|flows NUMBER ULOGD2.json OURS.json
"""
import datetime
import json
import sys

# Beside ulogd2's keys.
OWNER = {"pid", "comm", "exe", "cmdline", "ppid", "uid", "username", "hostname"}
# When: ulogd2 takes the moment it reads the packet, and conntrack's last; we the connect and the close.
TIMES = {"timestamp", "oob.time.sec", "oob.time.usec", "flow.start.sec", "flow.start.usec",
         "flow.end.sec", "flow.end.usec"}
WANTED = {
    "packets": {"dvc", "oob.prefix", "oob.hook", "oob.mark", "oob.ifindex_out", "oob.family",
                "oob.protocol", "oob.uid", "oob.gid", "oob.out", "ip.protocol", "src_ip", "dest_ip",
                "src_port", "dest_port", "tcp.seq", "tcp.syn", "tcp.ack"},
    "flows": {"dvc", "orig.ip.protocol", "orig.l4.sport", "orig.l4.dport", "orig.raw.pktlen",
              "orig.raw.pktcount", "reply.ip.protocol", "reply.l4.sport", "reply.l4.dport",
              "reply.raw.pktlen", "reply.raw.pktcount", "reply.ip.saddr.str",
              "reply.ip.daddr.str", "ct.id", "ct.mark", "ct.event", "oob.family",
              "oob.protocol", "src_ip", "dest_ip"},
}
PORTS = {"packets": ("src_port", "dest_port"), "flows": ("orig.l4.sport", "orig.l4.dport")}
FORM = {"packets": "%Y-%m-%dT%H:%M:%S.%f", "flows": "%Y-%m-%dT%H:%M:%S"}


def read(kind, path):
    """The records of that kind, by tuple."""
    found = {}
    sport, dport = PORTS[kind]
    with open(path, encoding="utf-8", errors="strict") as lines:
        for line in lines:
            record = json.loads(line)
            if sport not in record:
                continue
            key = record["src_ip"], record[sport], record["dest_ip"], record[dport]
            if key in found:
                sys.exit(f"{path}: {key} twice")
            found[key] = record
    return found


def moment(record, name):
    return record[f"{name}.sec"] + record[f"{name}.usec"] / 1e6


def compare_times(kind, theirs, ours):
    for record in theirs, ours:
        datetime.datetime.strptime(record["timestamp"], FORM[kind])
    begin = "oob.time" if kind == "packets" else "flow.start"
    # theirs is later by what ulogd2 took to read it.
    if not -0.01 <= moment(theirs, begin) - moment(ours, begin) <= 2:
        yield begin, moment(theirs, begin), moment(ours, begin)
    if kind == "flows" and not moment(ours, begin) <= moment(ours, "flow.end") <= \
            moment(theirs, "flow.end"):
        yield "flow.end", moment(theirs, "flow.end"), moment(ours, "flow.end")


def compare(kind, theirs, ours):
    """What is different, as (key, theirs, ours)."""
    for key in WANTED[kind] - theirs.keys() | WANTED[kind] - ours.keys():
        yield key, theirs.get(key), ours.get(key)
    for key in ours.keys() - theirs.keys() - OWNER:
        yield key, "no such key", ours[key]
    for key in (ours.keys() & theirs.keys()) - TIMES:
        if type(ours[key]) is not type(theirs[key]) or ours[key] != theirs[key]:
            yield key, theirs[key], ours[key]
    yield from compare_times(kind, theirs, ours)


def main():
    kind, number = sys.argv[1], int(sys.argv[2])
    theirs, ours = (read(kind, path) for path in sys.argv[3:])
    different = [(key, *what) for key in theirs.keys() & ours.keys()
                 for what in compare(kind, theirs[key], ours[key])]
    print(f"{len(theirs)} and {len(ours)} records, {len(theirs.keys() & ours.keys())} in both")
    for what in different[:10]:
        print(*what)
    sys.exit(bool(different) or not number == len(theirs) == len(theirs.keys() & ours.keys()) ==
             len(ours))


main()
