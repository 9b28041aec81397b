// SPDX-License-Identifier: GPL-2.0-or-later
#include "record_internal.h"

#include "utf8.h"

#include <stdio.h>
#include <string.h>

#define TARGET_MAX 128
#define SINKS_MAX 16

struct number {
	const char *key;
	uint64_t value;
};

static void add_numbers(cJSON *object, const struct number *numbers, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		record_add_number(object, numbers[i].key, numbers[i].value);
}

static void add_packets(cJSON *object, const struct ledger *l)
{
	const struct number numbers[] = {
		{ "limited", l->limited }, { "received", l->received },
		{ "sequence_gap", l->sequence_gap }, { "enobufs", l->enobufs },
		{ "lost_tail", l->lost_tail }, { "undecodable", l->undecodable },
		{ "filtered", l->filtered }, { "filtered_by_rule", l->filtered_by_rule },
		{ "retransmits", l->retransmits },
		{ "midstream", l->midstream }, { "evicted", l->evicted },
		{ "pending", l->pending }, { "started", l->started },
		{ "suppressed", l->suppressed }, { "ended", l->ended },
		{ "ends_uncertain", l->ends_uncertain }, { "ends_evicted", l->ends_evicted },
		{ "resumed", l->resumed },
		{ "written", l->written },
		{ "trace_lost", l->trace_lost }, { "trace_only", l->trace_only },
		{ "trace_filtered", l->trace_filtered },
		{ "unsent", l->unsent }, { "unsent_suppressed", l->unsent_suppressed },
		{ "conntrack_lost", l->conntrack_lost },
	};

	if (l->matched_known)
		record_add_number(object, "matched", l->matched);
	if (l->matched_known && l->matched_approximate)
		cJSON_AddTrueToObject(object, "matched_approximate");
	if (l->trace_missed_known)
		record_add_number(object, "trace_missed", l->trace_missed);
	add_numbers(object, numbers, sizeof(numbers) / sizeof(numbers[0]));
}

static void add_sinks(cJSON *object, const struct record_sink *sinks, unsigned int count)
{
	cJSON *array = cJSON_AddArrayToObject(object, "sinks");

	for (unsigned int i = 0; i < count && i < SINKS_MAX; i++) {
		const struct number numbers[] = {
			{ "written", sinks[i].written }, { "dropped", sinks[i].dropped },
			{ "queued", sinks[i].queued }, { "bytes", sinks[i].bytes },
		};
		cJSON *sink = cJSON_CreateObject();

		record_add_text(sink, "target", sinks[i].target, strlen(sinks[i].target),
				TARGET_MAX);
		add_numbers(sink, numbers, sizeof(numbers) / sizeof(numbers[0]));
		record_append(array, sink);
	}
}

static void add_ledger_message(cJSON *root, const struct ledger *l)
{
	uint64_t lost = l->sequence_gap + l->lost_tail;
	char text[160];

	snprintf(text, sizeof(text), "%llu packets received, %llu connections started, "
		 "%llu ended, %llu suppressed, %llu packets lost",
		 (unsigned long long)l->received, (unsigned long long)l->started,
		 (unsigned long long)l->ended, (unsigned long long)l->suppressed,
		 (unsigned long long)lost);
	cJSON_AddStringToObject(root, "message", text);
}

int record_ledger(struct record *r, const struct ledger *ledger, const struct record_sink *sinks,
		  unsigned int sink_count, uint64_t now_real_ns, char *buf, size_t size)
{
	cJSON *event, *root, *nfwho, *object, *owner;

	root = record_begin(r, "ledger", "metric", "nfwho.ledger", now_real_ns, now_real_ns,
			    &event);
	record_add_types(event, NULL, "info", NULL);
	add_ledger_message(root, ledger);
	nfwho = cJSON_AddObjectToObject(root, "nfwho");
	cJSON_AddStringToObject(nfwho, "run_id", r->config.host->run_id);
	object = cJSON_AddObjectToObject(nfwho, "ledger");
	add_packets(object, ledger);
	if (ledger->conntrack_known) {
		const struct number numbers[] = { { "count", ledger->conntrack_count },
						  { "max", ledger->conntrack_max } };

		add_numbers(cJSON_AddObjectToObject(object, "conntrack"), numbers, 2);
	}
	owner = cJSON_AddObjectToObject(object, "owner");
	for (enum owner_rung rung = OWNER_TRACE; rung > OWNER_UNDECIDED; rung--)
		record_add_number(owner, record_rung(rung), ledger->owner[rung]);
	if (sink_count)
		add_sinks(object, sinks, sink_count);
	return record_print(root, buf, size);
}

int record_ruleset_gap(struct record *r, const struct record_gap *gap, uint64_t now_real_ns,
		       char *buf, size_t size)
{
	cJSON *event, *root, *nfwho, *object;
	char text[256], program[64], by[96] = "";

	root = record_begin(r, "ruleset_gap", "alert", "nfwho.ruleset",
			    gap->to_real_ns ? gap->to_real_ns : now_real_ns, now_real_ns, &event);
	record_add_types(event, "configuration", "change", NULL);
	record_add_time(r, event, "start", gap->from_real_ns);
	if (gap->to_real_ns)
		record_add_time(r, event, "end", gap->to_real_ns);
	if (gap->to_real_ns >= gap->from_real_ns)
		record_add_number(event, "duration", gap->to_real_ns - gap->from_real_ns);
	if (gap->pid) {
		utf8_clean_text(program, sizeof(program), gap->program, strlen(gap->program), NULL);
		object = cJSON_AddObjectToObject(root, "process");
		record_add_number(object, "pid", gap->pid);
		record_add_text(object, "name", gap->program, strlen(gap->program), 255);
		snprintf(by, sizeof(by), " by %s[%u]", program, gap->pid);
	}
	snprintf(text, sizeof(text), "connections were not logged: %.100s%s%s", gap->what, by,
		 gap->restored ? ", restored" : "");
	cJSON_AddStringToObject(root, "message", text);
	nfwho = cJSON_AddObjectToObject(root, "nfwho");
	cJSON_AddStringToObject(nfwho, "run_id", r->config.host->run_id);
	object = cJSON_AddObjectToObject(nfwho, "ruleset");
	record_add_text(object, "change", gap->what, strlen(gap->what), 128);
	cJSON_AddBoolToObject(object, "restored", gap->restored);
	return record_print(root, buf, size);
}
