// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The part of a record that its process decides. It is the longest, changes seldom and is wanted
 * again for every connection of the process: printed once with cJSON, cut to what every record has
 * room for, and kept with the process.
 */
#include "record_internal.h"

#include "redact.h"
#include "utf8.h"

#include <errno.h>
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4352
#define NAME_PRINTED_MAX 255
/* 15 bytes of SHA-1 in base64 are 20 characters without padding. */
#define ENTITY_BYTES 15
#define ENTITY_MAX (ENTITY_BYTES / 3 * 4 + 1)

/* What may have to be shortened. */
enum piece { COMMAND_LINE, PARENT_COMMAND_LINE, EXECUTABLE, PARENT_EXECUTABLE, DIRECTORY, CGROUP,
	     PIECES };

struct pieces {
	char text[PIECES][PATH_BYTES];
	bool cut;
};

/* Shortened in this order, each to its floor, until the process fits: command lines first. */
static const struct {
	enum piece piece;
	size_t floor;
} cuts[] = {
	{ PARENT_COMMAND_LINE, 512 }, { COMMAND_LINE, 1024 },
	{ PARENT_COMMAND_LINE, 64 }, { COMMAND_LINE, 64 },
	{ CGROUP, 128 }, { DIRECTORY, 128 }, { PARENT_EXECUTABLE, 128 }, { EXECUTABLE, 128 },
};

static bool knows(const struct process *p, enum process_known what)
{
	return p && p->known & what;
}

const char *record_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* As the kernel resolved it; for a process that was gone too soon the name that was executed, if it
 * is a path: a link or a script, perhaps, and nfwho.executed says that this is all there is. */
static const char *executable_path(const struct process *p)
{
	if (knows(p, PROCESS_EXECUTABLE) && p->executable)
		return p->executable;
	if (knows(p, PROCESS_EXECUTED) && p->executed && p->executed[0] == '/')
		return p->executed;
	return NULL;
}

const char *record_program(const struct process *p)
{
	if (knows(p, PROCESS_EXECUTABLE) && p->executable && p->executable[0])
		return record_base_name(p->executable);
	if (knows(p, PROCESS_EXECUTED) && p->executed && p->executed[0])
		return record_base_name(p->executed);
	return NULL;
}

const char *record_user(const struct record *r, const struct process *p, uint32_t uid)
{
	return p && p->foreign_userns ? "" : passwd_name(r->users, uid);
}

void record_add_text(cJSON *object, const char *key, const void *bytes, size_t len, size_t max)
{
	char text[PATH_BYTES];

	utf8_clean(text, sizeof(text), bytes, len, NULL);
	json_fit(text, max);
	if (text[0])
		cJSON_AddStringToObject(object, key, text);
}

static void add_string(cJSON *object, const char *key, const char *text)
{
	if (text && text[0])
		record_add_text(object, key, text, strlen(text), NAME_PRINTED_MAX);
}

static void add_id(cJSON *object, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	cJSON_AddStringToObject(object, key, text);
}

static void clean_path(struct pieces *pieces, enum piece piece, const char *path)
{
	if (path)
		utf8_clean(pieces->text[piece], PATH_BYTES, path, strlen(path), &pieces->cut);
}

/* The last argument of a line that was cut when it was read may be half a secret: left out. */
static uint32_t whole_arguments(const struct process *p)
{
	uint32_t len = p->command_line_len;

	if (!p->command_line_cut)
		return len;
	while (len && p->command_line[len - 1] != '\0')
		len--;
	return len;
}

size_t record_command_line(struct record *r, const struct process *p, bool *cut)
{
	uint32_t len;

	if (!knows(p, PROCESS_COMMAND_LINE) || !p->command_line ||
	    r->config.command_line == RECORD_COMMAND_NONE)
		return 0;
	len = p->command_line_len;
	if (r->config.command_line == RECORD_COMMAND_PROGRAM) {
		len = strnlen(p->command_line, len);
	} else if (p->command_line_cut) {
		len = whole_arguments(p);
		*cut = true;
	}
	if (r->config.command_line == RECORD_COMMAND_FULL)
		return redact_nothing(r->line, sizeof(r->line), p->command_line, len);
	return redact(r->line, sizeof(r->line), p->command_line, len);
}

static void clean_command_line(struct record *r, const struct process *p, struct pieces *pieces,
			       enum piece piece)
{
	size_t len = record_command_line(r, p, &pieces->cut);

	utf8_clean(pieces->text[piece], PATH_BYTES, r->line, len, &pieces->cut);
}

