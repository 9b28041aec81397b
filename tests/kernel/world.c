// SPDX-License-Identifier: GPL-2.0-or-later
#include "world.h"
#include "cgroupfs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436	/* Linux 5.9, newer than the headers of Debian 11 */
#endif

#include <cmocka.h>

int world_enter(void)
{
	if (unshare(CLONE_NEWNET) < 0) {
		printf("needs a network namespace of its own: %s\n", strerror(errno));
		return 77;
	}
	if (system("ip link set lo up && ip link add void type veth peer name end && "
		   "ip link set void up && ip link set end up && "
		   "ip address add 198.51.100.1/24 dev void && "
		   "ip neighbour add 198.51.100.9 lladdr 02:00:00:00:00:09 dev void") != 0) {
		printf("no device can be made\n");
		return 1;
	}
	return 0;
}

int world_open(struct world **out, enum owner_lookup_mode mode)
{
	struct world *w = calloc(1, sizeof(*w));
	struct process_config processes = {
		.max_processes = 4096, .linger_ns = 1000000000, .command_line_max_bytes = 256,
		.reads_per_second = 100000,
	};
	struct owner_config config = { .mode = mode };

	assert_non_null(w);
	w->mode = mode;
	w->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(w->proc_fd >= 0);
	processes.proc_fd = w->proc_fd;
	assert_int_equal(process_table_new(&w->processes, &processes), 0);
	config.proc_fd = w->proc_fd;
	config.processes = w->processes;
	assert_int_equal(owner_new(&w->owner, &config), 0);
	*out = w;
	return 0;
}

void world_close(struct world *w)
{
	owner_free(w->owner);
	process_table_free(w->processes);
	close(w->proc_fd);
	free(w);
}

static void endpoint(const struct sockaddr_storage *from, const void **address, be16 *port)
{
	const struct sockaddr_in6 *six = (const void *)from;
	const struct sockaddr_in *four = (const void *)from;
	bool is_six = from->ss_family == AF_INET6;

	*address = is_six ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr;
	*port = is_six ? six->sin6_port : four->sin_port;
}

struct tuple tuple_of(int fd, uint8_t protocol)
{
	struct sockaddr_storage here, there;
	socklen_t here_len = sizeof(here), there_len = sizeof(there);
	struct tuple t = { .protocol = protocol };
	const void *src, *dst;

	assert_int_equal(getsockname(fd, (void *)&here, &here_len), 0);
	if (getpeername(fd, (void *)&there, &there_len) < 0) {	/* SYN_SENT */
		memset(&there, 0, sizeof(there));
		there.ss_family = here.ss_family;
	}
	endpoint(&here, &src, &t.sport);
	endpoint(&there, &dst, &t.dport);
	tuple_set_addresses(&t, here.ss_family, src, dst);
	return t;
}

uint64_t inode_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static struct sockaddr_storage loopback(int family, socklen_t *len)
{
	struct sockaddr_storage s = { .ss_family = family };

	if (family == AF_INET6)
		((struct sockaddr_in6 *)&s)->sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&s)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*len = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	return s;
}

static void pair_connect(struct pair *p, const struct sockaddr *to, socklen_t len, int type)
{
	p->fd = socket(to->sa_family, type | SOCK_CLOEXEC, 0);
	assert_true(p->fd >= 0);
	assert_int_equal(connect(p->fd, to, len), 0);
	if (type == SOCK_STREAM)
		p->accepted = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
	p->tuple = tuple_of(p->fd, type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP);
}

struct pair pair_open(int family, int type)
{
	struct pair p = { .accepted = -1 };
	socklen_t len;
	struct sockaddr_storage to = loopback(family, &len);

	p.listener = socket(family, type | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p.listener, (void *)&to, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(p.listener, 8), 0);
	assert_int_equal(getsockname(p.listener, (void *)&to, &len), 0);
	pair_connect(&p, (void *)&to, len, type);
	return p;
}

struct pair pair_open_mapped(void)
{
	struct pair p = { .accepted = -1 };
	socklen_t len;
	struct sockaddr_storage to = loopback(AF_INET, &len);
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6 };

	p.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p.listener, (void *)&to, len), 0);
	assert_int_equal(listen(p.listener, 8), 0);
	assert_int_equal(getsockname(p.listener, (void *)&to, &len), 0);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr), 1);
	mapped.sin6_port = ((struct sockaddr_in *)&to)->sin_port;
	pair_connect(&p, (void *)&mapped, sizeof(mapped), SOCK_STREAM);
	return p;
}

void pair_close(struct pair *p)
{
	if (p->fd >= 0)
		close(p->fd);
	if (p->accepted >= 0)
		close(p->accepted);
	close(p->listener);
}

int connect_into_the_void(struct tuple *tuple, const char *device)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(443) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (device)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
					    strlen(device)), 0);
	assert_int_equal(inet_pton(AF_INET, "198.51.100.9", &to.sin_addr), 1);
	assert_int_equal(connect(fd, (void *)&to, sizeof(to)), -1);
	assert_int_equal(errno, EINPROGRESS);
	*tuple = tuple_of(fd, IPPROTO_TCP);
	tuple->dst.ip4 = to.sin_addr.s_addr;
	tuple->dport = to.sin_port;
	return fd;
}

int udp_reuseport(uint16_t port, uint16_t peer, struct tuple *tuple)
{
	socklen_t len;
	struct sockaddr_storage at = loopback(AF_INET, &len);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
	((struct sockaddr_in *)&at)->sin_port = htons(port);
	assert_int_equal(bind(fd, (void *)&at, len), 0);
	((struct sockaddr_in *)&at)->sin_port = htons(peer);
	assert_int_equal(connect(fd, (void *)&at, len), 0);
	*tuple = tuple_of(fd, IPPROTO_UDP);
	return fd;
}

