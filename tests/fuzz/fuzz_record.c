// SPDX-License-Identifier: GPL-2.0-or-later
#include "example.h"
#include "fuzz.h"
#include "utf8.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* Takes from the input what it gives; zeroes after that. */
struct input {
	const uint8_t *data;
	size_t size;
	bool may_be_long;
};

static void take(struct input *in, void *to, size_t len)
{
	size_t n = len < in->size ? len : in->size;

	memset(to, 0, len);
	memcpy(to, in->data, n);
	in->data += n;
	in->size -= n;
}

static uint32_t take_number(struct input *in)
{
	uint32_t n;

	take(in, &n, sizeof(n));
	return n;
}

/* At most 255 bytes, or if there may be long ones 16 times as many. */
static char *take_string(struct input *in, char buf[static 4096])
{
	unsigned int repeats;
	uint8_t head[2], unit[255];
	size_t len = 0;

	take(in, head, sizeof(head));
	take(in, unit, head[0]);
	repeats = in->may_be_long ? head[1] % 16 : 0;
	for (unsigned int i = 0; i <= repeats; i++, len += head[0])
		memcpy(buf + len, unit, head[0]);
	buf[len] = '\0';
	return buf;
}

static bool parses;	/* cJSON too, which takes longer than all the rest */

static void check_json(const char *line, int len)
{
	cJSON *root;
	size_t step;
	bool valid;

	assert(len > 0 && len <= RECORD_MAX && line[len - 1] == '\n');
	assert(strchr(line, '\n') == line + len - 1 && strlen(line) == (size_t)len);
	for (size_t i = 0; i < (size_t)len; i += step) {
		step = utf8_next(line + i, len - i, &valid);
		assert(valid);
	}
	if (!parses)
		return;
	root = cJSON_Parse(line);
	assert(cJSON_IsObject(root));
	cJSON_Delete(root);
}

/* Colours are the only escapes. */
static void check_text(const char *line, int len)
{
	assert(len > 0 && line[len - 1] == '\n');
	for (int i = 0; i < len - 1; i++)
		assert(((unsigned char)line[i] >= 0x20 && line[i] != 0x7f) ||
		       (line[i] == '\033' && line[i + 1] == '['));
}

static void take_process(struct input *in, struct process *p, char strings[static 6][4096])
{
	p->known = take_number(in);
	p->pid = take_number(in);
	p->tty = take_number(in);
	take(in, p->comm, sizeof(p->comm) - 1);
	p->command_line_len = take_number(in) % (in->may_be_long ? 4096 : 256);
	take(in, strings[0], p->command_line_len);
	p->command_line = strings[0];
	p->executable = take_string(in, strings[1]);
	p->executed = take_string(in, strings[2]);
	p->directory = take_string(in, strings[3]);
	p->cgroup = take_string(in, strings[4]);
	p->unit = p->container_id = take_string(in, strings[5]);
}

/* Whose connections were held back: of one process, or what else is known of several. */
static void set_suppressed(struct example *e, uint8_t which)
{
	struct record_suppressed *s = &e->suppressed;

	if (which & 4)
		s->process = NULL;
	if (which & 8)
		s->cgroup_path = e->context.cgroup_path;
	s->executable = e->process.executable;
	s->container_id = e->process.container_id;
	s->others = which & 16;
	s->count = which & 32 ? s->count : 0;
	s->destinations = which & 64 ? 1 : s->destinations;
	s->ports = s->destinations;
}

static void take_flow(struct input *in, struct flow *flow)
{
	flow->seen = take_number(in);
	flow->owner = take_number(in) % (OWNER_TRACE + 1);
	flow->reason = take_number(in) % (REASON_ABORTED + 1);
	flow->mark = take_number(in);
	flow->tuple.family = take_number(in) & 1 ? AF_INET6 : AF_INET;
	flow->tuple.protocol = take_number(in);
	take(in, &flow->tuple.src, sizeof(flow->tuple.src));
	take(in, &flow->tuple.dst, sizeof(flow->tuple.dst));
	take(in, &flow->start_ns, sizeof(flow->start_ns));
	take(in, &flow->end_ns, sizeof(flow->end_ns));
	take(in, &flow->start_real_ns, sizeof(flow->start_real_ns));
	take(in, flow->bytes, sizeof(flow->bytes));
}

/* One of the eight records; all of them take longer than what is looked for is worth. */
static void print(struct record *r, struct example *e, uint8_t which)
{
	char line[RECORD_MAX + 1];
	enum record_action a = which / 4 % (RECORD_CONNECTION_OPEN + 1);
	uint64_t now_ns = e->context.now_ns, now_real_ns = e->context.now_real_ns;
	size_t size = sizeof(line);

	if (which % 4 == 0)
		check_json(line, record_connection(r, a, &e->flow, &e->context, line, size));
	else if (which % 4 == 1)
		check_json(line, record_ulogd(r, a, &e->flow, &e->context, line, size));
	else if (which % 4 == 2)
		check_text(line, record_text(r, a, &e->flow, &e->context, which & 128, line, size));
	else if (which & 128)
		check_json(line, record_suppressed(r, &e->suppressed, now_real_ns, line, size));
	else
		check_text(line, record_suppressed_text(r, &e->suppressed, now_ns, false, line,
							size));
}

/* One for each way to write command lines, kept. */
static struct record *record_of(const struct example *e)
{
	static struct record *records[RECORD_COMMAND_NONE + 1];
	static struct example kept;
	struct record **r = &records[e->config.command_line];

	if (!kept.config.host)
		example_init(&kept);
	kept.config.command_line = e->config.command_line;
	assert(*r || record_new(r, &kept.config) == 0);
	return *r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char strings[2][6][4096], prefix[4096], cgroup[4096];
	struct input in = { data, size };
	struct example e;
	uint8_t head[4];

	example_init(&e);
	take(&in, head, sizeof(head));
	e.config.command_line = head[0] % (RECORD_COMMAND_NONE + 1);
	in.may_be_long = head[2] % 16 == 1;
	parses = head[3] % 8 == 0;
	take_flow(&in, &e.flow);
	take_process(&in, &e.process, strings[0]);
	take_process(&in, &e.parent, strings[1]);
	e.context.prefix = e.context.thread_name = take_string(&in, prefix);
	e.context.cgroup_path = take_string(&in, cgroup);
	if (head[1] % 4 == 3)
		set_suppressed(&e, head[1]);
	print(record_of(&e), &e, head[1]);
	example_fini(&e);
	return 0;
}
