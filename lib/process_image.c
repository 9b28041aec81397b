// SPDX-License-Identifier: GPL-2.0-or-later
#include "process_image.h"

#include "refstr.h"

#include <stdlib.h>
#include <string.h>

struct process *process_image_new(uint32_t pid)
{
	struct process *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->refs = 1;
	p->pid = pid;
	return p;
}

void process_image_touch(struct process *p)
{
	for (int i = 0; i < 2; i++) {
		free(p->fragment[i]);
		p->fragment[i] = NULL;
		p->fragment_len[i] = 0;
	}
}

static void drop_cgroup(struct process *p)
{
	refstr_clear(&p->cgroup);
	refstr_clear(&p->unit);
	refstr_clear(&p->container_id);
	p->container_runtime = NULL;
}

void process_image_drop(struct process *p, uint32_t bits)
{
	p->known &= ~bits;
	if (bits & PROCESS_EXECUTABLE) {
		refstr_clear(&p->executable);
		p->executable_deleted = false;
	}
	if (bits & PROCESS_EXECUTED)
		refstr_clear(&p->executed);
	if (bits & PROCESS_COMMAND_LINE) {
		refstr_clear(&p->command_line);
		p->command_line_len = p->args_count = 0;
		p->command_line_cut = false;
	}
	if (bits & PROCESS_DIRECTORY)
		refstr_clear(&p->directory);
	if (bits & PROCESS_CGROUP)
		drop_cgroup(p);
	process_image_touch(p);
}

void process_image_disown(struct process *p)
{
	if (p->executable && p->read_known & PROCESS_EXECUTABLE) {
		refstr_disown(&p->executable, strlen(p->executable));
		if (!p->executable)
			p->known &= ~(uint32_t)PROCESS_EXECUTABLE;
	}
	if (p->command_line && p->read_known & PROCESS_COMMAND_LINE) {
		refstr_disown(&p->command_line, p->command_line_len);
		if (!p->command_line)
			process_image_drop(p, PROCESS_COMMAND_LINE);
	}
}

void process_image_settle(struct process *p)
{
	if (refstr_is_disowned(p->executable) || refstr_is_disowned(p->command_line))
		process_image_drop(p, PROCESS_EXECUTABLE | PROCESS_COMMAND_LINE | PROCESS_IDS |
				   PROCESS_DIRECTORY | PROCESS_READ);
}

static void share_string(char **to, char *from)
{
	refstr_unref(*to);
	*to = refstr_ref(from);
}

static void share_strings(struct process *to, const struct process *from, uint32_t bits)
{
	if (bits & PROCESS_EXECUTABLE) {
		share_string(&to->executable, from->executable);
		to->executable_deleted = from->executable_deleted;
	}
	if (bits & PROCESS_EXECUTED)
		share_string(&to->executed, from->executed);
	if (bits & PROCESS_COMMAND_LINE) {
		share_string(&to->command_line, from->command_line);
		to->command_line_len = from->command_line_len;
		to->args_count = from->args_count;
		to->command_line_cut = from->command_line_cut;
	}
	if (bits & PROCESS_DIRECTORY)
		share_string(&to->directory, from->directory);
	if (bits & PROCESS_CGROUP) {
		share_string(&to->cgroup, from->cgroup);
		share_string(&to->unit, from->unit);
		share_string(&to->container_id, from->container_id);
		to->container_runtime = from->container_runtime;
	}
}

void process_image_share(struct process *to, const struct process *from, uint32_t bits)
{
	bits &= from->known;
	share_strings(to, from, bits);
	if (bits & PROCESS_PARENT)
		to->ppid = from->ppid;
	if (bits & PROCESS_START) {
		to->start_ticks = from->start_ticks;
		to->start_real_ns = from->start_real_ns;
		to->start_computed = from->start_computed;
	}
	if (bits & PROCESS_COMM)
		memcpy(to->comm, from->comm, sizeof(to->comm));
	if (bits & PROCESS_IDS) {
		to->uid = from->uid;
		to->ruid = from->ruid;
		to->gid = from->gid;
		to->vpid = from->vpid;
	}
	if (bits & PROCESS_SESSION) {
		to->pgid = from->pgid;
		to->sid = from->sid;
		to->tty = from->tty;
	}
	if (bits & PROCESS_LOGIN) {
		to->login_uid = from->login_uid;
		to->login_session = from->login_session;
	}
	if (bits & PROCESS_NETNS)
		to->netns = from->netns;
	if (bits & PROCESS_USERNS)
		to->foreign_userns = from->foreign_userns;
	to->known |= bits;
	process_image_touch(to);
}

void process_image_clear(struct process *p)
{
	process_image_set_parent(p, NULL);
	process_image_drop(p, UINT32_MAX);
}

static void free_unheld(struct process *p)
{
	if (p->refs || p->children)
		return;
	process_image_clear(p);
	free(p);
}

/* An image that nobody but its children hold has no parent link: freeing it ends here. */
void process_image_set_parent(struct process *p, struct process *parent)
{
	struct process *before = p->parent;

	if (parent == p || parent == before)
		return;
	if (parent)
		parent->children++;
	p->parent = parent;
	if (before) {
		before->children--;
		free_unheld(before);
	}
}

struct process *process_ref(struct process *p)
{
	if (p)
		p->refs++;
	return p;
}

void process_unref(struct process *p)
{
	if (!p || --p->refs)
		return;
	process_image_set_parent(p, NULL);
	process_image_touch(p);
	free_unheld(p);
}
