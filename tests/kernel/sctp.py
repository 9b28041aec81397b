#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""sctp.py serve PORT | connect stream|many|refused ADDRESS PORT: SCTP by sockets of both styles."""
import signal
import socket
import sys


def sctp(style, family):
    return socket.socket(family, style, socket.IPPROTO_SCTP)


def serve(port):
    server = sctp(socket.SOCK_STREAM, socket.AF_INET6)
    server.bind(("::", port))
    server.listen(64)
    print("listening", flush=True)
    while True:
        client, _ = server.accept()
        client.sendall(b"hello")
        client.close()


def connect(how, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    client = sctp(socket.SOCK_SEQPACKET if how == "many" else socket.SOCK_STREAM, family)
    try:
        client.connect((address, port))
        client.recv(16)
    except ConnectionRefusedError:
        pass
    # Until told to go on, so that whoever looks for the socket's owner finds it.
    if how != "refused":
        signal.sigwait([signal.SIGUSR1])
    client.close()


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    connect(sys.argv[2], sys.argv[3], int(sys.argv[4]))
