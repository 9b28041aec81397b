#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes a copy of another process's netlink socket and does something through it.

usage: borrow.py PID GROUPS shrink|grow		its receive buffer: as small as can be, 1 MiB
       borrow.py PID GROUPS unbind GROUP	gives an NFLOG group back
       borrow.py PID GROUPS take GROUP		the same, and holds it until killed

GROUPS is the mask in /proc/PID/net/netlink; of several sockets with it, all are tried.
"""
import ctypes
import os
import signal
import socket
import struct
import sys

NETLINK_NETFILTER = 12
NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG = 4, 1
NFULA_CFG_CMD, NFULNL_CFG_CMD_BIND, NFULNL_CFG_CMD_UNBIND = 1, 1, 2
NLM_F_REQUEST = 1
SYS_pidfd_getfd = 438
SO_RCVBUFFORCE = 33
libc = ctypes.CDLL(None, use_errno=True)


def inodes(pid, groups):
    with open(f"/proc/{pid}/net/netlink") as table:
        for line in table.readlines()[1:]:
            words = line.split()
            if int(words[1]) == NETLINK_NETFILTER and int(words[3], 16) == groups:
                yield words[9]


def sockets(pid, groups):
    wanted = {f"socket:[{inode}]" for inode in inodes(pid, groups)}
    pidfd = os.pidfd_open(pid)
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            if os.readlink(f"/proc/{pid}/fd/{name}") not in wanted:
                continue
        except FileNotFoundError:
            continue  # a file that was open for a moment
        fd = libc.syscall(SYS_pidfd_getfd, pidfd, int(name), 0)
        if fd < 0:
            sys.exit(os.strerror(ctypes.get_errno()))
        yield socket.socket(fileno=fd)


def configure(sock, group, command):
    command = struct.pack("=HHBxxx", 5, NFULA_CFG_CMD, command)
    payload = struct.pack("=BB", 0, 0) + struct.pack(">H", group) + command
    sock.send(struct.pack("=IHHII", 16 + len(payload), NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG,
                          NLM_F_REQUEST, 0, 0) + payload)


def main():
    pid, groups, action = int(sys.argv[1]), int(sys.argv[2], 16), sys.argv[3]
    found = 0
    for sock in sockets(pid, groups):
        found += 1
        if action == "shrink":
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1)
        elif action == "grow":
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)
        else:
            configure(sock, int(sys.argv[4]), NFULNL_CFG_CMD_UNBIND)
    if not found:
        sys.exit(f"process {pid} has no such socket")
    if action == "take":
        own = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        configure(own, int(sys.argv[4]), NFULNL_CFG_CMD_BIND)
        signal.pause()


main()
