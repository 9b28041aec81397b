// SPDX-License-Identifier: GPL-2.0-or-later
#include "passwd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_EVERY_NS 1000000000ULL
#define LINE_MAX_BYTES 4096
#define SLOTS_MIN 64

struct entry {
	uint32_t id;
	char name[PASSWD_NAME_MAX + 1];	/* "": an empty slot */
};

/* Open addressing; at most half of the slots are taken. */
struct passwd {
	char *path;
	struct stat seen;
	uint64_t looked_ns;
	struct entry *slots;
	uint32_t slot_count;	/* a power of two */
	uint32_t used;
};

/* Ids are chosen by administrators, not by attackers: multiplication is enough. */
static struct entry *slot_of(const struct passwd *p, uint32_t id)
{
	uint32_t at = id * 2654435761u;

	while (p->slots[at & (p->slot_count - 1)].name[0] &&
	       p->slots[at & (p->slot_count - 1)].id != id)
		at++;
	return &p->slots[at & (p->slot_count - 1)];
}

static bool grow(struct passwd *p)
{
	struct passwd bigger = { .slot_count = p->slot_count ? p->slot_count * 2 : SLOTS_MIN };

	bigger.slots = calloc(bigger.slot_count, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	for (uint32_t i = 0; i < p->slot_count; i++) {
		if (p->slots[i].name[0])
			*slot_of(&bigger, p->slots[i].id) = p->slots[i];
	}
	free(p->slots);
	p->slots = bigger.slots;
	p->slot_count = bigger.slot_count;
	return true;
}

static void clear(struct passwd *p)
{
	free(p->slots);
	p->slots = NULL;
	p->slot_count = p->used = 0;
}

/* "name:password:id:..." in passwd(5) and group(5) alike. */
static bool parse(const char *line, struct entry *entry)
{
	const char *end = strchr(line, ':'), *second = end ? strchr(end + 1, ':') : NULL;
	unsigned long id;
	char *rest;

	if (!second || end == line || end - line > PASSWD_NAME_MAX)
		return false;
	if (line[0] == '#' || line[0] == '+' || line[0] == '-')
		return false;
	if (second[1] < '0' || second[1] > '9')
		return false;
	errno = 0;
	id = strtoul(second + 1, &rest, 10);
	if (errno || *rest != ':' || id >= UINT32_MAX)
		return false;
	entry->id = id;
	memcpy(entry->name, line, end - line);
	entry->name[end - line] = '\0';
	return true;
}

static void add(struct passwd *p, const struct entry *entry)
{
	struct entry *slot;

	if (p->used >= PASSWD_ENTRIES_MAX)
		return;
	if (p->used >= p->slot_count / 2 && !grow(p))
		return;
	slot = slot_of(p, entry->id);
	if (slot->name[0])
		return;
	*slot = *entry;
	p->used++;
}

/* Lines longer than the buffer (groups with many members) matter only as far as the id. */
static bool read_entry(FILE *file, struct entry *entry)
{
	char line[LINE_MAX_BYTES];

	while (fgets(line, sizeof(line), file)) {
		bool found = parse(line, entry);

		while (!strchr(line, '\n') && fgets(line, sizeof(line), file))
			;
		if (found)
			return true;
	}
	return false;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) == 0 &&
	       memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim)) == 0;
}

int passwd_new(struct passwd **out, const char *path)
{
	struct passwd *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->path = strdup(path);
	if (!p->path) {
		free(p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

void passwd_free(struct passwd *p)
{
	if (!p)
		return;
	clear(p);
	free(p->path);
	free(p);
}

/* NULL if it is not there or no plain file. */
static FILE *open_file(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	FILE *file;

	if (fd < 0)
		return NULL;
	file = fstat(fd, st) == 0 && S_ISREG(st->st_mode) ? fdopen(fd, "r") : NULL;
	if (!file)
		close(fd);
	return file;
}

void passwd_update(struct passwd *p, uint64_t now_ns)
{
	struct stat st = { 0 };
	struct entry entry;
	FILE *file;

	if (p->looked_ns && now_ns - p->looked_ns < LOOK_EVERY_NS)
		return;
	p->looked_ns = now_ns ? now_ns : 1;
	if (stat(p->path, &st) == 0 && same_file(&st, &p->seen))
		return;
	clear(p);
	memset(&p->seen, 0, sizeof(p->seen));
	file = open_file(p->path, &st);
	if (!file)
		return;
	while (read_entry(file, &entry))
		add(p, &entry);
	fclose(file);
	p->seen = st;
}

const char *passwd_name(const struct passwd *p, uint32_t id)
{
	return p->slots ? slot_of(p, id)->name : "";
}

bool passwd_find(const char *path, const char *name, uint32_t *id)
{
	struct stat st;
	struct entry entry;
	FILE *file = open_file(path, &st);
	bool found = false;

	while (file && !found && read_entry(file, &entry))
		found = strcmp(entry.name, name) == 0;
	if (file)
		fclose(file);
	if (found)
		*id = entry.id;
	return found;
}