/* Host, boot, pid and start: the same on every rung, another for a pid that is used again. */
static bool entity_id(const struct record *r, const struct process *p, char id[static ENTITY_MAX])
{
	const struct host *host = r->config.host;
	uint8_t digest[SHA1_DIGEST_SIZE];
	struct sha1_ctx sha1;
	char text[128];
	int n;

	if (!knows(p, PROCESS_START) || !host->boot_id[0])
		return false;
	n = snprintf(text, sizeof(text), "%s %s %u %llu", host->id, host->boot_id, p->pid,
		     (unsigned long long)p->start_ticks);
	sha1_init(&sha1);
	sha1_update(&sha1, n, (const uint8_t *)text);
	sha1_digest(&sha1, sizeof(digest), digest);
	base64_encode_raw(id, ENTITY_BYTES, digest);
	id[ENTITY_MAX - 1] = '\0';
	return true;
}

static void add_identity(struct record *r, cJSON *object, const struct process *p)
{
	char id[ENTITY_MAX];

	add_string(object, "name", record_program(p));
	if (knows(p, PROCESS_START) && p->start_real_ns)
		record_add_time(r, object, "start", p->start_real_ns);
	if (entity_id(r, p, id))
		cJSON_AddStringToObject(object, "entity_id", id);
}

static void add_piece(cJSON *object, const char *key, const struct pieces *pieces, enum piece piece)
{
	if (pieces->text[piece][0])
		cJSON_AddStringToObject(object, key, pieces->text[piece]);
}

static void add_user(const struct record *r, cJSON *object, const char *key,
		     const struct process *p, uint32_t uid)
{
	cJSON *user = cJSON_AddObjectToObject(object, key);

	add_id(user, "id", uid);
	add_string(user, "name", record_user(r, p, uid));
}

static void add_session(cJSON *object, const struct process *p)
{
	cJSON_AddBoolToObject(object, "interactive", p->tty != 0);
	if (p->tty) {
		cJSON *tty = cJSON_AddObjectToObject(object, "tty");
		cJSON *device = cJSON_AddObjectToObject(tty, "char_device");

		/* As the kernel's new_encode_dev() packs it into /proc/PID/stat. */
		record_add_number(device, "major", p->tty >> 8 & 0xfff);
		record_add_number(device, "minor", (p->tty & 0xff) | (p->tty >> 12 & 0xfff00));
	}
	if (p->pgid)
		record_add_number(cJSON_AddObjectToObject(object, "group_leader"), "pid", p->pgid);
	if (p->sid)
		record_add_number(cJSON_AddObjectToObject(object, "session_leader"), "pid", p->sid);
}

static void add_parent(struct record *r, cJSON *object, const struct process *p,
		       const struct pieces *pieces)
{
	uint32_t pid = p->parent ? p->parent->pid : knows(p, PROCESS_PARENT) ? p->ppid : 0;
	cJSON *parent;

	if (!pid)
		return;
	parent = cJSON_AddObjectToObject(object, "parent");
	record_add_number(parent, "pid", pid);
	if (!p->parent)
		return;
	add_identity(r, parent, p->parent);
	add_piece(parent, "executable", pieces, PARENT_EXECUTABLE);
	add_piece(parent, "command_line", pieces, PARENT_COMMAND_LINE);
}

static cJSON *process_object(struct record *r, const struct process *p,
			     const struct pieces *pieces)
{
	cJSON *root = cJSON_CreateObject(), *object = cJSON_AddObjectToObject(root, "process");

	record_add_number(object, "pid", p->pid);
	if (knows(p, PROCESS_IDS) && p->vpid)
		record_add_number(object, "vpid", p->vpid);
	add_identity(r, object, p);
	add_piece(object, "executable", pieces, EXECUTABLE);
	add_piece(object, "command_line", pieces, COMMAND_LINE);
	if (knows(p, PROCESS_COMMAND_LINE) && p->args_count)
		record_add_number(object, "args_count", p->args_count);
	add_piece(object, "working_directory", pieces, DIRECTORY);
	if (knows(p, PROCESS_IDS)) {
		add_user(r, object, "user", p, p->uid);
		add_user(r, object, "real_user", p, p->ruid);
	}
	if (knows(p, PROCESS_SESSION))
		add_session(object, p);
	add_parent(r, object, p, pieces);
	return root;
}

