// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Entries behind each other: a head, then processes and flows, then an end that says how many
 * flows there were. A process stands before the first flow or process that refers to it, by its
 * number in the list: there are no circles. It stands twice if it has a flow and is another one's
 * parent: a parent has no parent, so that a chain of ancestors ends after one.
 *
 * The reader trusts nothing but its own arithmetic. It goes through the list twice, and hands
 * nothing on before it has seen the end.
 */
#include "open_flows.h"
#include "open_process.h"
#include "process_image.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

/* An entry for which there is no memory is not added; see hh.tbl. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum kind { HEAD = 1, PROCESS, FLOW, END };

/* In front of each; length of what follows. */
struct tag {
	uint32_t kind, len;
};

/* To be raised with each change of any entry. */
static const char magic[8] = "nfwhoOF1";

struct head {
	char magic[8], series[OPEN_FLOWS_SERIES];
	uint64_t next_number;
};

struct entry {
	uint64_t number, skaddr, start_ns, start_real_ns, packet_ns, answer_ns, end_ns;
	uint64_t bytes[2], packets[2], cgroup_id;
	union address src, dst, reply_src, reply_dst;
	be16 sport, dport, reply_sport, reply_dport;
	uint32_t process, seen, tid, uid, gid, mark, ifindex_out, tcp_seq, ct_id;
	uint16_t ct_status, ct_zone, syn_retransmits;
	uint8_t family, protocol, owner, error, tcp_state, hook;
	char prefix[OPEN_FLOWS_PREFIX_MAX];
};

/* By one flow, its process and that one's parent, with the end of the list. */
#define ADDED_MAX (2 * OPEN_PROCESS_BYTES_MAX + 4096)

/* What a flow keeps over a restart. That its connect was traced goes: what the trace has told
 * since, or not told, says nothing. Its holders are not handed over. */
static const uint32_t kept = FLOW_PACKET | FLOW_NEW | FLOW_DESTROY | FLOW_PORT | FLOW_ANSWERED |
	FLOW_ERROR | FLOW_CLOSED | FLOW_PEER_CLOSED | FLOW_COUNTERS | FLOW_REPLY | FLOW_CT_ID |
	FLOW_TCP_STATE | FLOW_UID | FLOW_GID | FLOW_INGRESS | FLOW_STARTED | FLOW_SUPPRESSED |
	FLOW_CT_LOST | FLOW_LATE | FLOW_UNTRACKED | FLOW_END_UNTOLD | FLOW_RST | FLOW_KERNEL |
	FLOW_UNCOUNTED | FLOW_REMOVED | FLOW_RESUMED;

struct written {
	struct {
		const struct process *process;
		uint64_t as_parent;
	} key;
	uint32_t number;
	UT_hash_handle hh;
};

struct open_flows_writer {
	FILE *file;
	struct written *written;
	uint32_t processes, flows;
	size_t bytes;
	uint8_t buf[OPEN_PROCESS_BYTES_MAX];
};

static void put(struct open_flows_writer *w, enum kind kind, const void *data, size_t len)
{
	struct tag tag = { kind, (uint32_t)len };

	fwrite(&tag, sizeof(tag), 1, w->file);
	fwrite(data, 1, len, w->file);
	w->bytes += sizeof(tag) + len;
}

int open_flows_begin(struct open_flows_writer **out, FILE *file, const struct open_flows *about)
{
	struct open_flows_writer *w = calloc(1, sizeof(*w));
	struct head head = { .next_number = about->next_number };

	if (!w)
		return -ENOMEM;
	w->file = file;
	memcpy(head.magic, magic, sizeof(magic));
	memcpy(head.series, about->series, sizeof(head.series));
	put(w, HEAD, &head, sizeof(head));
	*out = w;
	return 0;
}

/* The number of its entry, which is written if it was not; 0: it is not known, or cannot be kept.
 * */
