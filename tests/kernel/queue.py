#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""queue.py NUMBER accept|drop: gives that verdict on every packet of an nft queue."""
import socket
import struct
import sys

NETLINK_NETFILTER = 12
NFNL_SUBSYS_QUEUE = 3
MSG_PACKET, MSG_VERDICT, MSG_CONFIG = 0, 1, 2
PACKET_HDR, VERDICT_HDR = 1, 2
CFG_CMD, CFG_PARAMS = 1, 2
CMD_BIND, COPY_META = 1, 1
SO_RCVBUFFORCE, SOL_NETLINK, NETLINK_NO_ENOBUFS = 33, 270, 5


def message(kind, number, attribute, payload):
    attr = struct.pack("=HH", 4 + len(payload), attribute) + payload
    attr += bytes(-len(attr) % 4)
    return struct.pack("=IHHII", 20 + len(attr), NFNL_SUBSYS_QUEUE << 8 | kind, 1, 0, 0) + \
        struct.pack(">BBH", 0, 0, number) + attr


def packet_ids(data):
    """Of every packet message in what was read."""
    while len(data) >= 20:
        length, kind = struct.unpack_from("=IH", data)
        attrs = data[20:length] if kind == NFNL_SUBSYS_QUEUE << 8 | MSG_PACKET else b""
        while len(attrs) >= 4:
            size, attribute = struct.unpack_from("=HH", attrs)
            if attribute == PACKET_HDR:
                yield struct.unpack_from(">I", attrs, 4)[0]
            attrs = attrs[(size + 3) & ~3:]
        data = data[(length + 3) & ~3:]


number, verdict = int(sys.argv[1]), {"drop": 0, "accept": 1}[sys.argv[2]]
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
# What is lost all the same is sent again.
netlink.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
netlink.setsockopt(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)
netlink.bind((0, 0))
netlink.send(message(MSG_CONFIG, number, CFG_CMD, struct.pack(">BBH", CMD_BIND, 0, 0)))
netlink.send(message(MSG_CONFIG, number, CFG_PARAMS, struct.pack(">IB", 0, COPY_META)))
print("bound", flush=True)
while True:
    for ident in packet_ids(netlink.recv(65536)):
        netlink.send(message(MSG_VERDICT, number, VERDICT_HDR, struct.pack(">II", verdict, ident)))