static cJSON *nfwho_object(struct record *r, const struct process *p, const struct pieces *pieces)
{
	cJSON *root = cJSON_CreateObject(), *object;

	if (knows(p, PROCESS_CGROUP) && p->container_id) {
		object = cJSON_AddObjectToObject(root, "container");
		add_string(object, "id", p->container_id);
		add_string(object, "runtime", p->container_runtime);
	}
	object = cJSON_AddObjectToObject(root, "nfwho");
	if (knows(p, PROCESS_CGROUP)) {
		add_string(object, "unit", p->unit);
		add_piece(object, "cgroup", pieces, CGROUP);
	}
	if (knows(p, PROCESS_LOGIN)) {
		cJSON *login = cJSON_AddObjectToObject(object, "login");

		add_id(login, "id", p->login_uid);
		add_string(login, "name", record_user(r, p, p->login_uid));
		if (p->login_session != UINT32_MAX)
			add_id(login, "session", p->login_session);
	}
	if (!knows(p, PROCESS_EXECUTABLE) && knows(p, PROCESS_EXECUTED))
		add_string(object, "executed", p->executed);
	if (p->executable_deleted)
		cJSON_AddTrueToObject(object, "executable_deleted");
	if (pieces->cut)
		cJSON_AddTrueToObject(object, "truncated");
	return root;
}

/* Members without the outer braces and with the last object left open: {"a":{...}} becomes "a":{...
 * . Returns the length, 0 if it does not fit, or if there was no memory for that object. */
static size_t print_open(cJSON *root, const char *last, char buf[static RECORD_FRAGMENT_MAX])
{
	size_t len = 0;

	if (cJSON_HasObjectItem(root, last) &&
	    cJSON_PrintPreallocated(root, buf, RECORD_FRAGMENT_MAX, false) &&
	    json_escape_controls(buf, RECORD_FRAGMENT_MAX)) {
		len = strlen(buf) - 3;
		memmove(buf, buf + 1, len);
	}
	cJSON_Delete(root);
	return len;
}

/* No piece alone may take more than all have. */
static void print(struct record *r, const struct process *p, struct pieces *pieces,
		  size_t len[static 2])
{
	size_t total, printed, over, floor;

	for (size_t i = 0; i < PIECES; i++)
		pieces->cut |= json_fit(pieces->text[i], r->process_max);
	for (size_t i = 0;; i++) {
		len[0] = print_open(process_object(r, p, pieces), "process", r->fragment[0]);
		len[1] = print_open(nfwho_object(r, p, pieces), "nfwho", r->fragment[1]);
		total = len[0] + len[1];
		if (total <= r->process_max || i == sizeof(cuts) / sizeof(cuts[0]))
			return;
		pieces->cut = true;
		over = total + strlen(",\"truncated\":true") - r->process_max;
		printed = json_printed(pieces->text[cuts[i].piece]);
		floor = cuts[i].floor;
		json_fit(pieces->text[cuts[i].piece],
			 printed > over + floor ? printed - over : floor);
	}
}

static void forget(struct process *p)
{
	for (unsigned int i = 0; i < 2; i++) {
		free(p->fragment[i]);
		p->fragment[i] = NULL;
	}
}

static void build(struct record *r, struct process *p, size_t len[static 2])
{
	struct pieces pieces = { 0 };

	clean_path(&pieces, EXECUTABLE, executable_path(p));
	if (knows(p, PROCESS_DIRECTORY))
		clean_path(&pieces, DIRECTORY, p->directory);
	if (knows(p, PROCESS_CGROUP))
		clean_path(&pieces, CGROUP, p->cgroup);
	clean_path(&pieces, PARENT_EXECUTABLE, executable_path(p->parent));
	clean_command_line(r, p, &pieces, COMMAND_LINE);
	clean_command_line(r, p->parent, &pieces, PARENT_COMMAND_LINE);
	print(r, p, &pieces, len);
}

int record_process(struct record *r, struct process *p, struct record_process *fragments)
{
	uint32_t parent_known = p->parent ? p->parent->known : 0;
	int errno_before = errno;
	size_t len[2];

	if (p->fragment[0] && p->fragment_revision == r->revision &&
	    !(p->known & ~p->fragment_known[0]) && (!p->parent || parent_known == p->fragment_known[1])) {
		*fragments = (struct record_process){ p->fragment[0], p->fragment[1],
						      p->fragment_len[0], p->fragment_len[1] };
		return 0;
	}
	forget(p);
	/* cJSON leaves out what it has no memory for and does not say so; malloc(3) does. */
	errno = 0;
	build(r, p, len);
	if (errno == ENOMEM)
		return -ENOMEM;
	errno = errno_before;
	*fragments = (struct record_process){ r->fragment[0], r->fragment[1], len[0], len[1] };
	for (unsigned int i = 0; i < 2; i++) {
		p->fragment[i] = malloc(len[i] + 1);
		if (!p->fragment[i]) {
			forget(p);
			return 0;
		}
		memcpy(p->fragment[i], r->fragment[i], len[i]);
		p->fragment_len[i] = len[i];
	}
	p->fragment_revision = r->revision;
	p->fragment_known[0] = p->known;
	p->fragment_known[1] = parent_known;
	return 0;
}