void send_fd(int unix_fd, int fd)
{
	char room[CMSG_SPACE(sizeof(fd))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room,
			      .msg_controllen = sizeof(room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	assert_int_equal(sendmsg(unix_fd, &msg, 0), 1);
}

static int receive_fd(int unix_fd)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 }, byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room,
			      .msg_controllen = sizeof(room) };
	int fd;

	assert_int_equal(recvmsg(unix_fd, &msg, MSG_CMSG_CLOEXEC), 1);
	assert_non_null(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* Children end with us, whatever becomes of the test. */
static void live_until_told(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

pid_t child_idle(void)
{
	pid_t child = fork();

	if (child == 0)
		live_until_told();
	assert_true(child > 0);
	return child;
}

void child_end(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

pid_t child_connects_and_passes(struct tuple *tuple, int *fd, int *control)
{
	int ends[2];
	char byte;
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	child = fork();
	if (child == 0) {
		close(ends[0]);
		send_fd(ends[1], connect_into_the_void(tuple, NULL));
		_exit(read(ends[1], &byte, 1) != 0);
	}
	assert_true(child > 0);
	close(ends[1]);
	*fd = receive_fd(ends[0]);
	*control = ends[0];
	*tuple = tuple_of(*fd, IPPROTO_TCP);
	tuple->dport = htons(443);
	assert_int_equal(inet_pton(AF_INET, "198.51.100.9", &tuple->dst.ip4), 1);
	return child;
}

pid_t child_with_pid(pid_t pid, int fd, int socket)
{
	pid_t wanted[] = { pid };
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)wanted,
				   .set_tid_size = 1 };
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = syscall(SYS_clone3, &args, sizeof(args));
	if (child == 0) {
		if (socket != fd)
			dup2(socket, fd);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		syscall(SYS_close_range, fd + 1, ~0U, 0);
		live_until_told();
	}
	if (child > 0)
		assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static bool cgroup_mount(char *path, size_t size)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[4096];
	bool found = false;

	assert_non_null(file);
	while (!found && fgets(line, sizeof(line), file))
		found = cgroupfs_mount_point(line, path, size);
	fclose(file);
	return found;
}

static void cgroup_file(char *path, size_t size, const char *cgroup, const char *file)
{
	char mount[256];

	assert_true(cgroup_mount(mount, sizeof(mount)));
	snprintf(path, size, "%s%s%s", mount, cgroup, file);
}

void cgroup_remove(const char *cgroup)
{
	char path[512];

	cgroup_file(path, sizeof(path), cgroup, "");
	rmdir(path);
}

struct thread_start {
	const struct pair *pair;
	int report;
};

static void *connect_in_thread(void *data)
{
	const struct thread_start *start = data;
	struct sockaddr_storage to;
	socklen_t len = sizeof(to);
	struct tuple t;
	int fd;

	if (getsockname(start->pair->listener, (void *)&to, &len) < 0)
		_exit(1);
	fd = socket(to.ss_family, SOCK_STREAM, 0);
	if (connect(fd, (void *)&to, len) < 0)
		_exit(1);
	t = tuple_of(fd, IPPROTO_TCP);
	if (write(start->report, &t, sizeof(t)) != sizeof(t))
		_exit(1);
	for (;;)
		pause();
}

pid_t child_thread_connects(const struct pair *p, struct tuple *tuple)
{
	static struct thread_start start;
	const struct timespec ticks = { 0, 50 * 1000000 };
	int report[2];
	pthread_t thread;
	pid_t child;

	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	start = (struct thread_start){ p, report[1] };
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		nanosleep(&ticks, NULL);
		if (pthread_create(&thread, NULL, connect_in_thread, &start))
			_exit(1);
		pthread_exit(NULL);
	}
	assert_int_equal(read(report[0], tuple, sizeof(*tuple)), sizeof(*tuple));
	close(report[0]);
	close(report[1]);
	return child;
}

static void connect_and_fill(const struct pair *p, int report)
{
	struct sockaddr_storage to;
	socklen_t len = sizeof(to);
	char much[4096] = { 0 };
	struct tuple t;
	int fd;

	if (getsockname(p->listener, (void *)&to, &len) < 0)
		_exit(1);
	fd = socket(to.ss_family, SOCK_STREAM, 0);
	if (connect(fd, (void *)&to, len) < 0)
		_exit(1);
	while (send(fd, much, sizeof(much), MSG_DONTWAIT) > 0)
		;
	t = tuple_of(fd, IPPROTO_TCP);
	_exit(write(report, &t, sizeof(t)) != sizeof(t));
}

bool child_leaves_orphan(const struct pair *p, struct tuple *tuple, char cgroup[static 64])
{
	char path[512], mount[256];
	int report[2], fd;
	pid_t child;

	if (!cgroup_mount(mount, sizeof(mount)))
		return false;
	snprintf(cgroup, 64, "/nfwho-owner-%d", getpid());
	cgroup_file(path, sizeof(path), cgroup, "");
	if (mkdir(path, 0755) < 0)
		return false;
	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		cgroup_file(path, sizeof(path), cgroup, "/cgroup.procs");
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(1);
		connect_and_fill(p, report[1]);
	}
	close(report[1]);
	fd = read(report[0], tuple, sizeof(*tuple)) == sizeof(*tuple);
	close(report[0]);
	waitpid(child, NULL, 0);
	if (!fd)
		cgroup_remove(cgroup);
	assert_true(fd);
	return true;
}

unsigned int world_slow(void)
{
	const char *text = getenv("NFWHO_TEST_SLOW");
	unsigned long slow = text ? strtoul(text, NULL, 10) : 1;

	return slow >= 1 && slow <= 100 ? (unsigned int)slow : 1;
}