static uint32_t process_number(struct open_flows_writer *w, const struct process *p, bool as_parent)
{
	struct written *known = NULL, *made;
	uint32_t parent = 0, number;
	int len;

	if (!p)
		return 0;
	made = calloc(1, sizeof(*made));
	if (!made)
		return 0;
	made->key.process = p;
	made->key.as_parent = as_parent;
	HASH_FIND(hh, w->written, &made->key, sizeof(made->key), known);
	if (known) {
		free(made);
		return known->number;
	}
	if (!as_parent)
		parent = process_number(w, p->parent, true);
	len = open_process_pack(p, parent, w->buf, sizeof(w->buf));
	if (len > 0) {
		put(w, PROCESS, w->buf, (size_t)len);
		made->number = ++w->processes;
	}
	number = made->number;
	/* Forgotten, it is written once more for the next flow. */
	HASH_ADD(hh, w->written, key, sizeof(made->key), made);
	if (!made->hh.tbl)
		free(made);
	return number;
}

int open_flows_add(struct open_flows_writer *w, const struct flow *f, const char *prefix)
{
	struct entry e = {
		.number = f->number, .skaddr = f->skaddr, .start_ns = f->start_ns,
		.start_real_ns = f->start_real_ns, .packet_ns = f->packet_ns,
		.answer_ns = f->answer_ns, .end_ns = f->end_ns, .cgroup_id = f->cgroup_id,
		.bytes = { f->bytes[0], f->bytes[1] },
		.packets = { f->packets[0], f->packets[1] },
		.src = f->tuple.src, .dst = f->tuple.dst, .reply_src = f->reply_src,
		.reply_dst = f->reply_dst, .sport = f->tuple.sport, .dport = f->tuple.dport,
		.reply_sport = f->reply_sport, .reply_dport = f->reply_dport,
		.seen = f->seen & (flow_has_entry(f) ? kept : kept & ~(uint32_t)FLOW_CT_ID),
		.tid = f->seen & FLOW_SUPPRESSED ? 0 : f->tid,
		.uid = f->uid, .gid = f->gid, .mark = f->mark, .ifindex_out = f->ifindex_out,
		.tcp_seq = f->tcp_seq, .ct_id = f->ct_id, .ct_status = f->ct_status,
		.ct_zone = f->ct_zone, .syn_retransmits = f->syn_retransmits,
		.family = f->tuple.family, .protocol = f->tuple.protocol, .owner = f->owner,
		.error = f->error, .tcp_state = f->tcp_state, .hook = f->hook,
	};

	if (w->flows == OPEN_FLOWS_MAX || w->bytes > OPEN_FLOWS_BYTES_MAX - ADDED_MAX)
		return -ENOSPC;
	e.process = process_number(w, f->process, false);
	snprintf(e.prefix, sizeof(e.prefix), "%s", prefix);
	put(w, FLOW, &e, sizeof(e));
	w->flows++;
	return 0;
}

int open_flows_end(struct open_flows_writer *w)
{
	struct written *known, *next;
	int err;

	put(w, END, &w->flows, sizeof(w->flows));
	err = fflush(w->file) || ferror(w->file) ? -EIO : 0;
	HASH_ITER(hh, w->written, known, next) {
		HASH_DEL(w->written, known);
		free(known);
	}
	free(w);
	return err;
}

struct reader {
	const uint8_t *at;
	size_t left;
	struct process **processes;	/* NULL: the first time through */
	uint32_t process_count, flow_count;
	struct open_flows *about;
	open_flows_handler *handler;
	void *data;
};

static int take_head(struct reader *r, const void *entry, size_t len)
{
	struct head head;

	if (len != sizeof(head))
		return -EBADMSG;
	memcpy(&head, entry, sizeof(head));
	if (memcmp(head.magic, magic, sizeof(magic)) != 0 || !head.next_number)
		return -EBADMSG;
	*r->about = (struct open_flows) { .next_number = head.next_number };
	memcpy(r->about->series, head.series, sizeof(head.series));
	return strspn(r->about->series, "0123456789abcdef") == OPEN_FLOWS_SERIES ? 0 : -EBADMSG;
}

static int take_process(struct reader *r, const void *entry, size_t len)
{
	struct process *p;
	uint32_t parent;
	int err = open_process_unpack(entry, len, &p, &parent);

	if (err)
		return err;
	if (parent > r->process_count)
		err = -EBADMSG;
	if (!err)
		r->process_count++;
	if (err || !r->processes) {
		process_unref(p);
		return err;
	}
	if (parent)
		process_image_set_parent(p, r->processes[parent - 1]);
	r->processes[r->process_count - 1] = p;
	return 0;
}

