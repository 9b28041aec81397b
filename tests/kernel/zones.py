#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""zones.py ADDRESS PORT DEVICE…: connects from one port of its own through each device, in order;
the Nth connection sends N * 1000 bytes; closes them in reverse order. Prints nothing."""
import socket
import sys

made = []
for number, device in enumerate(sys.argv[3:], 1):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    s.bind(("", 4321))
    s.connect((sys.argv[1], int(sys.argv[2])))
    s.sendall(bytes(number * 1000))
    made.append(s)
for s in reversed(made):
    s.shutdown(socket.SHUT_WR)
    while s.recv(4096):
        pass
    s.close()
