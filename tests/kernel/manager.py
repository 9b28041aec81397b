#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""manager.py SOCKET PROGRAM [ARGUMENT]...

A service manager as far as its fd store goes: starts PROGRAM, keeps what it is given, hands it to
the next one. Reads commands, a line each, and answers each with a line:
start | stop | kill | restart | argument TEXT (one more from the next start on) |
names | removed (names that were taken back since the last start)

A start is answered with "ready", with "ended STATUS", or with "silent" after 20 s."""
import array, os, select, signal, socket, sys, time

path, program = sys.argv[1], sys.argv[2:]
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(path)
store, child = [], 0		# (name, descriptor)
removed = set()


def take(timeout):
    """One message; True if it says that the service is ready."""
    if not select.select([manager], [], [], timeout)[0]:
        return False
    text, control, _, _ = manager.recvmsg(4096, socket.CMSG_SPACE(4 * 253))
    words = dict(line.split("=", 1) for line in text.decode().split("\n"))
    fds = array.array("i")
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data)
    if "FDSTOREREMOVE" in words:
        removed.add(words["FDNAME"])
        for entry in [e for e in store if e[0] == words["FDNAME"]]:
            os.close(entry[1])
            store.remove(entry)
    elif "FDSTORE" in words:
        assert words.get("FDPOLL") == "0"
        store.extend((words["FDNAME"], fd) for fd in fds)
    return "READY" in words


def start():
    global child
    removed.clear()
    child = os.fork()
    if child == 0:
        spare = [os.dup(fd) for _, fd in store]
        spare = [os.dup2(fd, 100 + i) for i, fd in enumerate(spare)]
        for i, fd in enumerate(spare):
            os.dup2(fd, 3 + i, inheritable=True)
        os.environ.update(NOTIFY_SOCKET=path, FDSTORE="90")
        if store:
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(store)),
                              LISTEN_FDNAMES=":".join(name for name, _ in store))
        os.execv(program[0], program)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if take(0.1):
            return "ready"
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            child = 0
            return f"ended {status}"
    return "silent"


def stop(how=signal.SIGTERM):
    global child
    os.kill(child, how)
    _, status = os.waitpid(child, 0)
    while take(0):
        pass
    child = 0
    return f"ended {status}"


for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "start":
        answer = start()
    elif word == "stop":
        answer = stop()
    elif word == "kill":
        answer = stop(signal.SIGKILL)
    elif word == "restart":
        answer = stop() + " " + start()
    elif word == "argument":
        program.append(rest)
        answer = "added"
    elif word == "names":
        answer = " ".join(sorted(name for name, _ in store))
    elif word == "removed":
        answer = " ".join(sorted(removed))
    print(answer, flush=True)
if child:
    os.kill(child, signal.SIGKILL)