static bool is_valid(const struct reader *r, const struct entry *e)
{
	return (e->family == AF_INET || e->family == AF_INET6) && e->number &&
	       e->number < r->about->next_number && e->process <= r->process_count &&
	       e->seen & FLOW_STARTED && !(e->seen & ~kept) && e->owner > OWNER_UNDECIDED &&
	       e->owner <= OWNER_TRACE && e->hook < NF_INET_NUMHOOKS &&
	       memchr(e->prefix, '\0', sizeof(e->prefix));
}

static void unpack(struct flow *f, const struct entry *e)
{
	*f = (struct flow) {
		.tuple = { .sport = e->sport, .dport = e->dport, .protocol = e->protocol },
		.reply_src = e->reply_src, .reply_dst = e->reply_dst,
		.reply_sport = e->reply_sport, .reply_dport = e->reply_dport, .seen = e->seen,
		.number = e->number, .skaddr = e->skaddr, .start_ns = e->start_ns,
		.start_real_ns = e->start_real_ns, .packet_ns = e->packet_ns,
		.answer_ns = e->answer_ns, .end_ns = e->end_ns,
		.bytes = { e->bytes[0], e->bytes[1] },
		.packets = { e->packets[0], e->packets[1] }, .cgroup_id = e->cgroup_id,
		.tid = e->tid, .uid = e->uid, .gid = e->gid, .mark = e->mark,
		.ifindex_out = e->ifindex_out, .tcp_seq = e->tcp_seq, .ct_id = e->ct_id,
		.ct_status = e->ct_status, .ct_zone = e->ct_zone,
		.syn_retransmits = e->syn_retransmits, .owner = e->owner, .error = e->error,
		.tcp_state = e->tcp_state, .hook = e->hook,
	};
	tuple_set_addresses(&f->tuple, e->family, &e->src, &e->dst);
}

static int take_flow(struct reader *r, const void *entry, size_t len)
{
	struct entry e;
	struct flow f;

	if (len != sizeof(e))
		return -EBADMSG;
	memcpy(&e, entry, sizeof(e));
	if (!is_valid(r, &e))
		return -EBADMSG;
	r->flow_count++;
	if (!r->processes)
		return 0;
	unpack(&f, &e);
	if (e.process)
		f.process = r->processes[e.process - 1];
	r->handler(&f, e.prefix, r->data);
	return 0;
}

/* Returns 1 after the end. */
static int take_entry(struct reader *r, bool first)
{
	struct tag tag;
	const uint8_t *entry;
	uint32_t count;

	if (r->left < sizeof(tag))
		return -EBADMSG;
	memcpy(&tag, r->at, sizeof(tag));
	entry = r->at + sizeof(tag);
	if (tag.len > r->left - sizeof(tag) || first != (tag.kind == HEAD))
		return -EBADMSG;
	r->at += sizeof(tag) + tag.len;
	r->left -= sizeof(tag) + tag.len;
	switch (tag.kind) {
	case HEAD:
		return take_head(r, entry, tag.len);
	case PROCESS:
		return take_process(r, entry, tag.len);
	case FLOW:
		return take_flow(r, entry, tag.len);
	case END:
		if (tag.len != sizeof(count) || r->left)
			return -EBADMSG;
		memcpy(&count, entry, sizeof(count));
		return count == r->flow_count ? 1 : -EBADMSG;
	default:
		return -EBADMSG;
	}
}

static int go_through(struct reader *r)
{
	int ret = take_entry(r, true);

	while (ret == 0)
		ret = take_entry(r, false);
	return ret < 0 ? ret : 0;
}

int open_flows_read(const void *list, size_t size, struct open_flows *about,
		    open_flows_handler *handler, void *data)
{
	struct reader check = { .at = list, .left = size, .about = about };
	struct reader r = { .at = list, .left = size, .about = about, .handler = handler,
			    .data = data };
	int err = go_through(&check);

	if (err)
		return err;
	r.processes = calloc(check.process_count + 1, sizeof(*r.processes));
	if (!r.processes)
		return -ENOMEM;
	err = go_through(&r);
	while (r.process_count)
		process_unref(r.processes[--r.process_count]);
	free(r.processes);
	about->count = check.flow_count;
	return err;
}
