// SPDX-License-Identifier: GPL-2.0-or-later
#include "open_process.h"
#include "process_image.h"
#include "refstr.h"

#include <errno.h>
#include <string.h>

enum text {
	EXECUTABLE, EXECUTED, COMMAND_LINE, DIRECTORY, CGROUP, UNIT, CONTAINER, RUNTIME, TEXTS
};

#define ABSENT UINT32_MAX

/* Followed by the texts, without NUL. */
struct entry {
	uint64_t start_ticks, start_real_ns, cgroup_id;
	uint32_t parent, known, pid, ppid, vpid, uid, ruid, gid, pgid, sid, tty;
	uint32_t login_uid, login_session, args_count, len[TEXTS];
	uint8_t executable_deleted, foreign_userns, command_line_cut, forked;
	char comm[PROCESS_COMM_MAX];
};

/* Literals of lib/cgroup: struct process holds no copies. */
static const char *const runtimes[] = {
	"docker", "podman", "containerd", "cri-o", "lxc", "nspawn",
};

static const char *text_of(const struct process *p, enum text text)
{
	const char *const texts[TEXTS] = {
		p->executable, p->executed, p->command_line, p->directory, p->cgroup, p->unit,
		p->container_id, p->container_runtime,
	};

	return texts[text];
}

int open_process_pack(const struct process *p, uint32_t parent, void *buf, size_t size)
{
	struct entry e = {
		.start_ticks = p->start_ticks, .start_real_ns = p->start_real_ns,
		.cgroup_id = p->cgroup_id, .parent = parent, .known = p->known, .pid = p->pid,
		.ppid = p->ppid, .vpid = p->vpid, .uid = p->uid, .ruid = p->ruid, .gid = p->gid,
		.pgid = p->pgid, .sid = p->sid, .tty = p->tty, .login_uid = p->login_uid,
		.login_session = p->login_session, .args_count = p->args_count,
		.executable_deleted = p->executable_deleted, .foreign_userns = p->foreign_userns,
		.command_line_cut = p->command_line_cut, .forked = p->forked,
	};
	size_t at = sizeof(e), len;

	memcpy(e.comm, p->comm, sizeof(e.comm));
	for (enum text i = 0; i < TEXTS; i++) {
		const char *text = text_of(p, i);

		e.len[i] = ABSENT;
		if (!text)
			continue;
		len = i == COMMAND_LINE ? p->command_line_len : strlen(text);
		if (len > size || at > size - len)
			return -E2BIG;
		memcpy((char *)buf + at, text, len);
		e.len[i] = (uint32_t)len;
		at += len;
	}
	if (size < sizeof(e))
		return -E2BIG;
	memcpy(buf, &e, sizeof(e));
	return (int)at;
}

static const char *runtime(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++)
		if (strlen(runtimes[i]) == len && memcmp(runtimes[i], text, len) == 0)
			return runtimes[i];
	return NULL;
}

static int take_text(struct process *p, enum text i, const char *text, uint32_t len)
{
	char **const places[] = { &p->executable, &p->executed, &p->command_line, &p->directory,
				  &p->cgroup, &p->unit, &p->container_id };

	if (i == RUNTIME) {
		p->container_runtime = runtime(text, len);
		return 0;
	}
	*places[i] = refstr_new(text, len);
	if (i == COMMAND_LINE)
		p->command_line_len = len;
	return *places[i] ? 0 : -ENOMEM;
}

static int take_texts(struct process *p, const struct entry *e, const char *text, size_t left)
{
	int err = 0;

	for (enum text i = 0; i < TEXTS && !err; i++) {
		if (e->len[i] == ABSENT)
			continue;
		if (e->len[i] > left)
			return -EBADMSG;
		err = take_text(p, i, text, e->len[i]);
		text += e->len[i];
		left -= e->len[i];
	}
	return err ? err : left ? -EBADMSG : 0;
}

/* What is said to be known must be there. */
static void know(struct process *p, uint32_t known)
{
	if (!p->executable)
		known &= ~(uint32_t)PROCESS_EXECUTABLE;
	if (!p->executed)
		known &= ~(uint32_t)PROCESS_EXECUTED;
	if (!p->command_line)
		known &= ~(uint32_t)PROCESS_COMMAND_LINE;
	if (!p->directory)
		known &= ~(uint32_t)PROCESS_DIRECTORY;
	if (!p->cgroup)
		known &= ~(uint32_t)PROCESS_CGROUP;
	p->known = known & ~(uint32_t)PROCESS_NETNS;
}

int open_process_unpack(const void *entry, size_t size, struct process **out, uint32_t *parent)
{
	struct process *p;
	struct entry e;
	int err;

	if (size < sizeof(e))
		return -EBADMSG;
	memcpy(&e, entry, sizeof(e));
	if (!e.pid || !memchr(e.comm, '\0', sizeof(e.comm)))
		return -EBADMSG;
	p = process_image_new(e.pid);
	if (!p)
		return -ENOMEM;
	p->start_ticks = e.start_ticks;
	p->start_real_ns = e.start_real_ns;
	p->cgroup_id = e.cgroup_id;
	p->ppid = e.ppid;
	p->vpid = e.vpid;
	p->uid = e.uid;
	p->ruid = e.ruid;
	p->gid = e.gid;
	p->pgid = e.pgid;
	p->sid = e.sid;
	p->tty = e.tty;
	p->login_uid = e.login_uid;
	p->login_session = e.login_session;
	p->args_count = e.args_count;
	p->executable_deleted = e.executable_deleted;
	p->foreign_userns = e.foreign_userns;
	p->command_line_cut = e.command_line_cut;
	p->forked = e.forked;
	memcpy(p->comm, e.comm, sizeof(p->comm));
	err = take_texts(p, &e, (const char *)entry + sizeof(e), size - sizeof(e));
	if (err) {
		process_unref(p);
		return err;
	}
	know(p, e.known);
	*parent = e.parent;
	*out = p;
	return 0;
}
