# SPDX-License-Identifier: GPL-2.0-or-later
"""The two sides of every fate a connection can have. Each has a port of its own.

    fates.py serve FAMILY        until killed; prints a line when it listens
    fates.py connect FAMILY      makes one connection of each kind, all at once
    fates.py expected            port, reasons of the ends in order, title
"""
import errno
import os
import signal
import socket
import struct
import sys
import threading
import time

ADDRESS = {"4": "198.51.100.2", "6": "2001:db8::2"}
NOBODY = {"4": "198.51.100.77", "6": "2001:db8::77"}
FAMILY = {"4": socket.AF_INET, "6": socket.AF_INET6}
RESET = struct.pack("ii", 1, 0)

CASES = [
    (2001, "closed", "the server closes"),
    (2002, "closed", "the client closes"),
    (2003, "reset", "the server resets"),
    (2004, "reset", "the client resets"),
    (2005, "refused", "nobody listens"),
    (2006, "unreachable", "the other side answers with ICMP host unreachable"),
    (2007, "timed_out", "nobody answers"),
    (2008, "blocked", "dropped in output"),
    (2009, "blocked", "dropped in postrouting"),
    (2010, "blocked", "rejected here with a reset"),
    (2011, "blocked", "rejected here with ICMP"),
    (2012, "blocked blocked", "dropped here, the same tuple twice"),
    (2013, "aborted aborted", "unanswered, the same tuple twice"),
    (2014, "aborted", "the process is killed while connecting"),
    (2015, "aborted", "a non-blocking connect is given up"),
    (2016, "unreachable", "no neighbour of that address"),
    (2017, "expired", "silent for longer than conntrack remembers"),
]


def new(family):
    return socket.socket(FAMILY[family], socket.SOCK_STREAM)


def hold(seconds):
    """Part of the story, not a way to wait for something."""
    time.sleep(seconds)


def answer(connection, port):
    if port == 2001:
        hold(0.05)
    elif port == 2003:
        hold(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    else:
        try:
            while connection.recv(65536):
                pass
        except OSError:
            pass
    connection.close()


def accept_all(listener, port):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection, port), daemon=True).start()


def serve(family):
    for port in (2001, 2002, 2003, 2004, 2017):
        listener = new(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS[family], port))
        listener.listen()
        threading.Thread(target=accept_all, args=(listener, port), daemon=True).start()
    print("listening", flush=True)
    signal.pause()


def fails(connection, address, expected):
    error = connection.connect_ex(address)
    if error not in expected:
        print(f"{address}: {errno.errorcode.get(error, error)}, not {expected}", file=sys.stderr)
        os._exit(1)
    connection.close()


def give_up(family, address, local_port=0):
    connection = new(family)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    connection.bind(("", local_port))
    connection.setblocking(False)
    connection.connect_ex(address)
    local_port = connection.getsockname()[1]
    hold(0.2)
    connection.close()
    return local_port


def killed(family, address):
    child = os.fork()
    if child == 0:
        new(family).connect_ex(address)
        os._exit(0)
    hold(0.2)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def established(family, address, port):
    connection = new(family)
    connection.connect(address)
    if port == 2017:
        hold(6 * int(os.environ.get("PATIENCE", "1")))
    elif port in (2001, 2003):
        try:
            connection.recv(1)
        except ConnectionResetError:
            pass
    else:
        connection.sendall(b"x" * 1000)
        hold(0.05)
    if port == 2004:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()


def connect_one(family, port):
    address = (ADDRESS[family], port)
    if port in (2001, 2002, 2003, 2004, 2017):
        established(family, address, port)
    elif port == 2005:
        fails(new(family), address, [errno.ECONNREFUSED])
    elif port == 2006:
        fails(new(family), address, [errno.EHOSTUNREACH])
    elif port == 2016:
        fails(new(family), (NOBODY[family], port), [errno.EHOSTUNREACH])
    elif port in (2007, 2008, 2009):
        fails(new(family), address, [errno.ETIMEDOUT])
    elif port in (2010, 2011):
        fails(new(family), address, [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EACCES])
    elif port in (2012, 2013):
        local_port = give_up(family, address)
        give_up(family, address, local_port)
    elif port == 2014:
        killed(family, address)
    elif port == 2015:
        give_up(family, address)


def connect(family):
    # The forking case first, while there is one thread.
    connect_one(family, 2014)
    threads = [threading.Thread(target=connect_one, args=(family, port))
               for port, _, _ in CASES if port != 2014]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    elif sys.argv[1] == "connect":
        connect(sys.argv[2])
    else:
        for case in CASES:
            print(*case, sep="\t")
